"""Mean and standard deviation of what a head reads, over the training molecules, for `standardised` networks.

Averages over a molecule hardly differ from molecule to molecule before anything is learned: those of a steerable
network by a hundredth of their size. An optimiser whose steps have one size for all weights (AdamW) then cannot tell
molecules apart. To scale the first weights by 1 / s (arXiv 1511.06856) does not help it: the weights that it would have
to change by are as large. So m and s are kept apart from them (decar.models.hidden). Where s is below a thousandth of
the largest one there is nothing but rounding, and it is not divided by less. What it is worth: docs/benchmark.md.
"""

import torch

from decar.dataset.voxel_dataset import VoxelDataset
from decar.errors import ConfigError
from decar.models.hidden import StandardisedLinear
from decar.models.network import Network
from decar.training.fixed_readout import readout_of

MOST = 512  # samples that the statistics are taken of, evenly from the training subset
LEAST = 1e-3  # of the largest standard deviation


def standardise_hidden(network: Network, training: VoxelDataset) -> None:
    """Set m and s of the hidden layer; every process sees the same samples, so all get the same.

    `training` is the training subset, not turned. Raises ConfigError for a single sample.
    """
    hidden = network.parts()["hidden"]
    if not isinstance(hidden, StandardisedLinear):
        raise TypeError("only a network with `standardised` has a layer for it")
    step = -(-len(training) // MOST) or 1
    given = [readout_of(network, training[sample]) for sample in range(0, len(training), step)]
    if len(given) < 2:
        raise ConfigError("one sample has no spread", where="standardised", seen=f"{len(given)} training sample",
                          remedy="leave `standardised` out")  # fmt: skip
    seen = torch.stack(given).double()
    mean, deviation = seen.mean(dim=0), seen.std(dim=0)
    deviation = deviation.clamp(min=max(LEAST * float(deviation.max()), torch.finfo(torch.float32).tiny))
    hidden.standardise(mean, deviation)
