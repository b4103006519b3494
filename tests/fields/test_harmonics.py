import numpy as np
import pytest
import torch
from pyscf import gto
from scipy.integrate import lebedev_rule

from decar.fields.harmonics import cartesian_coefficients, cartesian_powers, solid_harmonics


def test_orthonormal_on_the_sphere():
    directions, weights = lebedev_rule(31)
    values = solid_harmonics(torch.tensor(directions), 12).numpy()
    assert np.allclose((values * weights) @ values.T, np.eye(169), atol=1e-12)


@pytest.mark.parametrize("l", range(6))
def test_polynomials_and_recursion_agree(l):
    points = torch.tensor(np.random.default_rng(1).normal(size=(3, 40)))
    x, y, z = points.numpy()
    monomials = np.array([x**a * y**b * z**c for a, b, c in cartesian_powers(l)])
    expected = solid_harmonics(points, l).numpy()[l * l :]
    assert np.allclose(cartesian_coefficients(l).T @ monomials, expected, atol=1e-12)


@pytest.mark.parametrize("l", [2, 3, 4])
def test_convention_is_that_of_libcint(l):
    assert np.allclose(cartesian_coefficients(l), gto.cart2sph(l, normalized="sp"), atol=1e-13)
