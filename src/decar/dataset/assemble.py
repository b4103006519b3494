"""The dataset folder: the tables that join shards, labels and splits. Labels and splits never touch a shard.

`failures.csv` (written first, so that it is there even when the run is stopped for too many failures),
`labels.parquet`, `splits.parquet`, `molecules.parquet`, `statistics.json`, and last `manifest.parquet`.
"""

import json
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from decar.atomic import atomic_path, write_text
from decar.config import Study
from decar.dataset.shards import read_manifest
from decar.dataset.splits import make_splits
from decar.dataset.statistics import all_statistics, voxel_moments
from decar.errors import ConfigError, DataFormatError
from decar.receipt import write_table

FAILURE_COLUMNS = ("id", "name", "raw", "key", "stage", "reason", "message")
SLICE = 100_000  # rows of the splits that are written at a time
SPLITS_SCHEMA = pa.schema(
    {"scheme": pa.string(), "seed": pa.int64(), "fold": pa.int64(), "key": pa.string(), "subset": pa.string()}
)


def assemble(
    study: Study,
    index: pd.DataFrame,
    receipts: pd.DataFrame,
    labels: pd.DataFrame,
    shards: Sequence[Path],
    output: Path,
) -> None:
    """Write the dataset folder `output`.

    `index`: a row a row of the user's table; `receipts`: the last per-molecule stage; `labels`: key, property, value,
    kind, unit. Raises ConfigError when more molecules failed than `workflow.max_failed_share` allows, and
    DataFormatError when a shard is damaged or a molecule is in none.
    """
    failures = collect_failures(index, receipts)
    with atomic_path(output / "failures.csv") as temporary:
        failures.to_csv(temporary, index=False)
    _check_share(study, index, failures, output / "failures.csv")
    manifest = pd.concat([read_manifest(path) for path in sorted(shards)], ignore_index=True)
    manifest = manifest.sort_values(["key", "conformer"], ignore_index=True)
    missing = set(receipts.loc[receipts["status"] == "ok", "key"]) ^ set(manifest["key"])
    if missing:
        raise DataFormatError(
            "shards and receipts do not hold the same molecules", where=output, seen=sorted(missing)[:3],
            remedy="delete the shards and run the workflow again",
        )  # fmt: skip
    usable = index.loc[(index["status"] == "ok") & index["key"].isin(set(manifest["key"]))]
    classes = _classes(study, labels)
    splits = [make_splits(usable, split, study.seed, classes) for split in study.dataset.splits]
    # The rows of one shard at a time are Python objects, those of all are columns.
    moments = pd.concat(
        voxel_moments(manifest.loc[manifest["shard"] == path.name], {path.name: path}) for path in sorted(shards)
    )
    molecules = index.loc[index["status"] == "ok", [name for name in index.columns if not name.startswith("label:")]]
    write_table(output / "labels.parquet", labels.sort_values(["key", "property"], ignore_index=True))
    _write_splits(output / "splits.parquet", splits)
    write_table(output / "molecules.parquet", molecules.sort_values("key", ignore_index=True))
    write_text(output / "statistics.json", json.dumps(_statistics(moments, splits), indent=1) + "\n")
    write_table(output / "manifest.parquet", manifest)


def collect_failures(index: pd.DataFrame, receipts: pd.DataFrame) -> pd.DataFrame:
    """Return a row a row of the user's table that has no voxels, in the table's order, with stage, reason and message.

    Rows whose structure cannot be read carry the stage `molecules`. A duplicate shares the fate of its molecule.
    """
    failed = receipts.loc[receipts["status"] == "failed"].set_index("key")
    unread = index["status"] == "failed"
    rows = index.loc[unread | index["key"].isin(failed.index)]
    unread = unread.loc[rows.index]
    causes = failed.reindex(rows["key"]).set_index(rows.index)
    table = rows[["id", "name", "raw", "key"]].assign(
        stage=causes["stage"].where(~unread, "molecules"),
        reason=causes["reason"].where(~unread, rows["reason"]),
        message=causes["message"].where(~unread, rows["message"]),
    )
    return table.reset_index(drop=True)[list(FAILURE_COLUMNS)]


def _check_share(study: Study, index: pd.DataFrame, failures: pd.DataFrame, path: Path) -> None:
    share, allowed = len(failures) / max(len(index), 1), study.workflow.max_failed_share
    if share <= allowed:
        return
    counts = (failures["reason"].astype(str) + " (" + failures["stage"].astype(str) + ")").value_counts()
    listed = "; ".join(f"{reason}: {count}" for reason, count in counts.items())
    raise ConfigError(
        f"{len(failures)} of {len(index)} rows failed", where=path, seen=listed, expected=f"at most {allowed:.0%}",
        remedy="correct the rows that failures.csv names, or raise workflow.max_failed_share",
    )  # fmt: skip


def _write_splits(path: Path, splits: Sequence[pd.DataFrame]) -> None:
    """Write the subsets as plain texts, a piece at a time: in memory they are categories."""
    with atomic_path(path) as temporary, pq.ParquetWriter(temporary, SPLITS_SCHEMA) as writer:
        for split in splits:
            for start in range(0, len(split), SLICE):
                piece = pa.Table.from_pandas(split.iloc[start : start + SLICE], preserve_index=False)
                writer.write_table(piece.cast(SPLITS_SCHEMA))


def _statistics(moments: pd.DataFrame, splits: Sequence[pd.DataFrame]) -> dict[str, Any]:
    ordered = sorted(splits, key=lambda split: str(split["scheme"].iloc[0]))
    found = [all_statistics(moments, split) for split in ordered]
    return {**found[0], "splits": {name: folds for one in found for name, folds in one["splits"].items()}}


def _classes(study: Study, labels: pd.DataFrame) -> dict[str, Hashable]:
    """Return the class of each molecule for balanced folds; a regression property has none."""
    name = study.training.property
    if study.molecules.labels[name].kind == "regression":
        return {}
    rows = labels.loc[(labels["property"] == name) & labels["value"].notna()]
    return dict(zip(rows["key"], rows["value"].astype(float)))
