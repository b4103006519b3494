"""Verify what lies on disk: hashes, shapes, units, finite values, and orthonormal orbitals."""

from pathlib import Path

import h5py
import numpy as np

from decar.errors import DataFormatError
from decar.record import Place, Record, read_header, read_record


def verify_file(path: Path) -> list[str]:
    """Return the problems of a record, a pack of records or a shard, an empty list when it is sound."""
    try:
        places = _records_in(path)
        if places:
            return [problem for place in places for problem in _record_problems(place)]
        from decar.dataset.shards import verify_shard  # noqa: PLC0415

        return verify_shard(path)
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


def _record_problems(place: Place) -> list[str]:
    header = read_header(place)
    record = read_record(place)
    problems = []
    if record.content_hash != header["content_hash"]:
        problems.append(f"content hash is {record.content_hash[:16]}, the file says {header['content_hash'][:16]}")
    name = place.file.stem if place.group == "/" else place.group
    if name != record.recipe:
        problems.append(f"the record is named {name[:16]}, its recipe is {record.recipe[:16]}")
    for name, array in record.arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            problems.append(f"{name} has {int((~np.isfinite(array)).sum())} values that are not finite")
    problems += _shape_problems(record) + _wavefunction_problems(record) + _unit_problems(record)
    return problems if place.group == "/" else [f"{place.group[:16]}: {problem}" for problem in problems]


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


def _wavefunction_problems(record: Record) -> list[str]:
    """Check the electrons and the orthonormality of the orbitals of every conformer of a wavefunction record."""
    if record.kind != "wavefunction":
        return []
    from decar.quantum.record_checks import check_wavefunction  # noqa: PLC0415
    from decar.quantum.wavefunction import Wavefunction  # noqa: PLC0415

    problems = []
    for number, conformer in enumerate(record.metadata["conformers"]):
        try:
            check_wavefunction(Wavefunction.from_record(record.arrays, conformer, f"{number}/"), f"conformer {number}")
        except DataFormatError as error:
            problems.append(str(error))
    return problems


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
