"""What the dataset step holds in memory, from studies of synthetic molecules whose boxes have eight voxels.

    python benchmarks/dataset_memory.py benchmarks/dataset_memory.json 5000 20000

Everything is read from files as in a workflow: index, receipts, tables of molecules and labels, shards of two fields.
One molecule in 50 fails. Each study is written by one process and assembled by another, whose largest resident set is
what counts; of it, libraries are what a study of a hundred molecules takes.
"""

import hashlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from costs_steps import study_of
from synthetic_table import smiles

from decar.atomic import write_text
from decar.config import DatasetSettings, Study
from decar.dataset.shards import bucket, write_shard
from decar.record import Place, Record

NUM_SHARDS = 16
ROW_GROUP = 10_000
FIELDS = {
    name: {"symbol": "", "unit": unit, "channels": 1, "parity": "even", "core": ""}
    for name, unit in (("electron_density", "e/bohr^3"), ("electrostatic_potential", "hartree/e"))
}
CASE = {"box": [8, 8, 8], "channels": [4], "kernel_size": 3, "batch_size": 4}


def study_in(folder: Path) -> Study:
    """Return a study with folds of both schemes."""
    splits = [{"scheme": "scaffold"}, {"scheme": "random"}]
    dataset = DatasetSettings.model_validate({"num_shards": NUM_SHARDS, "splits": splits})
    return study_of(CASE, folder).model_copy(update={"dataset": dataset})


def index_of(num: int) -> pd.DataFrame:
    """Return the index of synthetic molecules: three share a group, two a scaffold; some are unread or duplicates."""
    texts = [smiles(number) for number in range(num)]
    keys = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
    groups = [hashlib.sha256(f"group {number // 3}".encode()).hexdigest()[:14].upper() for number in range(num)]
    active = np.where(np.arange(num) % 9, np.arange(num) % 2, np.nan)
    index = pd.DataFrame({
        "row": range(1, num + 1), "id": [f"m{i}" for i in range(num)], "name": [f"synthetic {i}" for i in range(num)],
        "raw": texts, "geometry": None, "status": "ok", "reason": None, "message": None, "key": keys, "smiles": texts,
        "charge": 0, "multiplicity": 1, "inchikey": [f"{group}-UHFFFAOYSA-N" for group in groups],
        "split_group": groups, "scaffold": [f"{texts[i // 2]}{i // 2}" if i % 5 else "" for i in range(num)],
        "num_heavy_atoms": 28, "formula": "C22H25N3O2", "label:sweet": active,
    }).astype({"geometry": "str", "reason": "str", "message": "str"})  # fmt: skip
    unread = index["row"] % 97 == 5
    index.loc[unread, ["status", "reason", "message"]] = ["failed", "unparsable_smiles", "a ring is open"]
    index.loc[unread, ["key", "smiles", "inchikey", "split_group", "scaffold", "formula"]] = None
    twins = index.loc[index["row"] % 61 == 8].assign(status="duplicate", reason="duplicate", message="the same")
    return pd.concat([index, twins.loc[twins["key"].notna()]], ignore_index=True)


def write_study(folder: Path, num: int) -> None:
    """Write what the dataset step reads."""
    index = index_of(num)
    by_key = index.loc[index["status"] == "ok"].sort_values("key", ignore_index=True)
    is_failed = by_key["id"].str[1:].astype(int) % 50 == 7
    receipts = pd.DataFrame({"key": by_key["key"], "status": np.where(is_failed, "failed", "ok")}).assign(
        stage=pd.Series("wavefunction", by_key.index).where(is_failed),
        reason=pd.Series("scf_not_converged", by_key.index).where(is_failed),
        message="no convergence of " + by_key["id"].where(is_failed),
    )
    labels = by_key[["key"]].assign(value=by_key["label:sweet"]).dropna()
    labels = labels.assign(property="sweet", kind="binary", unit=pd.Series(None, labels.index, dtype="str"))
    tables = {
        "index": index, "receipts/0": receipts, "molecules/molecules": by_key,
        "molecules/labels": labels[["key", "property", "value", "kind", "unit"]],
    }  # fmt: skip
    for name, table in tables.items():
        path = folder / f"{name}.parquet"
        path.parent.mkdir(exist_ok=True)
        pq.write_table(pa.Table.from_pandas(table, preserve_index=False), path, row_group_size=ROW_GROUP)
    members: dict[str, list[tuple[str, Place | Record]]] = {}
    for number, key in enumerate(by_key["key"][~is_failed]):
        members.setdefault(bucket(key, NUM_SHARDS), []).append((key, record_of(key, number)))
    for name, listed in members.items():
        write_shard(folder / "shards" / f"{name}-synthetic.h5", listed, {})


def record_of(key: str, number: int) -> Record:
    """Return a fields record of 2 x 2 x 2 voxels; every tenth molecule has a second conformer."""
    generator = np.random.default_rng(number)
    count = 1 + (number % 10 == 3)
    arrays = {f"{c}/{name}": generator.random((1, 2, 2, 2), np.float32) for c in range(count) for name in FIELDS}
    grid = {"origin_bohr": [0.0, 0.0, 0.0], "spacing_bohr": 0.5, "shape": [2, 2, 2]}
    metadata = {"key": key, "num_conformers": count, "conformers": [{"grid": grid}] * count, "fields": FIELDS}
    return Record("fields", key, metadata, arrays)


def run_step(folder: Path) -> dict[str, float]:
    """Assemble the dataset of a study, and return what that took."""
    from decar.dataset.assemble import assemble  # noqa: PLC0415  (not loaded where studies are written)

    start = time.process_time()
    assemble(
        study_in(folder), folder / "index.parquet", sorted((folder / "receipts").iterdir()), folder / "molecules",
        sorted((folder / "shards").iterdir()), folder / "dataset",
    )  # fmt: skip
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"peak_mb": round(peak, 1), "processor_seconds": round(time.process_time() - start, 1)}


def main(output: Path, numbers: list[int]) -> None:
    report: dict[str, Any] = {"num_shards": NUM_SHARDS, "folds": 10, "studies": []}
    for num in (100, *numbers):
        with tempfile.TemporaryDirectory() as name:
            subprocess.run([sys.executable, __file__, "write", name, str(num)], check=True)
            done = subprocess.run([sys.executable, __file__, "run", name], check=True, capture_output=True, text=True)
            report["studies"].append({"molecules": num, **json.loads(done.stdout.splitlines()[-1])})
            print(report["studies"][-1], flush=True)
    write_text(output, json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    if sys.argv[1] == "write":
        write_study(Path(sys.argv[2]), int(sys.argv[3]))
    elif sys.argv[1] == "run":
        print(json.dumps(run_step(Path(sys.argv[2]))))
    else:
        main(Path(sys.argv[1]), [int(number) for number in sys.argv[2:]])
