"""What a network said of each sample, gathered from all processes, each sample once."""

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import roc_auc_score

from decar.dataset.samples import Batch

PREDICTION_COLUMNS = ("model", "scheme", "fold", "key", "subset", "label", "probability")


class Outcome(NamedTuple):
    """The logit of one conformer; `weight` is 1/k, `label` 0 or 1."""

    key: str
    conformer: int
    weight: float
    label: float
    logit: float


def outcomes(batch: Batch, logits: torch.Tensor) -> list[Outcome]:
    """Return the outcome of each sample of a batch that counts."""
    label = batch["label"][:, 0]
    rows = zip(batch["key"], batch["conformer"], batch["weight"].tolist(), label.tolist(), logits.tolist())
    return [outcome for outcome in map(Outcome._make, rows) if outcome.weight > 0]


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


def weighted_loss(gathered: Iterable[Outcome], class_weights: tuple[float, float]) -> float:
    """Return sum_i w_i BCE_i / sum_i w_i with w_i = (class weight) / k; nan without samples."""
    total = norm = 0.0
    for outcome in gathered:
        weight = outcome.weight * class_weights[int(outcome.label)]
        # ln(1 + exp(-z)) for a positive, ln(1 + exp(z)) for a negative, without overflow.
        z = outcome.logit if outcome.label > 0.5 else -outcome.logit
        total += weight * (math.log1p(math.exp(-abs(z))) + max(-z, 0.0))
        norm += weight
    return total / norm if norm else math.nan


def per_molecule(gathered: Sequence[Outcome]) -> pd.DataFrame:
    """Return key, label and probability, a row a molecule: the mean over its conformers, weighted."""
    table = pd.DataFrame(gathered, columns=list(Outcome._fields))
    # 1 / (1 + exp(-z)) without overflow for either sign.
    table["probability"] = table["weight"] * 0.5 * (1.0 + np.tanh(0.5 * table["logit"]))
    sums = table.groupby("key", sort=True).agg({"label": "first", "weight": "sum", "probability": "sum"})
    sums["probability"] /= sums["weight"]
    return sums.reset_index()[["key", "label", "probability"]]


def auroc(gathered: Sequence[Outcome]) -> float:
    """Return the area under the ROC curve over molecules; nan when only one class is there."""
    if len({outcome.label for outcome in gathered}) < 2:
        return math.nan
    table = per_molecule(gathered)
    return float(roc_auc_score(table["label"], table["probability"]))
