"""Verify what lies on disk: hashes, shapes, units, finite values, orthonormal orbitals, and their physics on demand."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np

from decar.errors import ChemistryError, ConfigError, DataFormatError
from decar.record import Place, Record, read_header, read_record
from decar.schema import schema_problems

if TYPE_CHECKING:
    from decar.quantum.wavefunction import Wavefunction


Report = Callable[[str], None]


def verify_file(path: Path, physics: bool = False, report: Report = lambda _: None) -> list[str]:
    """Return the problems of a record, a pack of records, a shard or an attribution map, [] when it is sound.

    With `physics`, one Fock build for each wavefunction, whose figures `report` is told.
    """
    try:
        places = _records_in(path)
        if places:
            return [problem for place in places for problem in _record_problems(place, physics, report)]
        from decar.dataset.shards import verify_shard  # noqa: PLC0415
        from decar.interpret.voxel_map import FORMAT, map_problems  # noqa: PLC0415

        return map_problems(path) if _format_of(path) == FORMAT else verify_shard(path)
    except DataFormatError as error:
        return [str(error)]


def _records_in(path: Path) -> list[Place]:
    """Return the record that a file is, or those that it packs; [] where it holds none."""
    try:
        with h5py.File(path, "r") as file:
            if "decar_record" in file.attrs:
                return [Place(path)]
            return [Place(path, name) for name, member in file.items() if "decar_record" in member.attrs]
    except OSError as error:
        raise DataFormatError("the file cannot be read as HDF5", where=path, seen=str(error)) from error


def _format_of(path: Path) -> str | None:
    with h5py.File(path, "r") as file:
        stated = file.attrs.get("format")
    return None if stated is None else str(stated)


def _record_problems(place: Place, physics: bool, report: Report) -> list[str]:
    header = read_header(place)
    record = read_record(place)
    problems = []
    if record.content_hash != header["content_hash"]:
        problems.append(f"content hash is {record.content_hash[:16]}, the file says {header['content_hash'][:16]}")
    name = place.file.stem if place.group == "/" else place.group
    if name != record.recipe and _is_recipe(name):
        problems.append(f"the record is named {name[:16]}, its recipe is {record.recipe[:16]}")
    for name, array in record.arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            problems.append(f"{name} has {int((~np.isfinite(array)).sum())} values that are not finite")
    schema = schema_problems(record)
    if not schema:  # the checks below read what the schema promises
        problems += _shape_problems(record) + _wavefunction_problems(record, physics, report) + _unit_problems(record)
    problems += schema
    return problems if place.group == "/" else [f"{place.group[:16]}: {problem}" for problem in problems]


def _is_recipe(name: str) -> bool:
    """Return whether a name claims to be a recipe; a record that its user named claims nothing."""
    return len(name) == 64 and set(name) <= set("0123456789abcdef")


def _shape_problems(record: Record) -> list[str]:
    """Compare the number of atoms of every geometry with that of the atomic numbers beside it."""
    problems = []
    for name, array in record.arrays.items():
        if not name.endswith("geometry_bohr"):
            continue
        numbers = record.arrays.get(name.removesuffix("geometry_bohr") + "atomic_numbers")
        if numbers is not None and array.shape[-2:] != (len(numbers), 3):
            problems.append(f"{name} has shape {array.shape}, but there are {len(numbers)} atomic numbers")
    return problems


def _wavefunction_problems(record: Record, physics: bool, report: Report) -> list[str]:
    """Check the electrons and the orthonormality of the orbitals of every conformer of a wavefunction record."""
    if record.kind != "wavefunction":
        return []
    from decar.quantum.record_checks import check_wavefunction  # noqa: PLC0415
    from decar.quantum.wavefunction import Wavefunction  # noqa: PLC0415

    problems = []
    for number, conformer in enumerate(record.metadata["conformers"]):
        where = f"conformer {number}"
        try:
            wavefunction = Wavefunction.from_record(record.arrays, conformer, f"{number}/")
            check_wavefunction(wavefunction, where)
            if physics:
                problems += [
                    f"{where}: {problem}"
                    for problem in _physics_problems(wavefunction, f"{record.recipe[:16]} {where}", report)
                ]
        except (DataFormatError, ConfigError, ChemistryError) as error:
            problems.append(str(error))
    return problems


def _physics_problems(wavefunction: "Wavefunction", where: str, report: Report) -> tuple[str, ...]:
    from decar.quantum.level import Level  # noqa: PLC0415
    from decar.quantum.physics_check import check_physics  # noqa: PLC0415

    found = check_physics(wavefunction)
    label = Level.from_metadata(wavefunction.level).label
    report(
        f"{where}: {label}, ||FPS - SPF|| {found.commutator_hartree:.1e} hartree, energy off by "
        f"{found.energy_hartree - wavefunction.energy_hartree:+.1e} hartree, electrons by "
        f"{found.num_electrons - wavefunction.num_electrons:+.1e}"
    )
    return found.problems


def _unit_problems(record: Record) -> list[str]:
    """Compare the unit that a fields record states for each field with that of the registry."""
    if record.kind != "fields":
        return []
    from decar.fields.registry import FIELDS  # noqa: PLC0415

    return [
        f"the unit of {name} is {stated['unit']!r}, the registry says {FIELDS[name].unit!r}"
        for name, stated in record.metadata["fields"].items()
        if name in FIELDS and stated["unit"] != FIELDS[name].unit
    ]
