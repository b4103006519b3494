"""A scene: one molecule, one grid, one number format, and the intermediates that its fields share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from decar.fields.density import Formula, Weight, local_fields
from decar.fields.grid import VoxelGrid
from decar.fields.hard_atoms import HardAtom
from decar.fields.orbitals import cartesian_orbitals
from decar.fields.potential import electrostatics
from decar.fields.promolecular import promolecular_density
from decar.quantum.wavefunction import Wavefunction


@dataclass(frozen=True)
class Needs:
    """What the fields of a scene ask for."""

    formulas: Mapping[str, tuple[Formula, int]]  # of the density-like fields, with their numbers of channels
    order: int  # highest derivative of the orbitals that any of them needs
    weights: tuple[Weight, ...]  # of the weighted sums that any of them needs
    has_potential: bool
    has_electric_field: bool


@dataclass(frozen=True)
class Scene:
    """What a field's evaluator sees; everything derived is computed once, when it is first asked for."""

    wavefunction: Wavefunction
    grid: VoxelGrid
    needs: Needs
    dtype: torch.dtype = torch.float32
    device: torch.device | str = "cpu"
    atoms: Sequence[HardAtom] | None = None  # of the potential, where they are known

    @cached_property
    def local(self) -> dict[str, torch.Tensor]:
        """Return the density-like fields by name, (channel, x, y, z)."""
        needs, orbitals = self.needs, cartesian_orbitals(self.wavefunction)
        return local_fields(orbitals, self.grid, needs.formulas, needs.order, needs.weights, self.dtype)

    @cached_property
    def promolecular(self) -> torch.Tensor:
        """Return the promolecular density, (1, x, y, z) [e/bohr^3]."""
        atoms = (self.wavefunction.atomic_numbers, self.wavefunction.geometry_bohr)
        return promolecular_density(*atoms, self.grid, self.dtype, self.device)

    @cached_property
    def reference(self) -> torch.Tensor:
        """Return the same with the electrons that the wavefunction has: without cores that a potential stands for."""
        charges = self.wavefunction.nuclear_charges
        if np.array_equal(charges, self.wavefunction.atomic_numbers):
            return self.promolecular
        atoms = (self.wavefunction.atomic_numbers, self.wavefunction.geometry_bohr)
        return promolecular_density(*atoms, self.grid, self.dtype, self.device, charges)

    @cached_property
    def electrostatics(self) -> torch.Tensor:
        """Return the potential and, where a field of the scene needs it, its gradient: (1 or 4, x, y, z)."""
        order = int(self.needs.has_electric_field)
        return electrostatics(self.wavefunction, self.grid, self.dtype, order, atoms=self.atoms)
