"""A metric of several seeds on the same molecules: its mean, and its interval by resampling molecules.

All seeds see the same resample: what their predictions share does not average out. (Percentile method, as in
`decar.evaluate.intervals`.)
"""

import numpy as np

from decar.evaluate.metrics import auroc
from decar.record import Array


def mean_auroc(label: Array, probability: Array) -> float:
    """Return the mean over seeds of the AUROC; label [molecule], probability [seed, molecule]."""
    weight = np.ones(len(label))
    return float(np.mean([auroc(label, row, weight) for row in probability]))


def mean_auroc_interval(
    label: Array, probability: Array, num_bootstrap: int, confidence: float, seed: int
) -> tuple[float, float]:
    """Return the percentile interval of `mean_auroc`; (NaN, NaN) where a class is absent."""
    count = len(label)
    if len(np.unique(label)) < 2:
        return float("nan"), float("nan")
    weight = np.random.default_rng(seed).multinomial(count, np.full(count, 1.0 / count), size=num_bootstrap)
    values = np.mean([auroc(label, row, weight.astype(np.float64)) for row in probability], axis=0)
    low, high = np.nanquantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
