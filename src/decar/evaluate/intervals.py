"""Bootstrap intervals of the metrics, resampling molecules with replacement (percentile method).

Efron & Tibshirani, An Introduction to the Bootstrap (doi 10.1201/9780429246593), chapter 13. One molecule, with all its
conformers and rotations, is the unit: its copies are not independent observations. The same seed gives the same
resamples to every model, so that the intervals of two models on the same molecules are comparable.
"""

import numpy as np

from decar.evaluate.measures import MEASURES, Measures
from decar.record import Array

BLOCK_BYTES = 2**26


def bootstrap_intervals(
    label: Array, prediction: Array, num_bootstrap: int, confidence: float, seed: int,
    measures: Measures = MEASURES["binary"],
) -> dict[str, tuple[float, float]]:  # fmt: skip
    """Return the percentile interval (low, high) of each metric; label and prediction [n].

    A resample in which a metric is undefined (a class is absent, say) is left out of that metric's interval; where the
    metric of the sample itself is undefined, the interval is (NaN, NaN).
    """
    num_molecules = len(label)
    generator = np.random.default_rng(seed)
    block = max(1, BLOCK_BYTES // (8 * max(1, num_molecules)))
    share = np.full(num_molecules, 1.0 / max(1, num_molecules))
    parts: dict[str, list[Array]] = {name: [] for name in measures.names}
    for start in range(0, num_bootstrap if num_molecules else 0, block):
        weight = generator.multinomial(num_molecules, share, size=min(block, num_bootstrap - start))
        for name, values in measures.of(label, prediction, weight.astype(np.float64)).items():
            parts[name].append(values)
    value = measures.of(label, prediction, None)
    return {name: _percentiles(parts[name], confidence, bool(np.isfinite(value[name]))) for name in measures.names}


def _percentiles(parts: list[Array], confidence: float, is_defined: bool) -> tuple[float, float]:
    values = np.concatenate(parts) if parts else np.empty(0)
    values = values[np.isfinite(values)]
    if not is_defined or len(values) == 0:
        return float("nan"), float("nan")
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
