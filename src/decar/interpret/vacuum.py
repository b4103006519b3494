"""Vacuum folded away: of a long run of empty planes a few stand for all, with a weight, and nothing else changes.

Where a slab of the box is empty over more than a network's receptive field, every plane of an activation in it is the
same as the next, whatever lies beside it. Some of them are left out; those at the seam count as often as was left out:

    mean over the box = sum_p w_p x_p / sum_p w_p,      w_p = w_x w_y w_z of the planes that voxel p lies in

Half of a box of 40 angstrom around caffeine goes this way, nothing of one of 20. What is called empty is below 1e-6 of
the largest value: the density of a molecule has no end. The activations are those of the whole box to 1e-5 of their
largest (a test compares them).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decar.record import Array

EMPTY = 1e-6  # of the largest value


@dataclass(frozen=True)
class Folded:
    """`voxels` [channel, x, y, z]; a weight (float32) and a place in the whole box of every plane, by axis."""

    voxels: Array
    weights: tuple[Array, Array, Array]
    planes: tuple[Array, Array, Array]

    def whole(self, positions: NDArray[Any], stride: int) -> Array:
        """Return positions [n, 3] of activations, a voxel each `stride`, as they are in the whole box; -1 stays."""
        columns = [
            np.where(column >= 0, planes[::stride][column] // stride, -1)
            for planes, column in zip(self.planes, positions.T)
        ]
        return np.stack(columns, axis=1)


def fold(voxels: Array, stride: int, reach: int, kept: int) -> Folded:
    """Fold the vacuum of voxels [channel, x, y, z], the box being a multiple of `stride`.

    A plane of the last activation is `stride` planes of voxels, and sees `reach` voxels beyond them on either side. Of
    a run of equal planes of activations, `kept` stay.
    """
    height = np.abs(voxels).max(axis=0)
    filled = height > EMPTY * height.max()
    chosen, weights = [], []
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        keep, weight = _planes(np.asarray(filled.any(axis=others)), stride, -(-reach // stride), kept)
        chosen.append(np.flatnonzero(keep))
        weights.append(weight[keep])
    x, y, z = chosen
    folded = np.ascontiguousarray(voxels[:, x[:, None, None], y[:, None], z])
    return Folded(folded, (weights[0], weights[1], weights[2]), (x, y, z))


def _planes(filled: NDArray[np.bool_], stride: int, reach: int, kept: int) -> tuple[NDArray[np.bool_], Array]:
    """Return which planes of voxels stay and their weights; `reach` is counted in planes of activations here."""
    blocks = np.asarray(filled.reshape(-1, stride).any(axis=1))
    keep, weight = np.ones(len(blocks), dtype=bool), np.ones(len(blocks), dtype=np.float32)
    occupied = np.flatnonzero(blocks)
    first, last = (occupied[0], occupied[-1] + 1) if len(occupied) else (len(blocks), len(blocks))
    for start, stop in ((reach, first - reach), (last + reach, len(blocks) - reach)):
        gone = stop - start - kept
        if gone > 0:
            seam = start + kept // 2
            keep[seam : seam + gone] = False
            weight[seam + gone] = 1 + gone
    return np.repeat(keep, stride), np.repeat(weight, stride)
