"""Does a probability mean what it says? Brier score, reliability curve and expected calibration error.

Brier  mean of (p - y)^2                             Brier 1950, Monthly Weather Review 78, 1
ECE    sum over bins of (n_bin / n) |mean y - mean p|    doi 10.1609/aaai.v29i1.9602 (ten equal bins)
"""

import numpy as np
import pandas as pd

from decar.record import Array

NUM_BINS = 10


def brier(label: Array, probability: Array) -> float:
    """Return the mean squared error of the probability; NaN without molecules."""
    return float(np.mean((np.asarray(probability) - np.asarray(label)) ** 2)) if len(label) else float("nan")


def reliability(label: Array, probability: Array) -> pd.DataFrame:
    """Return a row a bin that holds molecules: mean probability, share of positives, number of molecules."""
    values = np.asarray(probability, dtype=np.float64)
    table = pd.DataFrame({
        "bin": np.minimum((values * NUM_BINS).astype(int), NUM_BINS - 1), "probability": values,
        "share": np.asarray(label, dtype=np.float64), "n": 1,
    })  # fmt: skip
    return table.groupby("bin").agg({"probability": "mean", "share": "mean", "n": "sum"}).reset_index()


def expected_calibration_error(label: Array, probability: Array) -> float:
    """Return the mean distance of the reliability curve from the diagonal, by molecules; NaN without molecules."""
    curve = reliability(label, probability)
    if curve.empty:
        return float("nan")
    return float(np.average((curve["share"] - curve["probability"]).abs(), weights=curve["n"]))
