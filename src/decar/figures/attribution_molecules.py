"""Where the networks look, drawn on the structural formulas of the molecules that were looked at."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from decar.config import FiguresSettings, Study
from decar.figures.attribution_tables import first_method, heavy_atoms, method_name, names_of
from decar.figures.halo import cells, draw_halos, halo_legend
from decar.figures.molecule_table import label_text
from decar.figures.save import Drawing
from decar.figures.sources import Sources, read_columns
from decar.figures.style import BLACK, GREY, PAGE, wrapped

COLUMNS, MOST = 4, 16
CHECKS = ["key", "network", "rotation", "method", "label", "subset", "logit"]


def tabulate(study: Study, sources: Sources) -> pd.DataFrame:
    """Return a row a molecule and heavy atom: key, name, smiles, label_text, logit, atom, attribution, method."""
    method = first_method(sources)
    table = heavy_atoms(sources, method)
    checks = read_columns(sources.attribution / "checks.parquet", CHECKS)
    folds = checks[checks["network"].str.startswith("fold") & (checks["rotation"] == 0) & (checks["method"] == method)]
    of_molecule = folds.groupby("key").agg(label=("label", "first"), logit=("logit", "mean"))
    table = table.merge(of_molecule, left_on="key", right_index=True).merge(
        names_of(sources), left_on="key", right_index=True
    )
    table["label_text"] = [label_text(study, value) for value in table["label"]]
    return table.assign(method=method)[
        ["key", "name", "smiles", "label_text", "method", "logit", "atom", "attribution"]
    ]


def draw(table: pd.DataFrame, settings: FiguresSettings) -> Figure:
    """Draw a cell a molecule, at most 16, with one scale of colours for all."""
    keys = list(dict.fromkeys(table["key"]))[:MOST]
    rows = max(1, -(-len(keys) // COLUMNS))
    figure, grid, bar = cells(PAGE, 1.35, rows, COLUMNS)
    limit = float(np.quantile(table["attribution"].abs(), 0.98))
    for axes, key in zip((axes for row in grid for axes in row), keys):
        part = table[table["key"] == key].sort_values("atom")
        row = part.iloc[0]
        draw_halos(axes, str(row["smiles"]), part["attribution"].tolist(), limit, settings, (240, 136), 24.0)
        axes.set_ylim(184, 0)
        colour = settings.positive_colour if row["label_text"] == settings.positive_name else settings.negative_colour
        name = wrapped(str(row["name"]), 30)
        below = 163 + 14 * name.count("\n")
        axes.text(0, 140, name, fontsize=6.2, fontweight="bold", color=BLACK, va="top")
        axes.text(0, below, str(row["label_text"]), fontsize=6.2, color=colour, va="center")
        text = f"logit {row['logit']:+.2f}".replace("-", "−")
        axes.text(225, below, text, fontsize=6.2, color=GREY, va="center", ha="right")
    method = method_name(str(table["method"].iloc[0]))
    label = f"{method}, sum over the atom's cell and its hydrogens [logit]: full ring for, dotted ring against "
    halo_legend(figure, bar, limit, f"{label}“{settings.positive_name}”", settings)
    return figure


def build(study: Study, sources: Sources) -> Drawing:
    """Draw the molecules that were looked at."""
    table = tabulate(study, sources)
    return Drawing(draw(table, study.figures), table)
