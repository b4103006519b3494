"""All patches of a field at once: their sums and scatters as sums of boxes, and the box of positions that count.

    s(p) = sum_i x_i        scatter(p) = sum_i x_i^2 - s(p)^2 / n        i over the n elements (channels, voxels) at p

in double precision. A patch counts when its scatter reaches `min_variance` of the largest one. All that count lie in a
box around the molecule; what a kernel answers outside of it is never asked.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

ROUNDING = 1e-12  # relative, in squares: activations are single precision


@dataclass(frozen=True)
class Patches:
    """The patches of edge `edge` at every `stride` of a field, cut to the box of positions that count.

    `sums`, `scatter` [x, y, z] float64 and `counted` [x, y, z] are those of the positions `low` to `high`.
    """

    edge: int
    stride: int
    num_elements: int
    low: tuple[int, int, int]
    high: tuple[int, int, int]
    sums: Tensor
    scatter: Tensor
    counted: Tensor

    def seen(self, x: Tensor) -> Tensor:
        """Return the part of x [channel, x, y, z] that these patches cover."""
        x_, y, z = (
            slice(low * self.stride, (high - 1) * self.stride + self.edge) for low, high in zip(self.low, self.high)
        )
        return x[:, x_, y, z]

    def position(self, index: int) -> tuple[int, int, int]:
        """Return the position of an element of the flattened box, counted over the whole field."""
        _, height, depth = self.sums.shape
        x, rest = divmod(index, height * depth)
        y, z = divmod(rest, depth)
        return self.low[0] + x, self.low[1] + y, self.low[2] + z

    def patch(self, x: Tensor, position: tuple[int, int, int]) -> Tensor:
        """Return one patch of x [channel, x, y, z]."""
        x_, y, z = (slice(place * self.stride, place * self.stride + self.edge) for place in position)
        return x[:, x_, y, z]

    def best(self, covariance: Tensor) -> tuple[Tensor, Tensor]:
        """Return the highest covariance / sqrt(scatter) of each kernel over the patches that count, and its index.

        `covariance` is [kernel, x, y, z]; it is written over.
        """
        gain = self.scatter.clamp_min(torch.finfo(torch.float64).tiny).rsqrt().to(covariance.dtype)
        values = covariance.mul_(gain).masked_fill_(~self.counted, -torch.inf)
        highest = values.flatten(1).max(dim=1)
        return highest.values, highest.indices


def find_patches(
    x: Tensor, edge: int, stride: int, min_variance: float, *, inside: Tensor | None = None, level: float = 0.0
) -> Patches | None:
    """Return the patches that count of x [channel, x, y, z], or None where none has a variance.

    `inside` [x, y, z] says at which positions patches are looked at. `level` has been subtracted from x: a patch whose
    variance is the rounding of x + level is constant.
    """
    sums, squares = torch.zeros(x.shape[1:], dtype=torch.float64), torch.zeros(x.shape[1:], dtype=torch.float64)
    for channel in x:  # a channel at a time is double
        values = channel.double()
        sums += values
        squares.addcmul_(values, values)
    sums, squares = box_sums(sums, edge, stride), box_sums(squares, edge, stride)
    num_elements = len(x) * edge**3
    scatter = squares - sums.square() / num_elements
    heights = squares + 2 * level * sums + num_elements * level**2
    scatter = torch.where(scatter > ROUNDING * heights, scatter, 0.0)
    if inside is not None:
        scatter = torch.where(inside, scatter, 0.0)
    counted = (scatter >= min_variance * scatter.max()) & (scatter > 0)
    if not counted.any():
        return None
    places = counted.nonzero()
    low, high = places.amin(dim=0).tolist(), (places.amax(dim=0) + 1).tolist()
    box = tuple(slice(first, last) for first, last in zip(low, high))
    return Patches(
        edge, stride, num_elements, (low[0], low[1], low[2]), (high[0], high[1], high[2]), sums[box], scatter[box],
        counted[box],
    )  # fmt: skip


def box_sums(x: Tensor, edge: int, stride: int) -> Tensor:
    """Return the sums of x [x, y, z] over cubes of this edge at every stride, one axis after another."""
    for axis in (2, 1, 0):
        x = x.unfold(axis, edge, stride).sum(dim=-1)
    return x
