"""Predictions of the property of a study: the columns of their tables, and the score that they are compared by.

binary       prediction = probability of class 1     auroc   area under the ROC curve                the higher
regression   prediction = value in the unit          rmse    sqrt(mean of (y - p)^2)  [unit]         the lower
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

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
    from sklearn.metrics import roc_auc_score  # noqa: PLC0415  a second, and every job imports this file

    return float(roc_auc_score(label, probability)) if len(np.unique(label)) == 2 else float("nan")


def _rmse(label: Array, value: Array) -> float:
    return float(np.sqrt(np.square(label - value).mean()))


SCORES = {"binary": Score("auroc", 1, _auroc), "regression": Score("rmse", -1, _rmse)}


def kind_of(study: Study) -> str:
    """Return the kind of the property of a study: `binary` or `regression`."""
    return study.molecules.labels[study.training.property].kind


def unit_of(study: Study) -> str:
    """Return the unit of the property of a study as text; "" where it has none."""
    unit = study.molecules.labels[study.training.property].unit
    return "" if unit in {None, "1"} else str(unit)


def boundary_of(study: Study, label: Array) -> float:
    """Return what labels of the positive class are above: 0.5, or the median of these labels of a regression.

    Where half of them or more are the largest one, the largest below it: neither class is empty.

    Two classes of a regression serve pictures and tests that compare classes; nothing is learned from them.
    """
    if kind_of(study) == "binary":
        return 0.5
    known = np.asarray(label, dtype=np.float64)
    known = known[np.isfinite(known)]
    if len(known) == 0:
        return float("nan")
    median, below = float(np.median(known)), known[known < known.max()]
    return float(below.max()) if median == known.max() and len(below) else median


def score_of(study: Study) -> Score:
    """Return what the predictions of a study are compared by."""
    return SCORES[kind_of(study)]


def read_predictions(path: Path, columns: Sequence[str] = ("key", "subset", "label", "prediction")) -> pd.DataFrame:
    """Read a table of predictions, also one of decar before it learned regression (`BEFORE`).

    Raises DataFormatError for one that is missing, damaged or lacks one of these columns.
    """
    table = read_table(path).rename(columns=BEFORE)
    if not set(columns) <= set(table.columns):
        raise DataFormatError(
            "predictions lack columns", where=path, seen=list(table.columns), expected=list(columns),
            remedy="delete the file and run the training again",
        )  # fmt: skip
    return table
