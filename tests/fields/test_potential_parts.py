"""The parts of the potential by themselves: the split of the density, the lattice, interpolation, harmonics' slopes."""

import numpy as np
import pytest
import torch
from scipy.special import erf

from decar.fields.balls import harmonic_gradients
from decar.fields.batch_rendering import centred_grid
from decar.fields.coulomb import Lattice, lattice_potential
from decar.fields.gaussian_split import split_gaussians
from decar.fields.hard_atoms import BallRule, compensation_factors, turned
from decar.fields.harmonics import solid_harmonics
from decar.fields.interpolation import interpolation_matrix
from decar.fields.orbitals import cartesian_orbitals
from decar.fields.points import functions_at, point_intermediates
from decar.fields.potential import STANDARD, electrostatics, hard_atoms
from decar.fields.rotation import harmonics_turn, random_rotation, rotated
from tests.fields.test_fields_accuracy import core_orbitals


def orbitals_at(part, points: torch.Tensor) -> torch.Tensor:
    every = torch.ones(part.num_functions, dtype=torch.bool)
    return part.coefficients.T @ functions_at(part, every, points)[0]


@pytest.mark.parametrize("name", ["bromine", "radical", "g functions"])
def test_soft_and_hard_density_are_the_density(name):
    wavefunction = core_orbitals(name)
    split = split_gaussians(wavefunction, 1.3, 1e-4, 1e-6)
    random = np.random.default_rng(0)
    places = wavefunction.geometry_bohr
    near = places[random.integers(0, len(places), 200)] + random.normal(size=(200, 3)) * 0.3
    points = np.concatenate([near, random.normal(size=(200, 3)) * 3])
    total = (orbitals_at(split.soft, torch.tensor(points)) ** 2).sum(dim=0)
    for number, hard in zip(wavefunction.atomic_numbers.tolist(), split.hard):
        partner = split.partners[number]
        total += (orbitals_at(hard, torch.tensor(points)) * orbitals_at(partner, torch.tensor(points))).sum(dim=0)
    exact = point_intermediates(cartesian_orbitals(wavefunction), points).density
    assert torch.allclose(total, exact, rtol=1e-9, atol=1e-11)


def test_hard_parts_end_within_their_reach():
    wavefunction = core_orbitals("bromine")
    split = split_gaussians(wavefunction, 1.3, 1e-4, 1e-6)
    assert (split.soft_reach_bohr > split.hard_reach_bohr).all()
    for centre, hard, reach in zip(wavefunction.geometry_bohr, split.hard, split.hard_reach_bohr):
        points = torch.tensor(centre + reach * np.eye(3))
        assert orbitals_at(hard, points).abs().max() < 1.1e-6


@pytest.mark.parametrize("start", [0, 7, -60], ids=["same place", "beside", "apart"])
def test_the_lattice_gives_the_potential_of_a_gaussian(start):
    """exp(-a r^2) (a / pi)^(3/2) has the potential erf(sqrt(a) r) / r."""
    spacing, exponent = 0.4, 1.1
    axis = spacing * np.arange(28) - 5.4
    x, y, z = np.meshgrid(axis, axis, axis, indexing="ij")
    charge = torch.tensor((exponent / np.pi) ** 1.5 * np.exp(-exponent * (x**2 + y**2 + z**2)))
    found = lattice_potential(
        charge, Lattice((0, 0, 0), (28, 28, 28), spacing), Lattice((start, 2, 0), (20, 9, 12), spacing)
    )
    points = [spacing * (np.arange(n) + first) - 5.4 for first, n in ((start, 20), (2, 9), (0, 12))]
    r = np.linalg.norm(np.stack(np.meshgrid(*points, indexing="ij")), axis=0)
    assert np.abs(found.numpy() - erf(np.sqrt(exponent) * r) / r).max() < 1e-7


def test_interpolation_follows_a_wave_and_its_slope():
    """Six points a wavelength, far from the ends."""
    places = np.linspace(25, 35, 40)
    wave, slope = (interpolation_matrix(0, 61, places, order) @ np.sin(np.arange(61.0)) for order in (0, 1))
    assert np.abs(wave - np.sin(places)).max() < 1e-6
    assert np.abs(slope - np.cos(places)).max() < 1e-5


@pytest.mark.parametrize("l", [0, 3, 8])
def test_compensating_charges_have_multipole_one(l):
    r = np.linspace(0, 12, 40001)
    factor = compensation_factors(1.5, 8)[l * l]
    assert np.trapezoid(factor * r ** (2 * l + 2) * np.exp(-1.5 * r**2), r) == pytest.approx(1, rel=1e-9)


def test_slopes_of_harmonics_are_harmonics():
    points = np.random.default_rng(1).normal(size=(3, 20))
    values = solid_harmonics(torch.tensor(points), 6)
    for axis, matrix in enumerate(harmonic_gradients(6, torch.float64)):
        step = np.zeros((3, 1))
        step[axis] = 1e-5
        slope = solid_harmonics(torch.tensor(points + step), 6) - solid_harmonics(torch.tensor(points - step), 6)
        assert torch.allclose(matrix @ values, slope / 2e-5, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("highest_l", [0, 1, 8, 18])
def test_harmonics_turn_among_those_of_their_l(highest_l):
    rotation = random_rotation(np.random.default_rng(2))
    points = np.random.default_rng(1).normal(size=(3, 30))
    here, there = (solid_harmonics(torch.tensor(xyz), highest_l).numpy() for xyz in (points, rotation.T @ points))
    turn = harmonics_turn(highest_l, rotation)
    assert np.allclose(turn.T @ here, there, rtol=1e-10, atol=1e-10 * np.abs(here).max())
    assert np.allclose(turn @ turn.T, np.eye(len(turn)), atol=1e-12)


@pytest.mark.parametrize("name", ["radical", "g functions"])
def test_hard_atoms_turn_with_their_molecule(name):
    """The potential with atoms that were turned is as close to the tight one as with those worked out anew."""
    wavefunction, rotation = core_orbitals(name), random_rotation(np.random.default_rng(4))
    other = rotated(wavefunction, rotation)
    grid = centred_grid(other.geometry_bohr, (20, 20, 20), 0.5)
    atoms = turned(hard_atoms(wavefunction, STANDARD), rotation)
    found, anew = (electrostatics(other, grid, atoms=known, order=1).double() for known in (atoms, None))
    tight = electrostatics(other, grid, torch.float64, order=1)
    assert not torch.equal(found, anew)
    for own, other_way, exact in zip(found, anew, tight):
        assert (own - exact).square().mean().sqrt() < 1.5 * (other_way - exact).square().mean().sqrt() + 1e-6


def test_the_radii_of_a_ball_rise_to_its_edge():
    rule = BallRule(32, 2.9)
    radii = rule.radius(rule.nodes)
    assert (np.diff(radii) > 0).all()
    assert radii[-1] == 2.9
    step = 1e-6
    slopes = (rule.radius(rule.nodes + step) - rule.radius(rule.nodes - step)) / (2 * step)
    assert np.allclose(rule.slope(rule.nodes), slopes, rtol=1e-6)
