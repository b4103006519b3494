"""Which samples form a batch, and which process takes which of them.

A batch is drawn for all processes together and then shared out, so that an epoch has the same batches however many
processes work on it. A process that would be left without a sample takes one that does not count: torch's
DistributedSampler would count it twice.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader

from decar.dataset.samples import Draw, Sample, collate
from decar.dataset.voxel_dataset import VoxelDataset
from decar.stages import derive_seed


def epoch_batches(
    num_samples: int, batch_size: int, rank: int, world_size: int, epoch: int = 0, seed: int | None = None
) -> list[list[Draw]]:
    """Return this process's share of every batch of an epoch; with a seed in an order of its own for each epoch.

    The batches are as even as possible and have at most `batch_size` samples over all processes together.
    """
    order = np.arange(num_samples)
    if seed is not None:
        order = np.random.default_rng(derive_seed(seed, "order", epoch)).permutation(num_samples)
    shares = []
    for members in np.array_split(order, -(-num_samples // batch_size)):
        share = [Draw(int(sample), epoch) for sample in members[rank::world_size]]
        shares.append(share or [Draw(int(members[0]), epoch, is_counted=False)])
    return shares


class Loaders(LightningDataModule):
    """The loaders of one fold; a new order and new rotations each epoch (they are loaded anew for that)."""

    def __init__(
        self, training: VoxelDataset | None, evaluated: VoxelDataset, batch_size: int, stride: int, seed: int,
        num_workers: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.training, self.evaluated = training, evaluated
        self.batch_size, self.seed, self.num_workers = batch_size, seed, num_workers
        self.join: Callable[..., Any] = partial(collate, stride=stride)

    def train_dataloader(self) -> DataLoader[Sample]:
        """Return the loader of the current epoch."""
        if self.training is None:
            raise ValueError("these loaders were made for evaluation only")
        return self._loader(self.training, self._trainer.current_epoch, self.seed)

    def val_dataloader(self) -> DataLoader[Sample]:
        """Return the loader of what is evaluated: every sample once, in order, not rotated."""
        return self._loader(self.evaluated, 0, None)

    @property
    def _trainer(self) -> Any:
        return self.trainer

    def _loader(self, dataset: VoxelDataset, epoch: int, seed: int | None) -> DataLoader[Sample]:
        trainer = self._trainer
        batches = epoch_batches(len(dataset), self.batch_size, trainer.global_rank, trainer.world_size, epoch, seed)
        return DataLoader(dataset, batch_sampler=batches, collate_fn=self.join, num_workers=self.num_workers)
