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

import torch

from decar.fields.basis_blocks import NUM_VALUES, function_blocks
from decar.fields.grid import VoxelGrid
from decar.fields.orbitals import CartesianOrbitals

# What psi_i^2 is summed with: spin; |energy|; one for the highest occupied orbital; one for the lowest empty one.
Weight = Literal["spin", "ionisation", "highest_occupied", "lowest_empty"]
FRONTIER: tuple[Weight, ...] = ("highest_occupied", "lowest_empty")
# By order: the sums over values and derivatives, in one array: rho, its gradient and tau, its Laplacian.
NUM_SUMS = (1, 5, 6)


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
    def cube_root(self) -> torch.Tensor:
        """Return rho^(1/3)."""
        return torch.exp(self.density.log() / 3)  # three times faster than torch.pow; zero at zero


@dataclass(frozen=True)
class Mixing:
    """The matrices that turn functions into orbitals, or into others with the same sums of squares."""

    occupied: torch.Tensor  # (orbital, function)
    weighted: dict[Weight, torch.Tensor | None]  # (orbital, function); of the alpha electrons for spin; None for zero


def mixing(orbitals: CartesianOrbitals, rows: torch.Tensor, names: Sequence[Weight], dtype: torch.dtype) -> Mixing:
    """Return the matrices for some of the functions."""
    coefficients = orbitals.coefficients[rows]
    weighted: dict[Weight, torch.Tensor | None] = {}
    for name in names:
        if name in FRONTIER:
            weighted[name] = orbitals.frontier[rows][:, FRONTIER.index(name), None].T.to(dtype).contiguous()
        elif name == "ionisation":
            weighted[name] = _short(coefficients * orbitals.energies.abs().sqrt(), dtype)
        else:
            is_alpha = orbitals.spins > 0
            weighted[name] = _short(coefficients[:, is_alpha], dtype) if is_alpha.any() else None
    return Mixing(_short(coefficients, dtype), weighted)


def _short(coefficients: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Return C^T, or where there are fewer functions than orbitals R of C^T = Q R: the same sums over all orbitals."""
    if coefficients.shape[0] < coefficients.shape[1]:
        triangle: torch.Tensor = torch.linalg.qr(coefficients.T, mode="r").R
        return triangle.to(dtype)
    return coefficients.T.to(dtype).contiguous()


def sums_of(functions: Iterable[torch.Tensor], order: int, num_points: int, matrices: Mixing) -> Intermediates:
    """Return the sums from values of functions, each (function, point): phi, its gradient, its Laplacian."""
    psi = matrices.occupied.new_empty(NUM_VALUES[order], len(matrices.occupied), num_points)
    sums, weighted = psi.new_empty(NUM_SUMS[order], num_points), {}
    for index, (value, orbital) in enumerate(zip(functions, psi, strict=True)):
        torch.mm(matrices.occupied, value, out=orbital)  # torch's product of a stack takes twice as long
        if index == 0:
            weighted = _weighted_squares(value, matrices)
    work = psi.new_empty(psi.shape[1:])

    def contract(a: torch.Tensor, b: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
        return torch.sum(torch.mul(a, b, out=work), dim=0, out=out)

    contract(psi[0], psi[0], sums[0])
    if order:
        for axis in (1, 2, 3):
            contract(psi[0], psi[axis], sums[axis]).mul_(2)
        torch.mul(psi[1], psi[1], out=work)
        torch.sum(work.addcmul_(psi[2], psi[2]).addcmul_(psi[3], psi[3]), dim=0, out=sums[4]).mul_(0.5)
    if order > 1:
        contract(psi[0], psi[4], sums[5]).mul_(2).add_(sums[4], alpha=4)
    if matrices.weighted.get("spin") is not None:
        weighted["spin"].mul_(2).sub_(sums[0])  # rho_alpha - rho_beta = 2 rho_alpha - rho
    return Intermediates(sums, weighted)


def _weighted_squares(functions: torch.Tensor, matrices: Mixing) -> dict[Weight, torch.Tensor]:
    return {
        name: functions.new_zeros(functions.shape[1]) if matrix is None else (matrix @ functions).square_().sum(dim=0)
        for name, matrix in matrices.weighted.items()
    }


# A field from the sums at its points, (...) -> (channel, ...).
Formula = Callable[[Intermediates], torch.Tensor]


def local_fields(
    orbitals: CartesianOrbitals, grid: VoxelGrid, formulas: Mapping[str, tuple[Formula, int]], order: int,
    weights: Sequence[Weight] = (), dtype: torch.dtype = torch.float32,
) -> dict[str, torch.Tensor]:  # fmt: skip
    """Return fields by formula and number of channels, each (channel, x, y, z), in one pass over the grid.

    Only blocks that hold density are worked on, and only the fields themselves are kept.
    """
    device = orbitals.coefficients.device
    fields = {
        name: torch.zeros((channels, *grid.shape), dtype=dtype, device=device)
        for name, (_, channels) in formulas.items()
    }
    has_frontier = any(name in FRONTIER for name in weights)
    for block in function_blocks(orbitals, grid, order, dtype, has_frontier=has_frontier):
        matrices = mixing(orbitals, block.rows, weights, dtype)
        local = sums_of(block.values(), order, prod(block.edges), matrices)
        for name, (formula, channels) in formulas.items():
            fields[name][(slice(None), *block.voxels)] = formula(local).view(channels, *block.edges)
    return fields


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
