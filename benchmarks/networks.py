"""Networks: time and memory of a training step, and how much a turned molecule's prediction changes.

    python -m benchmarks.networks benchmarks/networks.json docs/networks.md wavefunctions-b3lyp-631gs.h5

A step: one sample through network, gradient and AdamW; a process each, one thread, seconds of processor time, so that
other work on the machine counts little; memory is the peak above what the process held before (network, optimiser and
voxels). Rotations: fresh networks of 16 outputs, electron density rendered
in a box of 20 angstrom; the standard deviation over 20 random rotations of each of three molecules, over that over 16
molecules, root mean square over outputs. Molecules are drawn from the file (shared data, not part of the project).
Rows that stand in the JSON are not measured again; the table of docs/networks.md is written from it.
"""

import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from benchmarks.tastants import tastant

from decar.atomic import write_text
from decar.config import ModelSettings
from decar.dataset.normalise import compress
from decar.fields.batch_rendering import render_batch
from decar.fields.rotation import random_rotation
from decar.models.build import build_network
from decar.models.network import Network, count_parameters
from decar.provenance import provenance
from decar.units import BOHR_PER_ANGSTROM

FIELD = "electron_density"
NETWORKS: dict[str, dict[str, object]] = {
    "published": {},
    "residual": {"architecture": "residual"},
    "steerable": {"architecture": "steerable", "kernel_size": 7},
    "steerable, chiral": {"architecture": "steerable", "kernel_size": 7, "chiral": True},
}
WAYS: dict[str, dict[str, object]] = {"": {}, "checkpointing": {"checkpointing": True}}
EDGES = (64, 200)
NUM_MOLECULES, NUM_TURNED, NUM_ROTATIONS, BOX_ANGSTROM = 16, 3, 20, 20.0
SPACING_ANGSTROM = 0.5
MARK = "<!-- measured -->\n"


def network(name: str, spacing_angstrom: float, num_outputs: int = 1, **settings: object) -> Network:
    chosen = ModelSettings.model_validate({**NETWORKS[name], **settings})
    made = build_network(chosen, spacing_angstrom * BOHR_PER_ANGSTROM, 1, num_outputs)
    made.initialise(3)
    return made


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def step(name: str, edge: int, way: str) -> dict[str, Any]:
    """Measure a training step in this process, whose only work it is."""
    torch.set_num_threads(1)
    made = network(name, 0.2, **WAYS.get(way, {})).train()
    asked = torch.compile(made) if way == "compiled" else made
    optimiser = torch.optim.AdamW(made.parameters())
    voxels = torch.rand((1, 1, edge, edge, edge), generator=torch.Generator().manual_seed(1))
    mask, before, seconds = torch.ones_like(voxels), peak_mib(), []
    for _ in range(4 if edge <= 64 else 1):
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
        print(rows[-1], flush=True)
    return rows


def tables(results: dict[str, Any]) -> str:
    """Return the Markdown of docs/networks.md that follows its mark."""
    lines = ["| network | box | way | s a step | peak MiB | parameters |", "|---|---|---|---|---|---|"]
    for row in results["steps"]:
        lines.append(
            f"| {row['network']} | {row['edge']}³ | {row['way'] or 'plain'} | {row['seconds']} | {row['peak_mib']} | "
            f"{row['parameters']} |"
        )
    lines += ["", "| network | spacing | spread over rotations / over molecules |", "|---|---|---|"]
    for row in results["rotations"]:
        lines.append(f"| {row['network']} | {row['spacing_angstrom']} Å | {100 * row['spread']:.2g} % |")
    return "\n".join(lines) + "\n"


def main(output: Path, page: Path, wavefunctions: Path | None) -> None:
    results: dict[str, Any] = {"steps": [], "rotations": [], "provenance": provenance("torch", "e3nn")}
    if output.exists():
        results |= json.loads(output.read_text())
    known = {(row["network"], row["edge"], row["way"]) for row in results["steps"]}
    wanted = [(name, edge, "") for edge in EDGES for name in NETWORKS]
    wanted += [(name, 64, way) for way in ("checkpointing", "bfloat16") for name in ("published", "steerable")]
    wanted += [(name, 64, "compiled") for name in ("published", "residual")]
    wanted += [(name, 200, "checkpointing") for name in ("published", "steerable")]
    for case in wanted:
        if case not in known:
            command = [sys.executable, "-m", "benchmarks.networks", "step", *map(str, case)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            results["steps"].append(json.loads(done.stdout.splitlines()[-1]))
            print(results["steps"][-1], flush=True)
            write_text(output, json.dumps(results, indent=1) + "\n")
    if wavefunctions is not None and not results["rotations"]:
        results["rotations"] = rotations(wavefunctions, SPACING_ANGSTROM)
        write_text(output, json.dumps(results, indent=1) + "\n")
    text = page.read_text(encoding="utf-8")
    write_text(page, text[: text.index(MARK) + len(MARK)] + "\n" + tables(results))


if __name__ == "__main__":
    if sys.argv[1] == "step":
        print(json.dumps(step(sys.argv[2], int(sys.argv[3]), sys.argv[4])))
    else:
        main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]) if len(sys.argv) > 3 else None)
