"""Fields of many molecules of different size in boxes of one shape: what a training step reads, straight from records.

Each molecule stands in the middle of its box, turned as told; what reaches beyond the box is cut off.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from decar.fields.grid import VoxelGrid
from decar.fields.on_device import evaluate_prepared, prepare
from decar.fields.registry import FIELDS, evaluate_fields
from decar.fields.rotation import rotated
from decar.quantum.wavefunction import Wavefunction

Floats = NDArray[np.float64]


def render_batch(
    names: Sequence[str], wavefunctions: Sequence[Wavefunction], shape: tuple[int, int, int], spacing_bohr: float,
    rotations: Sequence[Floats] | None = None, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu",
) -> torch.Tensor:  # fmt: skip
    """Return the fields, (molecule, channel, x, y, z), channels in the order of the names, on the device.

    `rotations` holds a matrix (3, 3) for each molecule.
    """
    turned = list(wavefunctions)
    if rotations is not None:
        turned = [rotated(wavefunction, matrix) for wavefunction, matrix in zip(wavefunctions, rotations)]
    placed = [(one, centred_grid(one.geometry_bohr, shape, spacing_bohr)) for one in turned]
    batch = torch.empty((len(turned), sum(FIELDS[name].channels for name in names), *shape), dtype=dtype, device=device)
    if batch.device.type == "cpu":
        found = [evaluate_fields(names, *one, dtype) for one in placed]
    else:
        found = evaluate_prepared(names, [prepare(names, *one, dtype) for one in placed], device)
    for sample, fields in zip(batch, found):
        torch.cat([fields[name] for name in names], out=sample)
    return batch


def centred_grid(geometry_bohr: Floats, shape: tuple[int, int, int], spacing_bohr: float) -> VoxelGrid:
    """Return a box whose middle is the middle of the nuclear extent."""
    middle = (geometry_bohr.min(axis=0) + geometry_bohr.max(axis=0)) / 2
    x, y, z = (middle - spacing_bohr * (np.array(shape) - 1) / 2).tolist()
    return VoxelGrid((x, y, z), spacing_bohr, shape)
