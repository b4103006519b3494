"""Adding what belongs to one atom to the voxels of a ball around it."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.interpolate import make_interp_spline

from decar.fields.grid import VoxelGrid
from decar.fields.hard_atoms import HardAtom, compensation_factors
from decar.fields.harmonics import solid_harmonics
from decar.fields.quadrature import lebedev, lebedev_degree
from decar.fields.radial_poisson import angular_momenta

Floats = NDArray[np.float64]
NEAREST_BOHR = 0.01  # a voxel nearer to a nucleus sees it at this distance, so that V stays finite
CHUNK = 16384  # voxels that are worked on at once
FINE = {torch.float32: 4096, torch.float64: 32768}  # lines of the table from which radial splines are read


@dataclass(frozen=True)
class Ball:
    """A chunk of the voxels within a ball."""

    index: torch.Tensor  # (n,) flat voxel numbers
    offset: torch.Tensor  # (3, n) from the centre [bohr]
    distance: torch.Tensor  # (n,) [bohr]


def ball_voxels(grid: VoxelGrid, centre: Floats, reach: float, like: torch.Tensor) -> Iterator[Ball]:
    """Yield the voxels nearer to the centre than `reach`, as many at once as the cache holds; format of `like`."""
    ranges, offsets = [], []
    for points, x in zip(grid.axes(), centre):
        inside = np.flatnonzero(np.abs(points - x) < reach)
        ranges.append(torch.as_tensor(inside, device=like.device))
        offsets.append(torch.as_tensor(points[inside] - x).to(like))
    x, y, z = offsets
    squares = x[:, None, None] ** 2 + y[:, None] ** 2 + z**2
    for part in torch.split((squares < reach * reach).nonzero(), CHUNK):
        i, j, k = part.unbind(dim=1)
        index = (ranges[0][i] * grid.shape[1] + ranges[1][j]) * grid.shape[2] + ranges[2][k]
        yield Ball(index, torch.stack([x[i], y[j], z[k]]), squares[i, j, k].sqrt())


def add_compensation(charge: torch.Tensor, grid: VoxelGrid, atom: HardAtom, exponent: float) -> None:
    """Add g_A = sum_lm Q_lm N_l r^l exp(-exponent r^2) Y_lm to a charge density on a grid, (x, y, z), in place."""
    weights = torch.as_tensor(atom.multipoles * compensation_factors(exponent, atom.highest_l)).to(charge)
    for ball in ball_voxels(grid, atom.centre, atom.rule.reach_bohr, charge):
        values = weights @ solid_harmonics(ball.offset, atom.highest_l)
        charge.view(-1)[ball.index] += values * torch.exp(-exponent * ball.distance**2)


def add_hard_potential(values: torch.Tensor, grid: VoxelGrid, atom: HardAtom) -> None:
    """Add the potential of a nucleus and its hard density, less that of g_A, to (1, x, y, z), in place [hartree/e].

    Where there are four channels, the gradient is added to the other three [hartree/e/bohr].
    """
    lines, reach = FINE[values.dtype], atom.rule.reach_bohr
    tables = [torch.as_tensor(table).to(values) for table in spline_table(atom.rule.num_radii, lines)]
    tensor = torch.as_tensor(atom.potentials).to(values)
    highest_l = atom.highest_l
    # Column 0: r V_00 Y_00 along the radii; the others: V_lm, contracted with the harmonics of a voxel.
    monopole, multipoles = tensor[:, :1], tensor[:, 1:]
    flat = values.view(len(values), -1)
    for ball in ball_voxels(grid, atom.centre, reach, values):
        distance = ball.distance.clamp(min=NEAREST_BOHR)
        direction = ball.offset / distance
        harmonics = solid_harmonics(direction, highest_l)
        radial = read_lines(tables[0], distance, reach)
        angular = torch.addmm(monopole / distance, multipoles, harmonics[1:])
        flat[0, ball.index] += torch.linalg.vecdot(radial, angular.T)
        if len(flat) > 1:
            slopes = read_lines(tables[1], distance, reach) / (2 * (reach * distance).sqrt())[:, None]
            along = torch.linalg.vecdot(slopes, angular.T)
            along -= torch.linalg.vecdot(radial, _degrees(monopole, multipoles, distance, harmonics).T) / distance
            across = [multipoles @ matrix[1:] for matrix in harmonic_gradients(highest_l, values.dtype)]
            for axis, row in enumerate(across):
                part = torch.linalg.vecdot(radial, (row @ harmonics).T) / distance
                flat[axis + 1, ball.index] += along * direction[axis] + part


def _degrees(
    monopole: torch.Tensor, multipoles: torch.Tensor, distance: torch.Tensor, harmonics: torch.Tensor
) -> torch.Tensor:
    """Return what falls off as the distance, r V_00 / r, and l V_lm Y_lm, summed: (radius, voxel).

    grad (f(r) Y_lm) = (f' - l f / r) Y_lm r/|r| + f / r grad S_lm, the last at the unit sphere.
    """
    highest_l = round(len(harmonics) ** 0.5) - 1
    degree = torch.as_tensor(angular_momenta(highest_l)[1:]).to(multipoles)
    return torch.addmm(monopole / distance, multipoles * degree, harmonics[1:])


@cache
def harmonic_gradients(highest_l: int, dtype: torch.dtype) -> tuple[torch.Tensor, ...]:
    """Return three matrices (component, component): d S_lm / dx = sum of matrix S_l'm', l' = l - 1; then y, z.

    By projection on a sphere, where Lebedev's rule is exact; the derivative is that of a polynomial by an imaginary
    step, which is exact too.
    """
    directions, weights = lebedev(lebedev_degree(2 * highest_l))
    harmonics = solid_harmonics(torch.tensor(directions), highest_l)
    matrices = []
    for axis in range(3):
        step = np.zeros((3, 1), dtype=complex)
        step[axis] = 1e-30j
        slopes = solid_harmonics(torch.tensor(directions + step), highest_l).imag / 1e-30
        matrices.append(((slopes * torch.tensor(weights)) @ harmonics.T).to(dtype))
    return tuple(matrices)


@cache
def spline_table(num_radii: int, lines: int) -> tuple[Floats, Floats]:
    """Return the splines of fifth order that are one at one radius and zero at the others, and d/du of them.

    Both (line, radius), at u = 0, 1 / lines, ..., 1 with r = reach u^2; below the first radius they stay constant.
    """
    nodes = (np.arange(num_radii) + 0.5) / (num_radii - 0.5)
    spline = make_interp_spline(nodes, np.eye(num_radii), k=5)
    u = np.clip(np.linspace(0.0, 1.0, lines + 1), nodes[0], 1.0)
    return np.asarray(spline(u)), np.asarray(spline(u, nu=1))


def read_lines(table: torch.Tensor, distance: torch.Tensor, reach: float | torch.Tensor) -> torch.Tensor:
    """Return the lines of a table at distances (..., n), interpolated linearly, (..., n, radius)."""
    place = (distance * ((len(table) - 1) ** 2 / reach)).sqrt_()
    line = place.to(torch.int64).clamp_(max=len(table) - 2)
    place -= line
    low, high = (table.index_select(0, part.flatten()).view(*line.shape, table.shape[1]) for part in (line, line + 1))
    return torch.lerp(low, high, place[..., None])
