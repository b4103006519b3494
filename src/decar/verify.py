"""Verify what lies on disk: hashes, shapes and finite values of records and shards."""

from pathlib import Path

import h5py
import numpy as np

from decar.errors import DataFormatError
from decar.record import Record, read_header, read_record


def verify_file(path: Path) -> list[str]:
    """Return the problems of a record or a shard, an empty list when it is sound."""
    try:
        if _is_record(path):
            return _record_problems(path)
        from decar.dataset.shards import verify_shard  # noqa: PLC0415

        return verify_shard(path)
    except DataFormatError as error:
        return [str(error)]


def _is_record(path: Path) -> bool:
    try:
        with h5py.File(path, "r") as file:
            return "decar_record" in file.attrs
    except OSError as error:
        raise DataFormatError("the file cannot be read as HDF5", where=path, seen=str(error)) from error


def _record_problems(path: Path) -> list[str]:
    header = read_header(path)
    record = read_record(path)
    problems = []
    if record.content_hash != header["content_hash"]:
        problems.append(f"content hash is {record.content_hash[:16]}, the file says {header['content_hash'][:16]}")
    if path.stem != record.recipe:
        problems.append(f"the file is named {path.stem[:16]}, its recipe is {record.recipe[:16]}")
    for name, array in record.arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            problems.append(f"{name} has {int((~np.isfinite(array)).sum())} values that are not finite")
    return problems + _shape_problems(record)


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
