"""The molecules step: from the frozen index to a table of molecules and a table of labels, one row a molecule."""

from pathlib import Path

import pandas as pd

from decar.config import MoleculesSettings
from decar.molecules.labels import merge_labels
from decar.receipt import write_table


def write_molecules(settings: MoleculesSettings, index: pd.DataFrame, output: Path) -> None:
    """Write molecules.parquet, labels.parquet and conflicts.parquet into `output`.

    A duplicate row adds its labels to its molecule; where two rows of a molecule disagree, the conflict is listed and
    `molecules.on_conflict` decides.
    """
    identified = index.loc[index["key"].notna()]
    rows = [
        {"id": row["id"], "property": name, "value": row[f"label:{name}"], "kind": label.kind, "unit": label.unit}
        for name, label in settings.labels.items()
        for row in identified.to_dict("records")
        if pd.notna(row[f"label:{name}"])
    ]
    table = pd.DataFrame(rows, columns=["id", "property", "value", "kind", "unit"])
    keys = dict(zip(identified["id"], identified["key"]))
    labels, conflicts = merge_labels(table, keys, settings.on_conflict)
    write_table(output / "labels.parquet", labels)
    write_table(output / "conflicts.parquet", conflicts)
    molecules = identified.loc[identified["status"] == "ok"].sort_values("key", ignore_index=True)
    write_table(output / "molecules.parquet", molecules)
