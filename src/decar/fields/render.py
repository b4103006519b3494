"""One field of one wavefunction as a cube file for any viewer: a record is rendered when somebody wants to look."""

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from decar.config import FieldsSettings
from decar.fields.cube import Cube, write_cube
from decar.fields.grid import VoxelGrid, molecule_grid
from decar.fields.registry import FIELDS, check_field_names, evaluate_fields
from decar.quantum.wavefunction import Wavefunction


def render_cube(
    wavefunction: Wavefunction, name: str, spacing_angstrom: float, padding_angstrom: float, path: Path
) -> None:
    """Evaluate the field on a box around the molecule and write it; raises ConfigError for an unknown name."""
    check_field_names([name], where="--cube")
    settings = FieldsSettings(names=(name,), spacing_angstrom=spacing_angstrom, padding_angstrom=padding_angstrom)
    grid = molecule_grid(wavefunction.geometry_bohr, settings)
    values = evaluate_fields([name], wavefunction, grid)[name].numpy()
    write_cube(path, molecule_cube(wavefunction, grid, values, name, "decar"))


def molecule_cube(wavefunction: Wavefunction, grid: VoxelGrid, values: NDArray[Any], name: str, comment: str) -> Cube:
    """Return a field and its molecule as a cube; the first comment line names the field and its unit."""
    return Cube(
        grid, wavefunction.atomic_numbers, wavefunction.nuclear_charges, wavefunction.geometry_bohr, values,
        (f"{name} [{FIELDS[name].unit}]", comment),
    )  # fmt: skip
