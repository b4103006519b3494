"""Confusion matrices at the probability threshold 0.5, of every network, control and baseline on the test folds."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from decar.config import FiguresSettings, Study
from decar.figures.performance import in_order, read_metrics
from decar.figures.save import Drawing
from decar.figures.sources import Sources, read_columns
from decar.figures.style import BLACK, BLUES, PAGE, new_figure, readable

COLUMNS = ["model", "scheme", "label", "predicted", "count"]


def tabulate(sources: Sources) -> pd.DataFrame:
    """Return model, role, scheme, label and predicted (0 or 1) and the number of molecules."""
    table = read_columns(sources.evaluation / "confusion.parquet", COLUMNS)[COLUMNS]
    roles = read_metrics(sources)[["model", "role"]].drop_duplicates()
    return table.merge(roles, on="model", how="left")


def draw(table: pd.DataFrame, settings: FiguresSettings) -> Figure:
    """Draw a row a split and a column a model; the shade is the share of the true class."""
    models, schemes = in_order(table), sorted(table["scheme"].unique())
    columns = min(4, len(models))
    rows = -(-len(models) // columns)
    figure = new_figure(PAGE, 1.75 * rows * len(schemes) + 0.1)
    grid = figure.subplots(rows * len(schemes), columns, squeeze=False)
    for number, scheme in enumerate(schemes):
        for place in range(rows * columns):
            axes = grid[number * rows + place // columns, place % columns]
            if place >= len(models):
                axes.set_visible(False)
                continue
            chosen = table[(table["scheme"] == scheme) & (table["model"] == models[place])]
            _matrix(axes, chosen, settings)
            axes.set_title(f"{readable(models[place])}\n{scheme} split", fontsize=7)
            if place % columns == 0:
                axes.set_ylabel("measured")
            if place + columns >= len(models):
                axes.set_xlabel("predicted")
    return figure


def _matrix(axes: Axes, table: pd.DataFrame, settings: FiguresSettings) -> None:
    counts = [[int(table.loc[(table["label"] == t) & (table["predicted"] == p), "count"].sum()) for p in (1, 0)]
              for t in (1, 0)]  # fmt: skip
    totals = [max(1, sum(row)) for row in counts]
    shares = [[value / total for value in row] for row, total in zip(counts, totals)]
    axes.imshow(shares, cmap=BLUES, vmin=0, vmax=1)
    for i in (0, 1):
        for j in (0, 1):
            axes.text(
                j, i, f"{counts[i][j]}\n{shares[i][j]:.0%}", ha="center", va="center",
                color="white" if shares[i][j] > 0.6 else BLACK,
            )  # fmt: skip
    names = [settings.positive_name, settings.negative_name]
    axes.set_xticks([0, 1], names)
    axes.set_yticks([0, 1], names, rotation=90, va="center")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def build(study: Study, sources: Sources) -> Drawing:
    """Draw the confusion matrices of the study."""
    table = tabulate(sources)
    return Drawing(draw(table, study.figures), table)
