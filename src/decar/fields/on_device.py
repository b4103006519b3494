"""Fields of several molecules at a time on a device to which every operation is sent: a GPU.

What takes many small steps is worked out on the processor, by whatever process (`prepare`): which functions matter
where, and the multipoles of the charge around each nucleus. The device then does the rest in few large operations
(`evaluate_prepared`), and is not waited for.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch

from decar.fields.function_plan import FunctionPlan, plan_functions
from decar.fields.grid import VoxelGrid
from decar.fields.hard_atoms import HardAtom
from decar.fields.local_fields import electron_density
from decar.fields.many_balls import add_compensations, add_hard_potentials
from decar.fields.many_molecules import many_local_fields
from decar.fields.orbitals import cartesian_orbitals
from decar.fields.potential import ChargeParts, charge_parts, expansion_of, soft_potential
from decar.fields.registry import check_orbitals, fields_of, needs_of
from decar.fields.scene import Scene
from decar.quantum.wavefunction import Wavefunction


@dataclass(frozen=True)
class Prepared:
    """A molecule on its grid, ready for a device; `functions` and `charge` where the fields need them."""

    wavefunction: Wavefunction
    grid: VoxelGrid
    dtype: torch.dtype
    functions: FunctionPlan | None
    charge: ChargeParts | None  # without its soft orbitals
    soft: FunctionPlan | None  # of these


@dataclass(frozen=True)
class DeviceScene(Scene):
    """A scene whose intermediates are on a device."""

    prepared: Prepared = field(kw_only=True)
    rendered: dict[str, torch.Tensor] = field(kw_only=True)

    @cached_property
    def local(self) -> dict[str, torch.Tensor]:
        """Return the density-like fields by name."""
        return self.rendered

    @cached_property
    def electrostatics(self) -> torch.Tensor:
        """Return the potential and, where a field needs it, its gradient."""
        parts, soft = self.prepared.charge, self.prepared.soft
        assert parts is not None  # prepared for these fields
        charge = torch.zeros(parts.lattice.shape, dtype=parts.dtype, device=self.device)
        if soft is not None:
            charge -= _density(soft, parts.dtype, self.device)
        add_compensations(charge, parts.lattice, parts.atoms, parts.exponent)
        values = soft_potential(parts, charge, self.grid, int(self.needs.has_electric_field), self.dtype)
        add_hard_potentials(values, self.grid, parts.atoms)
        return values


def prepare(
    names: Sequence[str], wavefunction: Wavefunction, grid: VoxelGrid, dtype: torch.dtype = torch.float32,
    atoms: Sequence[HardAtom] | None = None,
) -> Prepared:  # fmt: skip
    """Return what a device needs for these fields; raises ChemistryError (`no_empty_orbital`).

    `atoms`: those of `decar.fields.potential.hard_atoms`, where they are known: else they take longest.
    """
    check_orbitals(names, wavefunction)
    needs = needs_of(names)
    functions = charge = soft = None
    if needs.formulas:
        functions = plan_functions(cartesian_orbitals(wavefunction), needs.weights, grid, needs.order, dtype)
    if needs.has_potential:
        charge = charge_parts(wavefunction, expansion_of(dtype), atoms)
        if charge.soft is not None:
            soft = plan_functions(charge.soft, (), charge.lattice, 0, charge.dtype)
            charge = replace(charge, soft=None)
    return Prepared(wavefunction, grid, dtype, functions, charge, soft)


def evaluate_prepared(
    names: Sequence[str], molecules: Sequence[Prepared], device: torch.device | str
) -> list[dict[str, torch.Tensor]]:
    """Return the fields of each molecule, (channel, x, y, z) in their units, on the device; grids of one spacing."""
    if not molecules:
        return []
    needs = needs_of(names)
    plans = [molecule.functions for molecule in molecules if molecule.functions is not None]
    dtype = molecules[0].dtype
    rendered: list[dict[str, torch.Tensor]] = [{} for _ in molecules]
    if plans:
        rendered = many_local_fields(plans, needs.formulas, needs.order, needs.weights, dtype, device)
    return [
        fields_of(names, DeviceScene(one.wavefunction, one.grid, needs, dtype, device, prepared=one, rendered=fields))
        for one, fields in zip(molecules, rendered)
    ]


def _density(plan: FunctionPlan, dtype: torch.dtype, device: torch.device | str) -> torch.Tensor:
    """Return the electron density, (x, y, z)."""
    (found,) = many_local_fields([plan], {"density": (electron_density, 1)}, 0, (), dtype, device)
    return found["density"][0]
