"""Where the networks look, drawn on the structural formulas of the molecules that were looked at."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from decar.config import FiguresSettings, Study
from decar.figures.attribution_tables import first_method, heavy_atoms, method_name, names_of
from decar.figures.classes import classes_of, colour_of, labels_of
from decar.figures.halo import cells, draw_halos, halo_legend
from decar.figures.molecule_table import label_text
from decar.figures.quantities import attribution_unit, bracketed, places_of, written
from decar.figures.save import Drawing
from decar.figures.sources import Sources, read_columns
from decar.figures.style import BLACK, GREY, PAGE, wrapped
from decar.predictions import kind_of

COLUMNS, MOST = 4, 16
CHECKS = ["key", "network", "rotation", "method", "label", "subset", "logit"]


def tabulate(study: Study, sources: Sources) -> pd.DataFrame:
    """Return a row a molecule and heavy atom: key, name, smiles, class, label_text, logit, atom, attribution, method.

    In place of the logit of a regression stands the predicted value, and `label` is the measured one.
    """
    method = first_method(sources)
    table = heavy_atoms(sources, method)
    checks = read_columns(sources.attribution / "checks.parquet", CHECKS)
    folds = checks[checks["network"].str.startswith("fold") & (checks["rotation"] == 0) & (checks["method"] == method)]
    of_molecule = folds.groupby("key").agg(label=("label", "first"), logit=("logit", "mean"))
    table = table.merge(of_molecule, left_on="key", right_index=True).merge(
        names_of(sources), left_on="key", right_index=True
    )
    table["label_text"] = [label_text(study, value) for value in table["label"]]
    table["class"] = classes_of(study, sources).names(table["label"])
    return table.assign(method=method)[
        ["key", "name", "smiles", "class", "label_text", "method", "logit", "atom", "attribution"]
    ]


def draw(table: pd.DataFrame, settings: FiguresSettings, unit: str = "logit", places: int | None = None) -> Figure:
    """Draw a cell a molecule, at most 16, with one scale of colours for all.

    `unit` is that of the attributions, `places` the decimal places of the value of a regression, None of a logit.
    """
    keys = list(dict.fromkeys(table["key"]))[:MOST]
    rows = max(1, -(-len(keys) // COLUMNS))
    figure, grid, bar = cells(PAGE, 1.35, rows, COLUMNS)
    limit = float(np.quantile(table["attribution"].abs(), 0.98))
    for axes, key in zip((axes for row in grid for axes in row), keys):
        part = table[table["key"] == key].sort_values("atom")
        row = part.iloc[0]
        draw_halos(axes, str(row["smiles"]), part["attribution"].tolist(), limit, settings, (240, 136), 24.0)
        axes.set_ylim(184, 0)
        colour = colour_of(str(row["class"]), settings)
        name = wrapped(str(row["name"]), 30)
        below = 163 + 14 * name.count("\n")
        axes.text(0, 140, name, fontsize=6.2, fontweight="bold", color=BLACK, va="top")
        axes.text(0, below, str(row["label_text"]), fontsize=6.2, color=colour, va="center")
        text = f"logit {row['logit']:+.2f}".replace("-", "−")
        if places is not None:
            text = f"predicted {written(float(row['logit']), places)}"
        axes.text(225, below, text, fontsize=6.2, color=GREY, va="center", ha="right")
    method = method_name(str(table["method"].iloc[0]))
    label = bracketed(f"{method}, sum over the atom's cell and its hydrogens", unit)
    rings = f"full ring for, dotted ring against “{settings.positive_name}”"
    if places is not None:
        rings = "full ring: more, dotted ring: less"
    halo_legend(figure, bar, limit, f"{label}: {rings}", settings)
    return figure


def build(study: Study, sources: Sources) -> Drawing:
    """Draw the molecules that were looked at."""
    table = tabulate(study, sources)
    if kind_of(study) == "binary":
        return Drawing(draw(table, study.figures), table.drop(columns="class"))
    places = places_of(study, labels_of(study, sources)["label"])
    figure = draw(table, study.figures, attribution_unit(study), places)
    return Drawing(figure, table.drop(columns="class").rename(columns={"logit": "predicted"}))
