import numpy as np
import pytest
from scipy.special import erf

from decar.fields.quadrature import RadialRule, atom_quadrature, atom_shares
from decar.fields.radial_poisson import radial_potentials

NUMBERS = np.array([8, 1, 1], dtype=np.int32)
PLACES = np.array([[0.1, 0.2, 0.3], [1.55, 0.35, -0.75], [-0.9, 1.6, 0.9]])


def test_shares_sum_to_one_and_nuclei_are_their_own():
    points = np.vstack([PLACES, np.random.default_rng(0).normal(size=(500, 3)) * 20])
    shares = atom_shares(NUMBERS, PLACES, points)
    assert np.allclose(shares.sum(axis=0), 1, rtol=1e-12)
    assert np.allclose(shares[:, :3], np.eye(3), atol=1e-12)


def test_integrates_gaussians_on_and_between_the_atoms():
    total = 0.0
    middle = PLACES.mean(axis=0)
    for atom in range(3):
        quadrature = atom_quadrature(atom, NUMBERS, PLACES, 60, 41)
        for centre, exponent in ((PLACES[0], 50.0), (middle, 0.7), (PLACES[2], 2.0)):
            square = ((quadrature.points - centre) ** 2).sum(axis=1)
            total += quadrature.weights @ ((exponent / np.pi) ** 1.5 * np.exp(-exponent * square))
    assert total == pytest.approx(3.0, abs=2e-5)


@pytest.mark.parametrize("l", [0, 1, 4, 10])
def test_radial_potential_solves_poissons_equation(l):
    """rho_lm = r^l exp(-r^2): U by quadrature on a fine radial grid, and l = 0 in closed form."""
    rule = RadialRule(60, 1.0)
    radii = rule.radius(rule.nodes)
    components = np.zeros((60, (l + 1) ** 2))
    components[:, -1] = radii**l * np.exp(-(radii**2))
    found = radial_potentials(rule, components, l)[:, -1]
    s = np.geomspace(1e-6, 12, 200001)
    rho = s**l * np.exp(-(s**2))
    inner, outer = s ** (l + 3) * rho, s ** (2.0 - l) * rho
    inner = np.concatenate([[0], np.cumsum((inner[1:] + inner[:-1]) / 2)]) * np.log(s[1] / s[0])
    outer = np.concatenate([[0], np.cumsum((outer[1:] + outer[:-1]) / 2)]) * np.log(s[1] / s[0])
    expected = 4 * np.pi / (2 * l + 1) * (inner / s ** (l + 1) + s**l * (outer[-1] - outer))
    kept = (radii > 1e-3) & (radii < 10)
    assert np.allclose(found[kept], np.interp(radii[kept], s, expected), rtol=2e-5, atol=1e-6 * expected.max())
    if l == 0:
        assert np.allclose(found[kept], np.pi**1.5 * erf(radii[kept]) / radii[kept], rtol=1e-5)
