"""Density-like fields on grids larger than memory: slab after slab along x, straight into an HDF5 file."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import h5py
import torch

from decar.atomic import atomic_path
from decar.errors import ConfigError
from decar.fields.grid import VoxelGrid
from decar.fields.registry import FIELDS, check_field_names, evaluate_fields
from decar.quantum.wavefunction import Wavefunction


def render_slabs(
    names: Sequence[str], wavefunction: Wavefunction, grid: VoxelGrid, path: Path, megabytes: float = 256.0,
    dtype: torch.dtype = torch.float32,
) -> None:  # fmt: skip
    """Write data sets (channel, x, y, z) named by field, holding at most about `megabytes` of fields at once.

    Each data set has the field's metadata as attributes, the file those of the grid. Raises ConfigError for a field
    that is not made from the orbitals at the same point: it needs the whole molecule for every slab.
    """
    check_field_names(names, where="names")
    for name in names:
        if FIELDS[name].formula is None:
            raise ConfigError(
                "this field is not rendered in slabs", where="names", seen=name,
                expected=", ".join(field.name for field in FIELDS.values() if field.formula is not None),
            )  # fmt: skip
    channels = sum(FIELDS[name].channels for name in names)
    plane = channels * grid.shape[1] * grid.shape[2] * torch.finfo(dtype).bits / 8 / 1e6
    depth = max(1, int(megabytes / plane))
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs.update(grid.to_metadata())
        for name in names:
            shape = (FIELDS[name].channels, *grid.shape)
            kind = {torch.float32: "f4", torch.float64: "f8"}[dtype]
            data = file.create_dataset(name, shape, kind, chunks=(1, min(depth, 16), *grid.shape[1:]))
            data.attrs.update(FIELDS[name].to_metadata())
        for start in range(0, grid.shape[0], depth):
            slab = slab_of(grid, start, min(start + depth, grid.shape[0]))
            for name, values in evaluate_fields(names, wavefunction, slab, dtype).items():
                file[name][:, start : start + slab.shape[0]] = values.numpy()


def slab_of(grid: VoxelGrid, start: int, stop: int) -> VoxelGrid:
    """Return the voxels start to stop along x."""
    x, y, z = grid.origin_bohr
    return replace(grid, origin_bohr=(x + start * grid.spacing_bohr, y, z), shape=(stop - start, *grid.shape[1:]))
