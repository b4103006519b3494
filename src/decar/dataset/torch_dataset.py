"""Stored voxels for a network. HDF5 files are opened by the process that reads them, never before a fork."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from torch.utils.data import Dataset

from decar.dataset.normalise import Normalisation
from decar.dataset.rotations import draw_rotation
from decar.dataset.samples import Draw, Sample, label_column, labelled_conformers, with_permuted_labels
from decar.dataset.shards import open_shard
from decar.errors import DataFormatError
from decar.stages import derive_seed

MAX_OPEN_FILES = 64


class ShardDataset(Dataset[Sample]):
    """The conformers of one subset (None: of all) of a fold with any of the properties, by key and conformer.

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
        properties: Sequence[str],
        *,
        normalisation: Normalisation | None = None,
        augmentation: str = "none",
        seed: int = 0,
        permuted_labels: bool = False,
    ) -> None:
        self.rows = labelled_conformers(dataset_folder, scheme, fold, properties)
        if permuted_labels:
            self.rows = with_permuted_labels(self.rows, properties, derive_seed(seed, "permuted labels", scheme, fold))
        if subset is not None:
            self.rows = self.rows.loc[self.rows["subset"] == subset].reset_index(drop=True)
        self.shards_folder = shards_folder
        self.fields = tuple(fields)
        self.normalisation = normalisation
        self.augmentation = augmentation
        self.seed = seed
        self.properties = tuple(properties)
        self._samples = self.rows.to_dict("records")
        self._labels = torch.tensor(self.rows[[label_column(name) for name in properties]].to_numpy(np.float32))
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
            "label": self._labels[draw.sample],
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
