"""Fields of many molecules of different size in boxes of one shape: what a training step reads, straight from records.

Each molecule stands in the middle of its box, turned as told; what reaches beyond the box is cut off.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from decar.fields.grid import VoxelGrid
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
    channels = sum(FIELDS[name].channels for name in names)
    batch = torch.empty((len(wavefunctions), channels, *shape), dtype=dtype, device=device)
    for index, (sample, wavefunction) in enumerate(zip(batch, wavefunctions)):
        turned = wavefunction if rotations is None else rotated(wavefunction, rotations[index])
        grid = centred_grid(turned.geometry_bohr, shape, spacing_bohr)
        fields = evaluate_fields(names, turned, grid, dtype, device)
        torch.cat([fields[name] for name in names], out=sample)
    return batch


def centred_grid(geometry_bohr: Floats, shape: tuple[int, int, int], spacing_bohr: float) -> VoxelGrid:
    """Return a box whose middle is the middle of the nuclear extent."""
    middle = (geometry_bohr.min(axis=0) + geometry_bohr.max(axis=0)) / 2
    x, y, z = (middle - spacing_bohr * (np.array(shape) - 1) / 2).tolist()
    return VoxelGrid((x, y, z), spacing_bohr, shape)
