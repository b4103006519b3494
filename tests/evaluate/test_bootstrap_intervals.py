import numpy as np
import pytest
from scipy.stats import binom

from decar.evaluate import intervals
from decar.evaluate.intervals import bootstrap_intervals
from decar.evaluate.metrics import METRICS, metrics


def sample(n, seed=0):
    generator = np.random.default_rng(seed)
    label = generator.integers(0, 2, n)
    return label, np.clip(0.5 + 0.3 * (label - 0.5) + 0.2 * generator.normal(size=n), 0, 1)


def test_interval_of_the_accuracy_is_that_of_the_binomial_distribution():
    # The bootstrap distribution of a proportion p is exactly Binomial(n, p) / n.
    label, probability = sample(200)
    p = float(metrics(label, probability)["accuracy"])
    low, high = bootstrap_intervals(label, probability, 20_000, 0.9, seed=1)["accuracy"]
    assert low == pytest.approx(binom.ppf(0.05, 200, p) / 200, abs=0.0051)
    assert high == pytest.approx(binom.ppf(0.95, 200, p) / 200, abs=0.0051)


def test_intervals_hold_the_value_and_shrink_with_more_molecules():
    widths = []
    for n in (50, 800):
        label, probability = sample(n)
        value = metrics(label, probability)
        found = bootstrap_intervals(label, probability, 400, 0.95, seed=2)
        assert all(found[name][0] <= float(value[name]) <= found[name][1] for name in METRICS)
        widths.append(found["auroc"][1] - found["auroc"][0])
    assert widths[1] < widths[0] / 2


def test_seed_and_not_the_size_of_a_block_decides_the_resamples(monkeypatch):
    label, probability = sample(40)
    first = bootstrap_intervals(label, probability, 101, 0.95, seed=3)
    monkeypatch.setattr(intervals, "BLOCK_BYTES", 8 * 40 * 7)
    assert bootstrap_intervals(label, probability, 101, 0.95, seed=3) == first
    assert bootstrap_intervals(label, probability, 101, 0.95, seed=4) != first


def test_an_undefined_metric_has_no_interval():
    found = bootstrap_intervals(np.ones(5), np.linspace(0, 1, 5), 100, 0.95, seed=0)
    assert np.isnan(found["auroc"]).all()
    assert np.isnan(found["mcc"]).all()
    assert np.isfinite(found["accuracy"]).all()


def test_a_single_positive_molecule_does_not_crash():
    label = np.array([1, 0, 0, 0])
    low, high = bootstrap_intervals(label, np.array([0.9, 0.1, 0.2, 0.95]), 200, 0.95, seed=0)["auroc"]
    assert 0 <= low <= high <= 1
