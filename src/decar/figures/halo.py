"""A structural formula with a disc behind each atom: a number of the atom as a colour, its sign as the ring's style.

The colours run from that of the negative class over white to that of the positive one, symmetric about zero. A full
ring is positive, a dotted one negative, so that a grey print keeps the sign.
"""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from matplotlib.ticker import MaxNLocator

from decar.config import FiguresSettings
from decar.figures.structure import atom_places, draw_structure
from decar.figures.style import BLACK

RADIUS = 0.46  # in units of RDKit's scale, in which a bond is 1.5
MARGIN = 0.04  # inches at the left edge
BAR_SPACE = 0.58  # inches below the cells, for the colour bar
RING = 0.25  # share of the limit from which a disc has a ring


def diverging(settings: FiguresSettings) -> LinearSegmentedColormap:
    """Return the colours of a number of either sign."""
    return LinearSegmentedColormap.from_list(
        "classes", [settings.negative_colour, "#FFFFFF", settings.positive_colour], N=255
    )


def draw_halos(
    axes: Axes, smiles: str, values: Sequence[float], limit: float, settings: FiguresSettings,
    size: tuple[int, int] = (220, 128), bond_length: float = 22.0,
) -> None:  # fmt: skip
    """Draw the structural formula with a disc behind each heavy atom; `values` in the order of the SMILES."""
    width, height = size
    draw_structure(axes, smiles, width, height, bond_length, line=0.5)
    colours, places = diverging(settings), atom_places(smiles, width, height, bond_length)
    for (x, y), value in zip(places, values):
        share = max(-1.0, min(1.0, value / limit)) if limit > 0 else 0.0
        has_ring = abs(share) >= RING
        axes.add_patch(
            Circle(
                (x, y), RADIUS * bond_length, clip_on=False, facecolor=colours((share + 1) / 2), zorder=0.5,
                edgecolor=BLACK if has_ring else "none", linewidth=0.45 if has_ring else 0,
                linestyle="-" if share > 0 else (0, (0.8, 1.2)),
            )
        )  # fmt: skip


def cells(
    width: float, cell_height: float, rows: int, columns: int, left: float = 0.0
) -> tuple[Figure, list[list[Axes]], Axes]:
    """Return a figure of so many cells, and axes below them for the colour bar; lengths in inches.

    Every place is computed here, `left` inches stay free beside the cells: a solver of layouts that has many axes to
    place is not the same to the last digit in every process.
    """
    height, left = rows * cell_height + BAR_SPACE, left + MARGIN
    figure = Figure(figsize=(width, height))
    each, tall = (width - left) / columns / width, cell_height / height
    grid = [
        [
            figure.add_axes((left / width + column * each, 1 - (row + 1) * tall, 0.97 * each, 0.97 * tall))
            for column in range(columns)
        ]
        for row in range(rows)
    ]
    for axes in (axes for row in grid for axes in row):
        axes.set_axis_off()
    return figure, grid, figure.add_axes((0.1, 0.4 / height, 0.8, 0.09 / height))


def halo_legend(
    figure: Figure, axes: Axes | Sequence[Axes], limit: float, label: str, settings: FiguresSettings,
    aspect: float = 20, intervals: int = 8,
) -> None:  # fmt: skip
    """Add the colour bar of the discs: into these axes, or below several of them; at most so many steps of ticks."""
    scale = ScalarMappable(Normalize(-limit, limit), diverging(settings))
    if isinstance(axes, Axes):
        bar = figure.colorbar(scale, cax=axes, orientation="horizontal")
    else:
        bar = figure.colorbar(scale, ax=list(axes), orientation="horizontal", fraction=0.05, pad=0.02, aspect=aspect)
    bar.set_label(label)
    bar.locator = MaxNLocator(intervals, steps=[1, 2, 2.5, 5, 10])
    bar.outline.set_linewidth(0.4)
