"""Cells: space divided among the atoms, so that what a voxel has can be summed to them.

A voxel belongs to the atom with the least |r - R_A| / r_A, r_A the covalent radius (Cordero 2008, doi
10.1039/b801115j, as RDKit holds it): a Voronoi partition whose faces cut each bond in the ratio of the radii, as the
hard limit of Becke's cells (doi 10.1063/1.454033) does. A voxel farther than 3 angstrom from every nucleus belongs to
none: it is counted as outside, so that the sum over atoms and outside is the sum over the box.
"""

import numpy as np
from numpy.typing import NDArray
from rdkit.Chem import GetPeriodicTable

from decar.fields.grid import VoxelGrid
from decar.record import Array
from decar.units import BOHR_PER_ANGSTROM

REACH_BOHR = 3.0 * BOHR_PER_ANGSTROM


def atom_cells(atomic_numbers: NDArray[np.int32], geometry_bohr: Array, grid: VoxelGrid) -> NDArray[np.int64]:
    """Return the atom of each voxel, (x, y, z); the number of atoms stands for outside. Geometry: (atom, 3) [bohr]."""
    covalent_radius = GetPeriodicTable().GetRcovalent
    x, y, z = grid.axes()
    least = np.full(grid.shape, np.inf)
    nearest = np.full(grid.shape, np.inf)
    cells = np.full(grid.shape, len(atomic_numbers), dtype=np.int64)
    for atom, (number, (a, b, c)) in enumerate(zip(atomic_numbers, geometry_bohr)):
        square = ((x - a) ** 2)[:, None, None] + ((y - b) ** 2)[:, None] + (z - c) ** 2
        scaled = square / covalent_radius(int(number)) ** 2
        closer = scaled < least
        least[closer], cells[closer] = scaled[closer], atom
        np.minimum(nearest, square, out=nearest)
    cells[nearest > REACH_BOHR**2] = len(atomic_numbers)
    return cells


def sum_over_cells(values: Array, cells: NDArray[np.int64], num_atoms: int) -> Array:
    """Return the sums of values (x, y, z) over each atom's cell, and over what is outside at the end, (atom + 1,)."""
    return np.bincount(cells.ravel(), weights=np.asarray(values, dtype=np.float64).ravel(), minlength=num_atoms + 1)
