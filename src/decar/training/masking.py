"""Cubes of a molecule that are hidden from a network, which then fills them in.

A cell is the cube of `total_stride` voxels that one site of the network's last layer stands for. It belongs to the
molecule where the root mean square of its voxels, over all fields, is at least OCCUPIED (normalised fields have 1 over
the boxes of the training molecules): vacuum is most of a box, and there is nothing to learn from it. Cubes of `edge`
cells lie anywhere that holds a random cell of the molecule, until `share` of its cells are hidden; one cell at least
stays, since something must be there to tell from. What is hidden follows from (seed, epoch, key, conformer).
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from decar.dataset.samples import Batch
from decar.stages import derive_seed

OCCUPIED = 0.5

Flags = NDArray[np.bool_]


def hidden_cells(batch: Batch, stride: int, edge: int, share: float, seed: int, epoch: int) -> Tensor:
    """Return 1 for hidden cells and 0 elsewhere, [batch, 1, x, y, z], on cells of `stride` voxels."""
    square = functional.avg_pool3d(batch["voxels"].square(), stride).mean(dim=1)
    occupied = (square.sqrt() >= OCCUPIED).cpu().numpy()
    drawn = [
        draw_cubes(cells, edge, share, np.random.default_rng(derive_seed(seed, "hidden", epoch, key, conformer)))
        for cells, key, conformer in zip(occupied, batch["key"], batch["conformer"])
    ]
    # Cubes end at the faces of a molecule's own box.
    inside = functional.max_pool3d(batch["mask"], stride)
    return torch.from_numpy(np.stack(drawn))[:, None].to(inside) * inside


def draw_cubes(occupied: Flags, edge: int, share: float, random: np.random.Generator) -> Flags:
    """Return which cells (x, y, z) are hidden; none where no cube leaves a cell of the molecule to see."""
    hidden = np.zeros_like(occupied)
    total = int(occupied.sum())
    # In the order of the axes, so that the padding of a batch, at the high ends, changes no draw.
    for place in random.permutation(np.argwhere(occupied)):
        if hidden[occupied].sum() >= share * total:
            break
        low = place - random.integers(0, edge, 3)
        more = hidden.copy()
        more[tuple(slice(max(start, 0), start + edge) for start in low.tolist())] = True
        if not hidden[tuple(place)] and not more[occupied].all():
            hidden = more
    return hidden


def widened(cells: Tensor, stride: int) -> Tensor:
    """Return cells [batch, 1, x, y, z] as voxels."""
    for axis in (2, 3, 4):
        cells = cells.repeat_interleave(stride, dim=axis)
    return cells
