"""Records of Psi4: the same as PySCF's, and the same fields as Psi4's own cube files."""

import subprocess

import numpy as np
import pytest
import torch

from decar.config import QuantumSettings
from decar.quantum.backend import System, get_backend
from decar.quantum.psi4_program import find_program
from decar.quantum.record_checks import check_wavefunction, compare
from tests.quantum.systems import (
    AMMONIUM,
    CYANO,
    HYDROGEN_SULFIDE,
    HYDROXIDE,
    OXYGEN,
    WATER,
    level,
    system,
)

pytestmark = pytest.mark.psi4
BROMIDE = system([35, 1], [[0, 0, 0], [0, 0, 2.67]])
PHOSPHINE = system([15, 1, 1, 1], [[0, 0, 0], [0, 2.25, 1.45], [1.95, -1.12, 1.45], [-1.95, -1.12, 1.45]])
# Oblique, so that no component of a d or f function is zero by symmetry.
OBLIQUE = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))[0]


def turned(molecule):
    return System(
        molecule.atomic_numbers, molecule.geometry_bohr @ OBLIQUE.T + 0.7, molecule.charge, molecule.multiplicity
    )


@pytest.fixture(scope="module")
def engines():
    return [get_backend(QuantumSettings(backend=name)) for name in ("pyscf", "psi4")]


@pytest.mark.parametrize(
    ("molecule", "settings"),
    [
        (turned(BROMIDE), {"method": "b3lyp", "basis": "6-31g*"}),
        (turned(PHOSPHINE), {"basis": "def2-tzvp", "cartesian": False}),
        (turned(HYDROGEN_SULFIDE), {"method": "b3lyp", "basis": "6-31g*", "cartesian": False}),
        (HYDROXIDE, {"method": "pbe0", "basis": "6-31+g*"}),
        (AMMONIUM, {"method": "svwn", "basis": "6-31g*", "fitting_basis": None}),
        (CYANO, {"method": "b3lyp", "basis": "6-31g*"}),
        (turned(OXYGEN), {"method": "cam-b3lyp", "basis": "6-31g"}),
    ],
    ids=["HBr", "PH3 with f", "H2S spherical", "OH-", "NH4+ exact", "CN", "O2 range-separated"],
)
def test_both_engines_yield_one_record(engines, molecule, settings):
    wanted = level(quadrature_level=2, **settings)
    first, second = (engine.single_point(molecule, wanted) for engine in engines)
    check_wavefunction(second)
    difference = compare(first, second)
    assert difference.energy_hartree < 5e-5
    assert difference.density_l1 < 1e-4
    assert difference.dipole_e_bohr < 1e-3
    assert difference.orbital_energy_hartree < 1e-4
    # All that is no result of an iteration is equal to the last bit.
    ours, theirs = first.to_arrays(""), second.to_arrays("")
    assert list(ours) == list(theirs)
    for name in ours:
        assert ours[name].shape == theirs[name].shape
        assert ours[name].dtype == theirs[name].dtype
        if name.startswith(("basis", "geometry", "nuclear", "atomic")) or name.endswith("occupations"):
            assert np.array_equal(ours[name], theirs[name]), name
    assert first.to_metadata()["level"] == second.to_metadata()["level"]
    assert set(first.quality) == set(second.quality)
    for name in ("num_electrons", "s_squared", "s_squared_exact", "gap_hartree", "is_stable", "is_stable_to_spin"):
        assert first.quality[name] == pytest.approx(second.quality[name], abs=1e-4), name
    assert first.quality["num_electrons_quadrature"] == pytest.approx(
        second.quality["num_electrons_quadrature"], abs=1e-3
    )


def test_both_engines_yield_one_gradient(engines):
    cation = System(WATER.atomic_numbers, WATER.geometry_bohr, 1, 2)
    wanted = level(method="b3lyp", basis="6-31g*", quadrature_level=3)
    (_, ours), (_, theirs) = (engine.energy_and_gradient(cation, wanted) for engine in engines)
    assert np.abs(ours - theirs).max() < 1e-4


def test_core_potentials_have_one_gradient(engines):
    iodide = system([53, 1], [[0, 0, 0], [0, 0.4, 3.1]])
    (_, ours), (_, theirs) = (
        engine.energy_and_gradient(iodide, level(basis="lanl2dz", cartesian=False)) for engine in engines
    )
    assert np.abs(ours).max() > 1e-3
    assert np.abs(ours - theirs).max() < 2e-5


CUBES = """
import sys
sys.path[:0] = sys.argv[1:2]
import psi4
psi4.core.set_output_file("psi4.out", False)
psi4.core.IOManager.shared_object().set_default_path(".")
geometry = "0 %d\\n" + {geometry!r} + "\\nunits bohr\\nno_com\\nno_reorient\\nsymmetry c1"
molecule = psi4.geometry(geometry % {multiplicity})
psi4.set_options(dict(basis="6-31g*", puream={spherical}, scf_type="pk", reference={reference!r}, d_convergence=1e-9,
    dft_radial_points=75, dft_spherical_points=434,
    cubeprop_tasks=["density"], cubic_grid_spacing=[0.5] * 3, cubic_grid_overage=[2.0] * 3))
energy, wfn = psi4.energy({method!r}, return_wfn=True, molecule=molecule)
psi4.cubeprop(wfn)
"""


@pytest.mark.parametrize(
    ("molecule", "method", "is_cartesian"),
    [(turned(HYDROGEN_SULFIDE), "b3lyp", True), (turned(CYANO), "hf", False)],
    ids=["H2S", "CN"],
)
def test_rendered_densities_are_those_of_psi4s_own_cube_files(engines, molecule, method, is_cartesian, tmp_path):
    """The oracle shares nothing with the record but the name of the basis: Psi4's basis data, input and grid."""
    from decar.fields.cube import read_cube
    from decar.fields.registry import evaluate_fields

    symbols = {1: "H", 6: "C", 7: "N", 16: "S"}
    lines = [
        f"{symbols[int(number)]} {x:.15f} {y:.15f} {z:.15f}"
        for number, (x, y, z) in zip(molecule.atomic_numbers, molecule.geometry_bohr)
    ]
    script = tmp_path / "cubes.py"
    script.write_text(
        CUBES.format(
            method=method, geometry="\n".join(lines), multiplicity=molecule.multiplicity, spherical=not is_cartesian,
            reference=("r" if molecule.multiplicity == 1 else "u") + ("hf" if method == "hf" else "ks"),
        )
    )  # fmt: skip
    program = find_program(None)
    subprocess.run(program.arguments(script), cwd=tmp_path, check=True, capture_output=True, timeout=120)
    cubes = {"electron_density": "Dt", "spin_density": "Ds"}
    cubes = {name: read_cube(tmp_path / f"{file}.cube") for name, file in cubes.items()}
    grid = cubes["electron_density"].grid
    wanted = level(
        method=method, basis="6-31g*", cartesian=is_cartesian, fitting_basis=None, convergence_hartree=1e-10,
        quadrature_level=4,
    )  # fmt: skip
    for engine in engines:
        # In float32 the spin density at a nucleus, a difference of large numbers, has fewer digits than the file.
        rendered = evaluate_fields(list(cubes), engine.single_point(molecule, wanted), grid, torch.float64)
        for name, cube in cubes.items():
            values = rendered[name].cpu().numpy()
            assert values.shape == cube.values.shape
            np.testing.assert_allclose(values, cube.values, rtol=2e-4, atol=2e-6)
        assert rendered["electron_density"].max() > 0.1
        assert (rendered["spin_density"].max() > 0.1) == (molecule.multiplicity > 1)


def test_a_saddle_point_is_left_downhill(tmp_path):
    """H2O+ with its hole in the a1 orbital: DIIS stays there, and the lowest rotation leads to the 2B1 ground state."""
    from decar.quantum.psi4_job import make_job
    from decar.quantum.psi4_orbitals import Answer, settle
    from decar.quantum.psi4_process import run_worker
    from decar.quantum.scf_rescue import Rung

    wanted = level(basis="6-31g")
    cation = System(WATER.atomic_numbers, WATER.geometry_bohr, 1, 2)
    job, mole = make_job(cation, wanted, 1, 500, False)
    ground = None

    def run(ladder=None, guess=None):
        nonlocal ground
        if ladder is None:
            ground = Answer(*run_worker(find_program(None), job, None, tmp_path, 300))
            beta = ground.arrays["beta_coefficients"]
            swapped = beta[:, [0, 1, 2, 4]]  # the highest occupied for the lowest empty beta orbital
            guess = {"alpha": ground.arrays["alpha_coefficients"][:, :5], "beta": swapped}
            ladder = [Rung("excited", "previous")]
        rungs = [vars(rung) for rung in ladder]
        return Answer(*run_worker(find_program(None), {**job, "ladder": rungs}, guess, tmp_path, 300))

    solution, _ = settle(run, mole, wanted)
    assert {attempt["method"] for attempt in solution.attempts[1:]} == {"stability"}
    assert solution.attempts[-1]["is_converged"]
    assert solution.attempts[0]["energy_hartree"] - solution.mf.e_tot > 0.01
    assert solution.mf.e_tot == pytest.approx(ground.result["energy_hartree"], abs=1e-6)
    assert solution.is_stable is True
