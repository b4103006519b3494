"""Every field of the registry: complete, and equal to a value that is known in closed form."""

import numpy as np
import pytest
import torch

from decar.errors import ConfigError
from decar.fields.grid import VoxelGrid
from decar.fields.registry import FIELDS, check_field_names, evaluate_fields
from tests.fields.systems import gaussians

# Two electrons in a Gaussian of exponent 0.4 at a nucleus of charge 2, one bohr away.
DENSITY = 2 * (0.8 / np.pi) ** 1.5 * np.exp(-0.8)
# Helium's Hartree-Fock orbital at one bohr, in five Slater functions (doi 10.1016/S0092-640X(74)80016-1).
EXPONENTS = np.array([1.41714, 2.37682, 4.39628, 6.52699, 7.94252])
WEIGHTS = np.array([0.76838, 0.22346, 0.04082, -0.00994, 0.00230])
HELIUM_ORBITAL = np.sum(WEIGHTS * np.sqrt(EXPONENTS**3 / np.pi) * np.exp(-EXPONENTS))
REFERENCE = {
    "electron_density": DENSITY,
    "density_gradient_norm": 4 * 0.4 * DENSITY,
    "promolecular_density": 2 * HELIUM_ORBITAL**2,
    "electrostatic_potential": 2 - 2 * 0.794097,  # erf(sqrt(0.8)) = 0.794097
}


@pytest.mark.parametrize("name", FIELDS)
def test_reference_value(name):
    wavefunction = gaussians([[0.0, 0.0, 0.0]], [0.4], [2], num_electrons=2.0)
    grid = VoxelGrid((1.0, 0.0, 0.0), 0.25, (8, 8, 8))
    found = evaluate_fields([name], wavefunction, grid)[name]
    assert found.shape == (FIELDS[name].channels, 8, 8, 8)
    assert found.dtype == torch.float32
    assert float(found[0, 0, 0, 0]) == pytest.approx(REFERENCE[name], rel=1e-3)
    exact = FIELDS[name].exact(wavefunction, np.array([[1.0, 0.0, 0.0]]))
    assert float(exact[0, 0]) == pytest.approx(REFERENCE[name], rel=1e-3)


def test_fields_together_are_the_fields_alone():
    wavefunction = gaussians([[0.0, 0.0, 0.0], [1.3, 0.2, 0.0]], [0.4, 1.1], [2, 1], num_electrons=1.0)
    grid = VoxelGrid((-2.0, -2.0, -2.0), 0.5, (8, 8, 8))
    together = evaluate_fields(FIELDS, wavefunction, grid, torch.float64)
    for name, field in together.items():
        assert torch.allclose(field, evaluate_fields([name], wavefunction, grid, torch.float64)[name], rtol=1e-9)


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
