"""What a network predicts: one task a property, its outputs in the order of the tasks.

binary        one output z      probability of class 1 = 1 / (1 + exp(-z))
multiclass    one z_c a class   probability of class c = exp(z_c) / sum_c' exp(z_c')
regression    one output z      value = mean + scale z   [unit],  mean and scale of the training molecules
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Task:
    """The property `name` as a network predicts it; `classes`: labels of a multiclass one, in order of its outputs."""

    name: str
    kind: Literal["binary", "multiclass", "regression"] = "binary"
    unit: str | None = None
    classes: tuple[float, ...] = ()
    mean: float = 0.0
    scale: float = 1.0

    @property
    def num_outputs(self) -> int:
        """Return the number of outputs of the network that belong to the task."""
        return len(self.classes) if self.kind == "multiclass" else 1

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the names of what `values` returns: the property, or `property=class` for each class."""
        if self.kind == "multiclass":
            return tuple(f"{self.name}={value:g}" for value in self.classes)
        return (self.name,)

    def values(self, outputs: Floats) -> NDArray[np.float64]:
        """Return [..., column] from the outputs [..., output] of the task: probabilities, or values in the unit."""
        outputs = np.asarray(outputs, dtype=np.float64)
        if self.kind == "binary":
            return np.asarray(expit(outputs))
        if self.kind == "multiclass":
            return np.asarray(softmax(outputs, axis=-1))
        return np.asarray(self.mean + self.scale * outputs, dtype=np.float64)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-able form."""
        return asdict(self)

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> "Task":
        """Build from `to_json`."""
        return cls(**{**entry, "classes": tuple(entry["classes"])})


def slices(tasks: Sequence[Task]) -> list[slice]:
    """Return which outputs of the network belong to each task."""
    ends = np.cumsum([task.num_outputs for task in tasks]).tolist()
    return [slice(end - task.num_outputs, end) for task, end in zip(tasks, ends)]


def all_columns(tasks: Sequence[Task]) -> list[str]:
    """Return the names of the columns of all tasks."""
    return [name for task in tasks for name in task.columns]


def all_values(tasks: Sequence[Task], outputs: Floats) -> NDArray[np.float64]:
    """Return [..., column] of all tasks from all outputs [..., output] of a network."""
    return np.concatenate([task.values(outputs[..., own]) for task, own in zip(tasks, slices(tasks))], axis=-1)
