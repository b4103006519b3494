"""A score of several seeds on the same molecules: its mean, and its interval by resampling molecules.

All seeds see the same resample: what their predictions share does not average out. (Percentile method, as in
`decar.evaluate.intervals`.)
"""

from collections.abc import Callable

import numpy as np

from decar.record import Array

Weighted = Callable[[Array, Array, Array], Array]  # score [...] of label and prediction [n] with weight [..., n]


def mean_score(weighted: Weighted, label: Array, prediction: Array) -> float:
    """Return the mean over seeds of a score; label [molecule], prediction [seed, molecule]."""
    weight = np.ones(len(label))
    return float(np.mean([weighted(label, row, weight) for row in prediction]))


def mean_score_interval(
    weighted: Weighted, label: Array, prediction: Array, num_bootstrap: int, confidence: float, seed: int
) -> tuple[float, float]:
    """Return the percentile interval of `mean_score`; (NaN, NaN) where all labels are the same."""
    count = len(label)
    if len(np.unique(label)) < 2:
        return float("nan"), float("nan")
    weight = np.random.default_rng(seed).multinomial(count, np.full(count, 1.0 / count), size=num_bootstrap)
    values = np.mean([weighted(label, row, weight.astype(np.float64)) for row in prediction], axis=0)
    low, high = np.nanquantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
