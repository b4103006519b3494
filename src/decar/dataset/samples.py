"""One sample a conformer, with its labels, and how samples are joined into a batch: what all datasets share.

A sample is asked for by a `Draw`, which carries the epoch with it: what comes back depends on nothing else, whatever
worker or process asks. The properties that are learned are the tasks; a molecule may lack some of them, not all.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, TypedDict

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from decar.dataset.normalise import VACUUM
from decar.dataset.splits import UNLABELLED
from decar.errors import DataFormatError
from decar.receipt import read_table

FIELDS_ALONE = "fields alone"  # in place of a subset: the samples of `conformers_for_fields`


class Draw(NamedTuple):
    """Which sample, in which epoch (it decides the rotation), and whether it counts or only fills up a batch."""

    sample: int
    epoch: int = 0
    is_counted: bool = True


class Sample(TypedDict):
    """One conformer; `voxels` is [channel, x, y, z], `weight` 1/k, or 0 where the sample does not count.

    `label` is [task], in the order of the properties of the dataset, NaN for one that the molecule lacks.
    """

    key: str
    conformer: int
    weight: float
    label: Tensor
    voxels: Tensor


class Batch(TypedDict):
    """Samples joined: `weight` [batch]; `label` [batch, task]; `voxels` [batch, channel, x, y, z]; `mask` likewise, 1.

    The mask has one channel: 1 inside a sample's own box, 0 in its padding.
    """

    key: list[str]
    conformer: list[int]
    weight: Tensor
    label: Tensor
    voxels: Tensor
    mask: Tensor


def label_column(property_name: str) -> str:
    """Return the column of `labelled_conformers` with the values of a property."""
    return f"label:{property_name}"


def labelled_conformers(dataset_folder: Path, scheme: str, fold: int, properties: Sequence[str]) -> pd.DataFrame:
    """Return the manifest's rows with a value of any of the properties, with `subset` and a label column each, sorted.

    A value that is missing is NaN.
    """
    manifest = read_table(dataset_folder / "manifest.parquet")
    splits = read_table(dataset_folder / "splits.parquet")
    values = _values(dataset_folder, properties)
    splits = splits.loc[(splits["scheme"] == scheme) & (splits["fold"] == fold), ["key", "subset"]]
    rows = manifest.merge(values, left_on="key", right_index=True, validate="many_to_one")
    rows = rows.merge(splits, on="key", validate="many_to_one")
    if rows.empty:
        raise DataFormatError(
            f"no molecule of {scheme} fold {fold} has a value of {' or '.join(map(repr, properties))}",
            where=dataset_folder,
        )
    return rows.sort_values(["key", "conformer"], ignore_index=True)


def conformers_for_fields(dataset_folder: Path, scheme: str, fold: int, properties: Sequence[str]) -> pd.DataFrame:
    """Return the manifest's rows of molecules whose fields a fold may learn from without labels, sorted.

    Those are its training molecules, and molecules without a value of any of the properties (their `subset` is
    `unlabelled`): never one that the fold is validated or tested on.
    """
    labelled = labelled_conformers(dataset_folder, scheme, fold, properties)
    manifest = read_table(dataset_folder / "manifest.parquet")
    unlabelled = manifest.loc[~manifest["key"].isin(_values(dataset_folder, properties).index)]
    unlabelled = unlabelled.assign(subset=UNLABELLED, **{label_column(name): math.nan for name in properties})
    rows = pd.concat([labelled.loc[labelled["subset"] == "train"], unlabelled])
    return rows.sort_values(["key", "conformer"], ignore_index=True)


def _values(dataset_folder: Path, properties: Sequence[str]) -> pd.DataFrame:
    """Return the values of the properties by key, a column `label_column` each: molecules that have any of them."""
    labels = read_table(dataset_folder / "labels.parquet")
    labels = labels.loc[labels["property"].isin(properties) & labels["value"].notna()]
    values = labels.pivot(index="key", columns="property", values="value").reindex(columns=list(properties))
    return values.rename(columns=label_column).astype(np.float64)


def with_permuted_labels(rows: pd.DataFrame, properties: Sequence[str], seed: int) -> pd.DataFrame:
    """Return the rows with the labels of the training and of the validation molecules permuted, each among themselves.

    All labels of a molecule move together, to all its conformers; how many molecules of a subset have a label stays
    the same. The labels of test molecules are true.
    """
    generator = np.random.default_rng(seed)
    columns = [label_column(name) for name in properties]
    molecules = rows.drop_duplicates("key").sort_values("key").set_index("key")
    labels = molecules[columns].copy()
    for subset in ("train", "validation"):
        keys = molecules.index[molecules["subset"] == subset]
        labels.loc[keys] = labels.loc[keys].to_numpy()[generator.permutation(len(keys))]
    return rows.assign(**{name: rows["key"].map(labels[name]) for name in columns})


def collate(samples: Sequence[Sample], stride: int) -> Batch:
    """Join samples: each box is padded with vacuum, at its high ends, to the largest of the batch along each axis.

    The result is a multiple of `stride` (the network's total stride), so that no pooling cell of a stored box moves.
    """
    shapes = np.array([sample["voxels"].shape[1:] for sample in samples])
    shape = (-(-shapes.max(axis=0) // stride) * stride).tolist()
    first = samples[0]["voxels"]
    device = first.device
    voxels = torch.full((len(samples), first.shape[0], *shape), VACUUM, dtype=first.dtype, device=device)
    mask = torch.zeros((len(samples), 1, *shape), dtype=first.dtype, device=device)
    for number, sample in enumerate(samples):
        x, y, z = sample["voxels"].shape[1:]
        voxels[number, :, :x, :y, :z] = sample["voxels"]
        mask[number, :, :x, :y, :z] = 1.0
    return {
        "key": [sample["key"] for sample in samples],
        "conformer": [sample["conformer"] for sample in samples],
        "weight": torch.tensor([sample["weight"] for sample in samples]).to(first, non_blocking=True),
        "label": torch.stack([sample["label"] for sample in samples]).to(device, non_blocking=True),
        "voxels": voxels,
        "mask": mask,
    }
