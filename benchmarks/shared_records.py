"""Records of decar against 308 wavefunctions that were computed independently of it, and every field of all of them.

    python -m benchmarks.shared_records FILE.h5 benchmarks/shared_records.json docs/shared-records.md [--only PART]

Rendered: every field but the lowest empty orbital's (the file states occupied orbitals only) in the box of a study's
defaults, each with its own error at 200 voxels. Compared: the wavefunction that decar computes at the same geometry
with the default settings of a study, smallest molecules first. The differences are those of `record_checks.compare`:
|E - E'|, and the integral of |rho - rho'| over that of rho on an atom-centred quadrature. Rows that the output has
already are not measured again: stop it at any time, and run it again.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from benchmarks.tastants import DEBYE, tastant

from decar.atomic import write_text
from decar.config import FieldsSettings, QuantumSettings
from decar.fields.compute import sampled_error
from decar.fields.grid import molecule_grid
from decar.fields.registry import FIELDS, evaluate_fields
from decar.provenance import provenance
from decar.quantum.backend import System, get_backend
from decar.quantum.level import Level
from decar.quantum.record_checks import compare
from decar.quantum.wavefunction import Wavefunction
from decar.stages import STAGE_VERSION
from decar.threads import limit_threads

STUDY = QuantumSettings()
ENERGY_BAR_HARTREE, DENSITY_BAR = 1e-4, 1e-4
RENDERED = [name for name, field in FIELDS.items() if "lowest_empty" not in field.weights]
SIZES = ((2, 5), (6, 7), (8, 9), (10, 10), (11, 11), (12, 12))  # heavy atoms, first and last
Row = dict[str, Any]


def render(wavefunction: Wavefunction, name: str) -> Row:
    grid = molecule_grid(wavefunction.geometry_bohr, FieldsSettings())
    start = time.process_time()
    fields = evaluate_fields(RENDERED, wavefunction, grid)
    seconds = time.process_time() - start
    random = np.random.default_rng(int.from_bytes(name.encode(), "big"))
    errors = {key: sampled_error(FIELDS[key], fields[key].numpy(), wavefunction, grid, random) for key in RENDERED}
    return {
        "num_voxels": grid.num_voxels, "cpu_seconds": round(seconds, 3),
        "is_finite": all(bool(np.isfinite(values.numpy()).all()) for values in fields.values()),
        "errors": {key: [brief(error["rms_error"]), brief(error["max_error"])] for key, error in errors.items()},
    }  # fmt: skip


def against_ours(wavefunction: Wavefunction, _: str) -> Row:
    system = System(wavefunction.atomic_numbers, wavefunction.geometry_bohr, wavefunction.charge, 1)
    start = time.process_time()
    own = get_backend(STUDY).single_point(system, Level.from_settings(STUDY))
    seconds = time.process_time() - start
    difference = compare(wavefunction, own)
    return {
        "cpu_seconds": round(seconds, 2), "quadrature_level": wavefunction.level["quadrature_level"],
        "energy_hartree": brief(difference.energy_hartree), "density_l1": brief(difference.density_l1),
        "orbital_energy_hartree": brief(difference.orbital_energy_hartree),
        "dipole_debye": brief(difference.dipole_e_bohr * DEBYE),
    }  # fmt: skip


def brief(value: float) -> float:
    return float(f"{value:.3g}")


def missing(file: h5py.File, rows: dict[str, Row], part: str) -> Iterator[str]:
    """Yield the molecules that have no such row, by number of electrons."""
    size = {name: group["mo_occupied"].shape[1] for name, group in file.items()}
    for name in sorted(file, key=lambda one: (size[one], one)):
        if part not in rows[name]:
            yield name


def bins(rows: dict[str, Row], part: str) -> Iterator[tuple[str, list[Row], int]]:
    """Yield label, rows of the part, and the number of molecules, by heavy atoms, and at last of all."""
    for low, high in (*SIZES, (2, 12)):
        of_size = [row for row in rows.values() if low <= row["num_heavy"] <= high]
        label = f"{low}" if low == high else f"{low} to {high}" if (low, high) != (2, 12) else "all"
        yield label, [row[part] for row in of_size if part in row], len(of_size)


def comparison_table(rows: dict[str, Row]) -> str:
    lines = [
        "| heavy atoms | compared, of | energy: median, greatest | density: same | dipole: greatest | CPU s | beyond |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for label, found, total in bins(rows, "compared"):
        if found:
            energy, density, dipole, seconds = (
                np.array([row[key] for row in found])
                for key in ("energy_hartree", "density_l1", "dipole_debye", "cpu_seconds")
            )
            beyond = int(((energy > ENERGY_BAR_HARTREE) | (density > DENSITY_BAR)).sum())
            lines.append(
                f"| {label} | {len(found)} of {total} | {np.median(energy):.1e}, {energy.max():.1e} | "
                f"{np.median(density):.1e}, {density.max():.1e} | {dipole.max():.1e} | {np.median(seconds):.1f} | "
                f"{beyond} |"
            )
    return "\n".join(lines) + "\n"


def rendering_table(rows: dict[str, Row]) -> str:
    found = [row["rendered"] for row in rows.values() if "rendered" in row]
    seconds, voxels = ([row[key] for row in found] for key in ("cpu_seconds", "num_voxels"))
    finite = sum(row["is_finite"] for row in found)
    speed = f"{np.median(seconds):.2f} CPU seconds a molecule in the median, {max(seconds):.2f} at most"
    lines = [
        f"{len(found)} of {len(rows)} rendered, {finite} with finite values only; {speed}, {max(voxels)} voxels.\n",
        "| field | unit | rms error: median, greatest | greatest error |",
        "| --- | --- | ---: | ---: |",
    ]
    for name in RENDERED:
        rms, greatest = np.array([row["errors"][name] for row in found]).T
        lines.append(
            f"| `{name}` | {FIELDS[name].unit} | {np.median(rms):.1e}, {rms.max():.1e} | {greatest.max():.1e} |"
        )
    return "\n".join(lines) + "\n"


def write(output: Path, page: Path, rows: dict[str, Row]) -> None:
    report = {
        "bars": {"energy_hartree": ENERGY_BAR_HARTREE, "density_l1": DENSITY_BAR}, "stage_version": STAGE_VERSION,
        "level": Level.from_settings(STUDY).to_metadata(), "rows": rows,
        "provenance": provenance("pyscf", "numpy", "torch"),
    }  # fmt: skip
    write_text(output, json.dumps(report, indent=1) + "\n")
    text = page.read_text(encoding="utf-8")
    for mark, table in (("compared", comparison_table), ("rendered", rendering_table)):
        if any(mark in row for row in rows.values()):
            before, _, after = text.split(f"<!-- {mark} -->\n")
            text = f"{before}<!-- {mark} -->\n{table(rows)}<!-- {mark} -->\n{after}"
    write_text(page, text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wavefunctions", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("page", type=Path)
    parser.add_argument("--only", choices=("rendered", "compared"), help="one of the two parts")
    given = parser.parse_args()
    parts: dict[str, Callable[[Wavefunction, str], Row]] = {"rendered": render, "compared": against_ours}
    with h5py.File(given.wavefunctions) as file:
        rows = {name: {"num_heavy": int(group.attrs["num_heavy"])} for name, group in file.items()}
        if given.output.exists():
            rows |= json.loads(given.output.read_text(encoding="utf-8"))["rows"]
        for part, measure in parts.items() if given.only is None else [(given.only, parts[given.only])]:
            for name in missing(file, rows, part):
                rows[name][part] = measure(tastant(file[name]), name)
                print(part, name, json.dumps(rows[name][part]), flush=True)
                write(given.output, given.page, rows)


if __name__ == "__main__":
    with limit_threads(1):
        main()
