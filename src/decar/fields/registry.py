"""The fields: what each is called, its unit and symmetry, how it is computed, and where it is defined.

HDF5 attributes, axis labels and documentation are printed from here. A new field is one entry, one function, and one
reference value in `tests/fields/test_registry.py`.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from decar.errors import ChemistryError, ConfigError
from decar.fields import local_fields as formulas
from decar.fields.density import Formula, Weight
from decar.fields.exact_potential import exact_electric_field, exact_potential
from decar.fields.grid import VoxelGrid
from decar.fields.hard_atoms import HardAtom
from decar.fields.orbitals import cartesian_orbitals
from decar.fields.points import point_intermediates
from decar.fields.promolecular import promolecular_at_points
from decar.fields.scene import Needs, Scene
from decar.quantum.wavefunction import Wavefunction

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Field:
    """One entry of the registry."""

    name: str
    title: str  # for axes and headings
    symbol: str  # mathtext, without the dollar signs
    unit: str
    channels: int
    parity: Literal["even", "odd"]  # under inversion of the molecule: scalars are even, the components of vectors odd
    core: str  # what is done near nuclei, and with core electrons
    reference: str  # DOI of the definition
    formula: Formula | None = None  # of a density-like field, from the sums over orbitals at a point
    order: int = 0  # highest derivative of the orbitals that the formula needs
    weights: tuple[Weight, ...] = ()  # weighted sums over orbitals that the formula needs
    evaluate: Callable[[Scene], torch.Tensor] | None = None  # of any other field, (channel, x, y, z)
    exact: Callable[[Wavefunction, Floats], Floats] | None = None  # of those: slow, points (n, 3) -> (channel, n)

    def at_points(self, wavefunction: Wavefunction, points: Floats) -> Floats:
        """Return the field at points (n, 3) [bohr] by the slow and exact route, in float64, (channel, n)."""
        if self.formula is None:
            assert self.exact is not None  # an entry has one or the other
            return self.exact(wavefunction, points)
        check_orbitals([self.name], wavefunction)
        local = point_intermediates(cartesian_orbitals(wavefunction), points, self.order, self.weights)
        return np.asarray(self.formula(local).numpy())

    def to_metadata(self) -> dict[str, Any]:
        """Return the JSON-able part, for records and HDF5 attributes."""
        names = ("title", "symbol", "unit", "channels", "parity", "core", "reference")
        return {name: getattr(self, name) for name in names}


ALL_ELECTRON = "all electrons of the wavefunction; those of an effective core potential are absent; cusps not smoothed"
QUOTIENT = f"{ALL_ELECTRON}; zero where the density is below {formulas.DILUTE:g} e/bohr^3"
FREE_ATOMS = "all electrons of the free neutral atoms; cusps not smoothed"
POINT_NUCLEI = (
    "point nuclei (less the electrons of an effective core potential); a voxel within 0.01 bohr of a nucleus sees it "
    "at 0.01 bohr"
)
ONE_ORBITAL = "one orbital; nothing is smoothed"


def _promolecular(wavefunction: Wavefunction, points: Floats) -> Floats:
    return promolecular_at_points(wavefunction.atomic_numbers, wavefunction.geometry_bohr, points)[None]


def _deformation(wavefunction: Wavefunction, points: Floats) -> Floats:
    atoms = (wavefunction.atomic_numbers, wavefunction.geometry_bohr)
    reference = promolecular_at_points(*atoms, points, wavefunction.nuclear_charges)
    return FIELDS["electron_density"].at_points(wavefunction, points) - reference


_FIELDS = (
    Field(
        "electron_density", "electron density", r"\rho", "e/bohr^3", 1, "even",
        ALL_ELECTRON, "10.1103/PhysRev.136.B864", formulas.electron_density,
    ),
    Field(
        "spin_density", "spin density", r"\rho_\alpha-\rho_\beta", "e/bohr^3", 1, "even",
        ALL_ELECTRON, "10.1088/0022-3719/5/13/012", formulas.spin_density, weights=("spin",),
    ),
    Field(
        "density_gradient", "density gradient", r"\nabla\rho", "e/bohr^4", 3, "odd",
        ALL_ELECTRON, "10.1021/cr00005a013", formulas.density_gradient, 1,
    ),
    Field(
        "density_gradient_norm", "norm of the density gradient", r"|\nabla\rho|", "e/bohr^4", 1, "even",
        ALL_ELECTRON, "10.1103/PhysRevLett.77.3865", formulas.density_gradient_norm, 1,
    ),
    Field(
        "density_laplacian", "Laplacian of the density", r"\nabla^2\rho", "e/bohr^5", 1, "even",
        ALL_ELECTRON, "10.1021/cr00005a013", formulas.density_laplacian, 2,
    ),
    Field(
        "kinetic_energy_density", "kinetic-energy density", r"\tau", "hartree/bohr^3", 1, "even",
        ALL_ELECTRON, "10.1103/PhysRevLett.91.146401", formulas.kinetic_energy_density, 1,
    ),
    Field(
        "electron_localisation", "electron localisation function", r"\mathrm{ELF}", "1", 1, "even",
        QUOTIENT, "10.1063/1.458517", formulas.electron_localisation, 1,
    ),
    Field(
        "localised_orbital_locator", "localised-orbital locator", r"\mathrm{LOL}", "1", 1, "even",
        QUOTIENT, "10.1016/S0166-1280(00)00477-2", formulas.localised_orbital_locator, 1,
    ),
    Field(
        "reduced_density_gradient", "reduced density gradient", "s", "1", 1, "even",
        QUOTIENT, "10.1021/ja100936w", formulas.reduced_density_gradient, 1,
    ),
    Field(
        "highest_occupied_density", "density of the highest occupied orbital", r"|\psi_{\mathrm{HOMO}}|^2",
        "e/bohr^3", 1, "even",
        ONE_ORBITAL, "10.1063/1.1700523", formulas.highest_occupied_density, weights=("highest_occupied",),
    ),
    Field(
        "lowest_empty_density", "density of the lowest empty orbital", r"|\psi_{\mathrm{LUMO}}|^2",
        "e/bohr^3", 1, "even",
        ONE_ORBITAL, "10.1063/1.1700523", formulas.lowest_empty_density, weights=("lowest_empty",),
    ),
    Field(
        "local_ionisation_energy", "average local ionisation energy", r"\bar{I}", "hartree", 1, "even",
        QUOTIENT, "10.1139/v90-220", formulas.local_ionisation_energy, weights=("ionisation",),
    ),
    Field(
        "promolecular_density", "promolecular density", r"\rho_{\mathrm{pro}}", "e/bohr^3", 1, "even",
        FREE_ATOMS, "10.1007/BF00549096", evaluate=lambda scene: scene.promolecular, exact=_promolecular,
    ),
    Field(
        "deformation_density", "deformation density", r"\rho-\rho_{\mathrm{pro}}", "e/bohr^3", 1, "even",
        f"{ALL_ELECTRON}; free atoms lose the same cores", "10.1007/BF00549096",
        evaluate=lambda scene: scene.local["electron_density"] - scene.reference, exact=_deformation,
    ),
    Field(
        "electrostatic_potential", "electrostatic potential", "V", "hartree/e", 1, "even",
        POINT_NUCLEI, "10.1002/wcms.19",
        evaluate=lambda scene: scene.electrostatics[:1],
        exact=lambda wavefunction, points: exact_potential(wavefunction, points)[None],
    ),
    Field(
        "electric_field", "electric field", "E", "hartree/(e bohr)", 3, "odd",
        POINT_NUCLEI, "10.1002/wcms.19", evaluate=lambda scene: -scene.electrostatics[1:],
        exact=exact_electric_field,
    ),
)  # fmt: skip
FIELDS: dict[str, Field] = {field.name: field for field in _FIELDS}


def check_field_names(names: Iterable[str], where: str = "fields.names") -> None:
    """Raise ConfigError for a name that is not in the registry, with the nearest one that is."""
    for name in names:
        if name not in FIELDS:
            near = get_close_matches(name, FIELDS, n=1, cutoff=0.0)
            raise ConfigError(
                "there is no such field", where=where, seen=name, expected=", ".join(FIELDS),
                remedy=f"did you mean {near[0]}?",
            )  # fmt: skip


def check_orbitals(names: Iterable[str], wavefunction: Wavefunction) -> None:
    """Raise ChemistryError (`no_empty_orbital`) for a field of an orbital that the wavefunction does not state."""
    for field in (FIELDS[name] for name in names):
        if "lowest_empty" in field.weights and not cartesian_orbitals(wavefunction).has_empty:
            raise ChemistryError(
                "the wavefunction states no empty orbital", reason="no_empty_orbital", where=field.name,
                seen="occupied orbitals only", expected="the lowest empty orbital too",
                remedy=f"leave {field.name} out of fields.names, or compute the wavefunction again",
            )  # fmt: skip


def evaluate_fields(
    names: Iterable[str], wavefunction: Wavefunction, grid: VoxelGrid, dtype: torch.dtype = torch.float32,
    atoms: Sequence[HardAtom] | None = None,
) -> dict[str, torch.Tensor]:  # fmt: skip
    """Return the fields on the grid, each (channel, x, y, z) in its unit; orbitals are evaluated once for all.

    On the processor; `decar.fields.on_device` has those of several molecules on another device. `atoms`: those of
    `decar.fields.potential.hard_atoms`, where they are known.
    Raises ChemistryError (`no_empty_orbital`).
    """
    names = list(names)
    check_orbitals(names, wavefunction)
    return fields_of(names, Scene(wavefunction, grid, needs_of(names), dtype, atoms=atoms))


def needs_of(names: Iterable[str]) -> Needs:
    """Return what the fields ask for."""
    chosen = {name: FIELDS[name] for name in names}
    local = {name: field for name, field in chosen.items() if field.formula is not None}
    if "deformation_density" in chosen:
        local["electron_density"] = FIELDS["electron_density"]
    return Needs(
        {name: (field.formula, field.channels) for name, field in local.items() if field.formula is not None},
        max((field.order for field in local.values()), default=0),
        tuple(dict.fromkeys(weight for field in local.values() for weight in field.weights)),
        "electrostatic_potential" in chosen or "electric_field" in chosen, "electric_field" in chosen,
    )  # fmt: skip


def fields_of(names: Iterable[str], scene: Scene) -> dict[str, torch.Tensor]:
    """Return the fields of a scene that has what they need."""
    chosen = {name: FIELDS[name] for name in names}
    return {
        name: scene.local[name] if field.evaluate is None else field.evaluate(scene) for name, field in chosen.items()
    }
