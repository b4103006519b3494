"""The voxel map of one molecule's attribution in an HDF5 file.

/              format = "decar attribution map", format_version, key, origin_bohr (3,), spacing_bohr,
               checksum = decar.record.array_hash of the values
/attribution   [x, y, z], float32, logit (of a regression: unit of the property) per voxel
"""

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from decar.atomic import atomic_path
from decar.errors import DataFormatError
from decar.fields.grid import VoxelGrid
from decar.record import array_hash

FORMAT = "decar attribution map"
FORMAT_VERSION = 1


@dataclass(frozen=True)
class VoxelMap:
    """The attribution of every voxel of one molecule, in the frame of its fields record."""

    key: str
    values: NDArray[np.float32]  # (x, y, z) [logit]
    origin_bohr: NDArray[np.float64]  # (3,)
    spacing_bohr: float


def write_map(path: Path, key: str, values: NDArray[np.floating], grid: VoxelGrid) -> None:
    """Write the map of a molecule on its grid."""
    stored = np.ascontiguousarray(values, dtype=np.float32)
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        file.create_dataset("attribution", data=stored)
        file.attrs.update(
            format=FORMAT, format_version=FORMAT_VERSION, key=key, origin_bohr=grid.origin_bohr,
            spacing_bohr=grid.spacing_bohr, checksum=array_hash(stored),
        )  # fmt: skip


def read_map(path: Path) -> VoxelMap:
    """Read a map. Raises DataFormatError when the file is not one, or its values are not those that were written."""
    try:
        with h5py.File(path, "r") as file:
            seen = file.attrs.get("format"), int(file.attrs.get("format_version", 0))
            if seen != (FORMAT, FORMAT_VERSION):
                raise DataFormatError(
                    "this is not an attribution map that this version reads", where=path, seen=seen,
                    expected=(FORMAT, FORMAT_VERSION),
                )  # fmt: skip
            values = file["attribution"][()]
            if array_hash(values) != file.attrs["checksum"]:
                raise DataFormatError("the values do not match their checksum", where=path)
            origin = np.asarray(file.attrs["origin_bohr"])
            return VoxelMap(str(file.attrs["key"]), values, origin, float(file.attrs["spacing_bohr"]))
    except (OSError, KeyError) as error:
        raise DataFormatError("the attribution map cannot be read", where=path, seen=str(error)) from error


def map_problems(path: Path) -> list[str]:
    """Return what is wrong with a map, [] when it is sound: shape, grid, finite values; DataFormatError as read_map."""
    found = read_map(path)
    problems = []
    if found.values.ndim != 3:
        problems.append(f"shape {found.values.shape} is not [x, y, z]")
    if found.origin_bohr.shape != (3,) or not found.spacing_bohr > 0:
        problems.append(f"origin {found.origin_bohr} and spacing {found.spacing_bohr} bohr are not a grid")
    if not np.isfinite(found.values).all():
        problems.append(f"{int((~np.isfinite(found.values)).sum())} values are not finite")
    return problems
