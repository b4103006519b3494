"""Networks: time and memory of a training step, and how much a turned molecule's prediction changes.

    python -m benchmarks.networks benchmarks/networks.json docs/networks.md wavefunctions-b3lyp-631gs.h5

A step: one sample through network, gradient and AdamW; a process each, one thread, seconds of processor time, so that
other work on the machine counts little, the least of some steps; memory is the peak above what the process held before
(network, optimiser and voxels). In the way `contiguous` the components of a voxel do not lie together, as they do
elsewhere (channels last). A job: what `decar train` does in one epoch of one sample a batch on voxels in shards, with
validation and predictions; memory is the largest resident set of its process. Rotations: fresh networks of 16 outputs,
electron density rendered in a box of 20 angstrom; the standard deviation over 20 random rotations of each of three
molecules, over that over 16 molecules, root mean square over outputs. Molecules are drawn from the file (shared data,
not part of the project).
Rows that stand in the JSON are not measured again; the tables of docs/networks.md are written from it.
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import h5py
import numpy as np
import torch
from benchmarks.tastants import tastant
from tests.dataset.synthetic_study import FIELDS, SPACING, gaussians, key_of, make_study, make_tables, write_tables

from decar.atomic import write_text
from decar.config import ModelSettings
from decar.dataset.assemble import assemble
from decar.dataset.normalise import compress
from decar.dataset.shards import write_shard
from decar.fields.batch_rendering import render_batch
from decar.fields.rotation import random_rotation
from decar.models.build import build_network
from decar.models.network import Network, count_parameters
from decar.provenance import provenance
from decar.record import Record
from decar.training.train import train
from decar.units import BOHR_PER_ANGSTROM

FIELD = "electron_density"
NETWORKS: dict[str, dict[str, object]] = {
    "published": {},
    "residual": {"architecture": "residual"},
    "steerable": {"architecture": "steerable", "kernel_size": 7},
    "steerable, chiral": {"architecture": "steerable", "kernel_size": 7, "chiral": True},
}
WAYS: dict[str, dict[str, object]] = {"": {}, "checkpointing": {"checkpointing": True}}  # settings of the model
NUM_STEPS = {64: 6}  # else one
MAIN = ("published", "steerable")
JOBS = (("published", ""), ("published", "checkpointing"), ("steerable", ""))
JOB_EDGE, NUM_SAMPLES, BARS_MIB = 200, 6, {"published": 4096, "steerable": 16384}
NUM_MOLECULES, NUM_TURNED, NUM_ROTATIONS, BOX_ANGSTROM = 16, 3, 20, 20.0
SPACING_ANGSTROM = 0.5
MARK = "<!-- measured -->\n"


def network(name: str, spacing_angstrom: float, num_outputs: int = 1, **settings: object) -> Network:
    chosen = ModelSettings.model_validate({**NETWORKS[name], **settings})
    made = build_network(chosen, spacing_angstrom * BOHR_PER_ANGSTROM, 1, num_outputs)
    made.initialise(3)
    return made


def ask_for_no_layout() -> None:
    """Let the networks of this process have tensors as they come, where they ask for channels last."""
    torch.channels_last_3d = torch.contiguous_format


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def step(name: str, edge: int, way: str) -> dict[str, Any]:
    """Measure a training step in this process, whose only work it is."""
    torch.set_num_threads(1)
    if way == "contiguous":
        ask_for_no_layout()
    made = network(name, 0.2, **WAYS.get(way, {})).train()
    asked = torch.compile(made) if way == "compiled" else made
    optimiser = torch.optim.AdamW(made.parameters())
    voxels = torch.rand((1, 1, edge, edge, edge), generator=torch.Generator().manual_seed(1))
    mask, before, seconds = torch.ones_like(voxels), peak_mib(), []
    for _ in range(NUM_STEPS.get(edge, 1)):
        start = time.process_time()
        with torch.autocast("cpu", torch.bfloat16, enabled=way == "bfloat16"):
            logits = asked(voxels, mask)
        torch.nn.functional.softplus(logits.float()).sum().backward()
        optimiser.step()
        optimiser.zero_grad()
        seconds.append(time.process_time() - start)
    return {
        "network": name, "edge": edge, "way": way, "seconds": round(min(seconds), 3),
        "peak_mib": round(peak_mib() - before),
        "parameters": count_parameters(made),
    }  # fmt: skip


def write_boxes(folder: Path, edge: int) -> None:
    """Write a shard and the dataset of NUM_SAMPLES boxes, in turn pairs of Gaussian clouds and single ones."""
    members = []
    for number in range(NUM_SAMPLES):
        centres = np.array([[1.5, 0, 0], [-1.5, 0, 0]]) if number % 2 else np.zeros((1, 3))
        density = gaussians((edge,) * 3, centres + 0.1 * number, np.full(len(centres), 2.0 / len(centres)))
        grid = {"origin_bohr": [0.0, 0.0, 0.0], "spacing_bohr": SPACING, "shape": [edge] * 3}
        metadata = {
            "key": key_of(number), "num_conformers": 1, "conformers": [{"grid": grid}],
            "fields": {FIELD: FIELDS[FIELD]},
        }  # fmt: skip
        arrays = {f"0/{FIELD}": density[None].astype(np.float32)}
        members.append((key_of(number), Record("fields", f"{number}", metadata, arrays)))
    shard = folder / "shards" / "0-boxes.h5"
    write_shard(shard, members, {})
    assemble(make_study(folder), *write_tables(folder, *make_tables(NUM_SAMPLES)), [shard], folder / "dataset")


def job(name: str, way: str, folder: Path) -> float:
    """Train in this process, whose only work it is, on what `write_boxes` wrote; return its largest memory [MiB]."""
    study = make_study(folder, batch_size=1, max_epochs=1, patience=1)
    chosen = ModelSettings.model_validate({**NETWORKS[name], **WAYS.get(way, {})})
    models = {**study.training.models, "measured": chosen}
    study = study.model_copy(update={"training": study.training.model_copy(update={"models": models})})
    train(study, folder / "dataset", folder / "shards", "measured", "random", 0, folder / f"{name} {way}")
    return peak_mib()


def jobs(edge: int, cases: Sequence[tuple[str, str]]) -> Iterator[dict[str, Any]]:
    """Yield a row a case; a process each, and another one that writes the boxes."""
    with TemporaryDirectory() as folder:
        _in_process("boxes", str(edge), folder)
        for name, way in cases:
            peak = _in_process("job", name, way, folder)
            yield {
                "network": name, "edge": edge, "way": way, "peak_mib": round(peak), "bar_mib": BARS_MIB[name],
            }  # fmt: skip


def _in_process(*words: str) -> Any:
    """Return what this script prints last when it is called with these words."""
    command = [sys.executable, "-m", "benchmarks.networks", *words]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def rotations(path: Path, spacing_angstrom: float) -> list[dict[str, Any]]:
    """Return a row a network: how far rotations spread its outputs, as a share of how far molecules do."""
    random = np.random.default_rng(1)
    with h5py.File(path) as file:
        names = [sorted(file)[number] for number in random.permutation(len(file))[:NUM_MOLECULES]]
        molecules = [tastant(file[name]) for name in names]
    edge = 8 * round(BOX_ANGSTROM / spacing_angstrom / 8)
    turns = [random_rotation(random) for _ in range(NUM_ROTATIONS)]

    def rendered(chosen: list[Any], poses: list[Any]) -> torch.Tensor:
        density = render_batch([FIELD], chosen, (edge,) * 3, spacing_angstrom * BOHR_PER_ANGSTROM, poses)
        return compress(density, 1e-3) / 2

    different = rendered(molecules, [random_rotation(random) for _ in molecules])
    turned = [rendered([molecule] * NUM_ROTATIONS, turns) for molecule in molecules[:NUM_TURNED]]
    rows = []
    for name in NETWORKS:
        made = network(name, spacing_angstrom, 16)

        def predicted(boxes: torch.Tensor, made: Network = made) -> torch.Tensor:
            with torch.no_grad():
                return torch.cat([made(box[None], torch.ones_like(box[None])) for box in boxes])

        over_molecules = predicted(different).var(dim=0).mean()
        over_rotations = torch.stack([predicted(boxes).var(dim=0) for boxes in turned]).mean()
        rows.append({
            "network": name, "spacing_angstrom": spacing_angstrom,
            "spread": float(f"{float((over_rotations / over_molecules).sqrt()):.3g}"),
        })  # fmt: skip
    return rows


def tables(results: dict[str, Any]) -> str:
    """Return the Markdown of docs/networks.md that follows its mark."""
    lines = ["| network | box | way | s a step | peak MiB | parameters |", "|---|---|---|---|---|---|"]
    for row in results["steps"]:
        lines.append(
            f"| {row['network']} | {row['edge']}³ | {row['way'] or 'plain'} | {row['seconds']} | {row['peak_mib']} | "
            f"{row['parameters']} |"
        )
    lines += ["", "| network | box | way | peak MiB of a job | bar |", "|---|---|---|---|---|"]
    for row in results["jobs"]:
        lines.append(
            f"| {row['network']} | {row['edge']}³ | {row['way'] or 'plain'} | {row['peak_mib']} | {row['bar_mib']} |"
        )
    lines += ["", "| network | spacing | spread over rotations / over molecules |", "|---|---|---|"]
    for row in results["rotations"]:
        lines.append(f"| {row['network']} | {row['spacing_angstrom']} Å | {100 * row['spread']:.2g} % |")
    return "\n".join(lines) + "\n"


def main(output: Path, page: Path, wavefunctions: Path | None) -> None:
    results: dict[str, Any] = {"steps": [], "jobs": [], "rotations": []}
    if output.exists():
        results |= json.loads(output.read_text())
    known = {(row["network"], row["edge"], row["way"]) for row in results["steps"]}
    wanted = [(name, 64, "") for name in NETWORKS]
    wanted += [(name, 64, way) for way in ("contiguous", "checkpointing", "bfloat16") for name in MAIN]
    wanted += [(name, 64, "compiled") for name in ("published", "residual", "steerable")]
    wanted += [(name, 200, "") for name in NETWORKS]
    wanted += [(name, 200, "checkpointing") for name in MAIN]

    def keep(kind: str, rows: Iterable[dict[str, Any]]) -> None:
        for row in rows:
            results[kind].append(row)
            print(row, flush=True)
            write_text(output, json.dumps(results | {"provenance": provenance("torch", "e3nn")}, indent=1) + "\n")

    keep("steps", (_in_process("step", *map(str, case)) for case in wanted if case not in known))
    done = {(row["network"], row["way"]) for row in results["jobs"]}
    missing = [case for case in JOBS if case not in done]
    if missing:
        keep("jobs", jobs(JOB_EDGE, missing))
    if wavefunctions is not None and not results["rotations"]:
        keep("rotations", rotations(wavefunctions, SPACING_ANGSTROM))
    text = page.read_text(encoding="utf-8")
    write_text(page, text[: text.index(MARK) + len(MARK)] + "\n" + tables(results))


if __name__ == "__main__":
    if sys.argv[1] == "step":
        print(json.dumps(step(sys.argv[2], int(sys.argv[3]), sys.argv[4])))
    elif sys.argv[1] == "boxes":
        print(json.dumps(write_boxes(Path(sys.argv[3]), int(sys.argv[2]))))
    elif sys.argv[1] == "job":
        print(json.dumps(job(sys.argv[2], sys.argv[3], Path(sys.argv[4]))))
    else:
        main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]) if len(sys.argv) > 3 else None)
