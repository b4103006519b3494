"""The dataset folder: the tables that join shards, labels and splits. Labels and splits never touch a shard.

`failures.csv` (written first, so that it is there even when the run is stopped for too many failures),
`labels.parquet`, `splits.parquet`, `molecules.parquet`, `statistics.json`, and last `manifest.parquet`.

Receipts, shards and the tables of the molecules step come in the order of the keys, so they are read side by side, some
thousand molecules at a time. Folds alone need all molecules at once: numbers and split groups, no other text.
"""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from decar.atomic import atomic_path, write_text
from decar.config import Study
from decar.dataset.failures import write_failures
from decar.dataset.ordered import Ordered, in_order
from decar.dataset.shards import manifest_parts
from decar.dataset.splits import SUBSETS, TRAIN, Members, Numbers, deal
from decar.dataset.statistics import Statistics, voxel_moments
from decar.errors import DataFormatError
from decar.receipt import read_parts, table_writer

MANIFEST = pa.schema({
    "key": pa.string(), "conformer": pa.int64(), "weight": pa.float64(), "shard": pa.string(), "path": pa.string(),
    "shape_x": pa.int64(), "shape_y": pa.int64(), "shape_z": pa.int64(), "spacing_bohr": pa.float64(),
    "checksum": pa.string(), "status": pa.string(),
})  # fmt: skip
SPLITS = pa.schema(
    {"scheme": pa.string(), "seed": pa.int64(), "fold": pa.int64(), "key": pa.string(), "subset": pa.string()}
)
SOUND = pa.schema({"key": pa.string()})
LABELS = pa.schema({"key": pa.string(), "value": pa.float64()})
BEYOND = "g"  # hexadecimal digits come before it
NOTHING = 0  # the hash that says of a molecule that nothing stays with it
Hashes = NDArray[np.uint64]


def assemble(
    study: Study, index: Path, receipts: Sequence[Path], molecules: Path, shards: Sequence[Path], output: Path
) -> None:  # fmt: skip
    """Write the dataset folder `output`.

    `index`: a row a row of the user's table; `receipts`: those of the last per-molecule stage; `molecules`: the folder
    of the molecules step. Raises ConfigError when more molecules failed than `workflow.max_failed_share` allows, and
    DataFormatError when a shard is damaged or a molecule is in none.
    """
    receipts, shards = sorted(receipts), sorted(shards)
    write_failures(study, index, receipts, output / "failures.csv")
    usable = _usable(study, receipts, molecules)
    subsets: dict[str, Numbers] = {
        split.scheme: deal(usable.members(split.scheme), split, study.seed) for split in study.dataset.splits
    }  # fmt: skip
    is_usable = usable.flags
    del usable
    statistics = Statistics()
    with table_writer(output / "manifest.parquet", MANIFEST) as add:
        keys = Ordered(_keys(molecules, is_usable), SOUND, molecules)
        start = 0
        for path, rows in _manifest(shards, receipts, output):
            add(rows)
            here = keys.up_to(rows["key"].iloc[-1])["key"].to_pylist()
            moments = voxel_moments(rows, {path.name: path})
            for scheme, folds in subsets.items():
                for fold, subset in enumerate(folds):
                    is_trained = subset[start : start + len(here)] == TRAIN
                    statistics.add(moments, here, scheme, fold, is_trained)
            start += len(here)
        with atomic_path(output / "labels.parquet") as temporary:
            shutil.copyfile(molecules / "labels.parquet", temporary)
        _write_splits(output / "splits.parquet", study, subsets, molecules, is_usable)
        _write_molecules(molecules / "molecules.parquet", output / "molecules.parquet")
        write_text(output / "statistics.json", json.dumps(statistics.content(), indent=1) + "\n")


@dataclass(frozen=True)
class _Usable:
    """The molecules that have voxels, in the order of their keys: what decides their folds."""

    flags: NDArray[np.bool_]  # of each row of the table of molecules
    split_group: NDArray[np.bytes_]
    together: dict[str, Hashes]  # a hash of the text, by scheme
    classes: NDArray[np.float64]  # NaN without a label

    def members(self, scheme: str) -> Members:
        names, split_group = np.unique(self.split_group, return_inverse=True)
        together: Numbers | None = None
        if scheme in self.together:
            known, codes = np.unique(self.together[scheme], return_inverse=True)
            together = codes.astype(np.int32) - np.int32(known[:1] == NOTHING)  # the least hash, if any has it
        labels = np.unique(self.classes, return_inverse=True)[1]
        return Members(names, split_group.astype(np.int32), together, labels.astype(np.int32))


def _usable(study: Study, receipts: Sequence[Path], molecules: Path) -> _Usable:
    schemes = [split.scheme for split in study.dataset.splits if split.scheme != "random"]
    sound, labels = Ordered(_sound(receipts), SOUND, molecules), Ordered(_labels(study, molecules), LABELS, molecules)
    flags, groups, classes = [], [], []
    together: dict[str, list[Hashes]] = {scheme: [] for scheme in schemes}
    path = molecules / "molecules.parquet"
    for rows in in_order(read_parts(path, ["key", "split_group", *schemes]), path):
        last = rows["key"][-1].as_py()
        flags.append(pc.is_in(rows["key"].cast(pa.string()), sound.up_to(last)["key"]).to_numpy())
        chosen = rows.filter(pa.array(flags[-1]))
        groups.append(pc.cast(chosen["split_group"], pa.binary()).to_numpy().astype(np.bytes_))
        for scheme, hashes in together.items():
            hashes.append(_hashes(chosen[scheme]))
        known = labels.up_to(last)
        places = pc.index_in(chosen["key"].cast(pa.string()), known["key"])
        classes.append(known["value"].take(places).to_numpy())
    return _Usable(
        np.concatenate(flags), np.concatenate(groups),
        {scheme: np.concatenate(hashes) for scheme, hashes in together.items()}, np.concatenate(classes),
    )  # fmt: skip


def _hashes(texts: pa.ChunkedArray) -> Hashes:
    """Return 64 bits a text: of a million texts two share them in one of 40 million studies, and then stay together."""
    hashes: Hashes = pd.util.hash_array(texts.to_numpy(), categorize=False)
    hashes[pc.equal(texts, "").to_numpy()] = NOTHING
    return hashes


def _sound(receipts: Sequence[Path]) -> Iterator[pa.Table]:
    """Yield the keys that every stage succeeded for."""
    for receipt in receipts:
        for rows in read_parts(receipt, ["key", "status"]):
            yield rows.filter(pc.equal(rows["status"], "ok")).select(["key"])


def _labels(study: Study, molecules: Path) -> Iterator[pa.Table]:
    """Yield the classes of molecules for balanced folds; all that have a value of a regression are of one."""
    name = study.training.property
    for rows in read_parts(molecules / "labels.parquet", ["key", "property", "value"]):
        is_known = pc.and_(pc.equal(rows["property"], name), pc.is_finite(rows["value"]))
        known = rows.filter(is_known).select(["key", "value"])
        if study.molecules.labels[name].kind == "regression":
            known = known.set_column(1, "value", pa.repeat(0.0, len(known)))
        yield known


def _keys(molecules: Path, is_usable: NDArray[np.bool_]) -> Iterator[pa.Table]:
    """Yield the keys of the usable molecules."""
    start = 0
    for rows in read_parts(molecules / "molecules.parquet", ["key"]):
        yield rows.filter(pa.array(is_usable[start : start + len(rows)]))
        start += len(rows)


def _manifest(shards: Sequence[Path], receipts: Sequence[Path], output: Path) -> Iterator[tuple[Path, pd.DataFrame]]:
    """Yield shards and rows of their manifests; DataFormatError where they lack molecules of the receipts."""
    sound = Ordered(_sound(receipts), SOUND, output)
    last = ""
    for path in shards:
        for rows in manifest_parts(path):
            if rows["key"].iloc[0] <= last:
                raise DataFormatError("the shards are not in the order of their keys", where=path, seen=rows["key"][0])
            last = rows["key"].iloc[-1]
            _compare(sound.up_to(last), set(rows["key"]), output)
            yield path, rows
    _compare(sound.up_to(BEYOND), set(), output)


def _compare(sound: pa.Table, in_shards: set[str], output: Path) -> None:
    missing = set(sound["key"].to_pylist()) ^ in_shards
    if missing:
        raise DataFormatError(
            "shards and receipts do not hold the same molecules", where=output, seen=sorted(missing)[:3],
            remedy="delete the shards and run the workflow again",
        )  # fmt: skip


def _write_splits(
    path: Path, study: Study, subsets: Mapping[str, Numbers], molecules: Path, is_usable: NDArray[np.bool_]
) -> None:
    names = pa.array(SUBSETS)
    with atomic_path(path) as temporary, pq.ParquetWriter(temporary, SPLITS) as writer:
        for scheme, folds in subsets.items():
            for fold, subset in enumerate(folds):
                start = 0
                for rows in _keys(molecules, is_usable):
                    here = names.take(pa.array(subset[start : start + len(rows)]))
                    start += len(rows)
                    same = {"scheme": scheme, "seed": study.seed, "fold": fold}
                    table = pa.table(
                        {**{name: pa.repeat(value, len(rows)) for name, value in same.items()}, "key": rows["key"],
                         "subset": here}
                    )  # fmt: skip
                    writer.write_table(table.cast(SPLITS))


def _write_molecules(source: Path, target: Path) -> None:
    """Copy the table of molecules without its labels."""
    schema = pq.read_schema(source)
    chosen = pa.schema([column for column in schema if not column.name.startswith("label:")])
    with atomic_path(target) as temporary, pq.ParquetWriter(temporary, chosen) as writer:
        for rows in read_parts(source, chosen.names):
            writer.write_table(rows.cast(chosen))
