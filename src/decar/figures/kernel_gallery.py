"""The molecules that excite each kernel most, with the atoms under it."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from decar.config import FiguresSettings, Study
from decar.figures.attribution_tables import names_of
from decar.figures.classes import classes_of, colour_of
from decar.figures.halo import cells, draw_halos, halo_legend
from decar.figures.molecule_table import label_text
from decar.figures.save import Drawing
from decar.figures.sources import Sources, read_columns
from decar.figures.style import BLACK, GREY, PAGE, wrapped

COLUMNS = ["kernel", "effect_size", "rank", "key", "label", "correlation", "atom", "contribution"]
NUM_KERNELS = 6  # drawn, of the largest effect size


def tabulate(study: Study, sources: Sources) -> pd.DataFrame:
    """Return a row a kernel, molecule and heavy atom, with its share of r and `class`; hydrogens count with their atom.

    Kernels are those of the largest effect size; the file has all.
    """
    table = read_columns(sources.attribution / "kernel_gallery.parquet", [*COLUMNS, "heavy_atom"])
    sizes = table.groupby("kernel")["effect_size"].first().abs().sort_values(ascending=False, kind="stable")
    table = table[table["kernel"].isin(sizes.index[:NUM_KERNELS])]
    inside = table[table["atom"] >= 0]
    head = ["kernel", "effect_size", "rank", "key", "label", "correlation", "heavy_atom"]
    merged = inside.groupby(head, sort=True)["contribution"].sum().reset_index().rename(columns={"heavy_atom": "atom"})
    merged["label_text"] = [label_text(study, value) for value in merged["label"]]
    merged["class"] = classes_of(study, sources).names(merged["label"])
    return merged.merge(names_of(sources), left_on="key", right_index=True)


def draw(table: pd.DataFrame, settings: FiguresSettings) -> Figure:
    """Draw a row a kernel, from the most positive effect size down, and a column a molecule."""
    order = table.groupby("kernel")["effect_size"].first().fillna(0).sort_values(ascending=False, kind="stable")
    kernels, columns = list(order.index), int(table["rank"].max()) + 1
    figure, grid, bar = cells(PAGE, 1.16, len(kernels), columns, left=0.75)
    limit = float(np.quantile(table["contribution"].abs(), 0.98))
    for row, kernel in enumerate(kernels):
        of_kernel = table[table["kernel"] == kernel]
        effect = f"δ = {order[kernel]:+.2f}".replace("-", "−")
        beside: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points", "annotation_clip": False}
        grid[row][0].annotate(f"kernel {kernel}", (0, 0.62), (-54, 0), fontsize=7.5, fontweight="bold", **beside)
        grid[row][0].annotate(effect, (0, 0.45), (-54, 0), fontsize=7, color=GREY, **beside)
        for rank, part in of_kernel.groupby("rank"):
            axes, first = grid[row][int(str(rank))], part.iloc[0]
            values = part.sort_values("atom")["contribution"].tolist()
            draw_halos(axes, str(first["smiles"]), values, limit, settings, (210, 110), 19.0)
            axes.set_ylim(152, 0)
            name = wrapped(str(first["name"]), 27)
            below = 132 + 14 * name.count("\n")
            axes.text(0, 114, name, fontsize=6, fontweight="bold", color=BLACK, va="top")
            colour = colour_of(str(first["class"]), settings)
            axes.text(0, below, str(first["label_text"]), fontsize=6, color=colour, va="center")
            axes.text(195, below, f"r = {first['correlation']:.2f}", fontsize=6, color=GREY, va="center", ha="right")
    halo_legend(figure, bar, limit, "share of r from the atom’s cell and its hydrogens", settings)
    return figure


def build(study: Study, sources: Sources) -> Drawing:
    """Draw the gallery of the network that is explained."""
    table = tabulate(study, sources)
    return Drawing(draw(table, study.figures), table.drop(columns=["smiles", "class"]))
