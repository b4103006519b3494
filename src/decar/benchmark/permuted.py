"""Contenders on permuted labels: what they show was not learned from labels, so it must be what chance gives.

An AUROC of 0.5: exactly so on average where the classes are of one size, by symmetry; with unequal ones next to it. Of
a regression a Spearman correlation of 0.

Labels are permuted anew for each fold and seed, so what a fold's AUROC is off by is independent of the others: the
interval of the mean is that of plain t, which is narrower than that of the corrected one, and narrows with seeds. (An
interval over molecules is no judge: who learned nothing still ranks by size or polarity, in a direction drawn anew in
every fold.)
"""

from typing import Any

import numpy as np
import pandas as pd

from decar.benchmark.contenders import is_permuted
from decar.config import Study
from decar.evaluate.measures import measures_of
from decar.evaluate.paired import corrected_interval

COLUMNS = ("contender", "split", "share", "folds", "metric", "value", "low", "high", "is_a_coin")
METRIC_TEXT = {"auroc": "AUROC", "spearman": "Spearman correlation"}


def permuted_table(study: Study, folds: pd.DataFrame) -> pd.DataFrame:
    """Return a row (`COLUMNS`) a split, share and contender on permuted labels; `folds` as `folds_table` returns it.

    Without a value in two folds at least nothing is shown, and it is no coin.
    """
    rows = []
    metric, chance = measures_of(study).chance
    for (split, share, name), part in folds.groupby(["split", "share", "contender"], sort=True):
        if is_permuted(study, str(name)):
            values = part[metric].dropna().to_numpy(np.float64)
            low, high = corrected_interval(values, 0.0, study.evaluate.confidence)
            row = (name, split, share, len(values), metric, values.mean() if len(values) else np.nan, low, high)
            rows.append((*row, bool(low <= chance <= high)))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def permuted_line(row: Any) -> str:
    """Return what a row says, as `DataFrame.itertuples` yields it."""
    where = f"{row.contender} on {row.split}" + ("" if row.share == 1 else f", share {row.share:g}")
    figures = f"{METRIC_TEXT[row.metric]} {row.value:.3f} ({row.low:.3f} to {row.high:.3f}) over {row.folds} folds"
    if row.is_a_coin:
        return f"{where}: {figures}: a coin, as it must be"
    if row.folds < 2:
        return f"{where}: {row.folds} folds with a value: too few to tell whether it is a coin"
    why = "labels reach its training by another way, or the interval misses by chance; more seeds tell"
    return f"{where}: {figures}: not shown to be a coin: {why}"
