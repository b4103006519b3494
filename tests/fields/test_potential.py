"""The potential against libcint's exact integrals, against analytic charges, and under exact symmetries."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import erf

from decar.fields.exact_potential import exact_electric_field, exact_potential
from decar.fields.grid import VoxelGrid
from decar.fields.potential import STANDARD, electrostatics
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


def box(wavefunction, spacing: float = 0.43, padding: float = 5.0) -> VoxelGrid:
    low = wavefunction.geometry_bohr.min(axis=0) - padding
    shape = np.ceil((wavefunction.geometry_bohr.max(axis=0) + padding - low) / spacing).astype(int)
    return VoxelGrid(tuple(low.tolist()), spacing, tuple(shape.tolist()))


def errors(wavefunction, count: int, grid: VoxelGrid | None = None, dtype=torch.float32, **options) -> np.ndarray:
    """Return V - exact at random voxels, half of them within 2 bohr of nuclei, none within half a bohr."""
    grid = grid or box(wavefunction)
    field = electrostatics(wavefunction, grid, dtype, **options)
    assert field.shape == (1, *grid.shape)
    assert field.dtype == dtype
    points = grid.points()
    distances = np.linalg.norm(points[:, None] - wavefunction.geometry_bohr, axis=2).min(axis=1)
    random = np.random.default_rng(11)
    near, far = np.flatnonzero((distances > 0.5) & (distances < 2)), np.flatnonzero(distances >= 2)
    voxels = np.concatenate([random.permutation(part)[: count // 2] for part in (near, far)])
    return field.flatten().double().numpy()[voxels] - exact_potential(wavefunction, points[voxels])


def rms(error: np.ndarray) -> float:
    return float(np.sqrt(np.mean(error**2)))


@pytest.mark.parametrize("case", CASES)
def test_agrees_with_exact_integrals(case):
    error = errors(CASES[case](), 400)
    assert rms(error) < 5e-5
    assert np.abs(error).max() < 2e-4


@pytest.mark.parametrize("case", ["water cc-pVTZ", "NH2, unrestricted", "hydrogen iodide, core potential"])
def test_tight_reaches_a_millionth(case):
    error = errors(CASES[case](), 300, dtype=torch.float64)
    assert rms(error) < 1e-6


@pytest.mark.parametrize("case", ["NH2, unrestricted", "hydrogen iodide, core potential", "thioformamide"])
def test_the_gradient_agrees_with_exact_integrals(case):
    wavefunction = CASES[case]()
    grid = box(wavefunction, 0.6)
    found = electrostatics(wavefunction, grid, order=1)
    assert torch.equal(found[:1], electrostatics(wavefunction, grid))
    points = grid.points()
    distances = np.linalg.norm(points[:, None] - wavefunction.geometry_bohr, axis=2).min(axis=1)
    voxels = np.random.default_rng(4).permutation(np.flatnonzero(distances > 0.5))[:300]
    error = -found[1:].flatten(1).numpy()[:, voxels] - exact_electric_field(wavefunction, points[voxels])
    assert rms(error) < 1e-4
    assert np.abs(error).max() < 1e-3


@pytest.mark.parametrize("identifier", ["0672", "0858^"])
def test_shared_wavefunctions_agree_with_exact_integrals(shared_data, identifier):
    error = errors(shared_molecule(shared_data, identifier), 150)
    assert rms(error) < 5e-5
    assert np.abs(error).max() < 2e-4


def test_one_gaussian_is_analytic():
    """V = Z / r - N erf(sqrt(2 a) r) / r, for N electrons in exp(-a r^2): all soft, and all hard."""
    for exponent in (0.6, 4.0):
        wavefunction = gaussians([[0.2, 0.1, -0.3]], [exponent], [3], num_electrons=2.0)
        grid = VoxelGrid((-4.0, -4.0, -4.0), 0.47, (16, 16, 16))
        found = electrostatics(wavefunction, grid, torch.float64).flatten().numpy()
        r = np.linalg.norm(grid.points() - wavefunction.geometry_bohr[0], axis=1)
        expected = 3 / r - 2 * erf(np.sqrt(2 * exponent) * r) / r
        assert np.abs(found - expected)[r > 0.5].max() < 1e-6


@pytest.mark.parametrize(("case", "charge"), [("hydroxide, diffuse", -1), ("ammonium", 1), ("water STO-3G", 0)])
def test_far_away_only_the_charge_counts(case, charge):
    """A box of 900 bohr: the dipole is a bohr long and 400 bohr away."""
    wavefunction = CASES[case]()
    grid = VoxelGrid((-450.0, -450.0, -450.0), 100.0, (10, 10, 10))
    found = electrostatics(wavefunction, grid).flatten().numpy()
    distances = np.linalg.norm(grid.points(), axis=1)
    far = distances > 300
    assert np.allclose(found[far] * distances[far], charge, atol=0.012)


@pytest.mark.parametrize("origin", [(-12.0, -20.0, -15.0), (20.0, -5.0, 3.0)], ids=["around", "beside"])
def test_voxels_beyond_the_lattice_are_as_good(origin):
    """Boxes larger than the molecule's lattice, and one that does not contain the molecule."""
    grid = VoxelGrid(origin, 1.3, (24, 24, 24))
    assert np.abs(errors(CASES["hydroxide, diffuse"](), 500, grid)).max() < 5e-5


def test_a_small_fine_box_is_part_of_a_large_one():
    wavefunction = CASES["thioformamide"]()
    large = electrostatics(wavefunction, VoxelGrid((-3.0, -3.0, -3.0), 0.4, (16, 16, 16)))
    small = electrostatics(wavefunction, VoxelGrid((-1.0, -1.0, 0.2), 0.2, (9, 9, 9)))
    assert np.allclose(large[:, 5:10, 5:10, 8:13], small[:, ::2, ::2, ::2], atol=2e-5, rtol=2e-6)


def test_translation_leaves_the_potential_alone():
    wavefunction = CASES["water STO-3G"]()
    shift = np.array([3.1, -20.7, 11.3])
    moved = replace(wavefunction, geometry_bohr=wavefunction.geometry_bohr + shift)
    first, second = (electrostatics(one, box(one), expansion=STANDARD) for one in (wavefunction, moved))
    assert np.allclose(first, second, atol=2e-5, rtol=1e-5)


def test_a_voxel_on_a_nucleus_is_finite():
    wavefunction = CASES["water STO-3G"]()
    x, y, z = wavefunction.geometry_bohr[0]
    grid = VoxelGrid((x - 0.5 * 4, y - 0.5 * 4, z - 0.5 * 4), 0.5, (8, 8, 8))
    field = electrostatics(wavefunction, grid)
    assert torch.isfinite(field).all()
    assert float(field[0, 4, 4, 4]) == pytest.approx(8 / 0.01, rel=0.05)
