import numpy as np
import pytest
from scipy import sparse
from scipy.spatial.distance import cdist

from decar.baselines.tuned import FITS, lssvm, tune_and_predict


def rings(n=90, seed=0):
    generator = np.random.default_rng(seed)
    label = (np.arange(n) % 2).astype(float)
    angle = generator.uniform(0, 2 * np.pi, n)
    radius = 1 + label + 0.1 * generator.normal(size=n)
    features = sparse.csr_matrix(np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1))
    return features, label, np.array(["train", "validation", "test"], dtype=object)[np.arange(n) // 2 % 3]


def test_lssvm_is_kernel_ridge_regression_with_a_free_offset():
    features, label, _ = rings(30)
    found = lssvm(features, label, features, {"gamma": 10.0, "width": 1.0}, 0)
    x = features.toarray()
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    kernel, y = np.exp(-cdist(x, x, "sqeuclidean") / 2), 2 * label - 1
    # The offset minimises y' R y over y - b: independent of the bordered system.
    inverse = np.linalg.inv(kernel + np.eye(30) / 10)
    offset = inverse.sum(axis=0) @ y / inverse.sum()
    value = kernel @ inverse @ (y - offset) + offset
    np.testing.assert_allclose(found, np.clip((1 + value) / 2, 0, 1), atol=1e-10)


@pytest.mark.parametrize("fit", sorted(FITS))
def test_two_rings_are_told_apart_and_a_rerun_agrees(fit):
    features, label, subset = rings()
    first = tune_and_predict(fit, features, label, subset, 1)
    is_test = subset == "test"
    assert np.mean((first > 0.5)[is_test] == label[is_test]) > 0.85
    np.testing.assert_array_equal(first, tune_and_predict(fit, features, label, subset, 1))


def test_test_labels_are_never_seen_and_every_grid_has_nine_settings():
    features, label, subset = rings()
    flipped = np.where(subset == "test", 1 - label, label)
    first, second = (tune_and_predict("lssvm", features, values, subset, 1) for values in (label, flipped))
    np.testing.assert_array_equal(first, second)
    assert {len(settings) for _, settings in FITS.values()} == {9}


def test_lssvm_of_values_solves_its_equations():
    generator = np.random.default_rng(4)
    x, y = generator.normal(size=(30, 3)), generator.normal(7, 3, 30)
    found = lssvm(sparse.csr_matrix(x), y, sparse.csr_matrix(x), {"gamma": 10.0, "width": 1.0}, 0, "regression")
    # alpha_i = gamma (y_i - f_i) sums to zero, and f - b = K alpha.
    alpha = 10.0 * (y - found)
    assert abs(alpha.sum()) < 1e-9
    scaled = (x - x.mean(axis=0)) / x.std(axis=0)
    offset = found - np.exp(-cdist(scaled, scaled, "sqeuclidean") / 3) @ alpha
    np.testing.assert_allclose(offset, offset[0], atol=1e-9)


@pytest.mark.parametrize("fit", sorted(FITS))
def test_values_are_learned_and_do_not_depend_on_their_zero(fit):
    generator = np.random.default_rng(5)
    x = generator.uniform(-1, 1, size=(150, 2))
    label = 40 + 10 * (x[:, 0] ** 2 - x[:, 1])
    subset = np.array(["train", "train", "validation", "test"], dtype=object)[np.arange(150) % 4]
    features, is_test = sparse.csr_matrix(x), subset == "test"
    found = tune_and_predict(fit, features, label, subset, 1, "regression")
    rest = ((found - label)[is_test] ** 2).mean() / label[is_test].var()
    assert rest < 0.2
    shifted = tune_and_predict(fit, features, label - 40, subset, 1, "regression")
    np.testing.assert_allclose(found - 40, shifted, atol=1e-4)
    flipped = np.where(is_test, -label, label)
    np.testing.assert_array_equal(found, tune_and_predict(fit, features, flipped, subset, 1, "regression"))
    one_value = np.where(is_test, label, 3.0)
    assert (tune_and_predict(fit, features, one_value, subset, 1, "regression") == 3.0).all()
