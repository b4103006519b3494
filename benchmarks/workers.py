"""Two processes on two cores against one: what they do in a minute, of every stage that takes most of its time.

    python benchmarks/workers.py benchmarks/workers.json

One thread a process, as the workflow runs them: the stages that work molecule by molecule, writing a shard, and steps
of training (the published network, batches of one box of 64^3 voxels: a fold a process). Each stage gets the same
molecule as often as makes it last a second or more a worker (that of a real study would be as many different ones), and
each worker as many of them as one alone has, so that twice the molecules in the same time is the bar. Run it on an idle
machine: the load before is noted.
"""

import json
import os
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from decar.atomic import write_text
from decar.batch import Compute, Molecule
from decar.config import ModelSettings, Study
from decar.dataset.shards import write_shard
from decar.fields.compute import compute as fields
from decar.models.build import build_network
from decar.molecules.conformers import compute as conformers
from decar.provenance import provenance
from decar.quantum.optimise import compute as optimise
from decar.quantum.single_point import compute as wavefunction
from decar.record import Record
from decar.threads import limit_threads

STUDY = Study.model_validate({
    "study": "workers", "molecules": {"table": "none.csv", "labels": {"active": {"column": "active"}}},
    "fields": {"names": ["electron_density", "density_gradient_norm", "electrostatic_potential"]},
    "training": {"property": "active", "models": {"decar": {"fields": ["electron_density"]}}},
    "interpret": {"model": "decar"}, "figures": {"example": "none"},
})  # fmt: skip
MOLECULE = Molecule("dihydroxyacetone", "OCC(=O)CO", 0, 1, None)


def shard(_: Study, molecule: Molecule, __: str, parent: Record | None) -> Record:
    """Write a shard of one molecule, and read it for its hash as the stage does."""
    assert parent is not None
    with tempfile.TemporaryDirectory() as folder:
        write_shard(Path(folder) / "shard.h5", [(molecule.key, parent)], {})
    return parent


def training_steps(_: Study, __: Molecule, ___: str, parent: Record | None) -> Record:
    """Take ten steps of training."""
    assert parent is not None
    network = build_network(ModelSettings(), 0.4, 1).train()
    optimiser = torch.optim.AdamW(network.parameters())
    voxels = torch.rand((1, 1, 64, 64, 64), generator=torch.Generator().manual_seed(1))
    for _step in range(10):
        network(voxels, torch.ones_like(voxels)).sum().backward()
        optimiser.step()
        optimiser.zero_grad()
    return parent


STAGES: dict[str, tuple[Compute, int]] = {
    "conformers": (conformers, 8), "optimise": (optimise, 3), "wavefunction": (wavefunction, 1), "fields": (fields, 3),
    "shards": (shard, 30), "train": (training_steps, 2),
}  # fmt: skip


def work(stage: str, molecule: Molecule, parent: Record | None) -> Record:
    compute, repeats = STAGES[stage]
    with limit_threads(1):
        for _ in range(repeats):
            record = compute(STUDY, molecule, "0" * 64, parent)
    return record


def main(output: Path) -> None:
    load = os.getloadavg()
    parent: Record | None = None
    rows: dict[str, Any] = {}
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        for stage, (_, repeats) in STAGES.items():
            args = (stage, MOLECULE, parent)
            for job in [pool.submit(work, *args) for _ in range(2)]:  # imports and caches are had before
                made = job.result()
            seconds = {1: float("inf"), 2: float("inf")}  # the fastest of two
            for workers in (1, 2, 1, 2):
                start = time.perf_counter()
                for job in [pool.submit(work, *args) for _ in range(workers)]:
                    job.result()
                seconds[workers] = min(seconds[workers], time.perf_counter() - start)
            rows[stage] = {
                "molecules_a_worker": repeats, "seconds_one": round(seconds[1], 2),
                "seconds_two": round(seconds[2], 2), "times_the_work": round(2 * seconds[1] / seconds[2], 3),
            }  # fmt: skip
            print(stage, rows[stage], flush=True)
            parent = made
    report = {"molecule": MOLECULE.smiles, "stages": rows, "load_before": load, "cores": os.cpu_count(),
              "provenance": provenance("pyscf", "torch", "tblite", "rdkit")}  # fmt: skip
    write_text(output, json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
