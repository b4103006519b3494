"""Every field of the registry: complete, and equal to a value that is known in closed form."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import erfc

from decar.errors import ChemistryError, ConfigError
from decar.fields.grid import VoxelGrid
from decar.fields.registry import FIELDS, check_field_names, evaluate_fields
from decar.quantum.wavefunction import Basis, Wavefunction
from tests.fields.systems import gaussians

# Two electrons in a Gaussian of exponent 0.4 at a nucleus of charge 2, one bohr away along x; above it an empty
# Gaussian of exponent 1.1.
DENSITY = 2 * (0.8 / np.pi) ** 1.5 * np.exp(-0.8)
KINETIC = 2 * 0.4**2 * DENSITY
UNIFORM_GAS = 0.3 * (3 * np.pi**2) ** (2 / 3) * DENSITY ** (5 / 3)
# Helium's Hartree-Fock orbital at one bohr, in five Slater functions (doi 10.1016/S0092-640X(74)80016-1).
EXPONENTS = np.array([1.41714, 2.37682, 4.39628, 6.52699, 7.94252])
WEIGHTS = np.array([0.76838, 0.22346, 0.04082, -0.00994, 0.00230])
HELIUM = 2 * np.sum(WEIGHTS * np.sqrt(EXPONENTS**3 / np.pi) * np.exp(-EXPONENTS)) ** 2
OUTSIDE = 2 * erfc(np.sqrt(0.8))  # electrons missing from within, were the potential a point charge's
REFERENCE = {
    "electron_density": DENSITY,
    "spin_density": 0.0,
    "density_gradient": -4 * 0.4 * DENSITY,
    "density_gradient_norm": 4 * 0.4 * DENSITY,
    "density_laplacian": (4 * 0.8**2 - 6 * 0.8) * DENSITY,
    "kinetic_energy_density": KINETIC,
    "electron_localisation": 1.0,  # of one orbital, everywhere
    "localised_orbital_locator": UNIFORM_GAS / (UNIFORM_GAS + KINETIC),
    "reduced_density_gradient": 4 * 0.4 / (2 * (3 * np.pi**2 * DENSITY) ** (1 / 3)),
    "highest_occupied_density": DENSITY / 2,
    "lowest_empty_density": (2.2 / np.pi) ** 1.5 * np.exp(-2.2),
    "local_ionisation_energy": 0.9,
    "promolecular_density": HELIUM,
    "deformation_density": DENSITY - HELIUM,
    "electrostatic_potential": OUTSIDE,
    "electric_field": OUTSIDE + 4 * np.sqrt(0.8 / np.pi) * np.exp(-0.8),
}


def helium_like() -> Wavefunction:
    one = gaussians([[0.0, 0.0, 0.0]], [0.4], [2], num_electrons=2.0)
    norms = (2 * np.array([0.4, 1.1]) / np.pi) ** 0.75 * np.sqrt(4 * np.pi)
    zero, one_each = np.zeros(2, dtype=np.int32), np.ones(2, dtype=np.int32)
    return replace(
        one, basis=Basis(zero, zero, one_each, np.array([0.4, 1.1]), norms, True), alpha_coefficients=np.eye(2),
        alpha_occupations=np.array([2.0, 0.0]), alpha_energies=np.array([-0.9, 0.2]),
    )  # fmt: skip


@pytest.mark.parametrize("name", FIELDS)
def test_reference_value(name):
    wavefunction = helium_like()
    grid = VoxelGrid((1.0, 0.0, 0.0), 0.25, (8, 8, 8))
    found = evaluate_fields([name], wavefunction, grid)[name]
    assert found.shape == (FIELDS[name].channels, 8, 8, 8)
    assert found.dtype == torch.float32
    assert float(found[0, 0, 0, 0]) == pytest.approx(REFERENCE[name], rel=1e-3, abs=1e-12)
    exact = FIELDS[name].at_points(wavefunction, np.array([[1.0, 0.0, 0.0]]))
    assert exact.shape == (FIELDS[name].channels, 1)
    assert float(exact[0, 0]) == pytest.approx(REFERENCE[name], rel=1e-3, abs=1e-12)


def test_fields_together_are_the_fields_alone():
    wavefunction = helium_like()
    grid = VoxelGrid((-2.0, -2.0, -2.0), 0.5, (8, 8, 8))
    together = evaluate_fields(FIELDS, wavefunction, grid, torch.float64)
    assert list(together) == list(FIELDS)
    for name, field in together.items():
        alone = evaluate_fields([name], wavefunction, grid, torch.float64)[name]
        assert torch.allclose(field, alone, rtol=1e-9, atol=1e-14), name


def test_without_an_empty_orbital_there_is_no_density_of_one():
    wavefunction = gaussians([[0.0, 0.0, 0.0]], [0.4], [2], num_electrons=2.0)
    with pytest.raises(ChemistryError, match="lowest empty orbital") as caught:
        evaluate_fields(["lowest_empty_density"], wavefunction, VoxelGrid((0.0, 0.0, 0.0), 0.5, (8, 8, 8)))
    assert caught.value.reason == "no_empty_orbital"


@pytest.mark.parametrize("field", FIELDS.values(), ids=FIELDS)
def test_entries_are_complete(field):
    described = field.to_metadata()
    assert all(described.values())
    assert field.reference.startswith("10.")
    assert field.name.isidentifier()


def test_an_unknown_field_names_the_nearest():
    with pytest.raises(ConfigError, match="did you mean electron_density"):
        check_field_names(["electron_densty"])
    check_field_names(FIELDS)
