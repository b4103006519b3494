"""The input form of kernel correlation: a kernel's linearised receptive field against the molecule's own field.

The response of a kernel of layer L, seen from the input, is a correlation with a field F_k once the layers below it are
made linear. This is done as follows, so that F_k depends on the weights alone and not on a reference molecule:

    rectifier   -> identity                 pooling (maximum or average) -> average over its 2 x 2 x 2 cell
    biases      -> dropped                  norm -> its scale of each channel (its per-sample factor and its mean are
                                                    common to all channels, and Pearson's r does not see the factor)

    F_k = W_1 o A o s_1 o W_2 o A o s_2 o ... o W_L,k      (W convolutions, A averages with stride 2, s channel scales)

r_k is the largest Pearson correlation between F_k and the normalised field of the molecule, over all channels and
voxels of the receptive field, at every position where layer L lays its kernel (a step of 2^(L-1) voxels). Outside the
box the field is vacuum, which is 0 after normalisation, so the field is padded with zeros.

    covariance = <F_k, x> - mean(F_k) sum(x)        scatter = sum(x^2) - sum(x)^2 / n         over the patch of x

<F_k, x> is the linear network itself, in single precision (1e-6 of the patch's norm); the sums are those of boxes, in
double precision. No mean is taken away first: in the faint outskirts of a molecule all terms stay small together.
"""

from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from decar.models.published import ConvolutionLayer, PublishedNetwork
from decar.record import Array


@dataclass(frozen=True)
class LinearStack:
    """Layers 1 to L as linear maps: kernels [out, in, k, k, k] of each, scales [out] of all but the last, float32.

    `fields` [kernel, input channel, edge, edge, edge] are the receptive fields F_k, float64.
    """

    kernels: tuple[Tensor, ...]
    scales: tuple[Tensor, ...]
    fields: Tensor

    @property
    def stride(self) -> int:
        """Return the step between two positions in input voxels."""
        return int(2 ** (len(self.kernels) - 1))

    @property
    def edge(self) -> int:
        """Return the edge of a receptive field in input voxels."""
        return int(self.fields.shape[-1])

    def response(self, x: Tensor) -> Tensor:
        """Lay every F_k upon x [batch, channel, x, y, z] at each position where it fits whole: [batch, kernel, ...]."""
        for kernel, scale in zip(self.kernels, self.scales):
            x = functional.avg_pool3d(functional.conv3d(x, kernel), 2) * scale.view(1, -1, 1, 1, 1)
        return functional.conv3d(x, self.kernels[-1])


def linear_stack(network: PublishedNetwork, layer: int) -> LinearStack:
    """Return layers 1 to `layer` of the network as linear maps, with the receptive fields of that layer's kernels."""
    layers = [cast("ConvolutionLayer", module) for module in list(network.layers)[:layer]]
    kernels = tuple(module.convolution.weight.detach().cpu() for module in layers)
    scales = tuple(module.norm.scale.detach().cpu() for module in layers[:-1])
    fields = _compose(tuple(kernel.double() for kernel in kernels), tuple(scale.double() for scale in scales))
    return LinearStack(kernels, scales, fields)


def _compose(kernels: tuple[Tensor, ...], scales: tuple[Tensor, ...]) -> Tensor:
    """Return F from the last layer down: the transposed maps turn a field of one layer into that of the layer below."""
    field = kernels[-1].contiguous()
    for kernel, scale in zip(kernels[-2::-1], scales[::-1]):
        field = field * scale.view(1, -1, 1, 1, 1)
        field = field.repeat_interleave(2, 2).repeat_interleave(2, 3).repeat_interleave(2, 4) / 8
        field = functional.conv_transpose3d(field, kernel)
    return field


def field_correlation(stack: LinearStack, voxels: Array, min_variance: float) -> Array:
    """Return the largest correlation of each kernel's receptive field [kernel], without rotations.

    `voxels` [channel, x, y, z] is the normalised field; its box is a multiple of the stride. `min_variance` is the
    least variance of a patch that counts, as a share of the largest one. NaN where no patch has a variance (an empty
    box) or the receptive field is constant.
    """
    size = stack.kernels[0].shape[-1]
    padding = (size // 2) * (2 * stack.stride - 1)  # what the zero padding of all layers adds up to
    x = functional.pad(torch.from_numpy(np.ascontiguousarray(voxels, dtype=np.float32))[None], [padding] * 6)
    with torch.inference_mode():
        response = stack.response(x.contiguous(memory_format=torch.channels_last_3d)).double()
    sums = _box_sums(x.double().sum(dim=1, keepdim=True), stack.edge, stack.stride)
    squares = _box_sums(x.double().square().sum(dim=1, keepdim=True), stack.edge, stack.stride)
    scatter = squares - sums.square() / stack.fields[0].numel()
    mean = stack.fields.mean(dim=(1, 2, 3, 4))
    norm = (stack.fields - mean.view(-1, 1, 1, 1, 1)).square().sum(dim=(1, 2, 3, 4)).sqrt()
    covariance = response - mean.view(1, -1, 1, 1, 1) * sums
    counted = (scatter >= min_variance * scatter.max()) & (scatter > 0)
    values = covariance / (norm.view(1, -1, 1, 1, 1) * scatter.clamp_min(torch.finfo(torch.float64).tiny).sqrt())
    best = values.masked_fill(~counted, -torch.inf).amax(dim=(0, 2, 3, 4)).numpy()
    return np.where(np.isfinite(best), np.clip(best, -1.0, 1.0), np.nan)


def _box_sums(x: Tensor, window: int, stride: int) -> Tensor:
    """Return the sums of x [1, 1, x, y, z] over cubes of edge `window` at every `stride`, one axis after another."""
    for axis in (2, 3, 4):
        x = x.unfold(axis, window, stride).sum(dim=-1)
    return x
