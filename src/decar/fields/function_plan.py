"""Which functions of a molecule matter on which blocks of its grid: worked out on the processor, for another device.

All blocks have one shape, all functions equally many primitives (decar.fields.block_batches).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from decar.fields.basis_blocks import block_bounds, block_edge, derivatives_needed
from decar.fields.density import FRONTIER, Weight, weighted_orbitals
from decar.fields.grid import VoxelGrid
from decar.fields.orbitals import CartesianOrbitals, FunctionGroup
from decar.fields.screening import ACCURACY, by_contribution

Floats = NDArray[np.float64]
Integers = NDArray[np.int32]
Array = NDArray[Any]


@dataclass(frozen=True)
class Blocks:
    """A grid cut into cubes of one edge, those at its far faces reaching beyond it."""

    shape: tuple[int, int, int]
    edge: int

    @property
    def counts(self) -> tuple[int, int, int]:
        """Return the blocks along x, y and z."""
        x, y, z = (ceil(n / self.edge) for n in self.shape)
        return x, y, z

    def cuts(self) -> list[list[slice]]:
        """Return the voxels of the blocks, axis by axis."""
        return [
            [slice(start, min(start + self.edge, n)) for start in range(0, n, self.edge)] for n in self.shape
        ]  # fmt: skip

    def joined(self, field: torch.Tensor) -> torch.Tensor:
        """Return (channel, x, y, z) from (block, channel, voxel)."""
        channels, (x, y, z) = field.shape[1], self.counts
        parts = field.view(x, y, z, channels, *[self.edge] * 3).permute(3, 0, 4, 1, 5, 2, 6)
        whole = parts.reshape(channels, *(count * self.edge for count in self.counts))
        return whole[:, : self.shape[0], : self.shape[1], : self.shape[2]].contiguous()


@dataclass(frozen=True)
class FunctionPlan:
    """The functions of a molecule, and which of them are evaluated on which blocks of its grid.

    Arrays of the processor, which workers hand over without a file for each. Functions of fewer primitives than others
    have some of contraction zero. Blocks stand in the order of how many functions they need, the most first; those
    that need none are left out.
    """

    grid: VoxelGrid
    blocks: Blocks
    offset: Floats  # (function, 3) of the first voxel from the centre [bohr]
    powers: Floats  # (function, 3)
    exponents: Floats  # (function, primitive) [bohr^-2]
    contraction: Floats  # (function, primitive)
    occupied: Floats  # (function, orbital)
    weighted: dict[Weight, Floats]  # the same of other sums over orbitals
    places: Integers  # (block, 3) which along x, y and z
    ranked: Integers  # (block, function): functions by falling contribution
    needed: list[int]  # how many of them each block needs

    def __len__(self) -> int:
        """Return the number of functions."""
        return len(self.offset)


def plan_functions(
    orbitals: CartesianOrbitals, weights: Sequence[Weight], grid: VoxelGrid, order: int, dtype: torch.dtype
) -> FunctionPlan:
    """Return the plan for sums with these weights, within the accuracy of the number format (screening.py)."""
    blocks = Blocks(grid.shape, block_edge(grid.spacing_bohr))
    bounds = block_bounds(orbitals, grid, blocks.cuts(), derivatives_needed(order)).flatten(1)
    has_frontier = any(name in FRONTIER for name in weights)
    rising, keep = by_contribution(orbitals, bounds, ACCURACY[dtype].neglect, has_frontier)
    needed = keep.sum(dim=0).numpy()
    some = np.argsort(-needed, kind="stable")[: np.count_nonzero(needed)]
    ranked = rising.flip(0).numpy()[: needed.max(), some].T
    matrices = weighted_orbitals(orbitals, weights)
    return FunctionPlan(
        grid, blocks, *_functions(orbitals.groups, grid), orbitals.coefficients.numpy(),
        {name: matrix.numpy() for name, matrix in matrices.items() if matrix is not None},
        np.stack(np.unravel_index(some, blocks.counts), axis=1).astype(np.int32), ranked.astype(np.int32),
        needed[some].tolist(),
    )  # fmt: skip


def _functions(groups: Sequence[FunctionGroup], grid: VoxelGrid) -> tuple[Floats, Floats, Floats, Floats]:
    """Return offset, powers, exponents and contraction of the functions of all groups."""
    longest = max(group.exponents.shape[1] for group in groups)
    parts = []
    for group in groups:
        shell = group.shell.numpy()
        parts.append((
            np.array(grid.origin_bohr) - group.centres.numpy()[shell], group.powers.numpy(),
            *(wider(array.numpy()[shell], longest) for array in (group.exponents, group.contraction)),
        ))  # fmt: skip
    offset, powers, exponents, contraction = (np.concatenate(part) for part in zip(*parts))
    return offset, powers, exponents, contraction


def wider(array: Array, width: int, value: float = 0.0) -> Array:
    """Return an array with so many columns, those that it lacks filled with a value."""
    return np.pad(array, ((0, 0), (0, width - array.shape[1])), constant_values=value)
