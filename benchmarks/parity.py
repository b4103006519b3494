"""Psi4 beside PySCF: the same molecules at the same level of theory, and how far their records are apart.

    OMP_NUM_THREADS=1 python benchmarks/parity.py benchmarks/parity.json docs/parity.md

B3LYP/6-31G* with six Cartesian d functions, def2-universal-jkfit, geometries of GFN2-xTB. The run fails when a molecule
misses a bar; a difference is that of `decar.quantum.record_checks.compare`.
"""

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from rdkit import Chem
from rdkit.Chem import AllChem

from decar.atomic import write_text
from decar.config import QuantumSettings
from decar.provenance import provenance
from decar.quantum.backend import System, get_backend
from decar.quantum.geometric_driver import optimise_geometry
from decar.quantum.level import Level
from decar.quantum.record_checks import Difference, compare
from decar.units import ANGSTROM_PER_BOHR
from decar.xtb import Gfn2

# Name, SMILES, multiplicity. Radicals are those whose ground state is not degenerate.
MOLECULES = (
    ("water", "O", 1),
    ("methanol", "CO", 1),
    ("formamide", "NC=O", 1),
    ("benzene", "c1ccccc1", 1),
    ("glycine", "NCC(=O)O", 1),
    ("dimethyl sulfoxide", "CS(C)=O", 1),
    ("thiophene", "c1ccsc1", 1),
    ("phosphine", "P", 1),
    ("chloromethane", "CCl", 1),
    ("dichloroethene", "ClC=CCl", 1),
    ("bromomethane", "CBr", 1),
    ("bromine", "BrBr", 1),
    ("formate", "[O-]C=O", 1),
    ("chloride", "[Cl-]", 1),
    ("methylammonium", "C[NH3+]", 1),
    ("methyl radical", "[CH3]", 2),
    ("vinyl radical", "[CH]=C", 2),
    ("dioxygen", "O=O", 3),
)
BARS = {"energy_hartree": 5e-5, "density_l1": 1e-4, "dipole_e_bohr": 1e-3}
SEED = 2305
QUANTUM: dict[str, Any] = {
    "method": "b3lyp", "basis": "6-31g*", "cartesian": True, "fitting_basis": "def2-universal-jkfit",
    "quadrature_level": 3, "convergence_hartree": 1e-8,
}  # fmt: skip


def geometry(smiles: str, multiplicity: int) -> System:
    """Return the molecule at its GFN2-xTB minimum from an ETKDG start."""
    molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
    if AllChem.EmbedMolecule(molecule, randomSeed=SEED) != 0:
        raise RuntimeError(f"{smiles} could not be embedded")
    numbers = np.array([atom.GetAtomicNum() for atom in molecule.GetAtoms()], dtype=np.int32)
    start = molecule.GetConformer().GetPositions() / ANGSTROM_PER_BOHR
    charge = Chem.GetFormalCharge(molecule)
    surface = Gfn2(numbers, charge, multiplicity)
    minimum = optimise_geometry(surface, numbers, start, convergence="normal", max_steps=200)
    return System(numbers, minimum.geometry_bohr, charge, multiplicity)


def measure(name: str, smiles: str, multiplicity: int, settings: dict[str, Any]) -> dict[str, Any]:
    """Return the differences, the energies and the seconds of one molecule."""
    system, level = geometry(smiles, multiplicity), Level.from_settings(QuantumSettings(**settings))
    found, seconds = {}, {}
    for engine in ("pyscf", "psi4"):
        backend = get_backend(QuantumSettings(**settings, backend=engine))
        start = time.perf_counter()
        found[engine] = backend.single_point(system, level)
        seconds[engine] = round(time.perf_counter() - start, 1)
    difference = asdict(compare(found["pyscf"], found["psi4"]))
    return {
        "name": name, "smiles": smiles, "charge": system.charge, "multiplicity": multiplicity,
        "num_atoms": len(system.atomic_numbers), "num_functions": found["pyscf"].basis.num_functions,
        "energy_hartree": {engine: one.energy_hartree for engine, one in found.items()},
        "num_electrons_quadrature": {e: one.quality["num_electrons_quadrature"] for e, one in found.items()},
        "difference": difference, "seconds": seconds,
        "passes": all(difference[name] < bar for name, bar in BARS.items()),
    }  # fmt: skip


def table(results: list[dict[str, Any]]) -> str:
    """Return the Markdown table of the differences."""
    lines = [
        "| molecule | functions | energy [E_h] | density (L1) | dipole [e bohr] | orbital [E_h] | PySCF, Psi4 [s] |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in results:
        d = Difference(**row["difference"])
        state = {1: "", 2: ", doublet", 3: ", triplet"}[row["multiplicity"]]
        charge = f", {row['charge']:+d}" if row["charge"] else ""
        lines.append(
            f"| {row['name']} (`{row['smiles']}`{charge}{state}) | {row['num_functions']} | {d.energy_hartree:.1e} | "
            f"{d.density_l1:.1e} | {d.dipole_e_bohr:.1e} | {d.orbital_energy_hartree:.1e} | "
            f"{row['seconds']['pyscf']}, {row['seconds']['psi4']} |"
        )
    return "\n".join(lines) + "\n"


def main(output: Path, page: Path) -> int:
    """Measure every molecule, write both files, and return how many miss a bar."""
    results = []
    for molecule in MOLECULES:
        results.append(measure(*molecule, QUANTUM))
        print(molecule[0], results[-1]["difference"], results[-1]["seconds"], flush=True)
    versions = get_backend(QuantumSettings(backend="psi4")).version()
    answer = {"level": QUANTUM, "bars": BARS, "engines": versions, "results": results, **provenance("pyscf", "numpy")}
    write_text(output, json.dumps(answer, indent=1) + "\n")
    before, after = page.read_text().split("<!-- table -->\n")[::2]
    write_text(page, f"{before}<!-- table -->\n{table(results)}<!-- table -->\n{after}")
    return sum(not row["passes"] for row in results)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
