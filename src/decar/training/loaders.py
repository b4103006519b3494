"""The loaders of one fold. On CPU their workers make whole batches; for a GPU they only read, it does the rest."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, Dataset

from decar.dataset.samples import Batch, Draw, collate
from decar.dataset.voxel_dataset import Fetched, Samples
from decar.training.batches import EpochBatches


class EpochLoader(DataLoader[Any]):
    """A loader that knows how far it has come in its epoch, and begins there after an interruption."""

    def __init__(self, batches: EpochBatches, *, num_workers: int, **options: Any) -> None:
        super().__init__(
            batch_sampler=batches, num_workers=num_workers, persistent_workers=num_workers > 0, **options
        )  # fmt: skip
        self.batches = batches
        self.num_delivered = 0

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        """Yield the batches that are left of the epoch."""
        self.num_delivered = self.batches.start
        for batch in super().__iter__():
            self.num_delivered += 1
            yield batch

    def state_dict(self) -> dict[str, int]:
        """Return the number of batches of this epoch that were delivered, for the checkpoint."""
        return {"num_delivered": self.num_delivered}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Begin after so many batches."""
        self.batches.start = state["num_delivered"]


class Fetching(Dataset[Fetched]):
    """A dataset that is read and prepared, no more: what workers do where a GPU finishes it."""

    def __init__(self, dataset: Samples) -> None:
        self.dataset = dataset

    def __getitem__(self, draw: Draw) -> Fetched:
        """Read what the voxels are made from, and prepare it."""
        return self.dataset.prepare(self.dataset.fetch(draw))


class Loaders(LightningDataModule):
    """A new order and new rotations each epoch in training; every sample once, in order and not turned, elsewhere."""

    def __init__(
        self, training: Samples | None, evaluated: Samples, batch_size: int, stride: int, seed: int,
        num_workers: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.training, self.evaluated = training, evaluated
        self.batch_size, self.stride, self.seed, self.num_workers = batch_size, stride, seed, num_workers

    def train_dataloader(self) -> EpochLoader:
        """Return the loader that begins with the current epoch."""
        if self.training is None:
            raise ValueError("these loaders were made for evaluation only")
        return self._loader(self.training, self._trainer.current_epoch, self.seed)

    def val_dataloader(self) -> EpochLoader:
        """Return the loader of what is evaluated."""
        return self._loader(self.evaluated, 0, None)

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Move a batch, or make it on the device from what was read."""
        if isinstance(batch, list):
            dataset = self.training if self._trainer.training else self.evaluated
            assert dataset is not None  # there is no loader of it
            return finish_batch(dataset, batch, self.stride, device)
        return super().transfer_batch_to_device(batch, device, dataloader_idx)

    @property
    def _trainer(self) -> Any:
        return self.trainer

    def _loader(self, dataset: Samples, epoch: int, seed: int | None) -> EpochLoader:
        trainer = self._trainer
        batches = EpochBatches(
            dataset.sizes,
            dataset.rows["shard"].to_list(),
            self.batch_size,
            trainer.global_rank,
            trainer.world_size,
            epoch,
            seed,
        )
        if trainer.strategy.root_device.type == "cpu":
            return EpochLoader(
                batches, dataset=dataset, collate_fn=partial(collate, stride=self.stride), num_workers=self.num_workers
            )
        return reading_loader(dataset, batches, self.num_workers)


def reading_loader(dataset: Samples, batches: EpochBatches, num_workers: int) -> EpochLoader:
    """Return a loader of what is read for each batch, a list of `Fetched`; voxels in memory that a GPU copies from."""
    return EpochLoader(
        batches, dataset=Fetching(dataset), collate_fn=list, num_workers=num_workers,
        pin_memory=torch.cuda.is_available(),
    )  # fmt: skip


def finish_batch(dataset: Samples, fetched: list[Fetched], stride: int, device: torch.device | str) -> Batch:
    """Return the batch, its voxels made on the device."""
    return collate(dataset.finish(fetched, device), stride)
