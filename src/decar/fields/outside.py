"""How much of the electron cloud a box cuts off."""

import numpy as np

from decar.fields.grid import VoxelGrid
from decar.fields.orbitals import cartesian_orbitals
from decar.fields.points import point_intermediates
from decar.fields.quadrature import atom_quadrature
from decar.quantum.wavefunction import Wavefunction

NUM_RADII, DEGREE = 40, 23  # 194 directions: the tail is smooth


def electron_fraction_outside(wavefunction: Wavefunction, grid: VoxelGrid) -> float:
    """Return the share of the electrons that lies outside the box, from an atom-centred quadrature."""
    points, weights = [], []
    for atom in range(len(wavefunction.atomic_numbers)):
        quadrature = atom_quadrature(atom, wavefunction.atomic_numbers, wavefunction.geometry_bohr, NUM_RADII, DEGREE)
        outside = ~grid.contains(quadrature.points)
        points.append(quadrature.points[outside])
        weights.append(quadrature.weights[outside])
    beyond = np.concatenate(points)
    if not len(beyond):
        return 0.0
    density = point_intermediates(cartesian_orbitals(wavefunction), beyond).density.numpy()
    return float(np.concatenate(weights) @ density) / wavefunction.num_electrons
