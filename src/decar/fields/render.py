"""Render one field of a wavefunction into a cube file: any field, spacing and padding, long after the calculation."""

from pathlib import Path

from decar.config import FieldsSettings
from decar.fields.cube import Cube, write_cube
from decar.fields.grid import molecule_grid
from decar.fields.registry import FIELDS, check_field_names, evaluate_fields
from decar.quantum.wavefunction import Wavefunction


def render_cube(
    wavefunction: Wavefunction, name: str, spacing_angstrom: float, padding_angstrom: float, path: Path
) -> None:
    """Write the field `name` as a cube file; raises ConfigError for a name that is not in the registry."""
    check_field_names([name], where="--cube")
    settings = FieldsSettings(names=(name,), spacing_angstrom=spacing_angstrom, padding_angstrom=padding_angstrom)
    grid = molecule_grid(wavefunction.geometry_bohr, settings)
    values = evaluate_fields([name], wavefunction, grid)[name].numpy()
    title = (f"{name} [{FIELDS[name].unit}]", "rendered by decar")
    write_cube(
        path,
        Cube(
            grid, wavefunction.atomic_numbers, wavefunction.nuclear_charges, wavefunction.geometry_bohr, values, title
        ),
    )
