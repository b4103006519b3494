r"""Basis functions on a voxel grid, block by block, from one-dimensional tables.

On a product grid a Gaussian factorises: exp(-alpha r^2) = X(x) Y(y) Z(z), and so do its monomials and its derivatives.
A block of 20^3 voxels needs 60 exponentials a primitive, not 8000. Each block evaluates the functions that it needs
(screening.py) by outer products of table rows: a plane X Y for each, then planes times lines Z.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import ceil

import numpy as np
import torch

from decar.fields.grid import VoxelGrid
from decar.fields.orbitals import (
    CURVATURE,
    GRADIENT,
    VALUE,
    CartesianOrbitals,
    Derivative,
    monomial_gaussian,
)
from decar.fields.screening import ACCURACY, Accuracy, Intervals, function_bounds, needed_functions

BLOCK_BOHR = 4.0  # edge of a block: smaller blocks screen better, larger ones are better matrix products
FEWEST, MOST = 6, 24  # voxels along the edge of a block
# Table entries below are zero: a product of three must not be subnormal, which would slow arithmetic down many times.
FLUSH = {torch.float32: 1e-12, torch.float64: 1e-30}
MOST_MATRICES = 65535
NUM_VALUES = (1, 4, 5)  # by order: the function; with its gradient; with its Laplacian

# tables[group][axis][derivative], (function, primitive, voxel); the contraction stands in the x table.
Tables = list[list[list[torch.Tensor]]]


@dataclass(frozen=True)
class GroupTables:
    """Table rows of some functions of one group on one block: by derivative, (function, primitive, voxel)."""

    x: list[torch.Tensor]
    y: list[torch.Tensor]
    z: list[torch.Tensor]
    plane: torch.Tensor  # X Y, (function, x y, primitive)


@dataclass(frozen=True)
class FunctionBlock:
    """The functions that matter on one block, or on each of several of one shape."""

    rows: torch.Tensor  # (function,) which functions, or (block, function)
    groups: list[GroupTables]
    edges: tuple[int, int, int]  # voxels along x, y and z
    num_values: int
    memory: torch.Tensor

    def values(self) -> Iterator[torch.Tensor]:
        """Yield phi, d/dx, d/dy, d/dz, Laplacian, as far as the order goes, each (function, voxel) as `rows`.

        Each overwrites the one before: so the cache holds it while it is worked on.
        """
        (x, y, z), count = self.edges, self.rows.numel()
        values = self.memory[: count * x * y * z].view(count, x * y, z)
        for value in range(self.num_values):
            start = 0
            for tables in self.groups:
                stop = start + len(tables.plane)
                _write(values[start:stop], tables, value)
                start = stop
            yield values.view(*self.rows.shape, x * y * z)


def derivatives_needed(order: int) -> tuple[Derivative, ...]:
    """Return the derivatives of orbitals that fields of this order are made from."""
    return (VALUE, *GRADIENT, *CURVATURE)[: (1, 4, 7)[order]]


def function_blocks(
    orbitals: CartesianOrbitals, grid: VoxelGrid, order: int, dtype: torch.dtype,
    accuracy: Accuracy | None = None, has_frontier: bool = False,
) -> Iterator[tuple[tuple[slice, slice, slice], FunctionBlock]]:  # fmt: skip
    """Yield the functions and their derivatives on every block of the grid where they are not negligible.

    Blocks that are not yielded hold zeros within the accuracy (by default that of the number format).
    """
    tables = _tables(orbitals, grid, order, dtype)
    cuts = [_cuts(n, grid.spacing_bohr) for n in grid.shape]
    bounds = block_bounds(orbitals, grid, cuts, derivatives_needed(order))
    neglect = (accuracy or ACCURACY[dtype]).neglect
    needed = needed_functions(orbitals, bounds.flatten(1), neglect, has_frontier).view(bounds.shape)
    counts = needed.sum(dim=0)
    largest = int(np.prod([max(cut.stop - cut.start for cut in pieces) for pieces in cuts]))
    memory = tables[0][0][0].new_empty(int(counts.max()) * largest)
    for index in counts.nonzero().tolist():
        voxels = (cuts[0][index[0]], cuts[1][index[1]], cuts[2][index[2]])
        rows = needed[:, index[0], index[1], index[2]].nonzero().flatten()
        x, y, z = (cut.stop - cut.start for cut in voxels)
        groups = _group_tables(tables, orbitals, rows, voxels)
        yield voxels, FunctionBlock(rows, groups, (x, y, z), NUM_VALUES[order], memory)


def block_edge(spacing_bohr: float) -> int:
    """Return the voxels along the edge of a block of about BLOCK_BOHR."""
    return min(max(round(BLOCK_BOHR / spacing_bohr), FEWEST), MOST)


def _cuts(n: int, spacing_bohr: float) -> list[slice]:
    """Cut one axis into nearly equal pieces."""
    ends = np.linspace(0, n, ceil(n / block_edge(spacing_bohr)) + 1).round().astype(int).tolist()
    return [slice(start, stop) for start, stop in pairwise(ends)]


def _tables(orbitals: CartesianOrbitals, grid: VoxelGrid, order: int, dtype: torch.dtype) -> Tables:
    """Return the factors of all functions and their derivatives at the voxels of each axis."""
    tables = []
    for group in orbitals.groups:
        axes = []
        for axis, points in enumerate(grid.axes()):
            offset = torch.as_tensor(points) - group.centres[group.shell, axis, None, None]
            power, exponent = group.powers[:, axis, None, None], group.exponents[group.shell][:, :, None]
            factor = group.contraction[group.shell][:, :, None] if axis == 0 else 1.0
            orders = []
            for k in range(order + 1):
                table = factor * monomial_gaussian(offset, power, exponent, k)
                table[table.abs() < FLUSH[dtype]] = 0.0
                orders.append(table.to(dtype))
            axes.append(orders)
        tables.append(axes)
    return tables


def block_bounds(
    orbitals: CartesianOrbitals, grid: VoxelGrid, cuts: list[list[slice]], derivatives: tuple[Derivative, ...]
) -> torch.Tensor:
    """Return the largest value of each function on each block, (function, x block, y block, z block)."""
    boxes: list[Intervals] = []
    for axis, (points, pieces) in enumerate(zip(grid.axes(), cuts)):
        ends = torch.tensor([[points[cut.start], points[cut.stop - 1]] for cut in pieces]).to(orbitals.coefficients)
        shape = [-1 if other == axis else 1 for other in range(3)]
        boxes.append((ends[:, 0].view(shape), ends[:, 1].view(shape)))
    return function_bounds(orbitals, boxes, derivatives)


def _group_tables(
    tables: Tables, orbitals: CartesianOrbitals, rows: torch.Tensor, voxels: tuple[slice, ...]
) -> list[GroupTables]:
    """Return the tables of the functions named by `rows` on one block."""
    parts, first = [], 0
    for group, axes in zip(orbitals.groups, tables):
        members = rows[(rows >= first) & (rows < first + len(group))] - first
        first += len(group)
        if len(members):
            every = len(members) == len(group)
            x, y, z = (
                [table[:, :, cut] if every else table[:, :, cut].index_select(0, members) for table in axis]
                for axis, cut in zip(axes, voxels)
            )
            parts.append(GroupTables(x, y, z, product_plane(x[0], y[0])))
    return parts


def _write(target: torch.Tensor, tables: GroupTables, value: int) -> None:
    """Write one value of the functions, in the order of FunctionBlock.values, to (function, x y, z)."""
    x, y, z = tables.x, tables.y, tables.z
    if value == 0:
        _bmm(tables.plane, z[0], target)
    elif value == 1:
        _bmm(product_plane(x[1], y[0]), z[0], target)
    elif value == 2:
        _bmm(product_plane(x[0], y[1]), z[0], target)
    elif value == 3:
        _bmm(tables.plane, z[1], target)
    else:
        curved = product_plane(x[2], y[0]) + product_plane(x[0], y[2])
        _bmm(torch.cat([curved, tables.plane], dim=2), torch.cat([z[0], z[2]], dim=1), target)


def _bmm(a: torch.Tensor, b: torch.Tensor, out: torch.Tensor) -> None:
    """Write the products of matrices one by one, no more at once than CUDA's grids have along an axis."""
    for start in range(0, len(a), MOST_MATRICES):
        own = slice(start, start + MOST_MATRICES)
        torch.bmm(a[own], b[own], out=out[own])


def product_plane(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return X(x) Y(y), (function, x y, primitive)."""
    return (x[:, :, :, None] * y[:, :, None, :]).flatten(2).transpose(1, 2)
