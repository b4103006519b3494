"""Do the classes differ in their correlation with a kernel? A test and an effect size for each kernel.

    Mann-Whitney U, two-sided      U = number of pairs (positive, negative) with r+ > r-, ties one half
    Cliff's delta                  2 U / (n+ n-) - 1 = P(r+ > r-) - P(r+ < r-)         doi 10.1037/0033-2909.114.3.494
    Holm                           p_(i) (m - i + 1), made monotonic, over the m kernels of one network and form

p values of molecules that the network was trained on say how it separates them, not that it would separate others; so
the effect size over the molecules of the test fold alone stands beside it.
"""

import numpy as np
import pandas as pd
from scipy.stats import mannwhitneyu

from decar.record import Array

COLUMNS = (
    "form", "network", "kernel", "num_positive", "num_negative", "mean_positive", "mean_negative", "effect_size",
    "p_value", "p_adjusted", "num_unseen", "effect_size_unseen",
)  # fmt: skip


def kernel_tests(correlations: pd.DataFrame, boundary: float = 0.5) -> pd.DataFrame:
    """Return a row a form, network and kernel (`COLUMNS`), from form, network, kernel, label, subset, correlation.

    Labels above `boundary` are the positive class. With no molecule of a class the test is undefined: NaN. Molecules
    without a correlation are left out.
    """
    rows: list[dict[str, object]] = []
    for (form, network, kernel), part in correlations.groupby(["form", "network", "kernel"], sort=True):
        known = part.loc[part["correlation"].notna()]
        positive, negative = _classes(known, boundary)
        effect, p_value = compare(positive, negative)
        unseen = known.loc[known["subset"] == "test"]
        rows.append({
            "form": form, "network": network, "kernel": kernel, "num_positive": len(positive),
            "num_negative": len(negative), "mean_positive": _mean(positive), "mean_negative": _mean(negative),
            "effect_size": effect, "p_value": p_value, "num_unseen": len(unseen),
            "effect_size_unseen": compare(*_classes(unseen, boundary))[0],
        })  # fmt: skip
    table = pd.DataFrame(rows, columns=[name for name in COLUMNS if name != "p_adjusted"])
    adjusted = table.groupby(["form", "network"])["p_value"].transform(lambda values: holm(values.to_numpy()))
    return table.assign(p_adjusted=adjusted.astype(np.float64))[list(COLUMNS)]


def compare(positive: Array, negative: Array) -> tuple[float, float]:
    """Return Cliff's delta and the two-sided Mann-Whitney p value; NaN when a sample is empty."""
    if len(positive) == 0 or len(negative) == 0:
        return float("nan"), float("nan")
    result = mannwhitneyu(positive, negative, alternative="two-sided")
    return float(2 * result.statistic / (len(positive) * len(negative)) - 1), float(result.pvalue)


def holm(p_values: Array) -> Array:
    """Return Holm's adjusted p values in the order given; NaN stays NaN and counts for nothing."""
    adjusted = np.full(len(p_values), np.nan)
    known = np.flatnonzero(np.isfinite(p_values))
    order = known[np.argsort(p_values[known], kind="stable")]
    scaled = p_values[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return adjusted


def _classes(table: pd.DataFrame, boundary: float) -> tuple[Array, Array]:
    values, is_positive = table["correlation"].to_numpy(np.float64), (table["label"] > boundary).to_numpy()
    return values[is_positive], values[~is_positive]


def _mean(values: Array) -> float:
    return float(values.mean()) if len(values) else float("nan")
