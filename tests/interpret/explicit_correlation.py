"""Kernel correlation with every patch formed, centred and squared on its own in double precision: slow, the oracle."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from decar.dataset.rotations import Rotation
from decar.interpret.correlation import Match, centred_kernels
from decar.record import Array

ROUNDING = 1e-12
BLOCK_BYTES = 2**28


def explicit_match(
    activation: Array, mask: Array, kernels: Array, rotations: Sequence[Rotation], min_variance: float
) -> Match:
    """Return r_k of kernels [kernel, channel, k, k, k], k odd.

    `activation` is [channel, x, y, z], `mask` [x, y, z], zero outside the box like the activation there; `min_variance`
    is the least variance of a patch that counts, as a share of the largest one.
    """
    turned = np.stack([centred_kernels(rotation.apply(kernels)) for rotation in rotations])
    weights = turned.reshape(-1, turned[0, 0].size)  # [rotation and kernel, element]
    correlation = np.full(len(weights), -np.inf)
    position = np.full((len(weights), 3), -1)
    centres = np.argwhere(np.asarray(mask) != 0)
    size = kernels.shape[-1]
    floor = min_variance * max((square.max() for _, _, square in _patches(activation, centres, size)), default=0.0)
    for places, patches, square in _patches(activation, centres, size):
        counted = (square >= floor) & (square > 0)
        if not counted.any():
            continue
        values = weights @ (patches[counted] / np.sqrt(square[counted])[:, None]).T
        best = values.argmax(axis=1)
        highest = values[np.arange(len(values)), best]
        better = highest > correlation
        correlation[better] = highest[better]
        position[better] = places[counted][best[better]]
    return _over_rotations(correlation, position, len(rotations), len(kernels))


def _over_rotations(correlation: Array, position: Array, num_rotations: int, num_kernels: int) -> Match:
    by_rotation = correlation.reshape(num_rotations, num_kernels)
    rotation = by_rotation.argmax(axis=0)
    chosen = np.arange(num_kernels)
    best = by_rotation[rotation, chosen]
    found = np.isfinite(best)
    return Match(
        np.where(found, np.clip(best, -1.0, 1.0), np.nan),
        position.reshape(num_rotations, num_kernels, 3)[rotation, chosen],
        np.where(found, rotation, -1),
    )


def _patches(activation: Array, centres: Array, size: int) -> Iterator[tuple[Array, Array, Array]]:
    """Yield blocks of (centres [n, 3], centred patches [n, element] float64, their sums of squares [n])."""
    margin = size // 2
    padded = np.pad(activation, [(0, 0)] + [(margin, margin)] * 3)
    windows = sliding_window_view(padded, (size, size, size), axis=(1, 2, 3))
    num_elements = len(activation) * size**3
    block = max(1, BLOCK_BYTES // (8 * num_elements))
    for start in range(0, len(centres), block):
        part = centres[start : start + block]
        patches = windows[:, part[:, 0], part[:, 1], part[:, 2]].swapaxes(0, 1)  # [n, channel, k, k, k]
        flat = patches.reshape(len(part), num_elements).astype(np.float64)
        flat -= flat.mean(axis=1, keepdims=True)
        # Of a patch that is constant but for rounding nothing is left.
        square = np.square(flat).sum(axis=1)
        level = np.square(patches.reshape(len(part), -1), dtype=np.float64).sum(axis=1)
        yield part, flat, np.where(square > ROUNDING * level, square, 0.0)
