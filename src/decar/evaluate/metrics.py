"""Metrics of a binary classifier, per molecule, at the probability threshold 0.5.

With TP, TN, FP, FN the (weighted) counts of true positives, true negatives, false positives and false negatives:

    accuracy           (TP + TN) / (TP + TN + FP + FN)
    sensitivity        TP / (TP + FN)
    specificity        TN / (TN + FP)
    balanced accuracy  (sensitivity + specificity) / 2
    MCC                (TP TN - FP FN) / sqrt((TP + FP)(TP + FN)(TN + FP)(TN + FN))      doi 10.1186/s12864-019-6413-7
    AUROC              P(p+ > p-) + P(p+ = p-) / 2      over pairs of a positive and a negative molecule

A metric that needs a class which is absent is NaN. MCC is 0, its limit, where all predictions are of one class.

Every function takes weights [..., n] and returns values [...]: a bootstrap resample is a row of integer weights, so
that an interval is computed by the same formula as the value itself.
"""

import numpy as np

from decar.record import Array

THRESHOLD = 0.5
METRICS = ("accuracy", "balanced_accuracy", "sensitivity", "specificity", "auroc", "mcc")


def metrics(label: Array, probability: Array, weight: Array | None = None) -> dict[str, Array]:
    """Return each metric of `METRICS`; label and probability [n], weight [..., n] (1 without it), values [...]."""
    positive = np.asarray(label) > THRESHOLD
    weights = np.ones(len(positive)) if weight is None else np.asarray(weight, dtype=np.float64)
    tp, tn, fp, fn = confusion(label, probability, weights)
    with np.errstate(invalid="ignore", divide="ignore"):
        sensitivity, specificity = tp / (tp + fn), tn / (tn + fp)
        return {
            "accuracy": (tp + tn) / (tp + tn + fp + fn),
            "balanced_accuracy": (sensitivity + specificity) / 2,
            "sensitivity": sensitivity,
            "specificity": specificity,
            "auroc": auroc(label, probability, weights),
            "mcc": _mcc(tp, tn, fp, fn),
        }


def confusion(label: Array, probability: Array, weight: Array) -> tuple[Array, Array, Array, Array]:
    """Return the weighted counts TP, TN, FP, FN, each [...]."""
    positive, predicted = np.asarray(label) > THRESHOLD, np.asarray(probability) >= THRESHOLD
    cells = (positive & predicted, ~positive & ~predicted, ~positive & predicted, positive & ~predicted)
    tp, tn, fp, fn = (np.asarray(weight @ cell.astype(np.float64)) for cell in cells)
    return tp, tn, fp, fn


def auroc(label: Array, probability: Array, weight: Array) -> Array:
    """Return the area under the ROC curve [...] by the rank sum; ties of probability count half."""
    order = np.argsort(probability, kind="stable")
    values, positive = np.asarray(probability)[order], (np.asarray(label) > THRESHOLD)[order]
    starts = np.flatnonzero(np.r_[True, values[1:] != values[:-1]])  # first member of each group of equal values
    sorted_weight = weight[..., order]
    num_positive = np.add.reduceat(sorted_weight * positive, starts, axis=-1)
    num_negative = np.add.reduceat(sorted_weight * ~positive, starts, axis=-1)
    below = np.cumsum(num_negative, axis=-1) - num_negative
    won = (num_positive * (below + num_negative / 2)).sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(won / (num_positive.sum(axis=-1) * num_negative.sum(axis=-1)))


def undefined_note(label: Array) -> str:
    """Return why metrics of these molecules are NaN, or an empty text where both classes are there."""
    num_positive = int((np.asarray(label) > THRESHOLD).sum())
    num_negative = len(label) - num_positive
    if num_positive and num_negative:
        return ""
    return f"undefined where NaN: {num_positive} positive and {num_negative} negative molecules"


def _mcc(tp: Array, tn: Array, fp: Array, fn: Array) -> Array:
    has_both = ((tp + fn) > 0) & ((tn + fp) > 0)
    scale = np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    return np.where(has_both, np.where(scale > 0, (tp * tn - fp * fn) / np.where(scale > 0, scale, 1.0), 0.0), np.nan)
