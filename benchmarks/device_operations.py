"""How many operations fields take: what a GPU is sent, and waits for, before it has anything to do.

    python -m benchmarks.device_operations wavefunctions-b3lyp-631gs.h5 benchmarks/device_operations.json docs/fields.md

Each operation costs a GPU some microseconds, however little it works on. Counted are those of torch, views of a tensor
apart, of molecules of the file in boxes of BOX_ANGSTROM: one after the other as on a processor, and together as on a
GPU (`decar.fields.on_device`, on tests/other_device.py), with what the processor does beforehand, and does again for
another pose. Counts need no GPU and do not depend on the machine; seconds are of one core here.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from benchmarks.shared_page import insert
from benchmarks.tastants import tastant
from tests.other_device import DEVICE, counts, is_view
from torch.utils._python_dispatch import TorchDispatchMode

from decar.atomic import write_text
from decar.fields.batch_rendering import centred_grid
from decar.fields.hard_atoms import turned
from decar.fields.on_device import evaluate_prepared, prepare
from decar.fields.potential import STANDARD, hard_atoms
from decar.fields.registry import evaluate_fields
from decar.provenance import provenance
from decar.units import BOHR_PER_ANGSTROM

BOX_ANGSTROM = 22.4
POTENTIAL = "electrostatic_potential"
FIELDS = ("electron_density", POTENTIAL, "promolecular_density")
CASES = ((64, 4), (128, 2))  # edge of the box, molecules together: batches of benchmarks/input_pipeline.py


class Counting(TorchDispatchMode):
    """Counts operations that do something, and those that a device would be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.operations = self.waits = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        del types
        self.operations += not is_view(function)
        self.waits += function._schema.name in ("aten::_local_scalar_dense", "aten::nonzero")
        return function(*args, **(kwargs or {}))


def counted(call: Callable[[], object]) -> Counting:
    """Return what a call takes, the second time that it is made: some is computed once and kept."""
    call()
    with Counting() as counting:
        call()
    return counting


def seconds(call: Callable[[], object], repeats: int = 5) -> float:
    """Return the processor time of a call, the least of several."""
    found = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        found.append(time.process_time() - start)
    return min(found)


def measure(wavefunctions: Path) -> list[dict[str, Any]]:
    """Return a row a field and a case; counts and seconds are of one molecule."""
    with h5py.File(wavefunctions) as file:
        names = [sorted(file)[number] for number in np.random.default_rng(1).permutation(len(file))[:4]]
        molecules = [tastant(file[name]) for name in names]
    rows = []
    for field in FIELDS:
        for edge, num in CASES:
            spacing = BOX_ANGSTROM / edge * BOHR_PER_ANGSTROM
            placed = [(one, centred_grid(one.geometry_bohr, (edge,) * 3, spacing)) for one in molecules[:num]]
            prepared = [prepare([field], *one) for one in placed]

            def alone(field: str = field, placed: Any = placed) -> None:
                for one in placed:
                    evaluate_fields([field], *one)

            def ready(field: str = field, placed: Any = placed) -> None:
                for one in placed:
                    prepare([field], *one)

            known = [hard_atoms(one, STANDARD) for one, _ in placed if field == POTENTIAL]

            def again(placed: Any = placed, known: Any = known) -> None:
                for one, atoms in zip(placed, known):
                    prepare([POTENTIAL], *one, atoms=turned(atoms, np.eye(3)))

            one_by_one = counted(alone)
            evaluate_prepared([field], prepared, DEVICE)  # what is computed once and kept
            counts.clear()
            evaluate_prepared([field], prepared, DEVICE)
            rows.append({
                "field": field, "edge": edge, "molecules": num,
                "one_by_one": one_by_one.operations / num, "one_by_one_waits": one_by_one.waits / num,
                "together": counts["operations"] / num, "together_waits": counts["waits"] / num,
                "together_views": counts["views"] / num, "prepare_seconds": seconds(ready) / num,
                "prepare_again_seconds": seconds(again) / num if known else None,
                "one_by_one_seconds": seconds(alone) / num,
            })  # fmt: skip
            print(rows[-1], flush=True)
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """Return the table of the page."""
    head = ("field", "box", "molecules together", "operations one by one", "of these waited for", "together",
            "waited for", "beforehand [s]", "the same again [s]", "all of it on the processor [s]")  # fmt: skip
    lines = [f"| {' | '.join(head)} |", f"|---|---|{'---:|' * (len(head) - 2)}"]
    for row in rows:
        again = "" if row["prepare_again_seconds"] is None else f"{row['prepare_again_seconds']:.3f}"
        lines.append(
            f"| {row['field'].replace('_', ' ')} | {row['edge']}³ | {row['molecules']} | {row['one_by_one']:.0f} | "
            f"{row['one_by_one_waits']:.0f} | {row['together']:.0f} | {row['together_waits']:.0f} | "
            f"{row['prepare_seconds']:.3f} | {again} | {row['one_by_one_seconds']:.2g} |"
        )
    return "\n".join(lines) + "\n"


def main(wavefunctions: Path, output: Path, page: Path) -> None:
    torch.set_num_threads(1)
    rows = measure(wavefunctions)
    write_text(output, json.dumps({"rows": rows, "provenance": provenance("torch", "numpy")}, indent=1) + "\n")
    insert(page, "device_operations", table(rows))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wavefunctions", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("page", type=Path)
    main(**vars(parser.parse_args()))
