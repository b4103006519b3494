"""Stored voxels for a network. HDF5 files are opened by the process that reads them, never before a fork."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import torch
from torch import Tensor

from decar.dataset.rotations import draw_rotation
from decar.dataset.samples import Draw
from decar.dataset.shards import open_shard
from decar.dataset.voxel_dataset import Fetched, VoxelDataset
from decar.errors import DataFormatError

MAX_OPEN_FILES = 64


class ShardDataset(VoxelDataset):
    """Samples read from shards; `augmentation` (none, rotations_6, rotations_24) turns voxels about the box's middle.

    Raises DataFormatError when a field is not in the shards.
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
        **options: Any,
    ) -> None:
        super().__init__(dataset_folder, scheme, fold, subset, fields, properties, **options)
        self.shards_folder = shards_folder
        self._files: dict[str, h5py.File] = {}
        self._owner = os.getpid()

    def fetch(self, draw: Draw) -> Fetched:
        """Read the stored values."""
        row = self._samples[draw.sample]
        return Fetched(draw, self._read(str(row["shard"]), str(row["path"])))

    def voxels(self, fetched: Sequence[Fetched], device: torch.device | str) -> list[dict[str, Tensor]]:
        """Turn the stored values; the components of a vector turn among themselves."""
        turned = []
        for draw, content in fetched:
            rotation = draw_rotation(self.augmentation, self.seed, draw.epoch, *self.name(draw))
            turned.append({
                name: rotation.turn(values.to(device, non_blocking=True)) for name, values in content.items()
            })  # fmt: skip
        return turned

    def _read(self, shard: str, path: str) -> dict[str, Tensor]:
        group = self._file(shard)[path]
        missing = [name for name in self.fields if name not in group]
        if missing:
            raise DataFormatError(f"the shard lacks the fields {missing}", where=f"{shard}:/{path}", seen=sorted(group))
        try:
            return {name: torch.from_numpy(group[name][()]) for name in self.fields}
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
