"""Which molecules, and which of their atoms, excite a kernel most.

r of the input form is a sum over the voxels of the patch where it was found; summed over the cells of atoms

    r = sum_A r_A + r_outside,      r_A = sum_{i in cell of A} (F_i - <F>) (x_i - <x>) / (|F - <F>| |x - <x>|)

it says which atoms lie under the kernel and match it. Outside is what belongs to no atom: vacuum, and the patch beyond
the faces of the box.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from decar.dataset.rotations import Rotation
from decar.interpret.cells import sum_over_cells
from decar.interpret.correlation import Match
from decar.interpret.receptive import LinearStack, turned
from decar.record import Array

NUM_MOLECULES = 4
COLUMNS = ["kernel", "effect_size", "rank", "key", "label", "correlation", "atom", "heavy_atom", "contribution"]


def chosen(correlations: pd.DataFrame, tests: pd.DataFrame) -> pd.DataFrame:
    """Return the molecules of highest r for each kernel, largest effect size first: kernel, rank, key, ...

    Both tables are those of the interpret stage; the trained network in the input form counts.
    """
    own = tests.loc[(tests["form"] == "input") & (tests["network"] == "trained")]
    largest = own.assign(size=own["effect_size"].abs()).sort_values(["size", "kernel"], ascending=[False, True])
    tables: list[pd.DataFrame] = []
    for test in largest.to_dict("records"):
        is_own = (correlations["form"] == "input") & (correlations["network"] == "trained")
        of_kernel = correlations.loc[is_own & (correlations["kernel"] == test["kernel"])].dropna(subset="correlation")
        best = of_kernel.sort_values(["correlation", "key"], ascending=[False, True]).head(NUM_MOLECULES)
        tables.append(best[["kernel", "key", "label"]].assign(effect_size=test["effect_size"], rank=range(len(best))))
    return pd.concat(tables, ignore_index=True)


def contributions(
    stack: LinearStack, kernel: int, match: Match, rotations: tuple[Rotation, ...], voxels: Array,
    cells: NDArray[np.int64], num_atoms: int,
) -> Array:  # fmt: skip
    """Return r_A of each atom and r_outside at the end, (atom + 1,); `voxels` [channel, x, y, z], `cells` (x, y, z)."""
    field = turned(stack.fields[kernel], rotations[int(match.rotation[kernel])]).numpy()
    x = np.pad(voxels.astype(np.float64), ((0, 0), *[(stack.padding,) * 2] * 3))
    owners = np.pad(cells, stack.padding, constant_values=num_atoms)
    region = tuple(slice(place, place + stack.edge) for place in match.position[kernel] * stack.stride)
    patch = x[(slice(None), *region)]
    patch, field = patch - patch.mean(), field - field.mean()
    product = (patch * field).sum(axis=0) / (np.linalg.norm(patch) * np.linalg.norm(field))
    return sum_over_cells(product, owners[region], num_atoms)
