"""The input form of kernel correlation: a kernel's linearised receptive field against the molecule's own field.

The response of a kernel of layer L, seen from the input, is a correlation with a field F_k once the layers below it are
made linear. This is done as follows, so that F_k depends on the weights alone and not on a reference molecule:

    rectifier   -> identity                 pooling (maximum or average) -> average over its 2 x 2 x 2 cell
    biases      -> dropped                  norm -> its scale of each channel (its per-sample factor and its mean are
                                                    common to all channels, and Pearson's r does not see the factor)

    F_k = W_1 o A o s_1 o W_2 o A o s_2 o ... o W_L,k      (W convolutions, A averages with stride 2, s channel scales)

r_k is the largest Pearson correlation between F_k, in each of its rotations, and the normalised field of the molecule,
over all channels and voxels of the receptive field, at every position where layer L lays its kernel (a step of 2^(L-1)
voxels). Outside the box the field is vacuum, which is 0 after normalisation, so the field is padded with zeros.

    covariance = <F_k, x> - mean(F_k) sum(x)        scatter = sum(x^2) - sum(x)^2 / n         over the patch of x

<F_k, x> is the linear network itself, in single precision (1e-6 of the patch's norm); the sums are those of boxes, in
double precision (patches.py). No mean is taken away first: in the faint outskirts of a molecule all terms stay small
together. A convolution that is averaged over cells of two is one convolution of stride 2 with a kernel one voxel wider,
the mean of its eight shifts: a fifth of the work. To turn all kernels of the stack is to turn F_k, as averaging over
cells does not see a rotation. As in correlation.py, r_k is computed anew in double precision where it was found.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from decar.dataset.rotations import Rotation
from decar.interpret.correlation import Match, best_over_rotations, no_match
from decar.interpret.patches import Patches, find_patches
from decar.models.published import ConvolutionLayer, PublishedNetwork
from decar.record import Array


@dataclass(frozen=True)
class LinearStack:
    """Layers 1 to L as linear maps: `kernels` [out, in, k, k, k] of each, float32.

    All but the last have their averaging and their channel scales in them and go forward by two voxels. `fields`
    [kernel, input channel, edge, edge, edge] are the receptive fields F_k, float64; `padding` is what the zero padding
    of all layers adds up to, in input voxels.
    """

    kernels: tuple[Tensor, ...]
    fields: Tensor
    padding: int

    @property
    def stride(self) -> int:
        """Return the step between two positions in input voxels."""
        return int(2 ** (len(self.kernels) - 1))

    @property
    def edge(self) -> int:
        """Return the edge of a receptive field in input voxels."""
        return int(self.fields.shape[-1])

    def turned(self, rotation: Rotation) -> "LinearStack":
        """Return the stack whose receptive fields are those of this one, turned."""
        kernels = tuple(turned(kernel, rotation) for kernel in self.kernels)
        return LinearStack(kernels, turned(self.fields, rotation), self.padding)

    def response(self, x: Tensor) -> Tensor:
        """Lay every F_k upon x [batch, channel, x, y, z] at each position where it fits whole: [batch, kernel, ...]."""
        for kernel in self.kernels[:-1]:
            x = functional.conv3d(x, kernel, stride=2)
        return functional.conv3d(x, self.kernels[-1])

    def patches(self, voxels: Array, min_variance: float) -> tuple[Tensor, Patches | None]:
        """Return the padded field, float32, and its patches that count: common to all stacks of the same shape."""
        x = functional.pad(torch.from_numpy(np.ascontiguousarray(voxels, dtype=np.float32)), [self.padding] * 6)
        return x, find_patches(x, self.edge, self.stride, min_variance)


def turned(kernels: Tensor, rotation: Rotation) -> Tensor:
    """Return kernels [..., k, k, k] turned about their centre."""
    return torch.from_numpy(rotation.apply(kernels.numpy()))


def linear_stack(network: PublishedNetwork, layer: int) -> LinearStack:
    """Return layers 1 to `layer` of the network as linear maps, with the receptive fields of that layer's kernels."""
    layers = [cast("ConvolutionLayer", module) for module in list(network.layers)[:layer]]
    weights = [module.convolution.weight.detach().cpu().contiguous().double() for module in layers]
    scales = [module.norm.scale.detach().cpu().double() for module in layers]
    kernels = [_averaged(weight) * scale.view(-1, 1, 1, 1, 1) for weight, scale in zip(weights[:-1], scales)]
    fields = weights[-1]
    for kernel in reversed(kernels):  # the transposed maps turn a field of one layer into that of the layer below
        fields = functional.conv_transpose3d(fields, kernel, stride=2)
    padding = (weights[0].shape[-1] // 2) * (2**layer - 1)
    return LinearStack(tuple(kernel.float() for kernel in [*kernels, weights[-1]]), fields, padding)


def _averaged(kernel: Tensor) -> Tensor:
    """Return [out, in, k + 1, k + 1, k + 1]: the mean of the eight shifts of a kernel by one voxel or none."""
    for axis in (2, 3, 4):
        rim = list(kernel.shape)
        rim[axis] = 1
        zero = kernel.new_zeros(rim)
        kernel = (torch.cat([kernel, zero], axis) + torch.cat([zero, kernel], axis)) / 2
    return kernel


def field_match(stack: LinearStack, x: Tensor, patches: Patches | None, rotations: Sequence[Rotation]) -> Match:
    """Return the best match of each kernel's receptive field, `x` and `patches` being those of `stack.patches`.

    A position p is the patch from p stride - padding on, in voxels of the box. NaN where no patch has a variance (an
    empty box) or the receptive field is constant.
    """
    if patches is None:
        return no_match(len(stack.fields))
    mean = stack.fields.mean(dim=(1, 2, 3, 4))
    norm = (stack.fields - mean.view(-1, 1, 1, 1, 1)).square().sum(dim=(1, 2, 3, 4)).sqrt()
    region = patches.seen(x)[None].contiguous(memory_format=torch.channels_last_3d)
    values, places = [], []
    for rotation in rotations:
        with torch.inference_mode():
            response = stack.turned(rotation).response(region)[0].double()
        value, place = patches.best(response - mean.view(-1, 1, 1, 1) * patches.sums)
        values.append(torch.where(norm > 0, value / norm, -torch.inf))
        places.append(place)
    return best_over_rotations(
        x, patches, torch.stack(values), torch.stack(places),
        lambda turn, kernel: turned(stack.fields[kernel], rotations[turn]),
    )  # fmt: skip
