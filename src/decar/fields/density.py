r"""Density-like fields: what follows from the occupied orbitals and their derivatives at the same point.

    rho = sum_i psi_i^2,   grad rho = 2 sum_i psi_i grad psi_i

One pass over the grid yields the intermediates of all of them; a field is a formula over intermediates.
"""

from dataclasses import dataclass

import torch

from decar.fields.basis_blocks import orbital_blocks
from decar.fields.grid import VoxelGrid
from decar.fields.orbitals import GRADIENT, VALUE, CartesianOrbitals, Derivative


@dataclass(frozen=True)
class Intermediates:
    """Sums over occupied orbitals at points of any shape."""

    density: torch.Tensor  # rho, (...) [e/bohr^3]
    gradient: torch.Tensor | None  # grad rho, (3, ...) [e/bohr^4]


def derivatives_needed(order: int) -> tuple[Derivative, ...]:
    """Return the orbital derivatives that fields of this order are made from."""
    return (VALUE, *GRADIENT) if order else (VALUE,)


def intermediates_of(values: dict[Derivative, torch.Tensor]) -> Intermediates:
    """Return the sums over orbitals, from orbitals and derivatives (orbital, ...)."""
    psi = values[VALUE]
    gradient = None
    if GRADIENT[0] in values:
        gradient = torch.stack([2 * (psi * values[axis]).sum(dim=0) for axis in GRADIENT])
    return Intermediates((psi * psi).sum(dim=0), gradient)


def grid_intermediates(
    orbitals: CartesianOrbitals, grid: VoxelGrid, order: int, dtype: torch.dtype = torch.float32
) -> Intermediates:
    """Return rho and, for order 1, its gradient on all voxels, on the device of the orbitals."""
    device = orbitals.coefficients.device
    density = torch.zeros(grid.shape, dtype=dtype, device=device)
    gradient = torch.zeros((3, *grid.shape), dtype=dtype, device=device) if order else None
    for block in orbital_blocks(orbitals, grid, derivatives_needed(order), dtype):
        local = intermediates_of(block.values)
        density[block.voxels] = local.density
        if gradient is not None and local.gradient is not None:
            gradient[(slice(None), *block.voxels)] = local.gradient
    return Intermediates(density, gradient)


def electron_density(local: Intermediates) -> torch.Tensor:
    """Return rho as one channel, (1, ...) [e/bohr^3]."""
    return local.density[None]


def density_gradient_norm(local: Intermediates) -> torch.Tensor:
    """Return |grad rho| as one channel, (1, ...) [e/bohr^4]."""
    assert local.gradient is not None  # the registry entry asks for order 1
    x, y, z = local.gradient
    return torch.sqrt(x * x + y * y + z * z)[None]  # torch's vector_norm is ten times slower along the first axis
