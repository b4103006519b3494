"""The molecule of `figures.example`: its row of the table, its electron cloud, and what is drawn where it has none."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from decar.config import Study
from decar.errors import DataFormatError
from decar.figures.render import Floats, Window
from decar.figures.sources import Sources, noted_record, read_columns
from decar.figures.structure import draw_structure
from decar.figures.style import GREY, PAGE, new_figure, readable
from decar.units import ANGSTROM_PER_BOHR

FIELD = "electron_density"
MARGIN = 0.45  # free space around a cloud [angstrom]
OVERSAMPLING = 2  # of an image while it is drawn


@dataclass(frozen=True)
class Cloud:
    """A molecule with its electron density on a grid; frame and origin are those of the stored grid."""

    name: str
    smiles: str
    atomic_numbers: NDArray[np.int32]  # (atom,)
    positions: Floats  # (atom, 3) [angstrom]
    bonds: NDArray[np.int32]  # (bond, 2)
    density: NDArray[Any]  # (x, y, z) [e/bohr^3]
    origin: Floats  # (3,) centre of voxel 0 [angstrom]
    spacing: float  # [angstrom]


def example_row(study: Study, sources: Sources) -> pd.Series:
    """Return the index row of `figures.example`; raises DataFormatError when the table has no such identifier."""
    index = read_columns(sources.index, ["id", "name", "key", "smiles", "status", "reason"])
    found = index[index["id"].astype(str) == study.figures.example]
    if found.empty:
        raise DataFormatError(
            "figures.example is not an identifier of the table", where=study.molecules.table,
            seen=study.figures.example, expected=f"one of {list(index['id'].astype(str))[:10]} ...",
            remedy="set figures.example",
        )  # fmt: skip
    return found.iloc[0]


def read_cloud(study: Study, sources: Sources) -> Cloud | None:
    """Return the example's first conformer; None when that molecule failed, or when its density is not computed.

    Atoms are those of the wavefunction that was rendered; bonds come with the geometry.
    """
    geometry, wavefunction, fields = sources.example_geometry, sources.example_wavefunction, sources.example_fields
    if geometry is None or wavefunction is None or fields is None or FIELD not in study.fields.names:
        return None
    row, rendered = example_row(study, sources), noted_record(fields)
    atoms = noted_record(wavefunction).arrays
    grid = rendered.metadata["conformers"][0]["grid"]
    return Cloud(
        example_name(row),
        str(row["smiles"]),
        atoms["0/atomic_numbers"],
        atoms["0/geometry_bohr"] * ANGSTROM_PER_BOHR,
        noted_record(geometry).arrays["bonds"],
        rendered.arrays[f"0/{FIELD}"][0],
        np.asarray(grid["origin_bohr"], dtype=np.float64) * ANGSTROM_PER_BOHR,
        float(grid["spacing_bohr"]) * ANGSTROM_PER_BOHR,
    )


def example_name(row: pd.Series) -> str:
    """Return the name of a row of the index, or its identifier where it has none."""
    return str(row["name"]) if isinstance(row["name"], str) and row["name"] else str(row["id"])


def show_image(axes: Axes, image: Floats, window: Window) -> None:
    """Show what was rasterised, to scale; the vertical axis is labelled by who draws the panels."""
    extent = (window.left, window.right, window.bottom, window.top)
    axes.imshow(image, extent=extent, interpolation="bilinear")
    axes.set_xlabel("x′ / Å")
    axes.spines[["top", "right"]].set_visible(True)
    axes.set_aspect("equal", anchor="N")


def draw_missing(row: pd.Series, reason: str) -> Figure:
    """Draw the structural formula alone, where the row has one, and say why there is no cloud."""
    figure = new_figure(PAGE, PAGE * 0.47)
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.25))
    left.set_axis_off()
    right.set_axis_off()
    if isinstance(row["smiles"], str) and row["smiles"]:
        draw_structure(left, row["smiles"], 240, 200, 34.0, line=0.75)
    left.set_title(example_name(row))
    right.text(0.5, 0.5, f"no electron cloud: {readable(reason)}", ha="center", va="center", color=GREY)
    return figure
