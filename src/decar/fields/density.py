r"""Density-like fields: sums over orbitals and their derivatives at one point.

    rho = sum_i psi_i^2,   grad rho = 2 sum_i psi_i grad psi_i,   tau = 1/2 sum_i |grad psi_i|^2
    laplacian rho = 4 tau + 2 sum_i psi_i laplacian psi_i,   and  sum_i w_i psi_i^2  with other weights

One pass over the grid yields them for all fields; a field is a formula over these sums.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from math import prod
from typing import Literal

import numpy as np
import torch

from decar.fields.basis_blocks import function_blocks
from decar.fields.grid import VoxelGrid
from decar.fields.orbitals import CartesianOrbitals

# What psi_i^2 is summed with: spin; |energy|; one for the highest occupied orbital; one for the lowest empty one.
Weight = Literal["spin", "ionisation", "highest_occupied", "lowest_empty"]
FRONTIER: tuple[Weight, ...] = ("highest_occupied", "lowest_empty")
# By order: the sums over values and derivatives, in one array: rho, its gradient and tau, its Laplacian.
NUM_SUMS = (1, 5, 6)
SUM_OF_PRODUCT = (0, 1, 2, 3, 5)  # the sum that psi times psi, its gradient, its Laplacian goes into
FEWEST_ROWS, MOST_BANDS = 12, 4  # of a triangular product: narrower bands spare more, but multiply slower


@dataclass(frozen=True)
class Intermediates:
    """Sums over orbitals at points of any shape."""

    sums: torch.Tensor  # (sum, ...): rho, d rho/dx, d rho/dy, d rho/dz, tau, Laplacian, as far as the order goes
    weighted: dict[Weight, torch.Tensor]  # (...) each

    @property
    def density(self) -> torch.Tensor:
        """Return rho [e/bohr^3]."""
        return self.sums[0]

    @property
    def gradient(self) -> torch.Tensor:
        """Return grad rho, (3, ...) [e/bohr^4]."""
        return self.sums[1:4]

    @property
    def kinetic(self) -> torch.Tensor:
        """Return tau [hartree/bohr^3]."""
        return self.sums[4]

    @property
    def laplacian(self) -> torch.Tensor:
        """Return the Laplacian of rho [e/bohr^5]."""
        return self.sums[5]

    @cached_property
    def slope_square(self) -> torch.Tensor:
        """Return |grad rho|^2."""
        x, y, z = self.gradient
        square: torch.Tensor = (x * x).addcmul_(y, y).addcmul_(z, z)  # torch's vector_norm takes ten times as long
        return square

    @cached_property
    def slope(self) -> torch.Tensor:
        """Return |grad rho|."""
        return self.slope_square.sqrt()

    @cached_property
    def cube_root(self) -> torch.Tensor:
        """Return rho^(1/3)."""
        return torch.exp(self.density.log() / 3)  # three times faster than torch.pow; zero at zero


@dataclass(frozen=True)
class Mixing:
    """The matrices that turn functions into orbitals, or into others with the same sums of squares.

    (orbital, function) each, zero below the diagonal; or (block, orbital, function).
    """

    occupied: torch.Tensor
    weighted: dict[Weight, torch.Tensor | None]  # of the alpha electrons for spin; None for zero


def mixing(
    orbitals: CartesianOrbitals, weighted: Mapping[Weight, torch.Tensor | None], rows: torch.Tensor, dtype: torch.dtype
) -> Mixing:
    """Return the matrices for some of the functions; `weighted`: what `weighted_orbitals` says for all."""
    found: dict[Weight, torch.Tensor | None] = {}
    for name, matrix in weighted.items():
        if matrix is None:
            found[name] = None
        elif name in FRONTIER:
            found[name] = matrix[rows].T.to(dtype)
        else:
            found[name] = _triangle(matrix[rows], dtype)
    return Mixing(_triangle(orbitals.coefficients[rows], dtype), found)


def weighted_orbitals(orbitals: CartesianOrbitals, names: Sequence[Weight]) -> dict[Weight, torch.Tensor | None]:
    """Return the orbitals whose squares have the weighted sums, (function, orbital); of the alpha electrons for spin.

    None for spin where all electrons are paired.
    """
    return {name: _weighted_orbitals(orbitals, name) for name in names}


def _weighted_orbitals(orbitals: CartesianOrbitals, name: Weight) -> torch.Tensor | None:
    if name in FRONTIER:
        return orbitals.frontier[:, FRONTIER.index(name), None]
    if name == "ionisation":
        return orbitals.coefficients * orbitals.energies.abs().sqrt()
    is_alpha = orbitals.spins > 0
    return orbitals.coefficients[:, is_alpha] if is_alpha.any() else None


def _triangle(coefficients: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Return R of C^T = Q R: the same sums over all orbitals, from no more rows than there are functions."""
    triangle: torch.Tensor = torch.linalg.qr(coefficients.T, mode="r").R
    return triangle.to(dtype)


def _product(triangle: torch.Tensor, functions: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
    """Return R phi, leaving out most of what R's zeros would be multiplied with; of many blocks without zeros."""
    if triangle.ndim > 2:
        return torch.bmm(triangle, functions, out=out)
    count = len(triangle)
    bands = max(1, min(count // FEWEST_ROWS, MOST_BANDS))
    for band in range(bands):
        start, stop = count * band // bands, count * (band + 1) // bands
        torch.mm(triangle[start:stop, start:], functions[start:], out=out[start:stop])
    return out


def sums_of(functions: Iterable[torch.Tensor], order: int, num_points: int, matrices: Mixing) -> Intermediates:
    """Return the sums from values of functions, each (function, point): phi, its gradient, its Laplacian.

    Each value is used up before the next is formed, so that the cache holds what is worked on. Of many blocks each
    is (block, function, point), and so are the sums.
    """
    *blocks, num_orbitals, _ = matrices.occupied.shape
    psi, slope, work = matrices.occupied.new_empty(3, *blocks, num_orbitals, num_points)
    sums, weighted = psi.new_empty(NUM_SUMS[order], *blocks, num_points), {}
    for index, value in enumerate(functions):
        orbital = _product(matrices.occupied, value, slope if index else psi)
        torch.sum(torch.mul(psi, orbital, out=work), dim=-2, out=sums[SUM_OF_PRODUCT[index]])
        if index == 0:
            weighted = _weighted_squares(value, matrices, sums[0])
        elif index < 4:
            square = torch.sum(orbital.square_(), dim=-2)
            sums[4] = square if index == 1 else sums[4].add_(square)
    if order:
        sums[1:4].mul_(2)
        sums[4].mul_(0.5)
    if order > 1:
        sums[5].mul_(2).add_(sums[4], alpha=4)
    return Intermediates(sums, weighted)


def _weighted_squares(functions: torch.Tensor, matrices: Mixing, density: torch.Tensor) -> dict[Weight, torch.Tensor]:
    some = {name: matrix for name, matrix in matrices.weighted.items() if matrix is not None}
    found = {name: torch.zeros_like(density) for name in matrices.weighted if name not in some}
    if some:
        sizes = [matrix.shape[-2] for matrix in some.values()]
        squares = torch.matmul(torch.cat(list(some.values()), dim=-2), functions).square_()
        found |= {name: part.sum(dim=-2) for name, part in zip(some, torch.split(squares, sizes, dim=-2))}
    if "spin" in some:
        found["spin"].mul_(2).sub_(density)  # rho_alpha - rho_beta = 2 rho_alpha - rho
    return found


# A field from the sums at its points, (...) -> (channel, ...).
Formula = Callable[[Intermediates], torch.Tensor]


def local_fields(
    orbitals: CartesianOrbitals, grid: VoxelGrid, formulas: Mapping[str, tuple[Formula, int]], order: int,
    weights: Sequence[Weight] = (), dtype: torch.dtype = torch.float32,
) -> dict[str, torch.Tensor]:  # fmt: skip
    """Return fields by formula and number of channels, each (channel, x, y, z), in one pass over the grid.

    Only blocks that hold density are worked on, and only the fields themselves are kept.
    """
    fields = {name: _zeros((channels, *grid.shape), dtype) for name, (_, channels) in formulas.items()}
    weighted = weighted_orbitals(orbitals, weights)
    has_frontier = any(name in FRONTIER for name in weights)
    for voxels, block in function_blocks(orbitals, grid, order, dtype, has_frontier=has_frontier):
        matrices = mixing(orbitals, weighted, block.rows, dtype)
        local = sums_of(block.values(), order, prod(block.edges), matrices)
        for name, (formula, channels) in formulas.items():
            fields[name][(slice(None), *voxels)] = formula(local).view(channels, *block.edges)
    return fields


def _zeros(shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    """Return zeros, through calloc, so that pages which no block writes to are never touched."""
    return torch.from_numpy(np.zeros(shape, dtype={torch.float32: np.float32, torch.float64: np.float64}[dtype]))


def grid_intermediates(
    orbitals: CartesianOrbitals, grid: VoxelGrid, order: int, dtype: torch.dtype = torch.float32,
    weights: Sequence[Weight] = (),
) -> Intermediates:  # fmt: skip
    """Return the sums themselves up to an order of derivatives on all voxels."""
    formulas: dict[str, tuple[Formula, int]] = {"sums": (lambda local: local.sums, NUM_SUMS[order])}
    formulas |= {name: (partial(_weighted, name), 1) for name in weights}
    fields = local_fields(orbitals, grid, formulas, order, weights, dtype)
    return Intermediates(fields["sums"], {name: fields[name][0] for name in weights})


def _weighted(name: Weight, local: Intermediates) -> torch.Tensor:
    return local.weighted[name][None]
