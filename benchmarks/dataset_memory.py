"""What the dataset step holds in memory: its tables for so many molecules, the voxels of the shards left out.

    python benchmarks/dataset_memory.py 100000

Index, receipts, labels, manifest, moments and folds are those that a study of this size has; what the step reads from a
shard (a row a conformer of manifest and moments) is made up, since 100,000 records of voxels are a day's work.
"""

import hashlib
import resource
import sys
import tempfile
import time
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
from costs_steps import study_of
from synthetic_table import smiles

from decar.dataset import assemble as step
from decar.dataset.shards import bucket

NUM_SHARDS = 64


def index_of(num: int) -> pd.DataFrame:
    """Return the index of synthetic molecules, one group and every second one scaffold each."""
    texts = [smiles(number) for number in range(num)]
    keys = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
    table = pd.DataFrame({
        "row": range(1, num + 1), "id": [f"m{i}" for i in range(num)], "name": [f"synthetic {i}" for i in range(num)],
        "raw": texts, "molblock": None, "status": "ok", "reason": None, "message": None, "key": keys, "smiles": texts,
        "charge": 0, "multiplicity": 1, "inchikey": [f"{key[:14]}-UHFFFAOYSA-N" for key in keys],
        "split_group": [key[:14] for key in keys], "scaffold": [text[: len(text) * 2 // 3] for text in texts],
        "num_heavy_atoms": 28, "formula": "C22H25N3O2", "label:sweet": np.arange(num) % 2.0,
    })  # fmt: skip
    return table.sort_values("key", ignore_index=True)


def manifest_of(path: Path, keys: pd.Series) -> pd.DataFrame:
    mine = keys[keys.map(lambda key: bucket(key, NUM_SHARDS)) == path.name.split("-")[0]]
    return pd.DataFrame([
        {"key": key, "conformer": 0, "weight": 1.0, "shard": path.name, "path": f"{key}/0", "shape_x": 64,
         "shape_y": 48, "shape_z": 48, "spacing_bohr": 0.5, "checksum": f'{{"rho":"{key}"}}', "status": "ok"}
        for key in mine
    ])  # fmt: skip


def moments_of(manifest: pd.DataFrame, _shards: object) -> pd.DataFrame:
    return pd.DataFrame([
        {"key": row["key"], "conformer": 0, "weight": 1.0, "field": "electron_density", "unit": "e/bohr^3",
         "num_voxels": 147456, "sum": 1.0, "sum_squares": 2.0, "minimum": 0.0, "maximum": 1.0}
        for row in manifest.to_dict("records")
    ])  # fmt: skip


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(num: int) -> None:
    libraries = peak_mb()
    index = index_of(num)
    keys = index["key"]
    receipts = pd.DataFrame({"key": keys, "status": "ok", "stage": None, "reason": None, "message": None})
    labels = pd.DataFrame({"key": keys, "property": "sweet", "value": index["label:sweet"], "kind": "binary",
                           "unit": None})  # fmt: skip
    shards = [Path(f"{number:02x}-stand-in.h5") for number in range(NUM_SHARDS)]
    case = {"box": [8, 8, 8], "channels": [4], "kernel_size": 3, "batch_size": 4}
    start = time.process_time()
    with (
        tempfile.TemporaryDirectory() as folder,
        patch.multiple(step, read_manifest=lambda path: manifest_of(path, keys), voxel_moments=moments_of),
    ):
        step.assemble(study_of(case, Path(folder)), index, receipts, labels, shards, Path(folder) / "dataset")
    print(f"{num} molecules: {peak_mb():.0f} MB at most, {libraries:.0f} MB of them before; "
          f"{time.process_time() - start:.1f} s of the processor")  # fmt: skip


if __name__ == "__main__":
    main(int(sys.argv[1]))
