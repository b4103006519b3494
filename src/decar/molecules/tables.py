"""The molecules step: from the frozen index to a table of molecules and a table of labels, one row a molecule."""

from pathlib import Path

import pandas as pd

from decar.config import MoleculesSettings
from decar.molecules.labels import merge_keyed
from decar.receipt import write_table


def labels_of(settings: MoleculesSettings, index: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the labels of every molecule and the conflicts (see `merge_labels`) of a frozen index."""
    identified = index.loc[index["key"].notna()]
    tables = [
        identified.loc[identified[f"label:{name}"].notna(), ["id", "key"]].assign(
            property=name, value=identified[f"label:{name}"], kind=label.kind, unit=label.unit
        )
        for name, label in settings.labels.items()
    ]
    columns = ["id", "key", "property", "value", "kind", "unit"]
    return merge_keyed(pd.concat(tables) if tables else pd.DataFrame(columns=columns), settings.on_conflict)


def write_molecules(settings: MoleculesSettings, index: pd.DataFrame, output: Path) -> None:
    """Write molecules.parquet, conflicts.parquet and labels.parquet into `output`.

    A duplicate row adds its labels to its molecule; where two rows of a molecule disagree, the conflict is listed and
    `molecules.on_conflict` decides.
    """
    labels, conflicts = labels_of(settings, index)
    write_table(output / "conflicts.parquet", conflicts)
    molecules = index.loc[index["status"] == "ok"].sort_values("key", ignore_index=True)
    write_table(output / "molecules.parquet", molecules)
    # Last: what follows waits for this file.
    write_table(output / "labels.parquet", labels)
