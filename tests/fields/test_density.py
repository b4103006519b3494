"""The evaluator against PySCF, against analytic Gaussians, against a plain loop, and under exact symmetries."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pyscf.dft import numint

from decar.fields.density import grid_intermediates
from decar.fields.grid import VoxelGrid
from decar.fields.orbitals import cartesian_orbitals
from decar.fields.points import point_intermediates
from decar.quantum.pyscf_mole import to_pyscf_mole
from tests.fields import oracle
from tests.fields.systems import (
    BENT_RADICAL,
    HYDROGEN_BROMIDE,
    HYDROXIDE,
    THIOFORMAMIDE,
    WATER,
    gaussians,
    molecule,
    shared_molecule,
)  # fmt: skip

BOUND = {torch.float32: (1e-8, 1e-5), torch.float64: (1e-12, 1e-10)}
CASES = {
    "water STO-3G": lambda: molecule(WATER, "sto-3g"),
    "water 6-31G* Cartesian": lambda: molecule(WATER, "6-31g*", cartesian=True),
    "water cc-pVQZ, to g functions": lambda: molecule(WATER, "cc-pvqz"),
    "hydroxide, diffuse": lambda: molecule(HYDROXIDE, "6-31+g*", charge=-1),
    "NH2, unrestricted": lambda: molecule(BENT_RADICAL, "def2-svp", multiplicity=2),
    "hydrogen bromide": lambda: molecule(HYDROGEN_BROMIDE, "def2-tzvp"),
    "thioformamide": lambda: molecule(THIOFORMAMIDE, "6-31g*", cartesian=True),
}


def box(wavefunction, shape, spacing) -> VoxelGrid:
    middle = wavefunction.geometry_bohr.mean(axis=0)
    origin = middle - spacing * (np.array(shape) - 1) / 2
    return VoxelGrid(tuple(origin.tolist()), spacing, shape)


def pyscf_density(wavefunction, points):
    """Return rho and its gradient, (4, n), and the sums of the absolute terms of the gradient, (3, n)."""
    mole = to_pyscf_mole(wavefunction)
    functions = numint.eval_ao(mole, points, deriv=1)
    rho = numint.eval_rho(mole, functions, wavefunction.density_matrix(), xctype="GGA")
    terms = np.zeros((3, len(points)))
    spins = [(wavefunction.alpha_coefficients, wavefunction.alpha_occupations)]
    if wavefunction.beta_coefficients is not None:
        spins.append((wavefunction.beta_coefficients, wavefunction.beta_occupations))
    for c, n in spins:
        psi, *slopes = np.abs(functions @ (c * np.sqrt(n)))
        terms += 2 * np.array([(psi * slope).sum(axis=1) for slope in slopes])
    return rho, terms


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("case", CASES)
def test_density_and_gradient_agree_with_pyscf(case, dtype):
    wavefunction = CASES[case]()
    grid = box(wavefunction, (40, 32, 24), 0.4)
    found = grid_intermediates(cartesian_orbitals(wavefunction), grid, 1, dtype)
    points = grid.points()
    distances = np.linalg.norm(points[:, None] - wavefunction.geometry_bohr, axis=2).min(axis=1)
    random = np.random.default_rng(3).choice(len(points), 4000, replace=False)
    voxels = np.union1d(random, np.flatnonzero(distances < 1.0))
    rho, terms = pyscf_density(wavefunction, points[voxels])
    absolute, relative = BOUND[dtype]
    density = found.density.flatten().numpy()[voxels]
    assert np.abs(density - rho[0]).max() > 0  # two programs, not one result twice
    assert (np.abs(density - rho[0]) <= absolute + relative * rho[0]).all()
    gradient = found.gradient.flatten(1).numpy()[:, voxels]
    assert (np.abs(gradient - rho[1:]) <= absolute + relative * terms).all()


@pytest.mark.parametrize("case", CASES)
def test_values_at_points_agree_with_pyscf(case):
    wavefunction = CASES[case]()
    points = np.random.default_rng(5).normal(size=(1500, 3)) * 3.0
    found = point_intermediates(cartesian_orbitals(wavefunction), points, order=1)
    rho, terms = pyscf_density(wavefunction, points)
    assert (np.abs(found.density.numpy() - rho[0]) <= 1e-12 + 1e-10 * rho[0]).all()
    assert (np.abs(found.gradient.numpy() - rho[1:]) <= 1e-12 + 1e-10 * terms).all()


@pytest.mark.parametrize("case", ["water cc-pVQZ, to g functions", "NH2, unrestricted", "water 6-31G* Cartesian"])
def test_a_plain_loop_agrees(case):
    wavefunction = CASES[case]()
    grid = box(wavefunction, (8, 8, 8), 0.9)
    found = grid_intermediates(cartesian_orbitals(wavefunction), grid, 1, torch.float64)
    expected = oracle.density(wavefunction, grid.points())
    assert np.allclose(found.density.flatten().numpy(), expected, rtol=1e-10, atol=1e-12)
    gradient = oracle.density_gradient(wavefunction, grid.points())
    assert np.allclose(found.gradient.flatten(1).numpy().T, gradient, rtol=1e-5, atol=1e-7)


@given(st.floats(0.1, 30.0), st.tuples(*[st.sampled_from([8, 16, 24])] * 3))
@settings(max_examples=20, deadline=None)
def test_one_gaussian_is_analytic(exponent, shape):
    wavefunction = gaussians([[0.3, -0.2, 0.1]], [exponent], [1], num_electrons=2.0)
    grid = box(wavefunction, shape, 0.3)
    found = grid_intermediates(cartesian_orbitals(wavefunction), grid, 1, torch.float64)
    offset = grid.points() - wavefunction.geometry_bohr[0]
    expected = 2 * (2 * exponent / np.pi) ** 1.5 * np.exp(-2 * exponent * (offset**2).sum(axis=1))
    assert np.allclose(found.density.flatten().numpy(), expected, rtol=1e-10, atol=1e-12)
    gradient = -4 * exponent * offset.T * expected
    assert np.allclose(found.gradient.flatten(1).numpy(), gradient, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("basis", ["6-31g*", "cc-pvtz"])
def test_lattice_rotation_of_the_molecule_rotates_the_field(basis):
    """A quarter turn about z: (x, y, z) -> (-y, x, z), with the wavefunction computed anew."""
    turn = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    places = np.array([[0.1, 0.2, 0.3], [1.55, 0.35, -0.75], [-0.9, 1.6, 0.9]])
    symbols = ("O", "H", "H")
    fields = []
    for geometry in (places, places @ turn.T):
        atoms = "; ".join(f"{symbol} {x:.10f} {y:.10f} {z:.10f}" for symbol, (x, y, z) in zip(symbols, geometry))
        grid = VoxelGrid((-4.65, -4.65, -4.65), 0.3, (32, 32, 32))
        orbitals = cartesian_orbitals(molecule(atoms, basis))
        fields.append(grid_intermediates(orbitals, grid, 0, torch.float64).density.numpy())
    assert np.abs(np.rot90(fields[0], axes=(0, 1)) - fields[1]).max() < 1e-6
    assert np.abs(fields[0] - fields[1]).max() > 0.1


def test_translation_by_voxels_shifts_the_field():
    wavefunction = molecule(WATER, "6-31g*", cartesian=True)
    grid = box(wavefunction, (24, 24, 24), 0.5)
    moved = replace(wavefunction, geometry_bohr=wavefunction.geometry_bohr + 0.5 * np.array([3, -2, 1]))
    first, second = (
        grid_intermediates(cartesian_orbitals(one), grid, 0, torch.float64).density.numpy()
        for one in (wavefunction, moved)
    )
    assert np.allclose(first[:-3, 2:, :-1], second[3:, :-2, 1:], rtol=1e-10, atol=1e-12)


def test_nothing_is_lost_where_blocks_are_skipped():
    """A small molecule in the corner of a large box: most blocks hold zeros, within the stated error."""
    wavefunction = molecule(WATER, "6-31g*", cartesian=True)
    grid = VoxelGrid((-3.0, -3.0, -3.0), 0.6, (48, 48, 48))
    found = grid_intermediates(cartesian_orbitals(wavefunction), grid, 0).density.flatten().numpy()
    exact = point_intermediates(cartesian_orbitals(wavefunction), grid.points()).density.numpy()
    assert (found == 0).mean() > 0.5
    assert (np.abs(found - exact) <= 1e-8 + 1e-5 * exact).all()


@pytest.mark.parametrize("identifier", ["0672", "0602", "1186"])
def test_shared_wavefunctions_agree_with_pyscf(shared_data, identifier):
    wavefunction = shared_molecule(shared_data, identifier)
    grid = box(wavefunction, (48, 48, 48), 0.66)
    found = grid_intermediates(cartesian_orbitals(wavefunction), grid, 0).density.flatten().numpy()
    voxels = np.random.default_rng(0).choice(grid.num_voxels, 10000, replace=False)
    rho, _ = pyscf_density(wavefunction, grid.point(voxels))
    assert (np.abs(found[voxels] - rho[0]) <= 1e-8 + 1e-5 * rho[0]).all()
