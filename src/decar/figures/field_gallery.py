"""Every field of the registry on one molecule, as a slice through it, rendered from its wavefunction record.

The slice is the plane of the principal axes of largest spread through the centre of the nuclei, on a grid of its own.
Fields of either sign have a diverging scale, symmetric about zero; others run from zero. Both end at a quantile of the
slice, as nuclei would take the whole scale.
"""

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from decar.config import FiguresSettings, Study
from decar.errors import ChemistryError
from decar.fields.registry import FIELDS, Field
from decar.figures.example import draw_missing, example_row
from decar.figures.render import Floats
from decar.figures.save import Drawing
from decar.figures.scene import principal_axes
from decar.figures.sources import Sources, noted_record
from decar.figures.style import BLACK, DIVERGING, PAGE, SEQUENTIAL
from decar.quantum.wavefunction import Wavefunction
from decar.units import ANGSTROM_PER_BOHR

SPACING_ANGSTROM, PADDING_ANGSTROM = 0.18, 1.8
QUANTILE, HAS_SIGNS = 0.96, 0.02  # where a scale ends; share of the limit below which a minimum is no sign
NEAR_ANGSTROM = 0.6  # a nucleus as near to the slice as this is marked
COLUMNS, TITLE, BAR = 4, 0.30, 0.30  # panels a row; inches above and below a panel
ARROWS = 6  # grid points from arrow to arrow


@dataclass(frozen=True)
class Slice:
    """Points of a plane and the field's values there."""

    x: Floats  # (column,) [angstrom]
    y: Floats  # (row,) [angstrom]
    values: dict[str, Floats]  # field -> (channel, row, column); vectors in the plane's frame
    nuclei: Floats  # (nucleus, 2) of those near the plane [angstrom]


def slice_of(wavefunction: Wavefunction) -> Slice:
    """Return every field that this wavefunction has, on the plane of its nuclei's largest spread."""
    positions = wavefunction.geometry_bohr * ANGSTROM_PER_BOHR
    centre, axes = positions.mean(axis=0), principal_axes(positions)
    flat = (positions - centre) @ axes.T
    x, y = (
        np.arange(flat[:, i].min() - PADDING_ANGSTROM, flat[:, i].max() + PADDING_ANGSTROM, SPACING_ANGSTROM)
        for i in (0, 1)
    )
    across, up = np.meshgrid(x, y)
    points = centre + across.ravel()[:, None] * axes[0] + up.ravel()[:, None] * axes[1]
    values = {}
    for name, field in FIELDS.items():
        try:
            found = field.at_points(wavefunction, points / ANGSTROM_PER_BOHR)
        except ChemistryError:  # an imported wavefunction may lack the empty orbital
            continue
        if field.channels == 3:
            found = axes @ found
        values[name] = found.reshape(field.channels, *across.shape)
    return Slice(x, y, values, flat[np.abs(flat[:, 2]) < NEAR_ANGSTROM, :2])


def scale(field: Field, values: Floats) -> tuple[Floats, float, float]:
    """Return what is drawn (a vector's length) and the ends of its scale."""
    shown = values[0] if field.channels == 1 else np.linalg.norm(values, axis=0)
    limit = float(np.quantile(np.abs(shown), QUANTILE)) or 1.0
    return shown, -limit if float(shown.min()) < -HAS_SIGNS * limit else 0.0, limit


def draw(found: Slice, settings: FiguresSettings) -> Figure:  # noqa: ARG001
    """Draw a panel a field with its colour bar; arrows show a vector's direction in the plane, dots the nuclei."""
    rows = -(-len(found.values) // COLUMNS)
    wide = PAGE / COLUMNS
    tall = 0.94 * wide * (found.y[-1] - found.y[0]) / (found.x[-1] - found.x[0])
    each = tall + TITLE + BAR
    height = rows * each
    figure = Figure(figsize=(PAGE, height))
    for place, (name, values) in enumerate(found.values.items()):
        left, top = (place % COLUMNS + 0.03) * wide / PAGE, 1 - (place // COLUMNS) * each / height
        axes = figure.add_axes((left, top - (TITLE + tall) / height, 0.94 * wide / PAGE, tall / height))
        bar = figure.add_axes((left + 0.05 * wide / PAGE, top - (TITLE + tall + 0.09) / height,
                               0.84 * wide / PAGE, 0.05 / height))  # fmt: skip
        _panel(figure, axes, bar, FIELDS[name], values, found)
    _ruler(figure.axes[0], found)
    return figure


def _panel(figure: Figure, axes: Axes, bar: Axes, field: Field, values: Floats, found: Slice) -> None:
    shown, low, high = scale(field, values)
    extent = (found.x[0], found.x[-1], found.y[0], found.y[-1])
    image = axes.imshow(
        shown, origin="lower", extent=extent, cmap=DIVERGING if low < 0 else SEQUENTIAL, vmin=low, vmax=high,
        interpolation="bilinear",
    )  # fmt: skip
    if field.channels == 3:
        step, length = ARROWS, np.linalg.norm(values[:2], axis=0)
        along = values[:2] / np.where(length > 0, length, 1)
        axes.quiver(found.x[::step], found.y[::step], along[0, ::step, ::step], along[1, ::step, ::step],
                    color="white", scale=30, width=0.005)  # fmt: skip
    axes.plot(*found.nuclei.T, "o", color=BLACK, markersize=1.6, markeredgecolor="white", markeredgewidth=0.3)
    axes.set_axis_off()
    unit = "no unit" if field.unit == "1" else re.sub(r"\^(\d)", r"$^\1$", field.unit)
    if not shown.any():
        axes.text(0.5, 0.04, "zero everywhere", transform=axes.transAxes, color="white", fontsize=6, ha="center")
    axes.set_title(f"{field.title}\n${field.symbol}$ [{unit}]", fontsize=6.2, fontweight="normal", loc="center", pad=2)
    ticks = figure.colorbar(image, cax=bar, orientation="horizontal", extend="max" if low == 0 else "both")
    ticks.set_ticks([low, 0, high] if low < 0 else [0, high / 2, high])
    ticks.ax.set_xticklabels([f"{tick:.2g}".replace("-", "−") for tick in ticks.get_ticks()])
    ticks.ax.tick_params(labelsize=6, length=1.5, pad=1)
    ticks.outline.set_linewidth(0.4)


def _ruler(axes: Axes, found: Slice) -> None:
    """Draw a bar of two angstrom: the scale of every panel."""
    left, low = found.x[0] + 0.4, found.y[0] + 0.4
    axes.plot([left, left + 2], [low, low], color="white", linewidth=1.6, solid_capstyle="butt")
    axes.text(left + 1, low + 0.25, "2 Å", color="white", fontsize=6, ha="center", va="bottom")


def build(study: Study, sources: Sources) -> Drawing:
    """Draw the fields of the study's example, or say that it failed."""
    if sources.example_wavefunction is None:
        missing = pd.DataFrame([{"field": "", "reason": "the molecule failed"}])
        return Drawing(draw_missing(example_row(study, sources), "the molecule failed"), missing)
    record = noted_record(sources.example_wavefunction)
    found = slice_of(Wavefunction.from_record(record.arrays, record.metadata["conformers"][0], "0/"))
    rows = []
    for name, values in found.values.items():
        shown, low, high = scale(FIELDS[name], values)
        quantiles = {f"quantile_{q:g}": float(np.quantile(shown, q)) for q in (0, 0.25, 0.5, 0.75, 1)}
        rows.append({"field": name, "unit": FIELDS[name].unit, "scale_low": low, "scale_high": high,
                     "points": shown.size, **quantiles})  # fmt: skip
    return Drawing(draw(found, study.figures), pd.DataFrame(rows))
