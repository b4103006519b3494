"""The dataset folder of one split, seed and share: that of the study, with other splits and their statistics.

So a part is trained and tested by the same code as the study's own folds. A smaller share of the training and
validation molecules is the same draw for every contender, and contained in every larger share; test molecules stay.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Hashable
from pathlib import Path

import pandas as pd

from decar.benchmark.parts import seed_of
from decar.config import BenchmarkSplit, Study
from decar.dataset.clusters import butina_clusters
from decar.dataset.splits import make_splits
from decar.dataset.statistics import all_statistics, voxel_moments
from decar.errors import ConfigError
from decar.predictions import kind_of
from decar.receipt import read_table, write_table
from decar.stages import derive_seed, digest

TABLES = ("labels.parquet", "molecules.parquet", "manifest.parquet")


def split_dataset(
    study: Study, dataset_folder: Path, shards_folder: Path, split_name: str, seed: int, share: float
) -> Path:
    """Return the dataset folder of a split of the benchmark; it is made where it is not there."""
    split = study.benchmark.splits[split_name]
    content = digest([dataset_folder.name, seed_of(study, seed), split.model_dump(mode="json"), share])[:12]
    root = study.folder / "benchmark" / "datasets"
    folder = root / f"{split_name}-seed{seed}-share{share:g}-{content}"
    if folder.exists():
        return folder
    root.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", suffix=".part", dir=root))
    try:
        splits = benchmark_splits(study, dataset_folder, split, seed_of(study, seed), share)
        for name in TABLES:
            shutil.copy(dataset_folder / name, temporary / name)
        write_table(temporary / "splits.parquet", splits)
        moments = _moments(root.parent / f"moments-{dataset_folder.name}.parquet", dataset_folder, shards_folder)
        (temporary / "statistics.json").write_text(json.dumps(all_statistics(moments, splits), indent=1) + "\n")
        try:
            os.rename(temporary, folder)  # noqa: PTH104
        except OSError:
            if not folder.exists():  # else another process has made it just now
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def benchmark_splits(
    study: Study, dataset_folder: Path, split: BenchmarkSplit, seed: int, share: float
) -> pd.DataFrame:  # fmt: skip
    """Return the splits of all folds: columns scheme, seed, fold, key, subset.

    Raises ConfigError for fewer groups than folds + 1, or a share that leaves a subset without molecules.
    """
    manifest, labels = (read_table(dataset_folder / f"{name}.parquet") for name in ("manifest", "labels"))
    molecules = read_table(dataset_folder / "molecules.parquet")
    labels = labels.loc[labels["value"].notna()]
    learned = labels.loc[labels["property"] == study.training.property].set_index("key")["value"]
    # Only what has a label: folds are then as even as they can be.
    keys = set(manifest["key"]) & set(learned.index)
    molecules = molecules.loc[molecules["key"].isin(keys)].drop_duplicates("key").sort_values("key", ignore_index=True)
    is_binary = kind_of(study) == "binary"
    classes: dict[str, Hashable] = {str(key): float(value) if is_binary else 0.0 for key, value in learned.items()}
    splits = make_splits(_related(molecules, labels, split), split, seed, classes)
    splits = splits.astype({"scheme": "str", "key": "str", "subset": "str"})
    return splits if share == 1 else _share(splits, classes, seed, share)


def _related(molecules: pd.DataFrame, labels: pd.DataFrame, split: BenchmarkSplit) -> pd.DataFrame:
    """Return the molecules with the column that names what stays together: `cluster`, or `column`."""
    if split.scheme == "cluster":
        clusters = butina_clusters(list(molecules["smiles"]), split.cluster_distance)
        return molecules.assign(cluster=[f"{number}" for number in clusters])
    if split.scheme == "column":
        values = labels.loc[labels["property"] == split.column].set_index("key")["value"]
        if not set(molecules["key"]) & set(values.index):
            raise ConfigError(
                f"no labelled molecule has a value of {split.column!r}", where="benchmark.splits",
                remedy="name a property of molecules.labels whose values group the molecules",
            )  # fmt: skip
        known = molecules["key"].map(values)
        return molecules.assign(column=known.map(lambda value: "" if pd.isna(value) else repr(float(value))))
    return molecules


def _share(splits: pd.DataFrame, classes: dict[str, Hashable], seed: int, share: float) -> pd.DataFrame:
    """Return the splits with this share of each class of the training and of the validation molecules of a fold."""
    rank = splits["key"].map(lambda key: derive_seed(seed, "share", key))
    group = [splits["fold"], splits["subset"], splits["key"].map(classes)]
    place = rank.groupby(group).rank(method="first")
    size = rank.groupby(group).transform("size")
    kept = splits.loc[(splits["subset"] == "test") | (place <= (share * size).round().clip(lower=1))]
    return kept.reset_index(drop=True)


def _moments(path: Path, dataset_folder: Path, shards_folder: Path) -> pd.DataFrame:
    """Return the moments of all voxels, which are read once for all splits and seeds."""
    if not path.exists():
        manifest = read_table(dataset_folder / "manifest.parquet")
        write_table(path, voxel_moments(manifest, {name: shards_folder / name for name in manifest["shard"].unique()}))
    return read_table(path)
