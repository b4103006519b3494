"""The potential against analytic Gaussians, exact integrals, its far field, and under exact symmetries."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import erf

from decar.fields.atomic_potential import Expansion
from decar.fields.exact_potential import exact_potential
from decar.fields.grid import VoxelGrid
from decar.fields.orbitals import cartesian_orbitals
from decar.fields.potential import electrostatic_potential, potential_at_points
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

AMMONIUM = "N 0 0 0; H 1.1 1.1 1.1; H -1.1 -1.1 1.1; H -1.1 1.1 -1.1; H 1.1 -1.1 -1.1"
CASES = {
    "water STO-3G": lambda: molecule(WATER, "sto-3g"),
    "water cc-pVTZ": lambda: molecule(WATER, "cc-pvtz"),
    "hydroxide, diffuse": lambda: molecule(HYDROXIDE, "6-31+g*", charge=-1),
    "ammonium": lambda: molecule(AMMONIUM, "sto-3g", charge=1),
    "NH2, unrestricted": lambda: molecule(BENT_RADICAL, "def2-svp", multiplicity=2),
    "hydrogen bromide": lambda: molecule(HYDROGEN_BROMIDE, "def2-svp"),
    "hydrogen iodide, core potential": lambda: molecule("I 0 0 0; H 0 0 3.0", "def2-svp", core="I"),
    "thioformamide": lambda: molecule(THIOFORMAMIDE, "6-31g*", cartesian=True),
}  # fmt: skip


def sample(wavefunction, count: int) -> np.ndarray:
    """Return random points of the box and around each nucleus, all farther than 0.5 bohr from nuclei."""
    random = np.random.default_rng(11)
    places = wavefunction.geometry_bohr
    everywhere = random.uniform(places.min(axis=0) - 5, places.max(axis=0) + 5, (count, 3))
    directions = random.normal(size=(len(places), 40, 3))
    directions /= np.linalg.norm(directions, axis=2, keepdims=True)
    near = places[:, None] + directions * random.uniform(0.5, 2.0, (len(places), 40, 1))
    points = np.vstack([everywhere, near.reshape(-1, 3)])
    distances = np.linalg.norm(points[:, None] - places, axis=2).min(axis=1)
    return points[distances > 0.5]


def check(wavefunction, count: int, rms: float = 1e-4, largest: float = 5e-4, **options) -> None:
    points = sample(wavefunction, count)
    found = potential_at_points(wavefunction, cartesian_orbitals(wavefunction), points, **options)
    error = found - exact_potential(wavefunction, points)
    assert np.sqrt(np.mean(error**2)) < rms
    assert np.abs(error).max() < largest


@pytest.mark.parametrize("case", CASES)
def test_agrees_with_exact_integrals(case):
    check(CASES[case](), 400)


@pytest.mark.parametrize("identifier", ["0672", "0858^"])
def test_shared_wavefunctions_agree_with_exact_integrals(shared_data, identifier):
    check(shared_molecule(shared_data, identifier), 300)


def test_a_longer_expansion_is_closer():
    check(CASES["thioformamide"](), 300, rms=1.5e-5, largest=1e-4, expansion=Expansion(14, 41, 60))


def test_one_gaussian_is_analytic():
    """V = Z / r - N erf(sqrt(2 a) r) / r, for N electrons in exp(-a r^2)."""
    wavefunction = gaussians([[0.2, 0.1, -0.3]], [0.6], [3], num_electrons=2.0)
    points = sample(wavefunction, 300)
    r = np.linalg.norm(points - wavefunction.geometry_bohr[0], axis=1)
    expected = 3 / r - 2 * erf(np.sqrt(1.2) * r) / r
    assert np.abs(exact_potential(wavefunction, points) - expected).max() < 1e-10
    found = potential_at_points(wavefunction, cartesian_orbitals(wavefunction), points)
    assert np.abs(found - expected).max() < 1e-4


@pytest.mark.parametrize(("case", "charge"), [("hydroxide, diffuse", -1), ("ammonium", 1), ("water STO-3G", 0)])
def test_far_away_only_the_charge_counts(case, charge):
    wavefunction = CASES[case]()
    directions = np.random.default_rng(2).normal(size=(20, 3))
    points = 400.0 * directions / np.linalg.norm(directions, axis=1)[:, None]
    found = potential_at_points(wavefunction, cartesian_orbitals(wavefunction), points)
    assert np.allclose(found * 400.0, charge, atol=0.01)  # the dipole is a bohr long and 400 bohr away


def test_grid_and_points_are_the_same_field():
    wavefunction = CASES["thioformamide"]()
    orbitals = cartesian_orbitals(wavefunction)
    grid = VoxelGrid((-8.0, -7.0, -6.0), 0.7, (24, 24, 24))
    field = electrostatic_potential(wavefunction, orbitals, grid)
    points = grid.points()
    distances = np.linalg.norm(points[:, None] - wavefunction.geometry_bohr, axis=2).min(axis=1)
    expected = potential_at_points(wavefunction, orbitals, points)
    difference = np.abs(field.flatten().numpy() - expected)[distances > 0.5]
    assert field.shape == (1, 24, 24, 24)
    assert difference.max() < 1e-4
    assert np.sqrt(np.mean(difference**2)) < 1e-5


def test_translation_leaves_the_potential_alone():
    wavefunction = CASES["water STO-3G"]()
    shift = np.array([3.1, -20.7, 11.3])
    moved = replace(wavefunction, geometry_bohr=wavefunction.geometry_bohr + shift)
    points = sample(wavefunction, 100)
    first = potential_at_points(wavefunction, cartesian_orbitals(wavefunction), points)
    second = potential_at_points(moved, cartesian_orbitals(moved), points + shift)
    assert np.abs(first - second).max() < 1e-9


def test_a_voxel_on_a_nucleus_is_finite():
    wavefunction = CASES["water STO-3G"]()
    x, y, z = wavefunction.geometry_bohr[0]
    grid = VoxelGrid((x - 0.5 * 4, y - 0.5 * 4, z - 0.5 * 4), 0.5, (8, 8, 8))
    field = electrostatic_potential(wavefunction, cartesian_orbitals(wavefunction), grid)
    assert torch.isfinite(field).all()
    assert float(field[0, 4, 4, 4]) == pytest.approx(8 / 0.01, rel=0.05)
