"""The fields: what each is called, its unit and symmetry, how it is computed, and where it is defined.

HDF5 attributes, axis labels and documentation are printed from here. A new field is one entry, one function, and one
reference value in `tests/fields/test_registry.py`.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from decar.errors import ConfigError
from decar.fields.density import density_gradient_norm, electron_density
from decar.fields.exact_potential import exact_potential
from decar.fields.grid import VoxelGrid
from decar.fields.orbitals import cartesian_orbitals
from decar.fields.points import point_intermediates
from decar.fields.potential import electrostatic_potential
from decar.fields.promolecular import promolecular_at_points, promolecular_density
from decar.fields.scene import Scene
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
    order: int  # highest derivative of the orbitals that it needs
    evaluate: Callable[[Scene], torch.Tensor]  # (channel, x, y, z)
    exact: Callable[[Wavefunction, Floats], Floats]  # slow and in float64: points (n, 3) -> (channel, n)

    def to_metadata(self) -> dict[str, Any]:
        """Return the JSON-able part, for records and HDF5 attributes."""
        names = ("title", "symbol", "unit", "channels", "parity", "core", "reference")
        return {name: getattr(self, name) for name in names}


ALL_ELECTRON = "all electrons of the wavefunction; those of an effective core potential are absent; cusps not smoothed"

_FIELDS = (
    Field(
        "electron_density", "electron density", r"\rho", "e/bohr^3", 1, "even",
        ALL_ELECTRON, "10.1103/PhysRev.136.B864", 0,
        lambda scene: electron_density(scene.local),
        lambda wavefunction, points: _exact_local(wavefunction, points, electron_density, 0),
    ),
    Field(
        "density_gradient_norm", "norm of the density gradient", r"|\nabla\rho|", "e/bohr^4", 1, "even",
        ALL_ELECTRON, "10.1103/PhysRevLett.77.3865", 1,
        lambda scene: density_gradient_norm(scene.local),
        lambda wavefunction, points: _exact_local(wavefunction, points, density_gradient_norm, 1),
    ),
    Field(
        "promolecular_density", "promolecular density", r"\rho_{\mathrm{pro}}", "e/bohr^3", 1, "even",
        "all electrons of the free neutral atoms; cusps not smoothed", "10.1007/BF00549096", 0,
        lambda scene: promolecular_density(
            scene.wavefunction.atomic_numbers, scene.wavefunction.geometry_bohr, scene.grid, scene.dtype, scene.device
        ),
        lambda wavefunction, points: promolecular_at_points(
            wavefunction.atomic_numbers, wavefunction.geometry_bohr, points
        )[None],
    ),
    Field(
        "electrostatic_potential", "electrostatic potential", "V", "hartree/e", 1, "even",
        "point nuclei (less the electrons of an effective core potential); a voxel within 0.01 bohr of a nucleus sees "
        "it at 0.01 bohr", "10.1021/cr00012a010", 0,
        lambda scene: electrostatic_potential(scene.wavefunction, scene.orbitals, scene.grid, scene.dtype),
        lambda wavefunction, points: exact_potential(wavefunction, points)[None],
    ),
)  # fmt: skip
FIELDS: dict[str, Field] = {field.name: field for field in _FIELDS}


def _exact_local(
    wavefunction: Wavefunction, points: Floats, formula: Callable[[Any], torch.Tensor], order: int
) -> Floats:
    values = formula(point_intermediates(cartesian_orbitals(wavefunction), points, order))
    return np.asarray(values.numpy())


def check_field_names(names: Iterable[str], where: str = "fields.names") -> None:
    """Raise ConfigError for a name that is not in the registry, with the nearest one that is."""
    for name in names:
        if name not in FIELDS:
            near = get_close_matches(name, FIELDS, n=1, cutoff=0.0)
            raise ConfigError(
                "there is no such field", where=where, seen=name, expected=", ".join(FIELDS),
                remedy=f"did you mean {near[0]}?",
            )  # fmt: skip


def evaluate_fields(
    names: Iterable[str], wavefunction: Wavefunction, grid: VoxelGrid, dtype: torch.dtype = torch.float32,
    device: str = "cpu",
) -> dict[str, torch.Tensor]:  # fmt: skip
    """Return the fields on the grid, each (channel, x, y, z) in its unit; orbitals are evaluated once for all."""
    chosen = [FIELDS[name] for name in names]
    scene = Scene(wavefunction, grid, max(field.order for field in chosen), dtype, device)
    return {field.name: field.evaluate(scene) for field in chosen}
