"""Draw every field of the registry on one molecule: python docs/field_pictures.py docs/images/fields.png

The vinoxy radical, CH2CHO, which is flat and has an odd electron: B3LYP/6-31G*, 0.8 bohr above its plane.
"""

import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from decar.config import QuantumSettings
from decar.fields.grid import VoxelGrid
from decar.fields.registry import FIELDS, Field, evaluate_fields
from decar.quantum.backend import System, get_backend
from decar.quantum.level import Level
from decar.quantum.wavefunction import Wavefunction
from decar.units import BOHR_PER_ANGSTROM

NUMBERS = np.array([6, 6, 8, 1, 1, 1], dtype=np.int32)
PLACES_ANGSTROM = np.array(
    [[0, 0, 0], [1.43, 0, 0], [2.093, 1.036, 0], [1.98, -0.953, 0], [-0.54, 0.937, 0], [-0.54, -0.937, 0]]
)
HEIGHT_BOHR, PADDING_BOHR, SPACING_BOHR = 0.8, 3.5, 0.1


def main(path: Path) -> None:
    """Compute the wavefunction and write the picture."""
    settings = QuantumSettings(method="b3lyp", basis="6-31g*", cartesian=True)
    system = System(NUMBERS, PLACES_ANGSTROM * BOHR_PER_ANGSTROM, 0, 2)
    wavefunction = get_backend(settings).single_point(system, Level.from_settings(settings))
    low = wavefunction.geometry_bohr.min(axis=0)[:2] - PADDING_BOHR
    high = wavefunction.geometry_bohr.max(axis=0)[:2] + PADDING_BOHR
    nx, ny = np.ceil((high - low) / SPACING_BOHR).astype(int).tolist()
    grid = VoxelGrid((float(low[0]), float(low[1]), HEIGHT_BOHR), SPACING_BOHR, (nx, ny, 1))
    fields = evaluate_fields(FIELDS, wavefunction, grid)
    figure, axes = plt.subplots(4, 4, figsize=(11, 9.2), layout="constrained")
    for axis, (name, values) in zip(axes.flat, fields.items()):
        draw(axis, FIELDS[name], values.numpy()[..., 0], wavefunction, grid)
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=65)


def draw(axis: plt.Axes, field: Field, values: np.ndarray, wavefunction: Wavefunction, grid: VoxelGrid) -> None:
    """Draw a scalar in colour; of a vector its length, and arrows along it."""
    x, y, _ = grid.axes()
    shown = values[0] if field.channels == 1 else np.linalg.norm(values, axis=0)
    limit = float(np.quantile(np.abs(shown), 0.97)) or 1.0
    has_signs = shown.min() < -0.02 * limit
    image = axis.imshow(
        shown.T, origin="lower", extent=(x[0], x[-1], y[0], y[-1]), cmap="RdBu" if has_signs else "viridis",
        vmin=-limit if has_signs else 0, vmax=limit,
    )  # fmt: skip
    if field.channels == 3:
        step = 8
        direction = values / (np.linalg.norm(values, axis=0) + 1e-12)
        axis.quiver(
            x[::step], y[::step], direction[0, ::step, ::step].T, direction[1, ::step, ::step].T, color="white",
            scale=28, width=0.005,
        )  # fmt: skip
    axis.plot(*wavefunction.geometry_bohr[:, :2].T, "k.", markersize=3)
    axis.set_title(f"{field.title}\n${field.symbol}$ [{field.unit}]", fontsize=8)
    axis.set_xticks([])
    axis.set_yticks([])
    axis.figure.colorbar(image, ax=axis, shrink=0.8).ax.tick_params(labelsize=6)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
