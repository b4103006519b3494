"""Convolution over three axes, as torch has it, but for kernels that it fails on.

On a CPU torch 2.13 (oneDNN, measured where there is AVX-512 with bfloat16)

- crashes, or gives wrong gradients of kernels without a word, where a box has fewer voxels than a kernel has taps
  (along its first axis, as far as was seen): in bfloat16, and in float32 for steps of two, then of as many voxels, too;
- never comes back, or not for minutes, from some kernels with 15 taps or more along the last axis: in bfloat16 where
  each channel has one of its own, in float32 from their gradient where they lie between 16 channels or more.

So such a box is made larger with vacuum, which changes nothing but by rounding, and such a kernel is cut along the
last axis: what its parts give is added up.
"""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

WIDEST = 14  # taps along the last axis


def convolve(
    x: Tensor, kernel: Tensor, bias: Tensor | None = None, *,
    strides: Sequence[int] = (1, 1, 1), paddings: Sequence[int] = (0, 0, 0), groups: int = 1,
) -> Tensor:  # fmt: skip
    """Return the correlation of x with the kernels, with vacuum (zero) around it.

    x is [batch, channel in, x, y, z], kernel [channel out, channel in / groups, taps, taps, taps].
    """
    shape, taps, strides = x.shape[2:], kernel.shape[2:], tuple(strides)
    missing = [max(0, own + step - 1 - voxels) for own, step, voxels in zip(taps, strides, shape)]
    if x.device.type != "cpu" or (not any(missing) and taps[-1] <= WIDEST):
        return functional.conv3d(x, kernel, bias, strides, tuple(paddings), groups=groups)
    *beside, padding = paddings
    more_x, more_y, more_z = missing
    wide = functional.pad(x, (padding, padding + more_z, 0, more_y, 0, more_x))
    farthest = wide.shape[-1] - taps[-1]  # where the kernel lies last
    num_parts = -(-taps[-1] // WIDEST)
    parts = [
        functional.conv3d(
            wide[..., first : farthest + end], kernel[..., first:end], None if first else bias, strides, (*beside, 0),
            groups=groups,
        )
        for first, end in pairwise(part * taps[-1] // num_parts for part in range(num_parts + 1))
    ]  # fmt: skip
    a, b, c = (
        (voxels + 2 * reach - own) // step + 1 for voxels, reach, own, step in zip(shape, paddings, taps, strides)
    )
    return sum(parts[1:], start=parts[0])[..., :a, :b, :c]


class Convolution(nn.Conv3d):
    """Kernels with an odd number of taps an axis, in steps of one; the shape of a box stays."""

    def __init__(self, inputs: int, outputs: int, kernel_size: int) -> None:
        super().__init__(inputs, outputs, kernel_size, padding=kernel_size // 2)
        self._reach = (kernel_size // 2,) * 3

    def forward(self, x: Tensor) -> Tensor:
        """x [batch, channel, x, y, z] -> likewise."""
        return convolve(x, self.weight, self.bias, paddings=self._reach)
