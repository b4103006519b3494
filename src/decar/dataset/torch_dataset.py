"""Voxels for a network: one sample a conformer, padded and masked into batches.

HDF5 files are opened by the process that reads them, never before a fork. A sample is asked for by a `Draw`, which
carries the epoch with it: what comes back depends on nothing else, whatever worker or process asks.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

import h5py
import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import Dataset

from decar.dataset.normalise import VACUUM, Normalisation
from decar.dataset.rotations import draw_rotation
from decar.dataset.shards import open_shard
from decar.errors import DataFormatError
from decar.receipt import read_table
from decar.stages import derive_seed

MAX_OPEN_FILES = 64


class Draw(NamedTuple):
    """Which sample, in which epoch (it decides the rotation), and whether it counts or only fills up a batch."""

    sample: int
    epoch: int = 0
    is_counted: bool = True


class Sample(TypedDict):
    """One conformer; `voxels` is [channel, x, y, z], `weight` 1/k, or 0 where the sample does not count."""

    key: str
    conformer: int
    weight: float
    label: float
    voxels: Tensor


class Batch(TypedDict):
    """Samples joined: `weight`, `label` [batch]; `voxels` [batch, channel, x, y, z]; `mask` [batch, 1, x, y, z]."""

    key: list[str]
    conformer: list[int]
    weight: Tensor
    label: Tensor
    voxels: Tensor
    mask: Tensor


class ShardDataset(Dataset[Sample]):
    """The labelled conformers of one subset (None: of all subsets) of a fold, in order of key and conformer.

    With `normalisation` the voxels are what a network sees, without it the stored values. `augmentation` (none,
    rotations_6, rotations_24) turns each sample by a rotation drawn from (seed, epoch, key, conformer). With
    `permuted_labels` the labels that are learned from are those of other molecules (`with_permuted_labels`).
    Raises DataFormatError when the tables of the dataset are missing or a field is not in the shards.
    """

    def __init__(
        self,
        dataset_folder: Path,
        shards_folder: Path,
        scheme: str,
        fold: int,
        subset: str | None,
        fields: Sequence[str],
        property_name: str,
        *,
        normalisation: Normalisation | None = None,
        augmentation: str = "none",
        seed: int = 0,
        permuted_labels: bool = False,
    ) -> None:
        self.rows = labelled_conformers(dataset_folder, scheme, fold, property_name)
        if permuted_labels:
            self.rows = with_permuted_labels(self.rows, derive_seed(seed, "permuted labels", scheme, fold))
        if subset is not None:
            self.rows = self.rows.loc[self.rows["subset"] == subset].reset_index(drop=True)
        self.shards_folder = shards_folder
        self.fields = tuple(fields)
        self.normalisation = normalisation
        self.augmentation = augmentation
        self.seed = seed
        self._samples = self.rows.to_dict("records")
        self._files: dict[str, h5py.File] = {}
        self._owner = os.getpid()

    def __len__(self) -> int:
        """Return the number of conformers."""
        return len(self._samples)

    def __getitem__(self, draw: int | Draw) -> Sample:
        """Read, normalise and rotate one sample."""
        draw = Draw(draw) if isinstance(draw, int) else draw
        row = self._samples[draw.sample]
        key, conformer = str(row["key"]), int(row["conformer"])
        arrays = self._read(str(row["shard"]), str(row["path"]))
        if self.normalisation is not None:
            voxels = self.normalisation.apply(arrays)
        else:
            voxels = np.concatenate([arrays[name] for name in self.fields]).astype(np.float32, copy=False)
        voxels = draw_rotation(self.augmentation, self.seed, draw.epoch, key, conformer).apply(voxels)
        return {
            "key": key,
            "conformer": conformer,
            "weight": float(row["weight"]) if draw.is_counted else 0.0,
            "label": float(row["label"]),
            "voxels": torch.from_numpy(voxels),
        }

    def _read(self, shard: str, path: str) -> dict[str, Any]:
        group = self._file(shard)[path]
        missing = [name for name in self.fields if name not in group]
        if missing:
            raise DataFormatError(f"the shard lacks the fields {missing}", where=f"{shard}:/{path}", seen=sorted(group))
        try:
            return {name: group[name][()] for name in self.fields}
        except OSError as error:
            raise DataFormatError("voxels cannot be decoded", where=f"{shard}:/{path}", seen=str(error)) from error

    def _file(self, shard: str) -> h5py.File:
        if self._owner != os.getpid():  # a forked worker: the parent's files are not its own
            self._files, self._owner = {}, os.getpid()
        if shard not in self._files:
            if len(self._files) >= MAX_OPEN_FILES:
                self._files.pop(next(iter(self._files))).close()
            self._files[shard] = open_shard(self.shards_folder / shard)
        return self._files[shard]

    def __getstate__(self) -> dict[str, Any]:
        """Leave open files behind when a spawned worker takes a copy."""
        return {**self.__dict__, "_files": {}}


def labelled_conformers(dataset_folder: Path, scheme: str, fold: int, property_name: str) -> pd.DataFrame:
    """Return the manifest's rows that have a value of this property, with `label` and `subset`, sorted."""
    manifest = read_table(dataset_folder / "manifest.parquet")
    labels = read_table(dataset_folder / "labels.parquet")
    splits = read_table(dataset_folder / "splits.parquet")
    labels = labels.loc[(labels["property"] == property_name) & labels["value"].notna(), ["key", "value"]]
    splits = splits.loc[(splits["scheme"] == scheme) & (splits["fold"] == fold), ["key", "subset"]]
    rows = manifest.merge(labels.rename(columns={"value": "label"}), on="key", validate="many_to_one")
    rows = rows.merge(splits, on="key", validate="many_to_one")
    if rows.empty:
        raise DataFormatError(
            f"no molecule of {scheme} fold {fold} has a value of {property_name!r}", where=dataset_folder
        )
    return rows.sort_values(["key", "conformer"], ignore_index=True)


def with_permuted_labels(rows: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Return the rows with the labels of the training and of the validation molecules permuted, each among themselves.

    All conformers of a molecule get the same one; how many molecules of a subset have a label stays the same. The
    labels of test molecules are true.
    """
    generator = np.random.default_rng(seed)
    molecules = rows.drop_duplicates("key").sort_values("key")
    labels = dict(zip(molecules["key"], molecules["label"]))
    for subset in ("train", "validation"):
        of_subset = molecules[molecules["subset"] == subset]
        labels |= dict(zip(of_subset["key"], generator.permutation(of_subset["label"].to_numpy())))
    return rows.assign(label=rows["key"].map(labels))


def collate(samples: Sequence[Sample], stride: int) -> Batch:
    """Join samples: each box is padded with vacuum, at its high ends, to the largest of the batch along each axis.

    The result is a multiple of `stride` (the network's total stride), so that no pooling cell of a stored box moves.
    """
    shapes = np.array([sample["voxels"].shape[1:] for sample in samples])
    shape = (-(-shapes.max(axis=0) // stride) * stride).tolist()
    first = samples[0]["voxels"]
    voxels = torch.full((len(samples), first.shape[0], *shape), VACUUM, dtype=first.dtype)
    mask = torch.zeros((len(samples), 1, *shape), dtype=first.dtype)
    for number, sample in enumerate(samples):
        x, y, z = sample["voxels"].shape[1:]
        voxels[number, :, :x, :y, :z] = sample["voxels"]
        mask[number, :, :x, :y, :z] = 1.0
    return {
        "key": [sample["key"] for sample in samples],
        "conformer": [sample["conformer"] for sample in samples],
        "weight": torch.tensor([sample["weight"] for sample in samples], dtype=first.dtype),
        "label": torch.tensor([sample["label"] for sample in samples], dtype=first.dtype),
        "voxels": voxels,
        "mask": mask,
    }
