"""The table of failures: every row of the user's table that has no voxels, with stage, reason and message.

The index is in the order of the user's table, receipts are in the order of the keys. So the failed molecules are laid
aside in a file without a name, and looked up for a part of the index at a time.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from decar.atomic import atomic_path
from decar.config import Study
from decar.errors import ConfigError
from decar.receipt import read_parts

COLUMNS = ("id", "name", "raw", "key", "stage", "reason", "message")
INDEX_COLUMNS = ["id", "name", "raw", "key", "status", "reason", "message"]
FAILED = pa.schema({name: pa.string() for name in ("key", "stage", "reason", "message")})


def write_failures(study: Study, index: Path, receipts: Sequence[Path], path: Path) -> None:
    """Write failures.csv; raises ConfigError when more rows failed than `workflow.max_failed_share` allows."""
    counts: Counter[str] = Counter()
    num_rows = 0
    with atomic_path(path) as temporary, _laid_aside(receipts, path.parent) as failed, temporary.open("w") as file:
        pd.DataFrame(columns=list(COLUMNS)).to_csv(file, index=False)
        for rows in read_parts(index, INDEX_COLUMNS):
            failures = collect_failures(rows.to_pandas(), _of(failed, rows["key"]))
            failures.to_csv(file, index=False, header=False)
            counts.update(failures["reason"].astype(str) + " (" + failures["stage"].astype(str) + ")")
            num_rows += len(rows)
    _check_share(study, num_rows, counts, path)


def collect_failures(index: pd.DataFrame, failed: pd.DataFrame) -> pd.DataFrame:
    """Return a row a row of the index that has no voxels, in its order; `failed`: key, stage, reason, message.

    Rows whose structure cannot be read carry the stage `molecules`. A duplicate shares the fate of its molecule.
    """
    failed = failed.set_index("key")
    unread = index["status"] == "failed"
    rows = index.loc[unread | index["key"].isin(failed.index)]
    unread = unread.loc[rows.index]
    causes = failed.reindex(rows["key"]).set_index(rows.index)
    table = rows[["id", "name", "raw", "key"]].assign(
        stage=causes["stage"].where(~unread, "molecules"),
        reason=causes["reason"].where(~unread, rows["reason"]),
        message=causes["message"].where(~unread, rows["message"]),
    )
    return table.reset_index(drop=True)[list(COLUMNS)]


@contextmanager
def _laid_aside(receipts: Sequence[Path], folder: Path) -> Iterator[pq.ParquetFile]:
    """Yield the failed molecules of all receipts as a file that is gone afterwards, whatever happens."""
    with TemporaryFile(dir=folder) as file:
        with pq.ParquetWriter(file, FAILED) as writer:
            for receipt in receipts:
                for rows in read_parts(receipt, [*FAILED.names, "status"]):
                    failed = rows.filter(pc.equal(rows["status"], "failed"))
                    if len(failed):
                        writer.write_table(failed.select(FAILED.names).cast(FAILED))
        yield pq.ParquetFile(file)


def _of(failed: pq.ParquetFile, keys: pa.ChunkedArray) -> pd.DataFrame:
    keys = keys.cast(pa.string())
    found = [part.filter(pc.is_in(part["key"], keys)) for part in failed.iter_batches()]
    table: pd.DataFrame = pa.Table.from_batches(found, FAILED).to_pandas()
    return table


def _check_share(study: Study, num_rows: int, counts: "Counter[str]", path: Path) -> None:
    share, allowed = counts.total() / max(num_rows, 1), study.workflow.max_failed_share
    if share <= allowed:
        return
    listed = "; ".join(f"{reason}: {count}" for reason, count in counts.most_common())
    raise ConfigError(
        f"{counts.total()} of {num_rows} rows failed", where=path, seen=listed, expected=f"at most {allowed:.0%}",
        remedy="correct the rows that failures.csv names, or raise workflow.max_failed_share",
    )  # fmt: skip
