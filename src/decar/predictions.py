"""Predictions of the property of a study: the columns of their tables, and the score that they are compared by.

binary       prediction = probability of class 1     auroc   area under the ROC curve                the higher
regression   prediction = value in the unit          rmse    sqrt(mean of (y - p)^2)  [unit]         the lower
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score, root_mean_squared_error

from decar.config import Study
from decar.errors import DataFormatError
from decar.receipt import read_table
from decar.record import Array

COLUMNS = ("model", "scheme", "fold", "key", "subset", "label", "prediction")
BEFORE = {"probability": "prediction"}  # what a column was called when all properties were binary


@dataclass(frozen=True)
class Score:
    """One figure of predictions: its name in tables, its value, `sign` +1 where the higher is the better, else -1."""

    name: str
    sign: int
    value: Callable[[Array, Array], float]

    def __call__(self, label: Array, prediction: Array) -> float:
        """Return the score of label and prediction [n]; NaN where it is undefined."""
        label, prediction = np.asarray(label, dtype=np.float64), np.asarray(prediction, dtype=np.float64)
        if len(label) == 0 or not np.isfinite(prediction).all():
            return float("nan")
        return float(self.value(label, prediction))

    @property
    def text(self) -> str:
        """Return the name as a reader knows it."""
        return self.name.upper()


def _auroc(label: Array, probability: Array) -> float:
    return float(roc_auc_score(label, probability)) if len(np.unique(label)) == 2 else float("nan")


SCORES = {"binary": Score("auroc", 1, _auroc), "regression": Score("rmse", -1, root_mean_squared_error)}


def kind_of(study: Study) -> str:
    """Return the kind of the property of a study: `binary` or `regression`."""
    return study.molecules.labels[study.training.property].kind


def unit_of(study: Study) -> str:
    """Return the unit of the property of a study as text; "" where it has none."""
    unit = study.molecules.labels[study.training.property].unit
    return "" if unit in {None, "1"} else str(unit)


def boundary_of(study: Study, label: Array) -> float:
    """Return what labels of the positive class are above: 0.5, or the median of these labels of a regression.

    Two classes of a regression serve pictures and tests that compare classes; nothing is learned from them.
    """
    if kind_of(study) == "binary":
        return 0.5
    known = np.asarray(label, dtype=np.float64)
    known = known[np.isfinite(known)]
    return float(np.median(known)) if len(known) else float("nan")


def score_of(study: Study) -> Score:
    """Return what the predictions of a study are compared by."""
    return SCORES[kind_of(study)]


def read_predictions(path: Path) -> pd.DataFrame:
    """Read a table of predictions, also one of decar before it learned regression (`BEFORE`).

    Raises DataFormatError for one that is missing, damaged or without a column of predictions.
    """
    table = read_table(path).rename(columns=BEFORE)
    missing = [name for name in ("key", "subset", "label", "prediction") if name not in table.columns]
    if missing:
        raise DataFormatError(
            "predictions lack columns", where=path, seen=list(table.columns), expected=missing,
            remedy="delete the file and run the training again",
        )  # fmt: skip
    return table
