"""How every contender of the benchmark grows with the training molecules that it is given."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from decar.config import Study
from decar.figures.quantities import bracketed
from decar.figures.save import Drawing
from decar.figures.sources import Sources, read_columns
from decar.figures.style import (
    COLUMN,
    GREY,
    LINE_OF_ROLE,
    MARKER_OF_ROLE,
    PAGE,
    colours,
    new_figure,
    panel_letter,
    readable,
)  # fmt: skip
from decar.predictions import SCORES, Score, score_of, unit_of

COLUMNS = ["split", "share", "contender", "role", "molecules", "folds"]
APART = 0.012  # of the axis, from contender to contender: intervals at one share would hide each other


def grown(contenders: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of benchmark.csv of contenders that were given several shares of the training molecules."""
    return contenders[contenders.groupby(["split", "contender"])["share"].transform("nunique") > 1]


def draw_growth(
    axes: Axes, rows: pd.DataFrame, *, intervals: bool, score: Score = SCORES["binary"]
) -> None:  # fmt: skip
    """Draw the score (mean of folds) against the share, a line a contender; `rows` are `grown` ones of one split.

    The dotted line is what is reached without learning: AUROC 0.5, or as RMSE the standard deviation of the labels.
    """
    names = list(dict.fromkeys(rows["contender"]))
    colour = colours(names)
    for place, name in enumerate(names):
        line = rows[rows["contender"] == name].sort_values("share")
        role = str(line["role"].iloc[0])
        shift = APART * (place - (len(names) - 1) / 2) if intervals else 0.0
        share = 100 * (line["share"] + shift)
        # A colour that comes a second time has hollow markers.
        is_second = colour[name] in [colour[other] for other in names[:place]]
        axes.plot(share, line[score.name], LINE_OF_ROLE[role], marker=MARKER_OF_ROLE[role], color=colour[name],
                  markerfacecolor="white" if is_second else colour[name], label=readable(name))  # fmt: skip
        if intervals:
            axes.vlines(share, line["low"], line["high"], color=colour[name], linewidth=0.8, alpha=0.6)
    axes.axhline(
        0.5 if score.sign > 0 else float(rows["label_sd"].median()), color=GREY, linewidth=0.6, linestyle=(0, (1, 2))
    )
    axes.set_xticks(sorted(100 * share for share in rows["share"].unique()))
    axes.set_xlabel("training molecules used [%]")


def _figure(table: pd.DataFrame, score: Score, unit: str) -> Figure:
    splits = list(dict.fromkeys(table["split"]))
    figure = new_figure(PAGE, 2.9)
    panels = figure.subplots(1, len(splits), sharey=True, squeeze=False)[0]
    for letter, axes, split in zip("abcdefgh", panels, splits):
        rows = table[table["split"] == split]
        draw_growth(axes, rows, intervals=True, score=score)
        axes.set_title(f"{readable(str(split))}, n = {int(rows['molecules'].max())} molecules")
        panel_letter(axes, letter)
    label = f"{score.text}, mean of folds"
    panels[0].set_ylabel(f"{label} (no unit)" if score.sign > 0 else bracketed(label, unit))
    if score.sign > 0:
        low = float(np.nanmin([*table["low"], 0.45]))
        panels[0].set_ylim(max(0.0, low - 0.03), 1.0)
    else:
        panels[0].set_ylim(0, 1.05 * float(np.nanmax(table[["high", score.name, "label_sd"]])))
    # Panels of fewer contenders share the legend of the first.
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper")
    return figure


def build(study: Study, sources: Sources) -> Drawing:
    """Draw the growth of all contenders that the benchmark has at more than one share."""
    score = score_of(study)
    columns = [*COLUMNS, score.name, "low", "high", *(["label_sd"] if score.sign < 0 else [])]
    table = grown(read_columns(sources.benchmark / "benchmark.csv", columns))[columns]
    if table.empty:
        figure = new_figure(COLUMN, 1.2)
        figure.text(0.5, 0.5, "no contender was trained on more than one share", ha="center", color=GREY)
        return Drawing(figure, table)
    return Drawing(_figure(table, score, unit_of(study)), table)
