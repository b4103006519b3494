"""What the steps of a study as a whole cost: shards, dataset, training, interpretation, on voxels of any size.

    python benchmarks/costs_steps.py benchmarks/costs_steps.json        # ten minutes on one core

Molecules are pairs of Gaussian clouds, or single ones (the label), in a box of the size that is measured: what these
steps cost does not depend on chemistry. Core-seconds and peak memory as in costs.py, one step a fresh process.
"""

import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from costs import cpu_seconds, dump, peak_mb, processor

from decar.atomic import write_text
from decar.config import Study
from decar.dataset.assemble import assemble
from decar.dataset.shards import write_shard
from decar.provenance import provenance
from decar.receipt import write_table
from decar.record import Record, write_record
from decar.threads import set_threads

NUM = 24
NUM_FOLDS = 3
EPOCHS = 3
SMALL, WIDE = [4, 8, 8], [8, 16, 32]
CASES: list[dict[str, Any]] = [
    {"box": [24, 24, 24], "channels": SMALL, "kernel_size": 3, "batch_size": 4},
    {"box": [40, 40, 32], "channels": SMALL, "kernel_size": 3, "batch_size": 4},
    {"box": [40, 40, 32], "channels": WIDE, "kernel_size": 3, "batch_size": 8},
    {"box": [40, 40, 32], "channels": WIDE, "kernel_size": 5, "batch_size": 8},
    {"box": [56, 48, 40], "channels": WIDE, "kernel_size": 3, "batch_size": 8},
]
STEPS = ("records", "shards", "dataset", "train", "interpret")


def study_of(case: dict[str, Any], folder: Path) -> Any:
    network = {name: case[name] for name in ("channels", "kernel_size")}
    return Study.model_validate({
        "study": "costs", "results": str(folder), "store": str(folder / "store"),
        "molecules": {"table": "none.csv", "labels": {"sweet": {"column": "sweet"}}},
        "fields": {"names": ["electron_density"]},
        "dataset": {"num_shards": 1, "splits": [{"scheme": "random", "num_folds": NUM_FOLDS}]},
        "training": {"property": "sweet", "models": {"decar": network}, "max_epochs": EPOCHS, "patience": EPOCHS,
                     "batch_size": case["batch_size"]},
        "interpret": {"model": "decar", "rotations": 6}, "figures": {"example": "0"},
    })  # fmt: skip


def key_of(number: int) -> str:
    return hashlib.sha256(f"molecule {number}".encode()).hexdigest()


def write_records(case: dict[str, Any], folder: Path) -> None:
    spacing = 0.6
    axes = np.meshgrid(*[(np.arange(n) - (n - 1) / 2) * spacing for n in case["box"]], indexing="ij")
    fields = {"electron_density": {"symbol": "rho", "unit": "e/bohr^3", "channels": 1, "parity": "even", "core": ""}}
    for number in range(NUM):
        shift = 1.5 * (number % 2) + 0.01 * number
        rho = sum(np.exp(-((axes[0] - s) ** 2 + axes[1] ** 2 + axes[2] ** 2)) for s in (-shift, shift))
        grid = {"origin_bohr": [0.0, 0.0, 0.0], "spacing_bohr": spacing, "shape": case["box"]}
        metadata = {"key": key_of(number), "num_conformers": 1, "conformers": [{"grid": grid}], "fields": fields}
        arrays = {"0/electron_density": np.asarray(rho)[None].astype(np.float32)}
        write_record(folder / f"{number}.h5", Record("fields", key_of(number), metadata, arrays))


def write_tables(folder: Path) -> None:
    keys = sorted(key_of(number) for number in range(NUM))
    values = [float(number % 2) for number in range(NUM)]
    index = pd.DataFrame({
        "row": range(NUM), "id": keys, "name": keys, "raw": "C", "status": "ok", "reason": None, "message": None,
        "key": keys, "smiles": "C", "charge": 0, "multiplicity": 1, "split_group": keys, "scaffold": "",
        "label:sweet": values,
    })  # fmt: skip
    receipts = pd.DataFrame({"key": keys, "status": "ok", "num_conformers": 1, "stage": None, "reason": None,
                             "message": None})  # fmt: skip
    labels = pd.DataFrame({"key": keys, "property": "sweet", "value": values, "kind": "binary", "unit": None})
    for name, table in (("index", index), ("receipt", receipts), ("molecules", index), ("labels", labels)):
        write_table(folder / f"{name}.parquet", table)


def run_step(step: str, case: dict[str, Any], folder: Path) -> dict[str, Any]:
    study, shard = study_of(case, folder), folder / "shards" / "0-test.h5"
    set_threads(1)
    if step in {"train", "interpret"}:
        # Torch is loaded only where it is used: it is part of the memory that is measured.
        from decar.interpret.run import interpret  # noqa: PLC0415
        from decar.training.train import train  # noqa: PLC0415
    before = cpu_seconds()
    if step == "records":
        write_records(case, folder)
        write_tables(folder)
    elif step == "shards":
        write_shard(shard, [(key_of(number), folder / f"{number}.h5") for number in range(NUM)], {})
    elif step == "dataset":
        assemble(study, folder / "index.parquet", [folder / "receipt.parquet"], folder, [shard], folder / "dataset")
    elif step == "train":
        train(study, folder / "dataset", folder / "shards", "decar", "random", 0, folder / "model")
    else:
        interpret(study, folder / "dataset", folder / "shards", folder / "model", None, folder / "interpretation")
    return {"seconds": round(cpu_seconds() - before, 3), "peak_mb": peak_mb()}


def main(output: Path) -> None:
    report: dict[str, Any] = {"provenance": {**provenance("torch", "lightning", "h5py"), "processor": processor()}}
    report |= {"num": NUM, "num_folds": NUM_FOLDS, "epochs": EPOCHS, "cases": []}
    for case in CASES:
        with tempfile.TemporaryDirectory() as folder:
            for step in STEPS:
                command = [sys.executable, __file__, step, json.dumps(case), folder]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                entry = {"case": {"step": step, **case}, **json.loads(done.stdout.splitlines()[-1])}
                if step != "records":
                    report["cases"].append(entry)
                    print(entry, flush=True)
        write_text(output, dump(report))


if __name__ == "__main__":
    if sys.argv[1] in STEPS:
        print(json.dumps(run_step(sys.argv[1], json.loads(sys.argv[2]), Path(sys.argv[3]))))
    else:
        main(Path(sys.argv[1]))
