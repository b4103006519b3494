r"""Begin with a hidden layer that sees the training molecules spread out: data-dependent initialisation.

    V'_ij = V_ij / s_j,    c' = c - V' m        m, s: mean and standard deviation of its inputs over training molecules

(arXiv 1511.06856, for the hidden layer alone.) Averages over a molecule hardly differ from molecule to molecule before
anything is learned: those of a steerable network by a hundredth of their size. Where s is below a thousandth of the
largest one there is nothing but rounding, and it is not divided by less. What it is worth: docs/benchmark.md.
"""

import torch
from torch import Tensor

from decar.dataset.samples import collate
from decar.dataset.voxel_dataset import VoxelDataset
from decar.errors import ConfigError
from decar.models.network import Network

MOST = 512  # samples that the statistics are taken of, evenly from the training subset
LEAST = 1e-3  # of the largest standard deviation


def standardise_hidden(network: Network, training: VoxelDataset) -> None:
    """Change weights and biases of `hidden` in place; every process sees the same samples, so all get the same.

    `training` is the training subset, not turned. Raises ConfigError for a single sample.
    """
    hidden = network.parts()["hidden"]
    given: list[Tensor] = []
    with torch.inference_mode():
        for sample in range(0, len(training), -(-len(training) // MOST) or 1):
            batch = collate([training[sample]], network.total_stride)
            given.append(network.readout(batch["voxels"], batch["mask"]))
    if len(given) < 2:
        raise ConfigError("one sample has no spread", where="standardised", seen=f"{len(given)} training sample",
                          remedy="leave `standardised` out")  # fmt: skip
    seen = torch.cat(given).double()
    mean, deviation = seen.mean(dim=0), seen.std(dim=0)
    deviation = deviation.clamp(min=max(LEAST * float(deviation.max()), torch.finfo(torch.float32).tiny))
    weight, bias = hidden.get_parameter("weight"), hidden.get_parameter("bias")
    with torch.no_grad():
        weight.copy_(weight.double() / deviation)
        bias.copy_(bias.double() - weight.double() @ mean)
