"""What is learned: one objective a property, missing labels masked, all added to one loss.

    loss = sum_i sum_t w_it l_it / sum_i sum_t w_it      over the labels that are there, of the samples of all processes

    w_it = (weight of the property) (class weight of y_it) / (conformers of the molecule);  0 where the label is missing
    l    = binary: BCE(z, y);   multiclass: -ln softmax(z)_y;   regression: ((y - mean) / scale - z)^2 / 2     [nat]

A regression is a Gaussian of the training molecules' own spread, so that the losses of all kinds are in the same unit;
a property with few labels weighs as much as it has labels, unless its `weight` says otherwise.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional

from decar.config import ModelSettings, Study
from decar.dataset.samples import label_column
from decar.errors import ConfigError, FoldError
from decar.models.task import Task, slices

LARGEST_MEAN = 1e5  # standard deviations: labels are float32 in a batch


@dataclass(frozen=True)
class Objective:
    """How a task is learned: the weight of each of its labels, and those of its classes (none of a regression)."""

    task: Task
    weight: float = 1.0
    class_weights: tuple[float, ...] = (1.0, 1.0)

    def losses(self, outputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return l and w (but for the conformers), (sample,), of outputs (sample, output) and labels (sample,)."""
        is_there = self._is_there(labels)
        known = labels.masked_fill(~is_there, self.task.classes[0] if self.task.classes else 0.0)
        if self.task.kind == "regression":
            target = (known - self.task.mean) / self.task.scale
            return (target - outputs[:, 0]).square() / 2, self.weight * is_there.to(outputs)
        if self.task.kind == "binary":
            number = known.long()
            losses = functional.binary_cross_entropy_with_logits(outputs[:, 0], known, reduction="none")
        else:
            number = (known[:, None] == self._classes(known)).long().argmax(dim=1)
            losses = functional.cross_entropy(outputs, number, reduction="none")
        by_class = torch.tensor(self.class_weights, dtype=outputs.dtype).to(outputs.device, non_blocking=True)
        return losses, self.weight * by_class[number] * is_there

    def _is_there(self, labels: Tensor) -> Tensor:
        """Return which labels are learned: those that are no gaps, and of a class that the training molecules have."""
        if self.task.kind == "multiclass":
            return (labels[:, None] == self._classes(labels)).any(dim=1)
        return ~labels.isnan()

    def _classes(self, like: Tensor) -> Tensor:
        return torch.tensor(self.task.classes, dtype=like.dtype).to(like.device, non_blocking=True)


def all_losses(objectives: Sequence[Objective], outputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return l and w (but for the conformers), both (sample, task); labels are (sample, task)."""
    parts = [
        objective.losses(outputs[:, own], labels[:, number])
        for number, (objective, own) in enumerate(zip(objectives, slices([one.task for one in objectives])))
    ]
    return torch.stack([loss for loss, _ in parts], dim=1), torch.stack([weight for _, weight in parts], dim=1)


def properties_of(study: Study, settings: ModelSettings) -> tuple[str, ...]:
    """Return the properties that a model learns: that of the study first."""
    return (study.training.property, *settings.tasks)


def make_objectives(study: Study, settings: ModelSettings, training: pd.DataFrame) -> tuple[Objective, ...]:
    """Return the objectives of a model from the rows of its training subset.

    Class weights are n / (C n_c), counted by molecules. Raises FoldError for a property whose training labels cannot
    be learned from: no label, one class only, one value only.
    """
    return tuple(_objective(study, settings, training, name) for name in properties_of(study, settings))


def _objective(study: Study, settings: ModelSettings, training: pd.DataFrame, name: str) -> Objective:
    label = study.molecules.labels[name]
    rows = training.loc[training[label_column(name)].notna(), [label_column(name), "weight"]]
    weight = settings.tasks[name].weight if name in settings.tasks else 1.0
    values, shares = rows[label_column(name)].to_numpy(np.float64), rows["weight"].to_numpy(np.float64)
    if label.kind == "regression":
        mean = float(np.average(values, weights=shares)) if len(values) else math.nan
        scale = float(np.sqrt(np.average((values - mean) ** 2, weights=shares))) if len(values) else 0.0
        found = np.unique(values)
        if len(found) < 2:
            raise _unlearnable(name, "has labels of less than two values", found.tolist(), "two values that differ")
        if abs(mean) > LARGEST_MEAN * scale:
            raise _unlearnable(
                name, "has labels that single precision cannot tell apart",
                f"mean {mean:g}, standard deviation {scale:g}",
                f"a mean of {LARGEST_MEAN:g} standard deviations at most", "subtract a constant from the labels",
            )  # fmt: skip
        return Objective(Task(name, "regression", label.unit, mean=mean, scale=scale), weight, ())
    if label.kind == "category":
        raise ConfigError("a category is not learned", where=f"the property {name}", expected="binary or multiclass")
    counts = rows.groupby(label_column(name))["weight"].sum()
    classes = tuple(float(value) for value in counts.index)
    if len(classes) < 2 or (label.kind == "binary" and set(classes) != {0.0, 1.0}):
        wanted = "molecules of both classes, 0 and 1" if label.kind == "binary" else "molecules of two classes or more"
        raise _unlearnable(name, "lacks a class", counts.to_dict(), wanted)
    by_class = counts.sum() / (len(classes) * counts) if study.training.class_weights else counts * 0 + 1
    task = Task(name, label.kind, label.unit, classes if label.kind == "multiclass" else ())
    return Objective(task, weight, tuple(float(value) for value in by_class))


def _unlearnable(
    name: str, what: str, seen: object, expected: str, remedy: str = "add molecules, lower num_folds, or leave the"
    " property out",
) -> FoldError:  # fmt: skip
    return FoldError(
        f"the training subset {what}", where=f"the property {name}", seen=seen, expected=expected, remedy=remedy
    )
