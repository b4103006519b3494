r"""Adding what belongs to all atoms to the voxels of balls around them, on a device to which every operation is sent.

The same sums as in balls.py, over the cubes around the balls of several atoms at once. Harmonics are not formed: with
S_lm = sum_p P_lm,p x^a y^b z^c, what they are multiplied with is multiplied with P.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby

import numpy as np
import torch
from numpy.typing import NDArray

from decar.fields.balls import FINE, NEAREST_BOHR, harmonic_gradients, read_lines, spline_table
from decar.fields.grid import VoxelGrid
from decar.fields.hard_atoms import HardAtom, compensation_factors
from decar.fields.harmonics import cartesian_coefficients, cartesian_powers
from decar.fields.radial_poisson import angular_momenta
from decar.fields.sending import sent

Floats = NDArray[np.float64]
MOST_VALUES = 2**27  # monomials and radial functions of the voxels that are worked on at once


@dataclass(frozen=True)
class Cubes:
    """The voxels of cubes around the balls of atoms with equally many radii and multipoles."""

    atoms: list[HardAtom]
    voxels: list[tuple[slice, slice, slice]]  # of each atom, those within the grid
    edges: tuple[int, int, int]  # of all cubes: those that the grid cuts are continued beyond it
    offset: torch.Tensor  # (atom, 3, voxel) from the centre [bohr]
    distance: torch.Tensor  # (atom, voxel) [bohr]
    reach: torch.Tensor  # (atom, 1) [bohr]

    @property
    def highest_l(self) -> int:
        """Return the highest l of the multipoles."""
        return self.atoms[0].highest_l

    def add(self, values: torch.Tensor, target: torch.Tensor) -> None:
        """Add (channel, atom, voxel) within the balls to (channel, x, y, z), atom by atom: always in the same order."""
        inside = torch.where(self.distance < self.reach, values, 0.0).view(*values.shape[:2], *self.edges)
        for number, voxels in enumerate(self.voxels):
            x, y, z = (part.stop - part.start for part in voxels)
            target[(slice(None), *voxels)] += inside[:, number, :x, :y, :z]


def cubes_around(atoms: Sequence[HardAtom], grid: VoxelGrid, like: torch.Tensor) -> Iterator[Cubes]:
    """Yield the cubes of all balls that reach into the grid; number format and device of `like`."""
    some = [(atom, voxels) for atom in atoms if (voxels := grid.cube(atom.centre, atom.rule.reach_bohr)) is not None]
    some.sort(key=lambda pair: _size(pair[0]))
    for (radii, highest_l), pairs in groupby(some, key=lambda pair: _size(pair[0])):
        left = list(pairs)
        while left:
            edges = _edges([voxels for _, voxels in left])
            monomials_held = 5 * len(_powers(highest_l))  # with the ladders that they are made from
            count = max(1, MOST_VALUES // (edges[0] * edges[1] * edges[2] * (monomials_held + 4 * radii)))
            yield _cubes(left[:count], grid, like)
            left = left[count:]


def _size(atom: HardAtom) -> tuple[int, int]:
    return atom.rule.num_radii, atom.highest_l


def _edges(voxels: Sequence[tuple[slice, slice, slice]]) -> tuple[int, int, int]:
    x, y, z = (max(one[axis].stop - one[axis].start for one in voxels) for axis in range(3))
    return x, y, z


def _cubes(pairs: Sequence[tuple[HardAtom, tuple[slice, slice, slice]]], grid: VoxelGrid, like: torch.Tensor) -> Cubes:
    atoms, voxels = [atom for atom, _ in pairs], [part for _, part in pairs]
    edges = _edges(voxels)
    first = np.array([[part.start for part in one] for one in voxels])
    start = np.array(grid.origin_bohr) + grid.spacing_bohr * first - np.array([atom.centre for atom in atoms])
    steps = grid.spacing_bohr * np.arange(max(edges))
    reach = np.array([atom.rule.reach_bohr for atom in atoms])
    moved = sent(np.concatenate([(start[:, :, None] + steps).reshape(len(atoms), -1), reach[:, None]], 1), like)
    lines = moved[:, :-1].view(len(atoms), 3, -1)
    x, y, z = (lines[:, axis, :count] for axis, count in enumerate(edges))
    parts = (x[:, :, None, None], y[:, None, :, None], z[:, None, None, :])
    offset = torch.stack([part.expand(-1, *edges) for part in parts], dim=1).flatten(2)
    return Cubes(atoms, voxels, edges, offset, torch.linalg.vector_norm(offset, dim=1), moved[:, -1:])


def add_compensations(charge: torch.Tensor, grid: VoxelGrid, atoms: Sequence[HardAtom], exponent: float) -> None:
    """Add g_A of all atoms to a charge density on a grid, (x, y, z), in place (`decar.fields.balls`)."""
    for cubes in cubes_around(atoms, grid, charge):
        l = angular_momenta(cubes.highest_l)
        # Within a ball of radius one: so powers of the distance stay small.
        weights = np.stack([atom.multipoles * atom.rule.reach_bohr**l for atom in cubes.atoms])
        rows = (weights * compensation_factors(exponent, cubes.highest_l)) @ polynomials(cubes.highest_l)
        shape = monomials(cubes.offset / cubes.reach[:, :, None], cubes.highest_l)
        values = torch.bmm(sent(rows, charge)[:, None], shape)[:, 0]
        cubes.add((values * torch.exp(-exponent * cubes.distance**2))[None], charge[None])


def add_hard_potentials(values: torch.Tensor, grid: VoxelGrid, atoms: Sequence[HardAtom]) -> None:
    """Add the potential of all nuclei and their hard densities to (1 or 4, x, y, z), in place (`decar.fields.balls`).

    Where there are four channels, the gradient is added to the other three [hartree/e/bohr].
    """
    for cubes in cubes_around(atoms, grid, values):
        highest_l = cubes.highest_l
        place = (cubes.atoms[0].rule.num_radii, FINE[values.dtype], values.dtype, values.device)
        potentials = np.stack([atom.potentials for atom in cubes.atoms])
        monopole, multipoles = sent(potentials[:, :, :1], values), potentials[:, :, 1:]
        distance = cubes.distance.clamp(min=NEAREST_BOHR)
        direction = cubes.offset / distance[:, None]
        shape = monomials(direction, highest_l)
        one_over = monopole / distance[:, None]  # (atom, radius, voxel)

        def summed(rows: Floats, shape: torch.Tensor = shape, highest_l: int = highest_l) -> torch.Tensor:
            """Return sum_lm rows_lm Y_lm, (atom, radius, voxel)."""
            return torch.bmm(sent(rows @ polynomials(highest_l)[1:], values), shape)

        radial = read_lines(_splines(*place, 0), distance, cubes.reach).mT
        angular = summed(multipoles).add_(one_over)
        channels = [(radial * angular).sum(dim=1)]
        if len(values) > 1:
            slopes = (
                read_lines(_splines(*place, 1), distance, cubes.reach).mT
                / (2 * (cubes.reach * distance).sqrt())[:, None]
            )
            degrees = summed(multipoles * angular_momenta(highest_l)[1:]).add_(one_over)
            along = (slopes * angular).sum(dim=1) - (radial * degrees).sum(dim=1) / distance
            for axis, matrix in enumerate(harmonic_gradients(highest_l, torch.float64)):
                # grad S_lm falls to l - 1, so that l = 0 is among its components, and l = 0 itself has no slope.
                rows = (multipoles @ matrix.numpy()[1:]) @ polynomials(highest_l)
                across = torch.bmm(sent(rows, values), shape)
                channels.append(along * direction[:, axis] + (radial * across).sum(dim=1) / distance)
        cubes.add(torch.stack(channels), values)


def monomials(xyz: torch.Tensor, highest_l: int) -> torch.Tensor:
    """Return x^a y^b z^c for l = a + b + c = 0..highest_l, (atom, monomial, voxel), in the order of `polynomials`."""
    ladder = torch.cat([torch.ones_like(xyz)[None], xyz.expand(highest_l, *xyz.shape)]).cumprod(dim=0)
    x, y, z = (ladder[:, :, axis].index_select(0, powers) for axis, powers in enumerate(_places(highest_l, xyz.device)))
    return (x * y * z).transpose(0, 1)


@cache
def _places(highest_l: int, device: torch.device) -> tuple[torch.Tensor, ...]:
    """Return the powers of x, y and z in each monomial, kept on the device."""
    return tuple(torch.tensor(_powers(highest_l)).to(device).T)


@cache
def _splines(num_radii: int, lines: int, dtype: torch.dtype, device: torch.device, order: int) -> torch.Tensor:
    """Return a table of decar.fields.balls.spline_table, kept on the device."""
    return torch.as_tensor(spline_table(num_radii, lines)[order]).to(device, dtype)


@cache
def _powers(highest_l: int) -> list[tuple[int, int, int]]:
    return [powers for l in range(highest_l + 1) for powers in cartesian_powers(l)]


@cache
def polynomials(highest_l: int) -> Floats:
    """Return P: S_lm in monomials, (component, monomial), both by l."""
    matrix = np.zeros(((highest_l + 1) ** 2, len(_powers(highest_l))))
    column = 0
    for l in range(highest_l + 1):
        block = cartesian_coefficients(l)
        matrix[l * l : (l + 1) ** 2, column : column + len(block)] = block.T
        column += len(block)
    return matrix
