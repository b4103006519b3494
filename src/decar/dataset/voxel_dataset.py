"""What the two datasets share: which samples there are, their labels, and the two steps from a draw to voxels.

`fetch` reads, in whatever process; `finish` computes the voxels of a batch, on any device. So where a network trains on
a GPU the workers of a loader only read, and where it trains on the CPU they do both (decar.training.loaders). Between
the two stands `prepare`: what a processor does for another device.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from decar.dataset.normalise import Normalisation
from decar.dataset.samples import (
    FIELDS_ALONE,
    Draw,
    Sample,
    conformers_for_fields,
    label_column,
    labelled_conformers,
    with_permuted_labels,
)
from decar.errors import DataFormatError
from decar.fields.registry import FIELDS
from decar.stages import derive_seed


class Fetched(NamedTuple):
    """What was read for a draw; `content` is understood by the dataset that read it."""

    draw: Draw
    content: Any


class Samples(Protocol):
    """What a loader asks of a dataset."""

    @property
    def rows(self) -> pd.DataFrame:
        """Return a row a sample."""

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Return the number of voxels of each sample's stored box."""

    def fetch(self, draw: Draw) -> Fetched:
        """Read what a sample is made from."""

    def prepare(self, fetched: Fetched) -> Fetched:
        """Return it as another device needs it."""

    def finish(self, fetched: Sequence[Fetched], device: torch.device | str = "cpu") -> list[Sample]:
        """Return the samples on the device; of what was prepared if that is not the processor."""


class VoxelDataset(Dataset[Sample], ABC):
    """The conformers of one subset (None: of all) of a fold with any of the properties, by key and conformer.

    The subset FIELDS_ALONE is that of `conformers_for_fields`: training molecules, and those without a label.

    With `normalisation` the voxels are what a network sees, without it the fields themselves. A sample is turned by a
    rotation drawn from (seed, epoch, key, conformer) as `augmentation` says. With `permuted_labels` the labels that are
    learned from are those of other molecules (`with_permuted_labels`).
    Raises DataFormatError when the tables of the dataset are missing.
    """

    def __init__(
        self,
        dataset_folder: Path,
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
        if subset == FIELDS_ALONE:
            self.rows = conformers_for_fields(dataset_folder, scheme, fold, properties)
        else:
            self.rows = labelled_conformers(dataset_folder, scheme, fold, properties)
            if permuted_labels:
                own = derive_seed(seed, "permuted labels", scheme, fold)
                self.rows = with_permuted_labels(self.rows, properties, own)
            if subset is not None:
                self.rows = self.rows.loc[self.rows["subset"] == subset].reset_index(drop=True)
        self.fields = tuple(fields)
        self.normalisation = normalisation
        self.augmentation = augmentation
        self.seed = seed
        self.properties = tuple(properties)
        self._samples = self.rows.to_dict("records")
        self._labels = torch.tensor(self.rows[[label_column(name) for name in properties]].to_numpy(np.float32))

    def __len__(self) -> int:
        """Return the number of conformers."""
        return len(self._samples)

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Return the number of voxels of each sample's stored box."""
        return np.asarray(self.rows[["shape_x", "shape_y", "shape_z"]].prod(axis=1), dtype=np.int64)

    @property
    def num_channels(self) -> int:
        """Return the number of channels of the voxels: one for a scalar field, three for a vector."""
        return sum(FIELDS[name].channels for name in self.fields)

    @abstractmethod
    def fetch(self, draw: Draw) -> Fetched:
        """Read what the voxels are made from."""

    def prepare(self, fetched: Fetched) -> Fetched:
        """Return what was read as another device needs it."""
        return fetched

    @abstractmethod
    def voxels(self, fetched: Sequence[Fetched], device: torch.device | str) -> list[dict[str, Tensor]]:
        """Return the turned fields of each, [channel, x, y, z], on the device."""

    def finish(self, fetched: Sequence[Fetched], device: torch.device | str = "cpu") -> list[Sample]:
        """Return the samples with their voxels on the device; raises DataFormatError where a voxel is not finite."""
        fields = self.voxels(fetched, device)
        if self.normalisation is not None:
            voxels = [self.normalisation.apply(one) for one in fields]
        else:
            voxels = [torch.cat([one[name].float() for name in self.fields]) for one in fields]
        # A sum is the cheapest pass that sees every voxel; a device is waited for once.
        sums = torch.stack([one.sum() for one in voxels]).tolist()
        for one, own, total in zip(fetched, fields, sums):
            self._check_finite(one.draw, own, total)
        return [self.sample_of(one.draw, own) for one, own in zip(fetched, voxels)]

    def _check_finite(self, draw: Draw, fields: dict[str, Tensor], total: float) -> None:
        if not math.isfinite(total):
            key, conformer = self.name(draw)
            bad = {name: int((~torch.isfinite(values)).sum()) for name, values in fields.items()}
            raise DataFormatError(
                "a field has values that are not finite", where=f"{key}/{conformer}",
                seen=", ".join(f"{name}: {count} voxels" for name, count in bad.items() if count),
                expected="finite numbers", remedy="decar verify names the damaged files; delete them and run again",
            )  # fmt: skip

    def sample_of(self, draw: Draw, voxels: Tensor) -> Sample:
        """Return the sample of a draw with these voxels."""
        key, conformer = self.name(draw)
        return {
            "key": key,
            "conformer": conformer,
            "weight": float(self._samples[draw.sample]["weight"]) if draw.is_counted else 0.0,
            "label": self._labels[draw.sample],
            "voxels": voxels,
        }

    def name(self, draw: Draw) -> tuple[str, int]:
        """Return key and conformer of a sample."""
        row = self._samples[draw.sample]
        return str(row["key"]), int(row["conformer"])

    def __getitem__(self, draw: int | Draw) -> Sample:
        """Return one sample on the CPU."""
        return self.finish([self.fetch(Draw(draw) if isinstance(draw, int) else draw)])[0]
