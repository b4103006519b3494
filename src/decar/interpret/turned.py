"""What the last layer's kernels are laid upon, in every orientation: the network is turned, not the molecule.

To turn the kernels of all layers by R is to turn the molecule by the inverse of R and its activations back: pooling
over cells of two does not see a rotation. The molecule stays where it is, so its vacuum is folded once (vacuum.py) and
positions are those of the molecule as it lies.

The first layer is pooled where it is computed: each of the eight voxels of a cell is a kernel of its own, shifted by
one voxel or none, in a convolution of stride 2. That is 1.7 times the operations at several times their speed (a
convolution of one channel is bound by its output, and this one writes no fine voxel). Layers are worked on in slabs
that the allocator keeps: fresh memory for every convolution cost a fifth of the time.
"""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from decar.dataset.rotations import Rotation
from decar.interpret.vacuum import Folded, fold
from decar.models.published import EPSILON, ConvolutionLayer, MaskedNorm, PublishedNetwork
from decar.record import Array

SLAB = 2**22  # values of a convolution before it is pooled (16 MiB)


def folded_for(network: PublishedNetwork, voxels: Array, layer: int) -> Folded:
    """Return the voxels [channel, x, y, z] with as much vacuum folded as the input of this layer does not see."""
    stride = 1 << (layer - 1)
    reach = -(-(network.receptive_field_of(layer - 1) - stride) // 2) if layer > 1 else 0
    return fold(voxels, stride, reach, network.settings.kernel_size + 1)


def turned_activations(network: PublishedNetwork, folded: Folded, layer: int, rotation: Rotation) -> Array:
    """Return the activations [channel, x, y, z] that the kernels of a layer are laid upon, all kernels turned.

    They are those of `network.activations` for the whole box as the mask.
    """
    x = torch.from_numpy(folded.voxels)[None].contiguous(memory_format=torch.channels_last_3d)
    wx, wy, wz = (torch.from_numpy(weight) for weight in folded.weights)
    weights = (wx[:, None, None] * wy[:, None] * wz)[None, None]
    with torch.inference_mode():
        for module in list(network.layers)[: layer - 1]:
            part = cast("ConvolutionLayer", module)
            kernel = torch.from_numpy(rotation.apply(part.convolution.weight.detach().cpu().numpy()))
            bias = cast("Tensor", part.convolution.bias)
            x = _layer(x, kernel, bias, part.pooling)
            weights = functional.avg_pool3d(weights, 2)
            x = _norm(part.norm, x, weights)
    return cast("Array", x[0].contiguous().numpy())


def _layer(x: Tensor, kernel: Tensor, bias: Tensor, pooling: str) -> Tensor:
    """Return the pooled and rectified convolution of x, slab by slab."""
    margin = kernel.shape[-1] // 2
    pooled = _pooled_first if x.shape[1] == 1 else _pooled
    padded = functional.pad(x, [margin] * 6)
    planes = max(2, SLAB // (len(kernel) * x[0, 0, 0].numel()) // 2 * 2)
    parts = []
    for start in range(0, x.shape[2], planes):
        slab = padded[:, :, start : min(start + planes, x.shape[2]) + 2 * margin]
        parts.append(pooled(slab.contiguous(memory_format=torch.channels_last_3d), kernel, bias, pooling))
    return torch.cat(parts, dim=2)


def _pooled(x: Tensor, kernel: Tensor, bias: Tensor, pooling: str) -> Tensor:
    x = functional.conv3d(x, kernel, bias)
    return functional.max_pool3d(x, 2).relu_() if pooling == "max" else functional.avg_pool3d(x.relu_(), 2)


def _pooled_first(x: Tensor, kernel: Tensor, bias: Tensor, pooling: str) -> Tensor:
    """As `_pooled`, for one channel: the eight voxels of a cell are eight times as many channels."""
    shifts = [(i, j, k) for i in (0, 1) for j in (0, 1) for k in (0, 1)]
    wide = torch.cat([functional.pad(kernel, [k, 1 - k, j, 1 - j, i, 1 - i]) for i, j, k in shifts])
    cells = functional.conv3d(x, wide.contiguous(memory_format=torch.channels_last_3d), bias.repeat(8), stride=2)
    cells = cells.view(1, 8, len(kernel), *cells.shape[2:])
    return cells.amax(dim=1).relu_() if pooling == "max" else cells.relu_().mean(dim=1)


def _norm(norm: nn.Module, x: Tensor, weights: Tensor) -> Tensor:
    """Normalise as `MaskedNorm`, a voxel counting as often as its weight says."""
    parameters = cast("MaskedNorm", norm)
    total = weights.sum() * x.shape[1]
    mean = (x.sum(dim=1, keepdim=True) * weights).sum() / total
    x = x - mean
    variance = (x.square().sum(dim=1, keepdim=True) * weights).sum() / total
    gain = parameters.scale.view(1, -1, 1, 1, 1) * torch.rsqrt(variance + EPSILON)
    return x * gain + parameters.shift.view(1, -1, 1, 1, 1)
