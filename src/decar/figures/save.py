"""Save a figure, each format whole or not at all, and the table it was drawn from beside it.

The same figure gives the same bytes: fixed identifiers in SVG (`svg.hashsalt`), no date and no program version in the
metadata. PDF compresses with zlib, whose output is fixed for one zlib version.
"""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from decar.atomic import atomic_path
from decar.config import FiguresSettings
from decar.figures.style import style

METADATA: dict[str, dict[str, str | None]] = {
    "svg": {"Date": None, "Creator": None},
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
}


@dataclass(frozen=True)
class Drawing:
    """A figure and its tidy table: every number in it, or of a picture of a whole grid what sums it up.

    The records that such a picture was rendered from are in its receipt.
    """

    figure: Figure
    table: pd.DataFrame


def save_drawing(drawing: Drawing, name: str, folder: Path, settings: FiguresSettings) -> list[Path]:
    """Write `<name>.<format>` for each format of the settings and `<name>.csv`; return the paths."""
    written = []
    for suffix in settings.formats:
        path = folder / f"{name}.{suffix}"
        with style(), atomic_path(path) as temporary:
            drawing.figure.savefig(
                temporary, format=suffix, dpi=settings.dots_per_inch, metadata=METADATA[suffix], facecolor="white"
            )
        written.append(path)
    path = folder / f"{name}.csv"
    with atomic_path(path) as temporary:
        drawing.table.to_csv(temporary, index=False, float_format="%.6g", lineterminator="\n")
    return [*written, path]
