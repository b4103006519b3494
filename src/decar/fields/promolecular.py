r"""Promolecular density: what the molecule would be if its atoms did not notice each other.

    rho_pro(r) = sum_A rho_A(|r - R_A|),   rho_A the spherical density of the free neutral atom

A field of the geometry alone: the control against which an electron density has to prove itself.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from decar.fields.free_atoms import RADII_BOHR, FreeAtom, log_lattice, valence_density
from decar.fields.grid import VoxelGrid
from decar.fields.sending import sent

Floats = NDArray[np.float64]
SLAB = 262144  # voxels that a processor works on at once, so that they stay in its cache


def promolecular_density(
    atomic_numbers: NDArray[np.int32], geometry_bohr: Floats, grid: VoxelGrid,
    dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu", num_electrons: Floats | None = None,
) -> torch.Tensor:  # fmt: skip
    """Return rho_pro as one channel, (1, x, y, z) [e/bohr^3]; raises InputMoleculeError for elements beyond Xe.

    `num_electrons` of each atom: fewer than its number damp its core away (free_atoms.py), as under a core potential.
    """
    density = torch.zeros(grid.shape, dtype=dtype, device=device)
    for atom, centre in zip(_atoms(atomic_numbers, num_electrons), geometry_bohr):
        _add_atom(density, atom, centre, grid)
    return density[None]


def _atoms(atomic_numbers: NDArray[np.int32], num_electrons: Floats | None) -> list[FreeAtom]:
    counts = atomic_numbers if num_electrons is None else num_electrons
    return [valence_density(number, float(count)) for number, count in zip(atomic_numbers.tolist(), counts)]


def _add_atom(density: torch.Tensor, atom: FreeAtom, centre: Floats, grid: VoxelGrid) -> None:
    """Add rho_A on the cube of voxels around its cut-off sphere."""
    cube = grid.cube(centre, atom.cutoff_bohr)
    if cube is None:
        return
    squares = [sent((points[part] - x) ** 2, density) for points, part, x in zip(grid.axes(), cube, centre)]
    coefficients = sent(atom.polynomials.T.copy(), density)
    plane = squares[1][:, None] + squares[2]
    depth = max(1, SLAB // plane.numel()) if density.device.type == "cpu" else len(squares[0])
    for start in range(0, len(squares[0]), depth):
        square = squares[0][start : start + depth, None, None] + plane
        first = cube[0].start + start
        part = density[first : first + len(square), cube[1], cube[2]]
        part += _radial_density(square, coefficients, atom.cutoff_bohr)


def _radial_density(square: torch.Tensor, coefficients: torch.Tensor, cutoff: float) -> torch.Tensor:
    """Return rho at squared distances: exp of the cubic in ln r of the interval that holds r."""
    start, step = log_lattice()
    u = square.clamp(min=float(RADII_BOHR[0]) ** 2).log_().mul_(0.5).sub_(start)
    whole = (u / step).floor_().clamp_(max=coefficients.shape[1] - 1)
    u -= step * whole
    interval = whole.flatten().to(torch.int32)
    value = coefficients[0].index_select(0, interval)
    for row in coefficients[1:]:
        value = value.mul_(u.flatten()).add_(row.index_select(0, interval))
    return value.exp_().view(square.shape) * (square < cutoff**2)


def promolecular_at_points(
    atomic_numbers: NDArray[np.int32], geometry_bohr: Floats, points: Floats, num_electrons: Floats | None = None
) -> Floats:
    """Return rho_pro at points (n, 3) [bohr], (n,) [e/bohr^3], in float64."""
    density = np.zeros(len(points))
    for atom, centre in zip(_atoms(atomic_numbers, num_electrons), geometry_bohr):
        density += atom.density(np.linalg.norm(points - centre, axis=1))
    return density
