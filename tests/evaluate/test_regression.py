"""Metrics of values: scikit-learn and SciPy as oracles, weights as repetitions, and the paired test of two RMSEs."""

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from decar.config import Study
from decar.evaluate.intervals import bootstrap_intervals
from decar.evaluate.measures import MEASURES
from decar.evaluate.paired import rmse_contrast
from decar.evaluate.regression import METRICS, metrics, undefined_note
from decar.predictions import boundary_of
from decar.record import Array


def sample(n: int = 60, seed: int = 0) -> tuple[Array, Array]:
    """Labels with ties, and predictions with ties that follow them."""
    generator = np.random.default_rng(seed)
    label = generator.normal(5, 2, n).round(0)
    return label, (label + generator.normal(0, 1, n)).round(1)


def expected(label: Array, value: Array) -> dict[str, float]:
    return {
        "rmse": root_mean_squared_error(label, value), "mae": mean_absolute_error(label, value),
        "r2": r2_score(label, value), "spearman": spearmanr(label, value).statistic,
    }  # fmt: skip


def test_metrics_are_those_of_the_libraries_and_weights_are_repetitions() -> None:
    label, value = sample()
    found = metrics(label, value)
    assert {name: float(found[name]) for name in METRICS} == pytest.approx(expected(label, value), rel=1e-12)
    weight = np.random.default_rng(1).multinomial(60, np.full(60, 1 / 60), size=5).astype(float)
    of_rows = metrics(label, value, weight)
    for row, counts in enumerate(weight.astype(int)):
        repeated = expected(np.repeat(label, counts), np.repeat(value, counts))
        assert {name: float(of_rows[name][row]) for name in METRICS} == pytest.approx(repeated, rel=1e-10)


def test_what_is_undefined_is_nan_and_says_why() -> None:
    # The mean of a third of 0.1 is not 0.1: rounding is no spread.
    rounded = metrics(np.full(28, 0.1), np.linspace(0, 1, 28), np.ones((2, 28)))
    assert np.isnan([rounded["r2"], rounded["spearman"]]).all()
    label, value = np.full(4, 2.0), np.array([1.0, 2.0, 3.0, 4.0])
    found = metrics(label, value)
    assert np.isnan([found["r2"], found["spearman"]]).all()
    assert found["rmse"] == pytest.approx(np.sqrt(6 / 4))
    assert np.isnan(metrics(value, label)["spearman"])
    assert "4 molecules of 1 value" in undefined_note(label)
    assert undefined_note(value) == ""


def test_intervals_hold_the_value_and_cover_as_often_as_they_say() -> None:
    covered = 0
    for seed in range(200):
        generator = np.random.default_rng(seed)
        label = generator.normal(size=80)
        value = label + generator.normal(0, 0.5, 80)
        low, high = bootstrap_intervals(label, value, 200, 0.9, seed, MEASURES["regression"])["rmse"]
        covered += low <= 0.5 <= high
    # 180 expected; three standard deviations, and what the percentile method misses with 80 molecules.
    assert 160 <= covered <= 195


def test_paired_difference_is_that_of_resampled_molecules() -> None:
    generator = np.random.default_rng(3)
    label = generator.normal(size=150)
    common = generator.normal(0, 0.6, 150)  # errors that both models share cancel
    models = label + np.stack([common + generator.normal(0, 0.2, 150), common + generator.normal(0.2, 0.3, 150)])
    found = rmse_contrast(label, models, np.array([1.0, -1.0]))
    rmse = [root_mean_squared_error(label, row) for row in models]
    assert found.value == pytest.approx(rmse[0] - rmse[1])
    drawn = generator.integers(0, 150, size=(4000, 150))
    errors = np.square(models - label)
    spread = np.subtract(*np.sqrt(errors[:, drawn].mean(axis=2))).std()
    assert found.standard_error == pytest.approx(spread, rel=0.06)
    alone = rmse_contrast(label, models[:1], np.array([1.0])).standard_error
    assert found.standard_error < alone
    same = rmse_contrast(label, models[[0, 0]], np.array([1.0, -1.0]))
    assert (same.value, same.p) == (0.0, 1.0)
    perfect = rmse_contrast(label, np.stack([label, models[0]]), np.array([1.0, -1.0]))
    assert np.isfinite(perfect.p)


def test_halves_of_a_regression_are_never_empty() -> None:
    study = Study.model_validate({
        "study": "s", "molecules": {"table": "t.csv", "labels": {"p": {"column": "p", "kind": "regression"}}},
        "training": {"property": "p", "models": {"decar": {}}}, "interpret": {"model": "decar"},
        "figures": {"example": "1"},
    })  # fmt: skip
    assert boundary_of(study, np.array([1.0, 2.0, 3.0, np.nan])) == 2.0
    capped = np.array([4.1, 4.5, 5.0, 6.0, 6.0, 6.0, 6.0, 6.0])
    boundary = boundary_of(study, capped)
    assert boundary == 5.0
    assert (capped > boundary).sum() == 5
    assert boundary_of(study, np.full(3, 2.0)) == 2.0
