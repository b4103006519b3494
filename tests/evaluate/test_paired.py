import numpy as np
import pytest
from scipy.stats import t as student

from decar.evaluate.calibration import brier, expected_calibration_error
from decar.evaluate.metrics import metrics
from decar.evaluate.paired import Difference, corrected_resampled_t, delong_contrast, delong_covariance

AGAINST = np.array([1.0, -1.0])


def two_models(n=60, seed=0, lead=0.0):
    generator = np.random.default_rng(seed)
    label = np.arange(n) % 3 == 0
    common = generator.normal(size=n) + label
    return label, np.round(common + generator.normal(size=n) + lead * label, 1), common + generator.normal(size=n)


def slow_covariance(label, probabilities):
    """DeLong's equations 3 to 5, pair by pair."""
    positive, negative = np.flatnonzero(label), np.flatnonzero(~label)

    def psi(p, i, j):
        return 1.0 if p[i] > p[j] else 0.5 if p[i] == p[j] else 0.0

    v10 = [[sum(psi(p, i, j) for j in negative) / len(negative) for i in positive] for p in probabilities]
    v01 = [[sum(psi(p, i, j) for i in positive) / len(positive) for j in negative] for p in probabilities]

    def cov(a, b):
        a_mean, b_mean = sum(a) / len(a), sum(b) / len(b)
        return sum((x - a_mean) * (y - b_mean) for x, y in zip(a, b)) / (len(a) - 1)

    return [[cov(v10[r], v10[s]) / len(positive) + cov(v01[r], v01[s]) / len(negative) for s in (0, 1)] for r in (0, 1)]


def test_delong_equals_the_sum_over_pairs_and_the_auroc_by_ranks():
    label, first, second = two_models()
    assert len(np.unique(first)) < len(first)  # ties count
    auroc, covariance = delong_covariance(label, np.stack([first, second]))
    np.testing.assert_allclose(covariance, slow_covariance(label, [first, second]), rtol=1e-12)
    np.testing.assert_allclose(auroc, [metrics(label, p)["auroc"] for p in (first, second)], rtol=1e-12)


def test_delong_p_is_that_of_swapping_the_models_molecule_by_molecule():
    label, first, second = two_models(n=150, seed=3, lead=1.0)
    # Swaps need a common scale: ranks leave the AUROC as it is.
    first, second = (np.argsort(np.argsort(p, kind="stable")).astype(float) for p in (first, second))
    found = delong_contrast(label, np.stack([first, second]), AGAINST)
    generator = np.random.default_rng(5)
    differences = []
    for _ in range(1500):
        is_swapped = generator.random(len(label)) < 0.5
        pair = np.where(is_swapped, second, first), np.where(is_swapped, first, second)
        differences.append(float(metrics(label, pair[0])["auroc"] - metrics(label, pair[1])["auroc"]))
    by_swaps = np.mean(np.abs(differences) >= abs(found.value))
    assert found.p == pytest.approx(by_swaps, abs=0.03)
    assert 0.001 < found.p < 0.5


def test_one_model_against_itself_does_not_differ():
    label, first, _ = two_models()
    assert delong_contrast(label, np.stack([first, first]), AGAINST) == Difference(0.0, 0.0, 1.0)


def test_corrected_t_by_hand():
    differences = np.array([0.02, 0.05, -0.01, 0.03, 0.06])
    found = corrected_resampled_t(differences, 0.25)
    error = np.sqrt((1 / 5 + 1 / 4) * sum((d - 0.03) ** 2 for d in differences) / 4)
    assert (found.value, found.standard_error) == pytest.approx((0.03, error))
    assert found.p == pytest.approx(2 * (1 - student.cdf(0.03 / error, 4)))


def test_power_at_the_smallest_shown_difference_is_four_fifths():
    error = 0.02
    shown = Difference(0.0, error, 1.0).smallest_shown
    found = np.random.default_rng(0).normal(shown, error, 200_000)
    assert np.mean(np.abs(found) > 1.959964 * error) == pytest.approx(0.8, abs=0.005)


def test_calibration_of_two_bins_by_hand():
    label, probability = np.array([0, 1, 1, 1]), np.array([0.2, 0.2, 0.9, 1.0])
    assert brier(label, probability) == pytest.approx((0.04 + 0.64 + 0.01 + 0.0) / 4)
    assert expected_calibration_error(label, probability) == pytest.approx((2 * 0.3 + 2 * 0.05) / 4)
