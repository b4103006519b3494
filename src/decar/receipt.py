"""Receipts: what a batch of molecules became at one stage, a row a molecule; the only files that Snakemake tracks.

Columns: `key`, `smiles` (standardised parent), `charge`, `multiplicity`, `molblock` (a geometry that the user brought,
or null), `recipe` (of this stage, or of the stage that failed), `status` (`ok` or `failed`), `stage` (that failed),
`reason`, `message`, `num_conformers`, `wall_seconds`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from decar.atomic import atomic_path
from decar.errors import DataFormatError

COLUMNS = (
    "key", "smiles", "charge", "multiplicity", "molblock", "recipe", "status", "stage", "reason", "message",
    "num_conformers", "wall_seconds",
)  # fmt: skip
AT_A_TIME = 10_000  # rows of a table that are in memory where it is read in parts


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table as Parquet, whole or not at all."""
    with atomic_path(path) as temporary:
        table.to_parquet(temporary, index=False)


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write a table as CSV of six digits, whole or not at all."""
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g", lineterminator="\n")


def read_table(path: Path, columns: list[str] | None = None) -> pd.DataFrame:
    """Read a Parquet table, or some columns of it; raises DataFormatError when it is missing or damaged."""
    try:
        return pd.read_parquet(path, columns=columns)
    except (OSError, ValueError) as error:
        raise DataFormatError(
            "the table cannot be read", where=path, seen=str(error), remedy="delete it and run the workflow again"
        ) from error


def read_parts(path: Path, columns: list[str] | None = None) -> Iterator[pa.Table]:
    """Yield a Parquet table, or some columns of it, AT_A_TIME rows each; raises DataFormatError as `read_table`."""
    try:
        with pq.ParquetFile(path) as file:
            for part in file.iter_batches(AT_A_TIME, columns=columns):
                yield pa.Table.from_batches([part])
    except (OSError, ValueError) as error:
        raise DataFormatError(
            "the table cannot be read", where=path, seen=str(error), remedy="delete it and run the workflow again"
        ) from error


@contextmanager
def table_writer(path: Path, schema: pa.Schema) -> Iterator[Callable[[pd.DataFrame], None]]:
    """Yield a function that adds rows to a Parquet table, which is there whole or not at all when the block ends."""
    with atomic_path(path) as temporary, pq.ParquetWriter(temporary, schema) as writer:
        yield lambda rows: writer.write_table(pa.Table.from_pandas(rows, schema, preserve_index=False))


def write_receipt(path: Path, rows: list[dict[str, object]]) -> None:
    """Write the rows of a batch, sorted by key."""
    table = pd.DataFrame(rows, columns=list(COLUMNS)).sort_values("key", ignore_index=True)
    write_table(path, table)


def read_receipts(paths: list[Path], columns: list[str] | None = None) -> pd.DataFrame:
    """Read and join receipts, or some columns of them, `key` among them; the rows are sorted by key."""
    tables = [read_table(path, columns) for path in paths]
    if not tables:
        return pd.DataFrame(columns=columns or list(COLUMNS))
    return pd.concat(tables, ignore_index=True).sort_values("key", ignore_index=True)
