import numpy as np
import pytest
import torch

from decar.config import ModelSettings
from decar.dataset.rotations import SIX
from decar.interpret.gallery import contributions
from decar.interpret.kernel_shape import invariance, kernel_tables, radial_profile, sphere
from decar.interpret.receptive import field_match, linear_stack
from decar.models.published import PublishedNetwork
from decar.units import ANGSTROM_PER_BOHR

EDGE = 20
X, Y, Z = np.meshgrid(*[np.arange(EDGE) - (EDGE - 1) / 2] * 3, indexing="ij")
R2 = X**2 + Y**2 + Z**2
SHELL = np.exp(-R2 / 18)
PLANTED = {0: SHELL, 1: SHELL * (X - 2 * Z), 2: SHELL * (X * Y + Z**2 - R2 / 3), 3: SHELL * X * Y * Z,
           4: SHELL * (X**4 - 6 * X**2 * Y**2 + Y**4)}  # fmt: skip


def test_quadrature_and_harmonics_are_orthonormal():
    at = sphere()
    assert at.weights.sum() == pytest.approx(4 * np.pi)
    np.testing.assert_allclose((at.harmonics * at.weights) @ at.harmonics.T, np.eye(25), atol=1e-12)


@pytest.mark.parametrize("l", PLANTED)
def test_a_planted_harmonic_has_its_share(l):  # noqa: E741
    _, _, shares, inside = radial_profile(PLANTED[l], 0.5, sphere())
    assert shares[l] == pytest.approx(1.0, abs=0.005)
    assert np.delete(shares, l) == pytest.approx(0.0, abs=0.005)
    assert inside > 0.8


def test_radial_profile_is_the_mean_over_spheres_in_angstrom():
    radii, mean, _, _ = radial_profile(PLANTED[0] + PLANTED[1], 0.5, sphere())
    bohr = radii / ANGSTROM_PER_BOHR
    np.testing.assert_allclose(mean, np.exp(-((bohr / 0.5) ** 2) / 18), atol=2e-3)
    assert bohr[-1] == pytest.approx((EDGE - 1) / 2 * 0.5)


def test_invariance_of_a_sphere_a_direction_and_a_cube():
    assert invariance(PLANTED[0][None]) == pytest.approx(1.0)
    # Of the 24 rotations the mean of a vector is zero: the 23 others sum to minus the vector.
    assert invariance(PLANTED[1][None]) == pytest.approx(-1 / 23)
    assert invariance((X**4 + Y**4 + Z**4)[None]) == pytest.approx(1.0)
    assert np.isnan(invariance(np.zeros((1, 4, 4, 4))))


@pytest.fixture(scope="module")
def stack():
    network = PublishedNetwork(ModelSettings(channels=(2, 3), kernel_size=3, fields=("a", "b")), 0.5)
    network.initialise(3)
    return linear_stack(network, 2)


def test_tables_have_a_row_a_kernel_and_field(stack):
    profiles, shapes = kernel_tables(stack.fields.numpy(), ["a", "b"], 0.5, "trained")
    assert len(shapes) == 6
    shares = shapes[[f"share_l{l}" for l in range(5)] + ["share_rest"]]  # noqa: E741
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    assert shapes["edge_angstrom"].iloc[0] == pytest.approx(stack.edge * 0.5 * ANGSTROM_PER_BOHR)
    assert set(profiles["field"]) == {"a", "b"}


def test_contributions_of_atoms_sum_to_the_correlation(stack):
    generator = np.random.default_rng(0)
    voxels = np.zeros((2, 16, 24, 16), dtype=np.float32)
    voxels[:, 4:12, 6:18, 4:12] = generator.random((2, 8, 12, 8))
    cells = generator.integers(0, 4, (16, 24, 16))
    match = field_match(stack, *stack.patches(voxels, 0.1), SIX)
    for kernel in range(3):
        shares = contributions(stack, kernel, match, SIX, voxels, cells, 4)
        assert shares.shape == (5,)
        assert shares.sum() == pytest.approx(match.correlation[kernel], abs=1e-9)
    # A field that is the receptive field itself is matched there and nowhere else.
    planted = np.zeros((2, 16, 16, 16), dtype=np.float32)
    planted[:, 3 : 3 + stack.edge, 5 : 5 + stack.edge, 3 : 3 + stack.edge] = torch.flip(stack.fields[1], ()).numpy()
    match = field_match(stack, *stack.patches(planted, 0.1), SIX)
    inside = np.full((16, 16, 16), 1)
    inside[3 : 3 + stack.edge, 5 : 5 + stack.edge, 3 : 3 + stack.edge] = 0
    shares = contributions(stack, 1, match, SIX, planted, inside, 1)
    assert shares == pytest.approx([1.0, 0.0], abs=1e-5)
