"""The molecules step: from the frozen index to a table of molecules and a table of labels, one row a molecule."""

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from decar.config import MoleculesSettings
from decar.molecules.labels import merge_keyed
from decar.receipt import table_writer

AT_A_TIME = 100_000  # rows of the index
TEXT = pa.string()
LABELS = pa.schema([("key", TEXT), ("property", TEXT), ("value", pa.float64()), ("kind", TEXT), ("unit", TEXT)])
CONFLICTS = pa.schema([("key", TEXT), ("property", TEXT), ("ids", pa.list_(TEXT)), ("values", pa.list_(pa.float64()))])


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


def write_molecules(settings: MoleculesSettings, index: Path, output: Path) -> None:
    """Write molecules.parquet, conflicts.parquet and labels.parquet into `output`, sorted by key.

    A duplicate row adds its labels to its molecule; where two rows of a molecule disagree, the conflict is listed and
    `molecules.on_conflict` decides.
    """
    with ExitStack() as stack:
        # The first appears last: what follows waits for labels.parquet.
        add_labels = stack.enter_context(table_writer(output / "labels.parquet", LABELS))
        add_molecules = stack.enter_context(table_writer(output / "molecules.parquet", pq.read_schema(index)))
        add_conflicts = stack.enter_context(table_writer(output / "conflicts.parquet", CONFLICTS))
        for rows in rows_by_key(index):
            labels, conflicts = labels_of(settings, rows)
            add_conflicts(conflicts)
            add_molecules(rows.loc[rows["status"] == "ok"].sort_values("key"))
            add_labels(labels)


def rows_by_key(index: Path) -> Iterator[pd.DataFrame]:
    """Yield the rows of an index that have a key: those whose keys begin alike together, in the order of the keys.

    About `AT_A_TIME` rows are in memory, and the file is read once for each so many.
    """
    with pq.ParquetFile(index) as file:
        number = 1 << (-(-file.metadata.num_rows // AT_A_TIME) - 1).bit_length()
        # Hexadecimal digits are in the order of the numbers, and before "g".
        edges = [*(f"{piece * 2**16 // number:04x}" for piece in range(number)), "g"]
        for first, end in pairwise(edges):
            parts = []
            for part in file.iter_batches():
                has_begun, has_not_ended = pc.greater_equal(part["key"], first), pc.less(part["key"], end)
                parts.append(part.filter(pc.and_(has_begun, has_not_ended)))
            yield pa.Table.from_batches(parts, file.schema_arrow).to_pandas()
