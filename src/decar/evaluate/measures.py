"""What predictions of a property are measured by: the metrics of a classifier, or those of a regression."""

from collections.abc import Callable
from dataclasses import dataclass

from decar.config import Study
from decar.evaluate import metrics as of_classes
from decar.evaluate import regression as of_values
from decar.evaluate.paired import Difference, delong_contrast, rmse_contrast
from decar.predictions import SCORES, Score, kind_of
from decar.record import Array


@dataclass(frozen=True)
class Measures:
    """Metrics of one kind of property.

    names         the metrics that `of(label, prediction, weight)` returns
    score         the one that models are compared by; `weighted(label, prediction, weight [..., n])` returns it [...]
    contrast      a weighted sum of the scores of several models on the same molecules, tested against 0
    chance        the metric, and its value, that shows best that nothing was learned
    undefined_note  says of labels why a metric is NaN
    """

    names: tuple[str, ...]
    of: Callable[[Array, Array, Array | None], dict[str, Array]]
    score: Score
    weighted: Callable[[Array, Array, Array], Array]
    contrast: Callable[[Array, Array, Array], Difference]
    chance: tuple[str, float]
    undefined_note: Callable[[Array], str]


MEASURES = {
    "binary": Measures(
        of_classes.METRICS, of_classes.metrics, SCORES["binary"], of_classes.auroc, delong_contrast, ("auroc", 0.5),
        of_classes.undefined_note,
    ),
    "regression": Measures(
        of_values.METRICS, of_values.metrics, SCORES["regression"], of_values.rmse, rmse_contrast, ("spearman", 0.0),
        of_values.undefined_note,
    ),
}  # fmt: skip


def measures_of(study: Study) -> Measures:
    """Return what predictions of the property of a study are measured by."""
    return MEASURES[kind_of(study)]
