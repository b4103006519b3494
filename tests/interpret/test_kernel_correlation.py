from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decar.dataset.rotations import ALL, IDENTITY, SIX
from decar.interpret import correlation
from decar.interpret.correlation import best_match, centred_kernels
from tests.interpret.explicit_correlation import explicit_match


def slow_best(activation, mask, kernel, rotations, min_variance):
    """r_k by plain loops and numpy.corrcoef: (correlation, position, rotation)."""
    k = kernel.shape[-1]
    padded = np.pad(activation.astype(float), [(0, 0)] + [(k // 2, k // 2)] * 3)
    patches = {
        centre: padded[(slice(None), *(slice(c, c + k) for c in centre))].ravel()
        for centre in product(*map(range, mask.shape))
        if mask[centre]
    }
    floor = min_variance * max(patch.var() for patch in patches.values())
    best = (-2.0, None, None)
    for number, rotation in enumerate(rotations):
        weights = rotation.apply(kernel).ravel()
        for centre, patch in patches.items():
            value = np.corrcoef(weights, patch)[0, 1] if patch.var() >= floor else -2.0
            if value > best[0] + 1e-12:
                best = (value, centre, number)
    return best


@settings(deadline=None, max_examples=8)
@given(st.integers(0, 1000), st.sampled_from([(5, 5, 5), (6, 4, 5), (3, 3, 3), (4, 3, 7)]), st.integers(1, 3))
def test_equal_to_plain_loops_over_positions_and_rotations(seed, shape, channels):
    generator = np.random.default_rng(seed)
    activation = generator.normal(0.5, 1.0, (channels, *shape)).astype(np.float32)
    activation[:, :, 0] *= 0.1
    mask = np.ones(shape)
    mask[-1] = 0 if shape[0] > 3 else 1
    activation *= mask
    kernels = generator.normal(size=(2, channels, 3, 3, 3)).astype(np.float32)
    found = best_match(activation, mask, kernels, SIX, 0.3)
    for index, kernel in enumerate(kernels):
        value, centre, rotation = slow_best(activation, mask, kernel, SIX, 0.3)
        assert found.correlation[index] == pytest.approx(value, abs=1e-6)
        assert tuple(found.position[index]) == centre
        assert found.rotation[index] == rotation


@pytest.mark.parametrize("planted", [0, 7, 23])
def test_a_planted_kernel_is_found_where_and_how_it_lies(planted):
    generator = np.random.default_rng(planted)
    kernels = generator.normal(size=(3, 2, 3, 3, 3))
    activation = 0.1 * generator.normal(size=(2, 9, 8, 10))
    # Pearson's r sees neither the height nor the offset of the planted copy.
    activation[:, 4:7, 2:5, 5:8] = 3.0 * ALL[planted].apply(kernels[1]) - 5.0
    found = best_match(activation, np.ones((9, 8, 10)), kernels, ALL, 0.01)
    assert found.correlation[1] == pytest.approx(1.0, abs=1e-12)
    assert tuple(found.position[1]) == (5, 3, 6)  # the central voxel
    assert found.rotation[1] == planted
    assert (found.correlation[[0, 2]] < 0.9).all()


@pytest.mark.parametrize("rotation", ALL[::5])
def test_turning_the_activations_changes_nothing(rotation):
    generator = np.random.default_rng(4)
    activation, kernels = generator.random((2, 6, 5, 7)), generator.normal(size=(4, 2, 3, 3, 3))
    first = best_match(activation, np.ones((6, 5, 7)), kernels, ALL, 0.01)
    turned = rotation.apply(activation)
    second = best_match(turned, np.ones(turned.shape[1:]), kernels, ALL, 0.01)
    np.testing.assert_allclose(first.correlation, second.correlation, atol=1e-12)


def test_a_mirror_image_is_not_found_as_a_rotation():
    generator = np.random.default_rng(5)
    kernel = generator.normal(size=(1, 1, 3, 3, 3))
    found = best_match(kernel[0, :, ::-1], np.ones((3, 3, 3)), kernel, ALL, 0.01)
    assert found.correlation[0] < 0.9


def test_scale_of_a_molecule_does_not_matter():
    generator = np.random.default_rng(6)
    activation, kernels = generator.random((2, 5, 5, 5)), generator.normal(size=(3, 2, 3, 3, 3))
    first, second = (best_match(s * activation, np.ones((5, 5, 5)), kernels, SIX, 0.01) for s in (1, 1e6))
    np.testing.assert_allclose(first.correlation, second.correlation, atol=1e-12)


def test_padding_of_a_batch_does_not_matter():
    generator = np.random.default_rng(6)
    activation, kernels = generator.random((2, 5, 4, 5)), generator.normal(size=(3, 2, 3, 3, 3))
    first = best_match(activation, np.ones((5, 4, 5)), kernels, SIX, 0.01)
    room = [(0, 3), (0, 2), (0, 0)]
    second = best_match(np.pad(activation, [(0, 0), *room]), np.pad(np.ones((5, 4, 5)), room), kernels, SIX, 0.01)
    np.testing.assert_allclose(first.correlation, second.correlation, atol=1e-12)
    np.testing.assert_array_equal(first.position, second.position)


def test_a_faint_patch_is_no_match_however_alike_it_is():
    generator = np.random.default_rng(7)
    kernel = generator.normal(size=(1, 1, 3, 3, 3))
    activation = np.zeros((1, 12, 3, 3), dtype=np.float32)
    activation[:, :3] += 0.05 * kernel[0].astype(np.float32)
    activation[:, 9:] += generator.normal(size=(1, 3, 3, 3)).astype(np.float32)
    mask = np.ones((12, 3, 3))
    assert best_match(activation, mask, kernel, (IDENTITY,), 1e-6).correlation[0] == pytest.approx(1.0, abs=1e-6)
    found = best_match(activation, mask, kernel, (IDENTITY,), 0.01)
    assert found.position[0][0] > 5
    assert found.correlation[0] < 0.9


def test_rounding_of_a_constant_is_no_pattern():
    generator = np.random.default_rng(8)
    kernel = generator.normal(size=(1, 1, 3, 3, 3))
    activation = (0.3 + 1e-8 * generator.normal(size=(1, 5, 5, 5))).astype(np.float32)
    mask = np.zeros((5, 5, 5))
    mask[2, 2, 2] = 1  # the one patch that the faces of the box do not cut
    assert np.isnan(best_match(activation, mask, kernel, ALL, 0.01).correlation).all()


def test_nothing_to_correlate_is_nan():
    kernels = np.random.default_rng(8).normal(size=(2, 1, 3, 3, 3))
    ramp, mask = np.arange(64.0).reshape(1, 4, 4, 4), np.ones((4, 4, 4))
    empty = best_match(0 * ramp, mask, kernels, ALL, 0.01)
    assert np.isnan(empty.correlation).all()
    assert (empty.position == -1).all()
    assert (empty.rotation == -1).all()
    assert np.isnan(best_match(ramp, 0 * mask, kernels, ALL, 0.01).correlation).all()
    kernels[0] = 0.25
    found = best_match(ramp, mask, kernels, (IDENTITY,), 0.01)
    assert np.isnan(found.correlation[0])
    assert np.isfinite(found.correlation[1])


def test_blocks_do_not_change_the_result(monkeypatch):
    generator = np.random.default_rng(9)
    activation, kernels = generator.random((2, 6, 6, 6)), generator.normal(size=(3, 2, 3, 3, 3))
    whole = best_match(activation, np.ones((6, 6, 6)), kernels, SIX, 0.01)
    monkeypatch.setattr(correlation, "BLOCK_BYTES", 5 * 4 * 6**3)
    parts = best_match(activation, np.ones((6, 6, 6)), kernels, SIX, 0.01)
    np.testing.assert_allclose(whole.correlation, parts.correlation, atol=1e-12)
    np.testing.assert_array_equal(whole.position, parts.position)


def test_centred_kernels_have_zero_mean_and_unit_norm():
    kernels = centred_kernels(np.random.default_rng(1).normal(3, 1, (4, 2, 3, 3, 3)).astype(np.float32))
    np.testing.assert_allclose(kernels.reshape(4, -1).sum(axis=1), 0, atol=1e-12)
    np.testing.assert_allclose(np.square(kernels.reshape(4, -1)).sum(axis=1), 1, atol=1e-12)


@settings(deadline=None, max_examples=5)
@given(st.integers(0, 1000), st.sampled_from([3, 5]), st.floats(0.01, 0.5), st.sampled_from([0.0, 3.0]))
def test_equal_to_explicit_patches_on_faint_and_on_raised_activations(seed, size, least, level):
    generator = np.random.default_rng(seed)
    axes = np.stack(np.meshgrid(*[np.linspace(-2, 2, n) for n in (12, 10, 14)], indexing="ij"))
    envelope = np.exp(-(axes**2).sum(axis=0))  # fades towards the faces, as a molecule's activations do
    activation = (level + envelope * generator.normal(size=(3, 12, 10, 14))).astype(np.float32)
    kernels = generator.normal(size=(4, 3, size, size, size)).astype(np.float32)
    mask = np.ones((12, 10, 14))
    found, explicit = (match(activation, mask, kernels, SIX, least) for match in (best_match, explicit_match))
    # Not above the true maximum, and below it by single precision at most.
    assert (found.correlation <= explicit.correlation + 1e-12).all()
    np.testing.assert_allclose(found.correlation, explicit.correlation, atol=2e-6)
