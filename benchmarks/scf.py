"""Wavefunctions a core-hour at B3LYP/6-31G*: decar's single point, PySCF as it comes, Psi4 as it comes.

    python benchmarks/scf.py WAVEFUNCTIONS.h5 benchmarks/scf.json [--num-molecules 10] [--without psi4]

WAVEFUNCTIONS.h5 holds a group a molecule with `atomic_numbers`, `geometry_bohr` and the attribute `charge`. The
molecules are spread evenly over the sizes of the file. Every calculation is a process of its own on one thread; its CPU
seconds (user and system, the start of the program apart) are what counts, so that a busy machine matters little. The
three take turns, molecule by molecule. Differences are against PySCF as it comes: exact integrals, quadrature level 3,
1e-9 hartree. The density is compared by the integral of |rho_1 - rho_2| over that of rho on an atom-centred quadrature.
"""

import argparse
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

from decar.atomic import write_text
from decar.provenance import provenance

SYMBOLS = {1: "H", 6: "C", 7: "N", 8: "O", 9: "F", 15: "P", 16: "S", 17: "Cl", 35: "Br"}
LEVEL = {"method": "b3lyp", "basis": "6-31g*", "cartesian": True}
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
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

PSI4 = """
import time
molecule {{
units bohr
{charge} 1
no_reorient
no_com
symmetry c1
{atoms}
}}
set basis 6-31g*
start = time.process_time()
energy = psi4.energy("b3lyp")
print("RESULT", time.process_time() - start, energy)
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=textwrap.dedent(str(__doc__)), formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("wavefunctions", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--num-molecules", type=int, default=10)
    parser.add_argument("--without", nargs="*", default=[], choices=["pyscf", "psi4"])
    given = parser.parse_args()
    engines = [name for name in ("decar", "pyscf", "psi4") if name not in given.without]
    if "psi4" in engines and shutil.which("psi4") is None:
        sys.exit("no psi4 on PATH: apt-get install psi4, or say --without psi4")
    rows = []
    for name, system in choose(given.wavefunctions, given.num_molecules):
        rows.append({"molecule": name, "num_atoms": len(system["numbers"]), **measure(system, engines)})
        print(json.dumps(rows[-1]), flush=True)
    totals = {engine: sum(row[engine]["seconds"] for row in rows) for engine in engines}
    summary = {
        "wavefunctions_per_core_hour": {engine: 3600 * len(rows) / total for engine, total in totals.items()},
        "times_decar": {engine: total / totals["decar"] for engine, total in totals.items()},
        **{f"largest_{name}": max(row[name] for row in rows) for name in DIFFERENCES if "pyscf" in engines},
    }
    print(json.dumps(summary, indent=1))
    result = {"command": " ".join(["python", "benchmarks/scf.py", *sys.argv[1:]]), "level": LEVEL, "summary": summary,
              "rows": rows, "provenance": provenance("pyscf", "numpy", "scipy")}  # fmt: skip
    write_text(given.output, json.dumps(result, indent=1) + "\n")


def choose(path: Path, count: int) -> list[tuple[str, dict[str, Any]]]:
    """Return molecules spread evenly over the number of atoms, the largest included."""
    with h5py.File(path) as file:
        systems = {
            name: {"numbers": group["atomic_numbers"][()], "positions": group["geometry_bohr"][()],
                   "charge": int(group.attrs["charge"]), "title": str(group.attrs["name"])}
            for name, group in file.items()
        }  # fmt: skip
    ordered = sorted(systems, key=lambda name: (len(systems[name]["numbers"]), name))
    places = np.linspace(len(ordered) * 0.1, len(ordered) - 1, count).round().astype(int)
    return [(systems[ordered[place]].pop("title"), systems[ordered[place]]) for place in places]


def measure(system: dict[str, Any], engines: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.savez(folder / "system.npz", **system)
        for engine, script in (("decar", DECAR), ("pyscf", PYSCF)):
            if engine in engines:
                found[engine] = run_python(script, folder, engine)
        if "psi4" in engines:
            found["psi4"] = run_psi4(system, folder)
        if "pyscf" in engines:
            found["energy_difference_hartree"] = abs(found["decar"]["energy"] - found["pyscf"]["energy"])
            found["density_difference_l1"] = density_difference(system, folder)
    return found


def run_python(script: str, folder: Path, engine: str) -> dict[str, Any]:
    command = [sys.executable, "-c", script, str(folder / "system.npz"), str(folder / f"{engine}.npy")]
    done = subprocess.run(command, env={**os.environ, **ONE_THREAD}, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def run_psi4(system: dict[str, Any], folder: Path) -> dict[str, Any]:
    atoms = "\n".join(
        f"{SYMBOLS[int(number)]} {x:.12f} {y:.12f} {z:.12f}"
        for number, (x, y, z) in zip(system["numbers"], system["positions"])
    )
    (folder / "input.dat").write_text(PSI4.format(charge=system["charge"], atoms=atoms))
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        ["psi4", "-n", "1", "-i", "input.dat", "-o", "output.dat"], cwd=folder, capture_output=True, text=True,
        env={**environment, **ONE_THREAD, "PSI_SCRATCH": str(folder)}, check=True,
    )  # fmt: skip
    words = next(line for line in done.stdout.splitlines() if line.startswith("RESULT")).split()
    return {"seconds": float(words[1]), "energy": float(words[2])}


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
