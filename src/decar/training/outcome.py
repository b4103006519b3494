"""What a network said of each sample, gathered from all processes, each sample once."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torchmetrics.functional import mean_absolute_error, r2_score
from torchmetrics.functional.classification import binary_auroc, multiclass_accuracy

from decar.dataset.samples import Batch
from decar.models.task import Task, slices
from decar.predictions import SCORES
from decar.training.objectives import Objective, all_losses

TASK_COLUMNS = ("model", "scheme", "fold", "key", "subset", "property", "kind", "unit", "label", "column", "value")


class Outcome(NamedTuple):
    """The outputs of the network for one conformer; `weight` is 1/k, `labels` one a task (NaN: missing)."""

    key: str
    conformer: int
    weight: float
    labels: tuple[float, ...]
    outputs: tuple[float, ...]


def outcomes(batch: Batch, outputs: torch.Tensor) -> list[Outcome]:
    """Return the outcome of each sample of a batch that counts."""
    num_tasks = batch["label"].shape[1]
    # At once: a GPU is waited for.
    columns = torch.cat([batch["weight"][:, None], batch["label"], outputs], dim=1).tolist()
    rows = (
        Outcome(key, conformer, weight, tuple(row[:num_tasks]), tuple(row[num_tasks:]))
        for key, conformer, (weight, *row) in zip(batch["key"], batch["conformer"], columns)
    )
    return [outcome for outcome in rows if outcome.weight > 0]


def gather(own: Sequence[Outcome], world_size: int) -> list[Outcome]:
    """Return the outcomes of all processes, each conformer once, sorted; the same list on each process."""
    unique = {(outcome.key, outcome.conformer): outcome for outcome in gathered(own, world_size)}
    return [unique[name] for name in sorted(unique)]


def gathered(own: Sequence[Any], world_size: int) -> list[Any]:
    """Return what all processes have, in the order of the processes; the same list on each."""
    parts: list[Sequence[Any] | None] = [own]
    if world_size > 1:
        parts = [None] * world_size
        torch.distributed.all_gather_object(parts, list(own))
    return [one for part in parts for one in part or ()]


def weighted_loss(gathered: Sequence[Outcome], objectives: Sequence[Objective]) -> float:
    """Return the loss of `decar.training.objectives` over these outcomes; nan without labels."""
    if not gathered:
        return math.nan
    outputs, labels = (torch.tensor([one[place] for one in gathered], dtype=torch.float64) for place in (4, 3))
    losses, weights = all_losses(objectives, outputs, labels)
    weights = weights * torch.tensor([[one.weight] for one in gathered], dtype=torch.float64)
    return float((weights * losses).sum() / weights.sum())


def per_molecule(gathered: Sequence[Outcome], tasks: Sequence[Task], number: int = 0) -> pd.DataFrame:
    """Return key, label and the columns of a task, a row a molecule with a label: the mean over its conformers."""
    task, own = tasks[number], slices(tasks)[number]
    kept = [one for one in gathered if not math.isnan(one.labels[number])]
    outputs = np.array([one.outputs[own] for one in kept], dtype=np.float64).reshape(len(kept), task.num_outputs)
    label, weight = np.array([(one.labels[number], one.weight) for one in kept], dtype=np.float64).reshape(-1, 2).T
    table = pd.DataFrame(task.values(outputs) * weight[:, None], columns=list(task.columns))
    table = table.assign(key=[one.key for one in kept], label=label, weight=weight)
    sums = table.groupby("key", sort=True).agg(
        {"label": "first", "weight": "sum", **dict.fromkeys(task.columns, "sum")}
    )
    for column in task.columns:
        sums[column] /= sums["weight"]
    return sums.reset_index()[["key", "label", *task.columns]]


def score(gathered: Sequence[Outcome], tasks: Sequence[Task]) -> dict[str, float]:
    """Return the score of the first task over molecules by its name, auroc or rmse; nan where it is undefined."""
    table, of_kind = per_molecule(gathered, tasks), SCORES[tasks[0].kind]
    return {of_kind.name: of_kind(table["label"].to_numpy(), table[tasks[0].name].to_numpy())}


def task_metrics(gathered: Sequence[Outcome], tasks: Sequence[Task]) -> dict[str, float]:
    """Return the metrics of the further tasks over molecules, `<metric>:<property>`; nan where one is not defined.

    auroc of a binary one, accuracy (mean over the classes) of a multiclass one, mae [unit] and r2 of a regression.
    """
    found: dict[str, float] = {}
    for number, task in enumerate(tasks[1:], start=1):
        table = per_molecule(gathered, tasks, number)
        label, values = (torch.tensor(table[names].to_numpy()) for names in ("label", list(task.columns)))
        if task.kind == "binary":
            is_defined = table["label"].nunique() == 2
            found[f"auroc:{task.name}"] = float(binary_auroc(values[:, 0], label.long())) if is_defined else math.nan
        elif task.kind == "multiclass":
            known = torch.isin(label, torch.tensor(task.classes, dtype=label.dtype))
            number_of = torch.searchsorted(torch.tensor(task.classes, dtype=label.dtype), label[known])
            score = multiclass_accuracy(values[known], number_of, len(task.classes)) if known.any() else math.nan
            found[f"accuracy:{task.name}"] = float(score)
        else:
            is_defined = len(label) > 0
            found[f"mae:{task.name}"] = float(mean_absolute_error(values[:, 0], label)) if is_defined else math.nan
            is_defined = table["label"].nunique() > 1
            found[f"r2:{task.name}"] = float(r2_score(values[:, 0], label)) if is_defined else math.nan
    return found
