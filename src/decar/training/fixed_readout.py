"""Heads alone: where all kernels are frozen and no sample is turned, what a head reads is computed once.

A training of 80 epochs then takes the time of one, and its numbers differ by rounding. Each box goes through the
kernels by itself, so what is read of it depends neither on the batches nor on where an interrupted training goes on.
On a GPU nothing of this is done: there, the processor would take longer for it than the card for all epochs.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import Dataset

from decar.config import ModelSettings, Study, TrainingSettings
from decar.dataset.samples import Draw, Sample, collate
from decar.dataset.voxel_dataset import Fetched, Samples, VoxelDataset
from decar.models.network import Network

Name = tuple[str, int]  # key and conformer


def as_trained(
    network: Network, study: Study, settings: ModelSettings, data: Sequence[VoxelDataset],
    report: Callable[[str], None],
) -> tuple[Network, Sequence[Samples]]:  # fmt: skip
    """Return what is trained, and on what: the head on readouts where they are fixed, else what is given.

    The last one of `data` has the samples of all others.
    """
    if not has_fixed_readout(network, study.training, settings):
        return network, data
    report("no kernel learns and no sample is turned: what the head reads of them is computed once")
    read = readouts(network, data[-1])
    return HeadAlone(network), [ReadSamples(part, read) for part in data]


def has_fixed_readout(network: Network, training: TrainingSettings, settings: ModelSettings) -> bool:
    """Return whether a training changes nothing of what the head reads of a sample."""
    kernels = [part for name, part in network.parts().items() if name not in network.head_parts]
    learns = any(weight.requires_grad for part in kernels for weight in part.parameters())
    return not learns and training.augmentation_of(settings) == "none" and training.gpus_per_node == 0


def readout_of(network: Network, sample: Sample) -> Tensor:
    """Return what the head reads of a sample by itself, [number], without a gradient."""
    with torch.no_grad():
        batch = collate([sample], network.total_stride)
        return network.readout(batch["voxels"], batch["mask"])[0]


def readouts(network: Network, data: VoxelDataset) -> dict[Name, Tensor]:
    """Return what the head reads of each sample, [number], by key and conformer."""
    found = torch.stack([readout_of(network, data[number]) for number in range(len(data))])
    return {data.name(Draw(number)): row for number, row in enumerate(found)}


class ReadSamples(Dataset[Sample]):
    """The samples of a dataset, by their readouts in place of their voxels: [number, 1, 1, 1]."""

    def __init__(self, data: VoxelDataset, read: Mapping[Name, Tensor]) -> None:
        self.data = data
        self.read = [read[data.name(Draw(number))] for number in range(len(data))]

    def __len__(self) -> int:
        """Return the number of conformers."""
        return len(self.data)

    @property
    def rows(self) -> pd.DataFrame:
        """Return the rows of the dataset."""
        return self.data.rows

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Return the sizes of the boxes: so batches are those of a training on voxels."""
        return self.data.sizes

    def fetch(self, draw: Draw) -> Fetched:
        """Return the readout of a draw."""
        return Fetched(draw, self.read[draw.sample][:, None, None, None])

    def prepare(self, fetched: Fetched) -> Fetched:
        """Return it as it is."""
        return fetched

    def finish(self, fetched: Sequence[Fetched], device: torch.device | str = "cpu") -> list[Sample]:
        """Return the samples."""
        return [self.data.sample_of(one.draw, one.content.to(device)) for one in fetched]

    def __getitem__(self, draw: Draw) -> Sample:
        """Return one sample."""
        return self.finish([self.fetch(draw)])[0]


class HeadAlone(Network):
    """The head of a network, for batches of readouts; it shares the network's weights."""

    def __init__(self, network: Network) -> None:
        super().__init__(network.settings, network.spacing_bohr, network.num_inputs, network.num_outputs)
        self.network = network
        self.head_parts = network.head_parts

    @property
    def total_stride(self) -> int:
        """Return 1: a readout has no neighbours."""
        return 1

    @property
    def num_features(self) -> int:
        """Return that of the network."""
        return self.network.num_features

    def feature_map(self, x: Tensor, mask: Tensor) -> NoReturn:
        """Raise TypeError: a readout is no map."""
        del x, mask
        raise TypeError("a head alone has no map of features")

    def readout(self, x: Tensor, mask: Tensor) -> Tensor:  # noqa: ARG002  as every network
        """Return what is given, [batch, number, 1, 1, 1], as [batch, number]."""
        return x.flatten(1)

    def head(self, read: Tensor, keep: Tensor | None = None) -> Tensor:
        """Return the outputs of the network's head."""
        return self.network.head(read, keep)

    def parts(self) -> dict[str, nn.Module]:
        """Return the parts of the head."""
        return {name: part for name, part in self.network.parts().items() if name in self.head_parts}

    def describe(self) -> list[dict[str, object]]:
        """Return the rows of the network."""
        return self.network.describe()
