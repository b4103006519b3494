"""Wavefunctions a core-hour at B3LYP/6-31G*: decar's single point, PySCF as it comes, Psi4 as it comes.

    python benchmarks/scf.py benchmarks/scf.json [--wavefunctions FILE.h5] [--num-molecules 10] [--without psi4]

Geometries: the tastants of examples/ by force field, or those of a file (a group a molecule: `atomic_numbers`,
`geometry_bohr`, attributes `charge` and `name`), spread evenly over the sizes. Every calculation is a process of its
own on one thread; its CPU seconds (user and system, the start of the program apart) are what counts, so that a busy
machine matters little. decar and PySCF take turns, molecule by molecule; Psi4 follows. Differences are against PySCF as
it comes: exact integrals, quadrature level 3, 1e-9 hartree. The density is compared by the integral of |rho_1 - rho_2|
over that of rho on an atom-centred quadrature. Rows that the output has already are not measured again.
"""

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from psi4_input import ONE_THREAD, molecule_block, run_psi4
from rdkit import Chem
from rdkit.Chem import AllChem

from decar.atomic import write_text
from decar.provenance import provenance
from decar.units import BOHR_PER_ANGSTROM

LEVEL = {"method": "b3lyp", "basis": "6-31g*", "cartesian": True}
DIFFERENCES = ("energy_difference_hartree", "density_difference_l1")

DECAR = """
import json, sys, time
import numpy as np
from decar.config import QuantumSettings
from decar.quantum.backend import System, get_backend
from decar.quantum.level import Level
given = np.load(sys.argv[1])
settings = QuantumSettings(method="b3lyp", basis="6-31g*", cartesian=True)
backend, level = get_backend(settings), Level.from_settings(settings)
system = System(given["numbers"].astype(np.int32), given["positions"], int(given["charge"]), 1)
import decar.quantum.pyscf_scf
start = time.process_time()
found = backend.single_point(system, level)
seconds = time.process_time() - start
np.save(sys.argv[2], found.density_matrix())
print(json.dumps({"seconds": seconds, "energy": found.energy_hartree, "cycles": found.quality["num_cycles"]}))
"""

PYSCF = """
import json, sys, time
import numpy as np
from pyscf import dft, gto
given = np.load(sys.argv[1])
start = time.process_time()
atoms = [(int(z), tuple(r)) for z, r in zip(given["numbers"], given["positions"])]
mole = gto.M(atom=atoms, unit="Bohr", basis="6-31g*", cart=True, charge=int(given["charge"]), verbose=0)
mf = dft.RKS(mole, xc="b3lyp")
mf.kernel()
seconds = time.process_time() - start
assert mf.converged
np.save(sys.argv[2], mf.make_rdm1())
print(json.dumps({"seconds": seconds, "energy": mf.e_tot, "cycles": int(mf.cycles)}))
"""

PSI4 = """import time
{molecule}set basis 6-31g*
start = time.process_time()
energy = psi4.energy("b3lyp")
print("RESULT", time.process_time() - start, energy)
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=textwrap.dedent(str(__doc__)), formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("output", type=Path)
    parser.add_argument("--wavefunctions", type=Path, help="geometries of this file in place of the example's")
    parser.add_argument("--num-molecules", type=int, default=10)
    parser.add_argument("--without", nargs="*", default=[], choices=["pyscf", "psi4"])
    given = parser.parse_args()
    engines = [name for name in ("decar", "pyscf", "psi4") if name not in given.without]
    if "psi4" in engines and shutil.which("psi4") is None:
        sys.exit("no psi4 on PATH: apt-get install psi4, or say --without psi4")
    systems = from_file(given.wavefunctions) if given.wavefunctions else from_example()
    rows: dict[str, dict[str, Any]] = {}
    if given.output.exists():
        rows = json.loads(given.output.read_text(encoding="utf-8"))["rows"]
    chosen = choose(systems, given.num_molecules)
    for measure, some in ((measure_python, ("decar", "pyscf")), (measure_psi4, ("psi4",))):
        for name, system in chosen:
            wanted = [engine for engine in some if engine in engines]
            if wanted and any(engine not in rows.get(name, {}) for engine in wanted):
                rows.setdefault(name, {"num_atoms": len(system["numbers"])}).update(measure(system, wanted))
                print(name, json.dumps(rows[name]), flush=True)
                write(given.output, rows)
    print(json.dumps(write(given.output, rows), indent=1))


def write(output: Path, rows: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Write what there is, and return its summary: ratios are those of the molecules that both programs have."""
    rate, ratio = {}, {}
    for engine in ("decar", "pyscf", "psi4"):
        both = [row for row in rows.values() if engine in row and "decar" in row]
        if both:
            seconds = sum(row[engine]["seconds"] for row in both)
            rate[engine] = 3600 * len(both) / seconds
            ratio[engine] = seconds / sum(row["decar"]["seconds"] for row in both)
    summary = {
        "num_molecules": {engine: sum(engine in row for row in rows.values()) for engine in rate},
        "wavefunctions_per_core_hour": rate, "times_decar": ratio,
        **{f"largest_{name}": max((row[name] for row in rows.values() if name in row), default=None)
           for name in DIFFERENCES},
    }  # fmt: skip
    result = {"command": " ".join(["python", "benchmarks/scf.py", *sys.argv[1:]]), "level": LEVEL, "summary": summary,
              "rows": rows, "provenance": provenance("pyscf", "numpy", "scipy", "rdkit")}  # fmt: skip
    write_text(output, json.dumps(result, indent=1) + "\n")
    return summary


def from_example() -> dict[str, dict[str, Any]]:
    """Return the tastants of examples/ at force-field geometries (ETKDG, MMFF94)."""
    systems = {}
    with (Path(__file__).resolve().parents[1] / "examples" / "tastants.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            molecule = Chem.AddHs(Chem.MolFromSmiles(row["smiles"]))
            AllChem.EmbedMolecule(molecule, randomSeed=7)
            AllChem.MMFFOptimizeMolecule(molecule, maxIters=2000)
            systems[row["name"]] = {
                "numbers": np.array([atom.GetAtomicNum() for atom in molecule.GetAtoms()]),
                "positions": molecule.GetConformer().GetPositions() * BOHR_PER_ANGSTROM,
                "charge": Chem.GetFormalCharge(molecule),
            }  # fmt: skip
    return systems


def from_file(path: Path) -> dict[str, dict[str, Any]]:
    """Return the molecules of a file that holds a group each: atomic_numbers, geometry_bohr, attribute charge."""
    with h5py.File(path) as file:
        return {
            str(group.attrs["name"]): {
                "numbers": group["atomic_numbers"][()], "positions": group["geometry_bohr"][()],
                "charge": int(group.attrs["charge"]),
            }
            for group in file.values()
        }  # fmt: skip


def choose(systems: dict[str, dict[str, Any]], count: int) -> list[tuple[str, dict[str, Any]]]:
    """Return molecules spread evenly over the number of atoms, the largest included."""
    ordered = sorted(systems, key=lambda name: (len(systems[name]["numbers"]), name))
    places = np.linspace(len(ordered) * 0.1, len(ordered) - 1, count).round().astype(int)
    return [(ordered[place], systems[ordered[place]]) for place in dict.fromkeys(places.tolist())]


def measure_python(system: dict[str, Any], engines: list[str]) -> dict[str, Any]:
    """Return the rows of decar and of PySCF as it comes, and how far they are apart."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.savez(folder / "system.npz", **system)
        for engine, script in (("decar", DECAR), ("pyscf", PYSCF)):
            if engine in engines:
                found[engine] = run_python(script, folder, engine)
        if "pyscf" in engines:
            found["energy_difference_hartree"] = abs(found["decar"]["energy"] - found["pyscf"]["energy"])
            found["density_difference_l1"] = density_difference(system, folder)
    return found


def measure_psi4(system: dict[str, Any], _: list[str]) -> dict[str, Any]:
    block = molecule_block(system["numbers"], system["positions"], system["charge"])
    with tempfile.TemporaryDirectory() as name:
        ((seconds, energy),) = run_psi4(PSI4.format(molecule=block), Path(name))
    return {"psi4": {"seconds": float(seconds), "energy": float(energy)}}


def run_python(script: str, folder: Path, engine: str) -> dict[str, Any]:
    command = [sys.executable, "-c", script, str(folder / "system.npz"), str(folder / f"{engine}.npy")]
    done = subprocess.run(command, env={**os.environ, **ONE_THREAD}, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def density_difference(system: dict[str, Any], folder: Path) -> float:
    from pyscf import dft, gto  # noqa: PLC0415

    atoms = [(int(number), tuple(position)) for number, position in zip(system["numbers"], system["positions"])]
    mole = gto.M(atom=atoms, unit="Bohr", basis="6-31g*", cart=True, charge=system["charge"], verbose=0)
    grids = dft.gen_grid.Grids(mole)
    grids.level = 1
    grids.build()
    values = mole.eval_gto("GTOval", grids.coords)
    first, second = (np.load(folder / f"{engine}.npy") for engine in ("decar", "pyscf"))
    difference = np.einsum("gi,ij,gj->g", values, first - second, values, optimize=True)
    return float(grids.weights @ np.abs(difference) / mole.nelectron)


if __name__ == "__main__":
    main()
