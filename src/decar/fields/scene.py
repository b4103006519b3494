"""A scene: one molecule, one grid, one number format, and the intermediates that its fields share."""

from dataclasses import dataclass
from functools import cached_property

import torch

from decar.fields.density import Intermediates, grid_intermediates
from decar.fields.grid import VoxelGrid
from decar.fields.orbitals import CartesianOrbitals, cartesian_orbitals
from decar.quantum.wavefunction import Wavefunction


@dataclass(frozen=True)
class Scene:
    """What a field's evaluator sees; everything derived is computed once, when it is first asked for."""

    wavefunction: Wavefunction
    grid: VoxelGrid
    order: int  # highest derivative of the orbitals that any field of the scene needs
    dtype: torch.dtype = torch.float32
    device: str = "cpu"

    @cached_property
    def orbitals(self) -> CartesianOrbitals:
        """Return the occupied orbitals on the device."""
        return cartesian_orbitals(self.wavefunction, self.device)

    @cached_property
    def local(self) -> Intermediates:
        """Return the sums over orbitals on all voxels."""
        return grid_intermediates(self.orbitals, self.grid, self.order, self.dtype)
