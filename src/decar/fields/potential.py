r"""Electrostatic potential  V(r) = sum_A Z_A / |r - R_A| - int rho(r') / |r - r'| d3r'  on a voxel grid.

The sum over atoms and multipoles of atomic_potential.py is evaluated block by block. In each block an atom contributes
only the multipoles that matter there: those left out sum to less than NEGLECT. Exact but for the truncation of the
expansion; a voxel nearer to a nucleus than NEAREST_BOHR sees the nucleus at that distance, so that V stays finite.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from decar.fields.atomic_potential import NODES_BOHR, STANDARD, AtomicPotential, Expansion, atomic_potentials
from decar.fields.grid import VoxelGrid
from decar.fields.harmonics import solid_harmonics
from decar.fields.orbitals import CartesianOrbitals
from decar.fields.radial_poisson import angular_momenta
from decar.quantum.wavefunction import Wavefunction

Floats = NDArray[np.float64]
NEAREST_BOHR = 0.01
NEGLECT = 1e-6  # [hartree/e], of one atom
BLOCK = 16  # voxels along the edge of a block
CHUNK = 4096  # points that are worked on at once


def electrostatic_potential(
    wavefunction: Wavefunction, orbitals: CartesianOrbitals, grid: VoxelGrid, dtype: torch.dtype = torch.float32,
    expansion: Expansion = STANDARD,
) -> torch.Tensor:  # fmt: skip
    """Return V as one channel, (1, x, y, z) [hartree/e]."""
    evaluator = PotentialEvaluator(atomic_potentials(wavefunction, orbitals, expansion), dtype)
    axes = [torch.as_tensor(points) for points in grid.axes()]
    potential = torch.empty(grid.shape, dtype=dtype)
    for x, y, z in _blocks(grid.shape):
        points = torch.cartesian_prod(axes[0][x], axes[1][y], axes[2][z])
        potential[x, y, z] = evaluator(points).view(potential[x, y, z].shape)
    return potential[None]


def potential_at_points(
    wavefunction: Wavefunction, orbitals: CartesianOrbitals, points: Floats, expansion: Expansion = STANDARD
) -> Floats:
    """Return V at points (n, 3) [bohr], (n,) [hartree/e], in float64."""
    evaluator = PotentialEvaluator(atomic_potentials(wavefunction, orbitals, expansion), torch.float64)
    chunks = [torch.as_tensor(points[start : start + CHUNK]) for start in range(0, len(points), CHUNK)]
    return np.asarray(torch.cat([evaluator(chunk) for chunk in chunks]).numpy())


def _blocks(shape: tuple[int, int, int]) -> list[tuple[slice, slice, slice]]:
    x, y, z = ([slice(i, min(i + BLOCK, n)) for i in range(0, n, BLOCK)] for n in shape)
    return [(a, b, c) for a in x for b in y for c in z]


class PotentialEvaluator:
    """V at points that lie close together, from the tables of all atoms, in one number format."""

    def __init__(self, atoms: list[AtomicPotential], dtype: torch.dtype) -> None:
        self.dtype = dtype
        self.centres = torch.tensor(np.array([atom.centre for atom in atoms]))
        self.monopoles = [torch.tensor(atom.monopole, dtype=dtype) for atom in atoms]
        self.highest = round(float(np.sqrt(atoms[0].multipoles.shape[1] + 1))) - 1
        # One table for each highest l: contiguous rows of the components that are kept.
        self.tables = [torch.tensor(atom.multipoles, dtype=dtype) for atom in atoms]
        self.reaches = [_reaches(atom.multipoles, self.highest) for atom in atoms]
        self.start = float(np.log(NODES_BOHR[0]))
        self.step = float(np.log(NODES_BOHR[1] / NODES_BOHR[0]))

    def __call__(self, points: torch.Tensor) -> torch.Tensor:
        """Return V at points (n, 3) float64 [bohr], (n,) [hartree/e]."""
        total = torch.zeros(len(points), dtype=self.dtype)
        for atom, centre in enumerate(self.centres):
            offset = (points - centre).T.to(self.dtype)
            distance = (offset * offset).sum(dim=0).sqrt_().clamp_(min=NEAREST_BOHR)
            place = ((distance.log() - self.start) / self.step).clamp_(0, len(NODES_BOHR) - 1.001)
            node = place.to(torch.int64)
            place -= node
            monopole = self.monopoles[atom]
            total += torch.lerp(monopole[node], monopole[node + 1], place) / distance
            l = int((self.reaches[atom] > float(distance.min())).sum())
            if l:
                total += self._multipoles(atom, l, offset / distance, node, place)
        return total

    def _multipoles(
        self, atom: int, l: int, direction: torch.Tensor, node: torch.Tensor, place: torch.Tensor
    ) -> torch.Tensor:
        table = self.tables[atom][:, : (l + 1) ** 2 - 1]
        radial = torch.lerp(table.index_select(0, node), table.index_select(0, node + 1), place[:, None])
        total: torch.Tensor = torch.linalg.vecdot(radial, solid_harmonics(direction, l)[1:].T)
        return total


def _reaches(multipoles: Floats, highest_l: int) -> Floats:
    """Return for l = 1..highest_l the distance beyond which the multipoles of l and above are below NEGLECT."""
    l = angular_momenta(highest_l)[1:]
    # |sum_m U_lm Y_lm| <= sqrt((2l + 1) / 4 pi) |U_l| at every direction.
    bounds = np.stack(
        [np.sqrt((2 * k + 1) / (4 * np.pi) * (multipoles[:, l == k] ** 2).sum(axis=1)) for k in range(1, highest_l + 1)]
    )
    tails = np.cumsum(bounds[::-1], axis=0)[::-1]  # (l, node): all of l and above
    farthest = [np.flatnonzero(tail > NEGLECT) for tail in tails]
    return np.array([NODES_BOHR[index[-1]] * 1.01 if len(index) else 0.0 for index in farthest])
