"""Fields of glucose on a voxel grid: decar, PySCF's cubegen and Psi4's cubeprop; accuracy beside each time.

    python benchmarks/fields.py benchmarks/fields.json [--voxels 200] [--without psi4 --without scaling]

CPU seconds (user and system) of one thread, tables and files included, so that a busy machine matters little; a row
that has `of` was measured on a smaller grid and multiplied by the ratio of voxels. Glucose, B3LYP/6-31G* (spherical:
cubegen.mep takes no other), a box of 40 bohr. Errors: at random voxels outside 0.5 bohr of nuclei, against functions
in float64 or libcint's integrals. Rows of scaling use alkanes with the orbitals of PySCF's Hueckel guess, whose shape
is what matters there. Groups of rows that the output has already are not measured again.
"""

import argparse
import ctypes
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from psi4_input import molecule_block, run_psi4
from pyscf import gto, scf
from pyscf.dft import numint
from pyscf.lib import num_threads
from pyscf.tools import cubegen
from rdkit import Chem
from rdkit.Chem import AllChem, GetPeriodicTable
from scipy.linalg import eigh

from decar.atomic import write_text
from decar.config import QuantumSettings
from decar.fields.compute import sampled_error
from decar.fields.grid import VoxelGrid
from decar.fields.promolecular import promolecular_density
from decar.fields.registry import FIELDS, evaluate_fields
from decar.provenance import provenance
from decar.quantum.backend import System, get_backend
from decar.quantum.level import Level
from decar.quantum.pyscf_mole import extract_basis, to_pyscf_mole
from decar.quantum.wavefunction import Wavefunction
from decar.units import BOHR_PER_ANGSTROM

GLUCOSE = "OC[C@H]1O[C@@H](O)[C@H](O)[C@@H](O)[C@@H]1O"
BOX_BOHR = 40.0
LOCAL = [name for name, field in FIELDS.items() if field.formula is not None]
SUMS = ["electron_density", "density_gradient", "density_laplacian", "kinetic_energy_density"]

PSI4 = """import time
{molecule}set basis 6-31g*
set puream true
set scf_type df
set maxiter 1
set fail_on_maxiter false
energy, wfn = psi4.energy("b3lyp", return_wfn=True)
set cubic_grid_spacing [{spacing}, {spacing}, {spacing}]
set cubic_grid_overage [{padding}]
for task in ("density", "esp"):
    psi4.set_options({{"cubeprop_tasks": [task]}})
    start = time.process_time()
    cubeprop(wfn)
    print("RESULT", task, time.process_time() - start)
"""


def main(output: Path, voxels: int, without: list[str]) -> None:
    num_threads(1)
    torch.set_num_threads(1)
    report: dict[str, Any] = {"molecule": GLUCOSE, "box_bohr": BOX_BOHR, "voxels": voxels, "cores": os.cpu_count()}
    groups: dict[str, list[dict[str, Any]]] = {}
    if output.exists() and (old := json.loads(output.read_text(encoding="utf-8"))).get("voxels") == voxels:
        groups = old.get("groups", {})
    wavefunction, seconds = glucose()
    work: dict[str, Callable[[], list[dict[str, Any]]]] = {
        "decar": lambda: [
            {"what": "wavefunction", "program": "decar", "cpu_seconds": seconds}, *ours(wavefunction, voxels)
        ],
        "pyscf": lambda: local_rows(wavefunction, voxels) + cubegen_rows(wavefunction, voxels),
        "molgrid": lambda: molgrid_rows(wavefunction, voxels),
        "shells": lambda: shell_rows(wavefunction, voxels),
        "workers": lambda: parallel_rows(wavefunction),
        "scaling": lambda: scaling_rows(wavefunction),
        "psi4": lambda: psi4_rows(wavefunction, voxels),
    }  # fmt: skip
    for group, measure in work.items():
        if group in without or groups.get(group):
            continue
        load = os.getloadavg()[0]
        groups[group] = [row | {"load": round(load, 1)} for row in measure()]
        for row in groups[group]:
            print("  ".join(f"{k} {v:.3g}" if isinstance(v, float) else f"{v}" for k, v in row.items()), flush=True)
        report |= {"ratios": compare([row for rows in groups.values() for row in rows]), "groups": groups,
                   "provenance": provenance("torch", "numpy", "scipy", "pyscf", "rdkit")}  # fmt: skip
        write_text(output, json.dumps(report, indent=1) + "\n")
    print(json.dumps(report.get("ratios"), indent=1))


def glucose() -> tuple[Wavefunction, float]:
    """Return the wavefunction at a force-field geometry, and the CPU seconds of its single point."""
    molecule = Chem.AddHs(Chem.MolFromSmiles(GLUCOSE))
    AllChem.EmbedMolecule(molecule, randomSeed=7)
    AllChem.MMFFOptimizeMolecule(molecule)
    numbers = np.array([atom.GetAtomicNum() for atom in molecule.GetAtoms()], dtype=np.int32)
    places = molecule.GetConformer().GetPositions() * BOHR_PER_ANGSTROM
    settings = QuantumSettings(method="b3lyp", basis="6-31g*", cartesian=False)
    engine, level = get_backend(settings), Level.from_settings(settings)
    start = time.process_time()
    wavefunction = engine.single_point(System(numbers, places, 0, 1), level)
    return wavefunction, time.process_time() - start


def box(wavefunction: Wavefunction, voxels: int, length: float = BOX_BOHR) -> VoxelGrid:
    middle = (wavefunction.geometry_bohr.min(axis=0) + wavefunction.geometry_bohr.max(axis=0)) / 2
    spacing = length / voxels
    x, y, z = (middle - spacing * (voxels - 1) / 2).tolist()
    return VoxelGrid((x, y, z), spacing, (voxels, voxels, voxels))


def cpu(work: Callable[[], Any], repeats: int = 1) -> tuple[float, Any]:
    """Return the CPU seconds of the fastest of some repetitions, and the result."""
    best, result = np.inf, None
    for _ in range(repeats):
        result = None
        start = time.process_time()
        result = work()
        best = min(best, time.process_time() - start)
    return float(best), result


def memory(name: str) -> float:
    """Return VmRSS or VmHWM, the most so far, in MB (Linux)."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith(name))) / 1024


def ours(wavefunction: Wavefunction, voxels: int) -> list[dict[str, Any]]:
    grid, rows = box(wavefunction, voxels), []
    tasks = {
        "density": (["electron_density"], torch.float32),
        "density, float64": (["electron_density"], torch.float64),
        "all density-like": (LOCAL, torch.float32),
        "six sums": (SUMS, torch.float32),
        "promolecular density": (["promolecular_density"], torch.float32),
        "potential": (["electrostatic_potential"], torch.float32),
        "potential and field": (["electrostatic_potential", "electric_field"], torch.float32),
        "density and potential": (["electron_density", "electrostatic_potential"], torch.float32),
        "potential, tight": (["electrostatic_potential"], torch.float64),
    }
    for what, (names, dtype) in tasks.items():
        repeats, fields = 1 if dtype == torch.float64 else 3, {}
        ctypes.CDLL(None).malloc_trim(0)  # what the row before freed is no room for this one
        before = memory("VmRSS")
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # VmHWM begins anew
        seconds, fields = cpu(lambda n=names, d=dtype: evaluate_fields(n, wavefunction, grid, d), repeats)
        channel = voxels**3 * torch.finfo(dtype).bits / 8 / 2**20
        peak = (memory("VmHWM") - before) / channel
        random = np.random.default_rng(0)
        errors = {n: sampled_error(FIELDS[n], fields[n].numpy(), wavefunction, grid, random) for n in names}
        row = {"what": what, "program": "decar", "cpu_seconds": seconds, "voxels": voxels}
        if len(names) == 1:
            row |= {key: errors[names[0]][key] for key in ("rms_error", "max_error")}
        channels = sum(FIELDS[name].channels for name in names)
        rows.append(row | {"peak_in_channels": peak, "output_channels": channels})
    return rows


def shell_rows(wavefunction: Wavefunction, voxels: int) -> list[dict[str, Any]]:
    """Return errors by distance from the nearest nucleus, of voxels drawn evenly from the shells."""
    grid, random, rows = box(wavefunction, voxels), np.random.default_rng(1), []
    chosen = random.choice(grid.num_voxels, size=min(200_000, grid.num_voxels), replace=False)
    nearest = np.min([np.linalg.norm(grid.point(chosen) - r, axis=1) for r in wavefunction.geometry_bohr], axis=0)
    names = ["electron_density", "density_gradient_norm", "density_laplacian", "electrostatic_potential"]
    fields = evaluate_fields(names, wavefunction, grid)
    for low, high in pairwise((0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 40.0)):
        shell = chosen[(nearest >= low) & (nearest < high)][:300]
        for name in names if len(shell) else ():
            exact = FIELDS[name].at_points(wavefunction, grid.point(shell))
            error = fields[name].flatten(1).double().numpy()[:, shell] - exact
            rows.append({
                "what": f"{name}, {low:g} to {high:g} bohr", "program": "decar", "num_samples": len(shell),
                "max_error": float(np.abs(error).max()), "rms_error": float(np.sqrt((error**2).mean())),
                "max_relative": float((np.abs(error) / (1e-3 + np.abs(exact))).max()),
            })  # fmt: skip
    return rows


def cubegen_rows(wavefunction: Wavefunction, voxels: int) -> list[dict[str, Any]]:
    mole, matrix = to_pyscf_mole(wavefunction), wavefunction.density_matrix()
    # cubegen's box is the extent of the nuclei and a margin.
    margin = (BOX_BOHR - float(np.ptp(wavefunction.geometry_bohr, axis=0).mean())) / 2
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for what, function, edge in (("density", cubegen.density, voxels // 2), ("potential", cubegen.mep, 20)):
            path = str(Path(folder) / "field.cube")
            seconds, _ = cpu(lambda f=function, p=path, n=edge: f(mole, p, matrix, nx=n, ny=n, nz=n, margin=margin))
            rows.append(scaled({"what": what, "program": "PySCF cubegen"}, seconds, edge, voxels))
    return rows


def scaled(row: dict[str, Any], seconds: float, edge: int, voxels: int) -> dict[str, Any]:
    return row | {
        "cpu_seconds": seconds * (voxels / edge) ** 3,
        "voxels": voxels,
        "of": f"{seconds:.3g} s at {edge:.3g}^3",
    }


def psi4_rows(wavefunction: Wavefunction, voxels: int) -> list[dict[str, Any]]:
    if shutil.which("psi4") is None:
        print("psi4 is not installed: apt-get install psi4")
        return []
    edge = voxels // 4
    extent = np.ptp(wavefunction.geometry_bohr, axis=0)
    # cubeprop's box is the extent of the nuclei and a padding: as many voxels as a cube of `edge`.
    spacing, padding = BOX_BOHR / edge, (BOX_BOHR - float(extent.mean())) / 2
    block = molecule_block(wavefunction.atomic_numbers, wavefunction.geometry_bohr, wavefunction.charge)
    text = PSI4.format(molecule=block, spacing=spacing, padding=", ".join([str(padding)] * 3))
    counts = float(np.prod((extent + 2 * padding) / spacing + 1))
    with tempfile.TemporaryDirectory() as folder:
        found = dict(run_psi4(text, Path(folder)))
    return [
        scaled({"what": what, "program": "Psi4 cubeprop"}, float(found[task]), counts ** (1 / 3), voxels)
        for task, what in (("density", "density"), ("esp", "potential"))
    ]


def local_rows(wavefunction: Wavefunction, voxels: int) -> list[dict[str, Any]]:
    """Return PySCF's cost of rho, its gradient, its Laplacian and tau at points (numint), of voxels drawn at random."""
    mole, grid = to_pyscf_mole(wavefunction), box(wavefunction, voxels)
    points = grid.point(np.random.default_rng(2).choice(grid.num_voxels, 40_000, replace=False))
    orbitals, occupations = wavefunction.alpha_coefficients, wavefunction.alpha_occupations

    def evaluate() -> None:
        for start in range(0, len(points), 4000):
            functions = numint.eval_ao(mole, points[start : start + 4000], deriv=2)
            numint.eval_rho2(mole, functions, orbitals, occupations, xctype="MGGA", with_lapl=True)

    seconds, _ = cpu(evaluate)
    return [scaled({"what": "six sums", "program": "PySCF numint"}, seconds, len(points) ** (1 / 3), voxels)]


MOLGRID = """
import json, sys, time
import numpy as np
import molgrid
given = np.load(sys.argv[1])
places, types, radii = given["places"], given["types"], given["radii"]
count, spacing = int(given["voxels"]), float(given["spacing"])
coordinates = molgrid.MGrid2f(len(types), 3)
index, sizes = molgrid.MGrid1f(len(types)), molgrid.MGrid1f(len(types))
for i, place in enumerate(places):
    index[i], sizes[i] = float(types[i]), float(radii[i])
    for axis in range(3):
        coordinates[i][axis] = float(place[axis])
maker = molgrid.GridMaker(spacing, spacing * (count - 1))
grid = molgrid.MGrid4f(int(types.max()) + 1, count, count, count)
start = time.process_time()
middle = molgrid.float3(*(float(x) for x in given["middle"]))
maker.forward(middle, coordinates.cpu(), index.cpu(), sizes.cpu(), grid.cpu())
seconds = time.process_time() - start
flat = np.array([[grid[t][i][j][k] for i, j, k in given["sample"].tolist()] for t in range(int(types.max()) + 1)])
np.save(sys.argv[2], flat)
print(json.dumps({"seconds": seconds, "version": molgrid.__version__}))
"""


def molgrid_rows(wavefunction: Wavefunction, voxels: int) -> list[dict[str, Any]]:
    """Return molgrid's smeared atoms, a channel an element, and how far they are from the promolecular density.

    Each element's channel gets the factor that suits best at 20,000 voxels near the molecule; the rest is the error.
    """
    if find_spec("molgrid") is None:
        print("molgrid is not installed: pip install --no-deps --target FOLDER molgrid; PYTHONPATH=FOLDER")
        return []
    grid, numbers = box(wavefunction, voxels), wavefunction.atomic_numbers
    dense = promolecular_density(numbers, wavefunction.geometry_bohr, grid)[0].numpy()
    sample = np.random.default_rng(3).permutation(np.flatnonzero(dense.ravel() > 1e-4))[:20_000]
    radius = GetPeriodicTable().GetRvdw
    middle = np.asarray(grid.origin_bohr) + grid.spacing_bohr * (voxels - 1) / 2
    with tempfile.TemporaryDirectory() as folder:
        given, found = Path(folder) / "given.npz", Path(folder) / "found.npy"
        np.savez(
            given, places=wavefunction.geometry_bohr / BOHR_PER_ANGSTROM,
            types=np.unique(numbers, return_inverse=True)[1],
            radii=[radius(int(z)) for z in numbers], voxels=voxels, spacing=grid.spacing_bohr / BOHR_PER_ANGSTROM,
            middle=middle / BOHR_PER_ANGSTROM, sample=np.stack(np.unravel_index(sample, grid.shape), axis=-1),
        )  # fmt: skip
        command = [sys.executable, "-c", MOLGRID, str(given), str(found)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            print("molgrid failed:", done.stderr[-400:])
            return []
        answer, channels = json.loads(done.stdout.splitlines()[-1]), np.load(found)
    expected = dense.ravel()[sample]
    factors = np.linalg.lstsq(channels.T, expected, rcond=None)[0]
    error = channels.T @ factors - expected
    return [{
        "what": "promolecular density", "program": f"molgrid {answer['version']}", "cpu_seconds": answer["seconds"],
        "voxels": voxels, "error_l1": float(np.abs(error).sum() / expected.sum()),
    }]  # fmt: skip


def alkane(num_carbons: int) -> Wavefunction:
    """Return a straight chain in 6-31G* with the natural orbitals of the Hueckel guess."""
    molecule = Chem.AddHs(Chem.MolFromSmiles("C" * num_carbons))
    AllChem.EmbedMolecule(molecule, randomSeed=1, useRandomCoords=True)
    atoms = [
        (a.GetSymbol(), tuple(p)) for a, p in zip(molecule.GetAtoms(), molecule.GetConformer().GetPositions().tolist())
    ]
    mole = gto.M(atom=atoms, basis="6-31g*", verbose=0)
    overlap = mole.intor("int1e_ovlp")
    occupations, orbitals = eigh(overlap @ scf.hf.init_guess_by_huckel(mole) @ overlap, overlap)
    kept = occupations > 1e-3
    numbers = np.array([gto.charge(symbol) for symbol, _ in atoms], dtype=np.int32)
    return Wavefunction(
        numbers, numbers.astype(float), mole.atom_coords(), extract_basis(mole), orbitals[:, kept], occupations[kept],
        np.zeros(int(kept.sum())), None, None, None, 0, 1, 0.0, np.zeros(3), {}, {},
    )  # fmt: skip


def scaling_rows(wavefunction: Wavefunction) -> list[dict[str, Any]]:
    rows = []
    for what, names in (("density", ["electron_density"]), ("potential", ["electrostatic_potential"])):
        for voxels in (64, 128, 256):
            grid = box(wavefunction, voxels)
            seconds, _ = cpu(lambda g=grid, n=names: evaluate_fields(n, wavefunction, g))
            rows.append({"what": f"{what}, by voxels", "program": "decar", "cpu_seconds": seconds, "voxels": voxels})
        for num_carbons in (3, 10, 20, 32):
            chain = alkane(num_carbons)
            grid = box(chain, 128, max(BOX_BOHR, float(np.ptp(chain.geometry_bohr, axis=0).max()) + 16))
            seconds, _ = cpu(lambda g=grid, c=chain, n=names: evaluate_fields(n, c, g))
            size = len(chain.atomic_numbers)
            rows.append({"what": f"{what}, by atoms", "program": "decar", "cpu_seconds": seconds, "atoms": size})
    return rows


def parallel_rows(wavefunction: Wavefunction) -> list[dict[str, Any]]:
    return [row(wavefunction, count) for row in (thread_row, worker_row) for count in (1, 2)]


def thread_row(wavefunction: Wavefunction, num_threads: int) -> dict[str, Any]:
    """Return the wall time of one molecule with so many threads, the fastest of three."""
    torch.set_num_threads(num_threads)
    grid, best = box(wavefunction, 200), np.inf
    for _ in range(3):
        start = time.perf_counter()
        evaluate_fields(["electron_density", "electrostatic_potential"], wavefunction, grid)
        best = min(best, time.perf_counter() - start)
    torch.set_num_threads(1)
    what = "density and potential, by threads"
    return {"what": what, "program": "decar", "threads": num_threads, "wall_seconds": best}


def worker_row(wavefunction: Wavefunction, num_workers: int) -> dict[str, Any]:
    """Return molecules a minute of wall time of as many processes of one thread each: nearly twice for two cores."""
    with ProcessPoolExecutor(num_workers, mp_context=get_context("spawn")) as pool:
        list(pool.map(render_one, [wavefunction] * num_workers))  # starts the workers
        start = time.perf_counter()
        list(pool.map(render_one, [wavefunction] * (4 * num_workers)))
        wall = time.perf_counter() - start
    what = "density and potential, by workers"
    return {"what": what, "program": "decar", "workers": num_workers, "a_minute": 60 * 4 * num_workers / wall}


def render_one(wavefunction: Wavefunction) -> None:
    torch.set_num_threads(1)
    evaluate_fields(["electron_density", "electrostatic_potential"], wavefunction, box(wavefunction, 128))


def compare(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Return the ratios that PERFORMANCE.md sets bars for."""
    times = {(row["what"], row["program"]): row["cpu_seconds"] for row in rows if "cpu_seconds" in row}
    own = {what: seconds for (what, program), seconds in times.items() if program == "decar"}
    ratios = {
        f"{what}: {program} / decar": times[what, program] / own[what]
        for what in ("density", "potential")
        for program in ("PySCF cubegen", "Psi4 cubeprop")
        if (what, program) in times and what in own
    }
    if ("six sums", "PySCF numint") in times and "six sums" in own:
        ratios["six sums: PySCF numint / decar"] = times["six sums", "PySCF numint"] / own["six sums"]
    if "density" not in own:
        return ratios
    ratios["all density-like / density"] = own["all density-like"] / own["density"]
    ratios["density / wavefunction"] = own["density"] / own["wavefunction"]
    ratios["density and potential / wavefunction"] = own["density and potential"] / own["wavefunction"]
    return {name: float(f"{value:.4g}") for name, value in ratios.items()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("output", type=Path)
    parser.add_argument("--voxels", type=int, default=200)
    parser.add_argument(
        "--without", action="append", default=[], choices=("psi4", "pyscf", "scaling", "workers", "shells")
    )
    options = parser.parse_args()
    sys.exit(main(options.output, options.voxels, options.without))
