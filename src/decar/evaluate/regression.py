"""Metrics of a regression, per molecule; y are labels, p predictions, both in the unit of the property.

    RMSE      sqrt(mean of (y - p)^2)                                        [unit]
    MAE       mean of |y - p|                                                [unit]
    R2        1 - sum (y - p)^2 / sum (y - mean y)^2       1 is perfect, 0 is the mean of these molecules, below: worse
    Spearman  correlation of the ranks of y and p, ties with their mean rank          doi 10.2307/1412159

R2 and Spearman of labels of one value are NaN; so is Spearman of predictions of one value.

Every function takes weights [..., n] and returns values [...], as `decar.evaluate.metrics`: a bootstrap resample is a
row of integer weights.
"""

import numpy as np

from decar.record import Array

METRICS = ("rmse", "mae", "r2", "spearman")


def metrics(label: Array, value: Array, weight: Array | None = None) -> dict[str, Array]:
    """Return each metric of `METRICS`; label and value [n], weight [..., n] (1 without it), values [...]."""
    y, p = np.asarray(label, dtype=np.float64), np.asarray(value, dtype=np.float64)
    weights = np.ones(len(y)) if weight is None else np.asarray(weight, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        error, spread = rmse(y, p, weights), _covariance(weights, y, y)
        return {
            "rmse": error,
            "mae": np.asarray(weights @ np.abs(y - p) / weights.sum(axis=-1)),
            # Of one value the spread is rounding, not zero.
            "r2": np.where(_differ(weights, y), 1 - error**2 / spread, np.nan),
            "spearman": spearman(y, p, weights),
        }


def rmse(label: Array, value: Array, weight: Array) -> Array:
    """Return the root mean square error [...]; label and value [n], weight [..., n]."""
    return np.asarray(np.sqrt(weight @ np.square(np.asarray(label) - np.asarray(value)) / weight.sum(axis=-1)))


def spearman(label: Array, value: Array, weight: Array) -> Array:
    """Return Spearman's rank correlation [...]; each molecule counts as often as its weight [..., n] says."""
    first, second = _ranks(label, weight), _ranks(value, weight)
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = _covariance(weight, first, first) * _covariance(weight, second, second)
        return np.asarray(np.where(spread > 0, _covariance(weight, first, second) / np.sqrt(spread), np.nan))


def undefined_note(label: Array) -> str:
    """Return why metrics of these molecules are NaN, or an empty text where labels differ."""
    values = np.unique(np.asarray(label, dtype=np.float64))
    return "" if len(values) > 1 else f"undefined where NaN: {len(label)} molecules of {len(values)} value"


def _differ(weight: Array, values: Array) -> Array:
    """Return whether the values that have a weight are more than one [...]."""
    is_there = weight > 0
    return np.asarray(
        np.where(is_there, values, -np.inf).max(axis=-1) > np.where(is_there, values, np.inf).min(axis=-1)
    )


def _covariance(weight: Array, first: Array, second: Array) -> Array:
    """Return the weighted covariance [...] of first and second [..., n]."""
    total = weight.sum(axis=-1)
    mean = [(weight * values).sum(axis=-1) / total for values in (first, second)]
    product = (first - mean[0][..., None]) * (second - mean[1][..., None])
    return np.asarray((weight * product).sum(axis=-1) / total)


def _ranks(values: Array, weight: Array) -> Array:
    """Return the mean rank [..., n] of each molecule where each is there `weight` times."""
    order = np.argsort(values, kind="stable")
    ordered = np.asarray(values)[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    many = np.add.reduceat(weight[..., order], starts, axis=-1)  # of each distinct value
    mean = np.cumsum(many, axis=-1) - many / 2
    group = np.repeat(np.arange(len(starts)), np.diff(np.r_[starts, len(order)]))
    ranks = np.empty(weight.shape)
    ranks[..., order] = mean[..., group]
    return ranks
