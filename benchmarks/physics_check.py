"""What one Fock build says of honest and of falsified records: the figures behind the thresholds of the physics check.

    OMP_NUM_THREADS=1 python -m benchmarks.physics_check benchmarks/physics_check.json docs/physics-check.md [FILE.h5]

Honest: the molecules of `benchmarks.parity` (radicals and ions among them) with PySCF at the default settings of a
study and with Psi4; and, from a file of 308 tastants (B3LYP/6-31G*, orbitals rounded to float32) if it is at hand,
a sample. Falsified: five kinds (tests/quantum/falsify.py) of eight of them, whose energy and dipole are then made
consistent, so that only the commutator is left to tell. Rows that the output has already are not measured again.
"""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from benchmarks.parity import MOLECULES, geometry
from benchmarks.tastants import tastant
from tests.quantum import falsify

from decar.atomic import write_text
from decar.config import QuantumSettings
from decar.provenance import provenance
from decar.quantum.backend import get_backend
from decar.quantum.level import Level
from decar.quantum.physics_check import COMMUTATOR_HARTREE, PhysicsCheck, check_physics
from decar.quantum.record_checks import check_wavefunction
from decar.quantum.wavefunction import Wavefunction
from decar.threads import limit_threads

STUDY = QuantumSettings()
FALSIFIED_NAMES = (
    "water", "methanol", "formamide", "chloromethane", "formate", "methylammonium", "methyl radical", "dioxygen",
)  # fmt: skip
KINDS = {
    "another functional (PBE0)": lambda record: falsify.of_another_functional(record, STUDY, "pbe0"),
    "another form of B3LYP (VWN5)": lambda record: falsify.of_another_functional(record, STUDY, "b3lyp5"),
    "noise of 1e-4": falsify.noisy,
    "first atom moved by 0.01 angstrom": falsify.with_moved_atom,
    "last atom moved by 0.01 angstrom": lambda record: falsify.with_moved_atom(record, -1),
    "initial guess": falsify.with_guessed_orbitals,
    "swapped frontier orbitals": falsify.with_swapped_frontier,
}
SUBTLE = "another form of B3LYP (VWN5)"  # 0.1 mhartree in the potential: no honest error keeps its energy right, too


def from_tastants(path: Path, known: set[str]) -> Iterator[tuple[str, Wavefunction]]:
    """Yield every eighth wavefunction of the file."""
    with h5py.File(path) as file:
        for name in sorted(file)[::8]:
            if name not in known:
                yield name, tastant(file[name])


def row(kind: str, name: str, record: Wavefunction) -> dict[str, Any]:
    """Check one record; seconds are processor time."""
    start = time.process_time()
    found: PhysicsCheck = check_physics(record)
    return {
        "kind": kind, "name": name, "num_atoms": len(record.atomic_numbers),
        "num_functions": record.basis.num_functions, "commutator_hartree": float(f"{found.commutator_hartree:.3g}"),
        "energy_difference_hartree": float(f"{found.energy_hartree - record.energy_hartree:.3g}"),
        "energy_difference_per_electron": float(
            f"{abs(found.energy_hartree - record.energy_hartree) / record.num_electrons:.3g}"
        ),
        "electron_count_error": float(f"{found.num_electrons - record.num_electrons:.3g}"),
        "dipole_difference_e_bohr": float(f"{np.linalg.norm(found.dipole_e_bohr - record.dipole_e_bohr):.3g}"),
        "found_wrong": bool(found.problems), "seconds": round(time.process_time() - start, 2),
    }  # fmt: skip


def measure(tastants: Path | None, known: set[str]) -> Iterator[dict[str, Any]]:
    """Yield a row a record of the molecules that are not known."""
    for name, smiles, multiplicity in MOLECULES:
        if name in known:
            continue
        system = geometry(smiles, multiplicity)
        made = {}
        for engine in ("pyscf", "psi4"):
            settings = STUDY.model_copy(update={"backend": engine})
            start = time.process_time()
            made[engine] = get_backend(settings).single_point(system, Level.from_settings(settings))
            seconds = round(time.process_time() - start, 2)
            found = row(f"honest, {engine}", name, made[engine])
            yield {**found, "scf_seconds": seconds} if engine == "pyscf" else found
        if name in FALSIFIED_NAMES:
            for kind, change in KINDS.items():
                forged = falsify.with_consistent_figures(change(made["pyscf"]))
                check_wavefunction(forged)  # every check but that of the physics passes
                yield row(f"falsified, {kind}", name, forged)
    if tastants is not None:
        for name, record in from_tastants(tastants, known):
            yield row("honest, float32", name, record)


def summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a row a kind: how many, and the range of what decides."""
    answer = []
    for kind in dict.fromkeys(row["kind"] for row in rows):
        some = [row for row in rows if row["kind"] == kind]
        g = [row["commutator_hartree"] for row in some]
        answer.append({
            "kind": kind, "records": len(some), "least_commutator": min(g), "median_commutator": float(np.median(g)),
            "greatest_commutator": max(g),
            "greatest_energy_difference": max(abs(row["energy_difference_hartree"]) for row in some),
            "greatest_energy_difference_per_electron": max(row["energy_difference_per_electron"] for row in some),
            "greatest_dipole_difference": max(row["dipole_difference_e_bohr"] or 0.0 for row in some),
            "found_wrong": sum(row["found_wrong"] for row in some),
        })  # fmt: skip
    return answer


def table(kinds: list[dict[str, Any]]) -> str:
    """Return the Markdown table of the summary."""
    lines = [
        "| records | number | commutator, least | median | greatest | energy off by at most | refused |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for kind in kinds:
        g = " | ".join(f"{kind[f'{name}_commutator']:.1e}" for name in ("least", "median", "greatest"))
        energy = f"{kind['greatest_energy_difference']:.1e}" if kind["kind"].startswith("honest") else "made right"
        lines.append(f"| {kind['kind']} | {kind['records']} | {g} | {energy} | {kind['found_wrong']} |")
    return "\n".join(lines) + "\n"


def main(output: Path, page: Path, tastants: Path | None) -> int:
    """Write the figures; return how many records were judged wrongly (the subtle kind aside)."""
    rows = json.loads(output.read_text())["rows"] if output.exists() else []
    for found in measure(tastants, {row["name"] for row in rows}):
        rows.append(found)
        print(
            f"{found['kind']:45s} {found['name']:20s} {found['commutator_hartree']:.1e} "
            f"{found['energy_difference_hartree']:+.1e} {found['seconds']:.1f} s {found['found_wrong']}",
            flush=True,
        )
        _write(output, rows)
    _write(output, rows)
    before, after = page.read_text(encoding="utf-8").split("<!-- table -->\n")[::2]
    write_text(page, f"{before}<!-- table -->\n{table(summary(rows))}<!-- table -->\n{after}")
    return len(_judged_wrongly(rows))


def _judged_wrongly(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    judged = [row for row in rows if SUBTLE not in row["kind"]]
    return [row for row in judged if row["found_wrong"] == row["kind"].startswith("honest")]


def _write(output: Path, rows: list[dict[str, Any]]) -> None:
    answer = {
        "limit_hartree": COMMUTATOR_HARTREE, "num_records": len(rows),
        "judged_wrongly": len(_judged_wrongly(rows)), "summary": summary(rows), "rows": rows,
        "provenance": provenance("pyscf", "numpy"),
    }  # fmt: skip
    write_text(output, json.dumps(answer, indent=1) + "\n")


if __name__ == "__main__":
    with limit_threads(1):
        sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]) if len(sys.argv) > 3 else None))
