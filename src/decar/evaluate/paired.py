"""Do two models differ? Paired tests on the same molecules and folds, and the smallest difference they can show.

DeLong (doi 10.2307/2531595): with psi(x, y) = 1, 1/2, 0 for x above, equal to, below y, the AUROC of a model is the
mean of psi over pairs of a positive and a negative molecule. V10 (one a positive) and V01 (one a negative molecule)
are its means over the other class; the covariance of the AUROCs of several models is

    S = cov(V10) / num_positive + cov(V01) / num_negative

RMSE: with e the errors of a model on n molecules, a molecule moves its RMSE by (e^2 - mean e^2) / (2 RMSE n) (delta
method), so the standard error of a sum of RMSEs of several models is that of the mean of these, molecule by molecule.

Corrected resampled t (Nadeau & Bengio, doi 10.1023/A:1024068626366): differences d of J folds share training molecules,
so their variance counts 1/J + num_test / num_train times instead of 1/J, with J - 1 degrees of freedom.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm, t

from decar.evaluate.metrics import THRESHOLD
from decar.record import Array

SIGNIFICANCE = 0.05
POWER = 0.8


@dataclass(frozen=True)
class Difference:
    """Difference of two models, its standard error, two-sided p; NaN where it is undefined."""

    value: float
    standard_error: float
    p: float

    @property
    def smallest_shown(self) -> float:
        """Return what a two-sided test at 0.05 finds with power 0.8: (z_0.975 + z_0.8) standard errors."""
        return float((norm.ppf(1 - SIGNIFICANCE / 2) + norm.ppf(POWER)) * self.standard_error)


def delong_covariance(label: Array, probabilities: Array) -> tuple[Array, Array]:
    """Return AUROC [model] and its covariance [model, model]; label [n], probabilities [model, n].

    NaN with fewer than two molecules of a class, whose variance is then unknown.
    """
    positive = np.asarray(label) > THRESHOLD
    won, lost, auroc = [], [], []
    for row in np.asarray(probabilities, dtype=np.float64):
        high, low = row[positive], row[~positive]
        above = (high[:, None] > low[None, :]) + 0.5 * (high[:, None] == low[None, :])
        won.append(above.mean(axis=1))
        lost.append(above.mean(axis=0))
        auroc.append(above.mean())
    num_models = len(auroc)
    if min(positive.sum(), (~positive).sum()) < 2:
        return np.array(auroc), np.full((num_models, num_models), np.nan)
    covariance = np.cov(np.array(won)) / positive.sum() + np.cov(np.array(lost)) / (~positive).sum()
    return np.array(auroc), np.reshape(covariance, (num_models, num_models))


def delong_contrast(label: Array, probabilities: Array, weight: Array) -> Difference:
    """Return sum_k weight_k AUROC_k on the same molecules, tested against 0; probabilities [model, n], weight [model].

    With +1/s for each of s seeds of one model and -1/s for those of another: the difference of their mean AUROCs.
    p = 1 where no pair is ranked otherwise.
    """
    auroc, covariance = delong_covariance(label, probabilities)
    return _normal(float(weight @ auroc), float(np.sqrt(np.maximum(weight @ covariance @ weight, 0.0))))


def rmse_contrast(label: Array, values: Array, weight: Array) -> Difference:
    """Return sum_k weight_k RMSE_k on the same molecules, tested against 0; values [model, n], weight [model].

    The standard error is NaN with fewer than two molecules.
    """
    squared = np.square(np.asarray(values, dtype=np.float64) - np.asarray(label, dtype=np.float64))
    rmse = np.sqrt(squared.mean(axis=1))
    # A model without errors does not move: its RMSE is 0 with every molecule.
    moved = (squared - squared.mean(axis=1, keepdims=True)) / np.where(rmse > 0, 2 * rmse, np.inf)[:, None]
    count = squared.shape[1]
    error = float(np.sqrt((weight @ moved).var(ddof=1) / count)) if count > 1 else float("nan")
    return _normal(float(weight @ rmse), error)


def corrected_interval(values: Array, test_over_train: float, confidence: float) -> tuple[float, float]:
    """Return the interval of the mean of J folds' values by the corrected resampled t; NaN for fewer than two."""
    found = corrected_resampled_t(values, test_over_train)
    reach = float(t.ppf((1 + confidence) / 2, max(1, len(values) - 1))) * found.standard_error
    return found.value - reach, found.value + reach


def corrected_resampled_t(differences: Array, test_over_train: float) -> Difference:
    """Return the mean of the differences [J] of J folds (of all seeds), tested against 0."""
    values = np.asarray(differences, dtype=np.float64)
    count = len(values)
    if count < 2 or not np.isfinite(values).all():
        return Difference(float(np.mean(values)) if count else float("nan"), float("nan"), float("nan"))
    error = float(np.sqrt((1 / count + test_over_train) * values.var(ddof=1)))
    mean = float(values.mean())
    if error == 0:
        return Difference(mean, error, 1.0 if mean == 0 else 0.0)
    return Difference(mean, error, float(2 * t.sf(abs(mean) / error, count - 1)))


def _normal(value: float, error: float) -> Difference:
    if error == 0:
        return Difference(value, error, 1.0 if value == 0 else 0.0)
    return Difference(value, error, float(2 * norm.sf(abs(value) / error)))
