"""Kernel correlation, the published explanation (arXiv 2305.17958): how well a molecule answers to a kernel.

    r_k = max over positions p and proper rotations R of

              sum_i (w_i - <w>) (a_i(p) - <a(p)>)
          ---------------------------------------------------------      i runs over channels and voxels of the kernel
          sqrt( sum_i (w_i - <w>)^2  sum_i (a_i(p) - <a(p)>)^2 )

w are the weights of kernel k turned by R, a(p) the patch of the layer's input activations at p. Means are over all
channels and voxels together. No patch is formed: as sum_i (w_i - <w>) = 0, the numerator is a convolution with the
centred kernel, all turned kernels at once and in single precision, and the patch's scatter is a sum of boxes in double
precision (patches.py). The best place found, r is computed once more there from the patch itself, in double precision;
so r_k is exact for its place, and its place is the best one but for others that are as good to 1e-6.

Positions are those of the network: the kernel is centred on each voxel inside the box, and what lies outside is zero.

A patch counts only when its variance reaches a share of the molecule's largest one. Pearson's r does not see how faint
a patch is: without this the best matches drift into the outermost, nearly empty voxels, where all molecules are alike
and a larger box alone raises r. Measured on eight real densities (0.35 angstrom, random kernels): r_k of the molecules
in a box with 16 voxels more of vacuum on each side correlates with r_k in the first box by 0.44 at a share of 1e-6,
0.74 at 0.01 and 0.95 at 0.1, the default (`interpret.min_patch_variance`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from decar.dataset.rotations import Rotation
from decar.interpret.patches import Patches, find_patches
from decar.record import Array

BLOCK_BYTES = 2**28  # of the answers of kernels that are looked through at once


@dataclass(frozen=True)
class Match:
    """The best correlation of each kernel, and where it was found.

    `correlation` [kernel], NaN where no patch counts; `position` [kernel, 3], of the patch, -1 where there is none;
    `rotation` [kernel], the index of the rotation by which the kernel is turned, likewise.
    """

    correlation: Array
    position: Array
    rotation: Array


def best_match(
    activation: Array, mask: Array, kernels: Array, rotations: Sequence[Rotation], min_variance: float
) -> Match:
    """Return r_k of kernels [kernel, channel, k, k, k], k odd; a position is the voxel the kernel is centred on.

    `activation` is [channel, x, y, z], `mask` [x, y, z], zero outside the box like the activation there; `min_variance`
    is the least variance of a patch that counts, as a share of the largest one.
    """
    size = kernels.shape[-1]
    inside = torch.from_numpy(np.ascontiguousarray(mask)) != 0
    x = functional.pad(torch.from_numpy(np.ascontiguousarray(activation)).double(), [size // 2] * 6)
    # One number taken from all voxels changes no r, and keeps single precision for what differs.
    level = float(activation[:, inside.numpy()].mean(dtype=np.float64)) if inside.any() else 0.0
    x = x - level
    patches = find_patches(x, size, 1, min_variance, inside=inside, level=level)
    if patches is None:
        return no_match(len(kernels))
    turned = np.concatenate([centred_kernels(rotation.apply(kernels)) for rotation in rotations])
    weights = torch.from_numpy(turned)
    region = patches.seen(x).float()[None].contiguous(memory_format=torch.channels_last_3d)
    block = max(1, BLOCK_BYTES // (4 * patches.sums.numel()))
    found = [
        patches.best(functional.conv3d(region, part.nan_to_num().float())[0]) for part in torch.split(weights, block)
    ]
    values, places = torch.cat([value for value, _ in found]), torch.cat([place for _, place in found])
    values[weights.flatten(1).isnan().any(dim=1)] = -torch.inf
    shape = (len(rotations), len(kernels))
    return best_over_rotations(
        x, patches, values.view(shape), places.view(shape), lambda turn, kernel: weights[turn * len(kernels) + kernel]
    )


def best_over_rotations(
    x: Tensor, patches: Patches, values: Tensor, places: Tensor, weights: Callable[[int, int], Tensor]
) -> Match:
    """Return the best match of each kernel over rotations, r computed anew from the best patch in double precision.

    `values` and `places` [rotation, kernel] are what `patches.best` found; `weights` of a rotation and a kernel are its
    turned weights, [channel, k, k, k].
    """
    found = no_match(values.shape[1])
    for kernel, turn in enumerate(values.argmax(dim=0).tolist()):
        if not torch.isfinite(values[turn, kernel]):
            continue
        place = patches.position(int(places[turn, kernel]))
        patch, turned = patches.patch(x, place).double(), weights(turn, kernel).double()
        patch, turned = patch - patch.mean(), turned - turned.mean()
        r = float((turned * patch).sum() / (turned.square().sum() * patch.square().sum()).sqrt())
        found.correlation[kernel], found.position[kernel] = min(1.0, max(-1.0, r)), place
        found.rotation[kernel] = turn
    return found


def no_match(num_kernels: int) -> Match:
    """Return the match of a field in which no patch counts."""
    return Match(np.full(num_kernels, np.nan), np.full((num_kernels, 3), -1), np.full(num_kernels, -1))


def centred_kernels(kernels: Array) -> Array:
    """Return kernels [kernel, ...] of zero mean and unit norm, float64; a constant kernel becomes NaN."""
    flat = kernels.reshape(len(kernels), -1).astype(np.float64)
    flat = flat - flat.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(flat, axis=1, keepdims=True)
    scale = np.abs(kernels).reshape(len(kernels), -1).max(axis=1, keepdims=True)
    flat = np.where(norm > 1e-7 * scale * np.sqrt(flat.shape[1]), flat / np.where(norm > 0, norm, 1.0), np.nan)
    return flat.reshape(kernels.shape)
