"""The dataset step holds numbers of all molecules, and their tables a part at a time."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from decar import receipt
from decar.dataset import shards
from decar.dataset.assemble import assemble
from decar.dataset.shards import bucket, write_shard
from decar.record import Record
from tests.dataset.synthetic_study import FIELDS, key_of, make_study, make_tables, write_tables
from tests.memory import peak_memory

PART = 30  # rows that are read at a time
NUM_SHARDS = 4


def write_study(folder: Path, num: int) -> tuple[tuple[Path, list[Path], Path], list[Path]]:
    """Write tables in row groups of a part, and shards of boxes of eight voxels; return the paths of both."""
    tables = write_tables(folder, *make_tables(num))
    for path in folder.rglob("*.parquet"):
        pq.write_table(pq.read_table(path), path, row_group_size=PART)
    voxels = {f"0/{field}": np.ones((1, 2, 2, 2), dtype=np.float32) for field in FIELDS}
    grid = {"origin_bohr": [0.0, 0.0, 0.0], "spacing_bohr": 0.5, "shape": [2, 2, 2]}
    members: dict[str, list[tuple[str, Record]]] = {}
    for key in (key_of(number) for number in range(num)):
        metadata = {"key": key, "num_conformers": 1, "conformers": [{"grid": grid}], "fields": FIELDS}
        members.setdefault(bucket(key, NUM_SHARDS), []).append((key, Record("fields", key, metadata, voxels)))
    paths = [folder / "shards" / f"{name}-a.h5" for name in members]
    for path, listed in zip(paths, members.values()):
        write_shard(path, listed, {})
    return tables, paths


def peak_bytes(folder: Path, num: int) -> int:
    """Return the most that assembling so many molecules allocates at a time."""
    tables, paths = write_study(folder, num)
    return peak_memory(lambda: assemble(make_study(folder), *tables, paths, folder / "dataset"))


def test_memory_hardly_grows_with_the_molecules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receipt, "AT_A_TIME", PART)
    monkeypatch.setattr(shards, "AT_A_TIME", PART)
    peak_bytes(tmp_path / "first", PART)  # what is loaded and kept once
    few, many = (peak_bytes(tmp_path / f"{num}", num) for num in (120, 480))
    assert (many - few) / 360 < 600  # bytes a molecule; tables that are held whole take 1600
