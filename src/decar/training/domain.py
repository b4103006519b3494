"""The applicability domain of a network that was just trained, from what its last hidden layer said of each sample."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from decar.dataset.samples import Batch
from decar.models.domain import Activities, Domain, fit_domain
from decar.molecules.fingerprint import Bits, ecfp4_bits
from decar.receipt import read_table


class Activity(NamedTuple):
    """The last hidden layer of one conformer, unrotated; `weight` is 1/k."""

    key: str
    conformer: int
    weight: float
    hidden: NDArray[np.float32]


def activities_of(batch: Batch, hidden: torch.Tensor) -> list[Activity]:
    """Return the activity of each sample of a batch that counts."""
    rows = zip(batch["key"], batch["conformer"], batch["weight"].tolist(), hidden.float().cpu().numpy())
    return [activity for activity in map(Activity._make, rows) if activity.weight > 0]


def domain_of(dataset_folder: Path, rows: pd.DataFrame, activities: Sequence[Activity]) -> Domain:
    """Return the domain: `rows` name the subset of each molecule, the dataset's molecules.parquet its structure."""
    smiles = read_table(dataset_folder / "molecules.parquet", ["key", "smiles"]).set_index("key")["smiles"]
    subset = rows.drop_duplicates("key").set_index("key")["subset"]
    total: dict[str, NDArray[np.float64]] = {}
    weight: dict[str, float] = {}
    for activity in sorted(activities, key=lambda one: (one.key, one.conformer)):
        part = activity.weight * activity.hidden.astype(np.float64)
        total[activity.key] = total.get(activity.key, 0.0) + part
        weight[activity.key] = weight.get(activity.key, 0.0) + activity.weight

    def of(name: str) -> tuple[list[str], Bits, Activities]:
        keys = sorted(key for key in total if subset[key] == name)
        means = np.array([total[key] / weight[key] for key in keys], dtype=np.float32)
        return keys, ecfp4_bits(smiles.loc[keys].tolist()), means

    return fit_domain(*of("train"), *of("validation")[1:])
