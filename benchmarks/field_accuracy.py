"""Every density-like field against PySCF's functions, and the potential against libcint's integrals, on 14 molecules.

    python -m benchmarks.field_accuracy benchmarks/field_accuracy.json docs/fields.md

Molecules, orbitals and bounds are those of tests/fields/test_fields_accuracy.py, on a grid of 0.25 bohr that reaches 6
bohr beyond the nuclei: 10,000 random voxels and all voxels within 1 bohr of a nucleus, the potential at 10,000 random
voxels beyond 0.5 bohr (tight: 2000). Rows that the output has already are not measured again; the tables go between the
marks of the page.
"""

import json
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tests.fields.test_density import BOUND
from tests.fields.test_fields_accuracy import MOLECULES, QUOTIENTS, Reference, core_orbitals

from decar.atomic import write_text
from decar.fields.exact_potential import exact_potential
from decar.fields.grid import VoxelGrid
from decar.fields.local_fields import DILUTE
from decar.fields.registry import FIELDS, evaluate_fields
from decar.provenance import provenance
from decar.quantum.wavefunction import Wavefunction
from decar.threads import limit_threads

SPACING_BOHR, PADDING_BOHR = 0.25, 6.0
NUM_RANDOM, NUM_TIGHT, NEAR_BOHR = 10_000, 2000, 1.0
SHELLS = tuple(pairwise((0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 20.0)))  # distance from the nearest nucleus [bohr]
CHUNK = 2000  # points whose functions and derivatives PySCF holds at once
LOCAL = [name for name, field in FIELDS.items() if field.formula is not None]
FORMATS = {"float32": torch.float32, "float64": torch.float64}
Row = dict[str, Any]


def box(wavefunction: Wavefunction) -> VoxelGrid:
    low = wavefunction.geometry_bohr.min(axis=0) - PADDING_BOHR
    extent = np.ptp(wavefunction.geometry_bohr, axis=0) + 2 * PADDING_BOHR
    x, y, z = low.tolist()
    nx, ny, nz = np.ceil(extent / SPACING_BOHR).astype(int).tolist()
    return VoxelGrid((x, y, z), SPACING_BOHR, (nx, ny, nz))


def measure(name: str) -> Row:
    wavefunction = core_orbitals(name)
    grid = box(wavefunction)
    points = grid.points()
    distances = np.min([np.linalg.norm(points - centre, axis=1) for centre in wavefunction.geometry_bohr], axis=0)
    random = np.random.default_rng(7).permutation(len(points))
    near = np.flatnonzero(distances < NEAR_BOHR)
    voxels = np.union1d(random[:NUM_RANDOM], near)
    row: Row = {
        "basis": MOLECULES[name][1], "num_atoms": len(wavefunction.atomic_numbers),
        "num_functions": wavefunction.basis.num_functions, "num_voxels": len(voxels), "num_near": len(near),
    }  # fmt: skip
    for label, dtype in FORMATS.items():
        row[label] = local_errors(wavefunction, grid, voxels, distances[voxels], dtype)
    outside = random[distances[random] > 0.5]
    for label, dtype, count in (("potential", torch.float32, NUM_RANDOM), ("tight", torch.float64, NUM_TIGHT)):
        some = outside[:count]
        found = evaluate_fields(["electrostatic_potential"], wavefunction, grid, dtype)["electrostatic_potential"]
        error = found.flatten().double().numpy()[some] - exact_potential(wavefunction, points[some])
        row[label] = {
            "rms": brief(np.sqrt(np.mean(error**2))), "max": brief(np.abs(error).max()), "num_voxels": len(some),
            "by_shell": by_shell(np.abs(error), distances[some]),
        }  # fmt: skip
    return row


def local_errors(
    wavefunction: Wavefunction, grid: VoxelGrid, voxels: np.ndarray, distances: np.ndarray, dtype: torch.dtype
) -> Row:
    """Return by field the largest share of the allowed error, over all voxels and by shell; 1 is the bar."""
    absolute, relative = BOUND[dtype]
    fields = {
        name: values.flatten(1)[:, voxels].double().numpy()
        for name, values in evaluate_fields(LOCAL, wavefunction, grid, dtype).items()
    }
    shares: dict[str, list[np.ndarray]] = {name: [] for name in LOCAL}
    density = []
    for start in range(0, len(voxels), CHUNK):
        part = slice(start, start + CHUNK)
        reference = Reference(wavefunction, grid.point(voxels[part]))
        dense = reference.rho > 1.001 * DILUTE
        density.append(np.abs(fields["electron_density"][0, part] - reference.rho))
        with np.errstate(divide="ignore", invalid="ignore"):
            for name, (expected, allowed) in reference.fields(relative).items():
                share = np.atleast_2d(np.abs(fields[name][:, part] - expected) / (absolute + allowed)).max(axis=0)
                shares[name].append(np.where(dense, share, 0.0) if name in QUOTIENTS else share)
    joined = {name: np.concatenate(parts) for name, parts in shares.items()}
    return {
        "share": {name: brief(share.max()) for name, share in joined.items()},
        "density_error_by_shell": by_shell(np.concatenate(density), distances),
        "density_share_by_shell": by_shell(joined["electron_density"], distances),
        "greatest_share_by_shell": by_shell(np.max(list(joined.values()), axis=0), distances),
    }


def by_shell(values: np.ndarray, distances: np.ndarray) -> list[float | None]:
    shells = [values[(distances >= low) & (distances < high)] for low, high in SHELLS]
    return [brief(shell.max()) if len(shell) else None for shell in shells]


def brief(value: float) -> float:
    return float(f"{value:.3g}")


def worst(part: Row) -> str:
    name = max(part["share"], key=part["share"].get)
    return f"{part['share'][name]:.2g} ({name})"


def molecule_table(rows: dict[str, Row]) -> str:
    lines = [
        "| molecule | basis | voxels (near a nucleus) | density, float32, float64 | worst field, float32 | float64 |",
        "| --- | --- | ---: | --- | --- | --- |",
    ]
    for name, row in rows.items():
        density = ", ".join(f"{row[label]['share']['electron_density']:.2g}" for label in FORMATS)
        greatest = " | ".join(worst(row[label]) for label in FORMATS)
        lines.append(f"| {name} | {row['basis']} | {row['num_voxels']} ({row['num_near']}) | {density} | {greatest} |")
    lines += [
        "", "| molecule | potential: rms, max | tight: rms, max |", "| --- | --- | --- |",
        *(
            f"| {name} | {row['potential']['rms']:.1e}, {row['potential']['max']:.1e} | {row['tight']['rms']:.1e}, "
            f"{row['tight']['max']:.1e} |"
            for name, row in rows.items()
        ),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def shell_table(rows: dict[str, Row]) -> str:
    keys = ("density_error_by_shell", "density_share_by_shell", "greatest_share_by_shell")
    columns = [(label, key) for label in FORMATS for key in keys]
    columns += [("potential", "by_shell"), ("tight", "by_shell")]
    lines = [
        "| bohr | float32: density error, its share, worst share | float64: same | potential | tight |",
        "| --- | --- | --- | --- | --- |",
    ]
    for place, (low, high) in enumerate(SHELLS):
        seen = [[row[label][key][place] for row in rows.values()] for label, key in columns]
        greatest = [max((value for value in values if value is not None), default=None) for values in seen]
        text = ["" if value is None else f"{value:.1e}" for value in greatest]
        lines.append(
            f"| {low:g} to {high:g} | {', '.join(text[:3])} | {', '.join(text[3:6])} | {text[6]} | {text[7]} |"
        )
    return "\n".join(lines) + "\n"


def main(output: Path, page: Path) -> None:
    rows = json.loads(output.read_text(encoding="utf-8"))["rows"] if output.exists() else {}
    for name in MOLECULES:
        if name not in rows:
            rows[name] = measure(name)
            print(name, json.dumps(rows[name]), flush=True)
            report = {"rows": rows, "provenance": provenance("torch", "numpy", "pyscf")}
            write_text(output, json.dumps(report, indent=1) + "\n")
    before, _, after = page.read_text(encoding="utf-8").split("<!-- accuracy -->\n")
    tables = f"{shell_table(rows)}\n{molecule_table(rows)}"
    write_text(page, f"{before}<!-- accuracy -->\n{tables}<!-- accuracy -->\n{after}")


if __name__ == "__main__":
    with limit_threads(1):
        main(Path(sys.argv[1]), Path(sys.argv[2]))
