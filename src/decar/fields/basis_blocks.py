r"""Orbitals on a voxel grid, block by block, from one-dimensional tables.

On a product grid a Gaussian factorises: exp(-alpha r^2) = X(x) Y(y) Z(z), and so do its monomials and its derivatives.
A block of 20^3 voxels needs 60 exponentials a primitive, not 8000. Each block evaluates the functions that it needs
(screening.py) by outer products of table rows and turns them into orbitals by one matrix product.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import ceil

import numpy as np
import torch

from decar.fields.grid import VoxelGrid
from decar.fields.orbitals import CartesianOrbitals, Derivative, monomial_gaussian
from decar.fields.screening import ACCURACY, Accuracy, Intervals, function_bounds, needed_functions

BLOCK_BOHR = 4.0  # edge of a block: smaller blocks screen better, larger ones are better matrix products
FEWEST, MOST = 6, 24  # voxels along the edge of a block
# Table entries below are zero: a product of three must not be subnormal, which would slow arithmetic down many times.
FLUSH = {torch.float32: 1e-12, torch.float64: 1e-30}


@dataclass(frozen=True)
class OrbitalBlock:
    """Orbitals (or an orthogonal rotation of them, which leaves sums over orbitals as they are) on one block."""

    voxels: tuple[slice, slice, slice]
    values: dict[Derivative, torch.Tensor]  # (orbital, x, y, z), in the evaluation's number format


def orbital_blocks(
    orbitals: CartesianOrbitals, grid: VoxelGrid, derivatives: tuple[Derivative, ...], dtype: torch.dtype,
    accuracy: Accuracy | None = None,
) -> Iterator[OrbitalBlock]:  # fmt: skip
    """Yield the orbitals and their derivatives on every block of the grid where they are not negligible.

    Runs on the device that holds the orbitals. Blocks that are not yielded hold zeros within the accuracy (by default
    that of the number format).
    """
    order = max(max(derivative) for derivative in derivatives)
    tables = _tables(orbitals, grid, order, dtype)
    cuts = [_cuts(n, grid.spacing_bohr) for n in grid.shape]
    neglect = (accuracy or ACCURACY[dtype]).neglect
    needed = _needed(orbitals, grid, cuts, derivatives, neglect)
    counts = needed.sum(dim=0)
    for index in counts.nonzero().tolist():
        voxels = tuple(cut[i] for cut, i in zip(cuts, index))
        rows = needed[:, index[0], index[1], index[2]].nonzero().flatten()
        mixing = _mixing(orbitals.coefficients[rows], dtype)
        functions = _functions(tables, orbitals, rows, voxels, derivatives)
        edges = [cut.stop - cut.start for cut in voxels]
        values = {key: (mixing @ value).view(-1, *edges) for key, value in functions.items()}
        yield OrbitalBlock((voxels[0], voxels[1], voxels[2]), values)


def _cuts(n: int, spacing_bohr: float) -> list[slice]:
    """Cut one axis into nearly equal pieces of about BLOCK_BOHR."""
    edge = min(max(round(BLOCK_BOHR / spacing_bohr), FEWEST), MOST)
    ends = np.linspace(0, n, ceil(n / edge) + 1).round().astype(int).tolist()
    return [slice(start, stop) for start, stop in pairwise(ends)]


def _tables(
    orbitals: CartesianOrbitals, grid: VoxelGrid, order: int, dtype: torch.dtype
) -> list[list[list[torch.Tensor]]]:
    """Return tables[group][axis][derivative], (function, primitive, voxel); the contraction stands in the x table."""
    device, tables = orbitals.coefficients.device, []
    for group in orbitals.groups:
        axes = []
        for axis, points in enumerate(grid.axes()):
            offset = torch.as_tensor(points, device=device) - group.centres[group.shell, axis, None, None]
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


def _needed(
    orbitals: CartesianOrbitals,
    grid: VoxelGrid,
    cuts: list[list[slice]],
    derivatives: tuple[Derivative, ...],
    neglect: float,
) -> torch.Tensor:
    """Return which functions each block needs, (function, x block, y block, z block) bool."""
    boxes: list[Intervals] = []
    for axis, (points, pieces) in enumerate(zip(grid.axes(), cuts)):
        ends = torch.tensor([[points[cut.start], points[cut.stop - 1]] for cut in pieces]).to(orbitals.coefficients)
        shape = [-1 if other == axis else 1 for other in range(3)]
        boxes.append((ends[:, 0].view(shape), ends[:, 1].view(shape)))
    bounds = function_bounds(orbitals, boxes, derivatives)
    return needed_functions(orbitals, bounds.flatten(1), neglect).view(bounds.shape)


def _mixing(coefficients: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Return the matrix that turns functions into orbitals, (orbital, function).

    Where there are fewer functions than orbitals, C^T = Q R, and R alone gives the same sums over orbitals.
    """
    if coefficients.shape[0] < coefficients.shape[1]:
        triangle: torch.Tensor = torch.linalg.qr(coefficients.T, mode="r").R
        return triangle.to(dtype)
    return coefficients.T.to(dtype).contiguous()


def _functions(
    tables: list[list[list[torch.Tensor]]], orbitals: CartesianOrbitals, rows: torch.Tensor,
    voxels: tuple[slice, ...], derivatives: tuple[Derivative, ...],
) -> dict[Derivative, torch.Tensor]:  # fmt: skip
    """Return the functions named by `rows` and their derivatives on one block, (function, voxel)."""
    parts: dict[Derivative, list[torch.Tensor]] = {derivative: [] for derivative in derivatives}
    first = 0
    for group, axes in zip(orbitals.groups, tables):
        size = len(group)
        members = rows[(rows >= first) & (rows < first + size)] - first
        first += size
        if not len(members):
            continue
        pieces = [[table[:, :, cut].index_select(0, members) for table in axis] for axis, cut in zip(axes, voxels)]
        planes = {(d[0], d[1]): _plane(pieces[0][d[0]], pieces[1][d[1]]) for d in derivatives}
        for derivative in derivatives:
            plane, line = planes[derivative[0], derivative[1]], pieces[2][derivative[2]]
            parts[derivative].append(torch.bmm(plane.transpose(1, 2), line).flatten(1))
    return {derivative: values[0] if len(values) == 1 else torch.cat(values) for derivative, values in parts.items()}


def _plane(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return X(x) Y(y), (function, primitive, x y)."""
    return (x[:, :, :, None] * y[:, :, None, :]).flatten(2)
