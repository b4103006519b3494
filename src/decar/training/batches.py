"""Which samples form a batch, and which process takes which of them.

A batch is drawn for all processes together and then shared out, so that an epoch has the same batches however many
processes work on it. A process that would be left without a sample takes one that does not count: torch's
DistributedSampler would count it twice.

Order of an epoch. Shards are drawn in windows, so that each file is opened once an epoch; within a window the samples
are shuffled, and within some batches' worth of samples those of similar size are put together, because a batch is
padded to its largest box. A batch and its order are a function of (seed, epoch) alone: a training that was interrupted
goes on with the batch that it would have taken next.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

from decar.dataset.samples import Draw
from decar.stages import derive_seed

WINDOW = 64  # shards that are drawn from at a time: as many as a dataset keeps open
POOL = 8  # batches among whose samples those of similar size are put together
# Sizes are multiplied by up to e^(+-BLUR/2) before they are compared: the batches of no two epochs are the same.
BLUR = 0.5

Integers = NDArray[np.int64]


def epoch_batches(
    sizes: Sequence[int] | Integers, shards: Sequence[Any], batch_size: int, epoch: int = 0, seed: int | None = None
) -> list[Integers]:
    """Return the samples of every batch of an epoch; without a seed in the order of shards and sizes.

    `sizes` [voxels] and `shards` have an entry a sample. The batches are as even as possible and have at most
    `batch_size` samples, over all processes together.
    """
    logarithms = np.log(np.asarray(sizes, dtype=np.float64))
    names, of = np.unique(np.asarray(shards), return_inverse=True)
    num = len(logarithms)
    num_batches = math.ceil(num / batch_size)
    if seed is None:
        order = np.lexsort((logarithms, of // WINDOW))
        return np.array_split(order, num_batches)
    random = np.random.default_rng(derive_seed(seed, "order", epoch))
    window = random.permutation(len(names))[of] // WINDOW
    order = np.lexsort((random.random(num), window))
    blurred = logarithms[order] + random.uniform(-BLUR / 2, BLUR / 2, num)
    pool = np.arange(num) // (POOL * batch_size)
    if logarithms.min() < logarithms.max():
        order = order[np.lexsort((blurred, pool))]
    batches = np.array_split(order, num_batches)
    places = np.lexsort((random.random(num_batches), np.arange(num_batches) // POOL))
    return [batches[place] for place in places]


class EpochBatches(Sampler[list[Draw]]):
    """This process's share of every batch of an epoch, from the batch `start` on (0 but after an interruption)."""

    def __init__(
        self, sizes: Sequence[int] | Integers, shards: Sequence[Any], batch_size: int, rank: int, world_size: int,
        epoch: int = 0, seed: int | None = None,
    ) -> None:  # fmt: skip
        self.sizes, self.shards, self.batch_size = sizes, shards, batch_size
        self.rank, self.world_size = rank, world_size
        self.epoch, self.seed = epoch, seed
        self.start = 0

    @property
    def sampler(self) -> "EpochBatches":
        """Return itself: Lightning tells the epoch to the sampler of a loader's batches."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Go to an epoch."""
        if epoch != self.epoch:
            self.epoch, self.start = epoch, 0

    def __len__(self) -> int:
        """Return the number of batches of the whole epoch."""
        return math.ceil(len(self.sizes) / self.batch_size)

    def __iter__(self) -> Iterator[list[Draw]]:
        """Yield the share of each batch."""
        batches = epoch_batches(self.sizes, self.shards, self.batch_size, self.epoch, self.seed)
        for members in batches[self.start :]:
            share = [Draw(sample, self.epoch) for sample in members[self.rank :: self.world_size].tolist()]
            yield share or [Draw(int(members[0]), self.epoch, is_counted=False)]
