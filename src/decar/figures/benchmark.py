"""The benchmark in one figure: every contender with its interval, a panel a split, growth with data, calibration."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from decar.figures.growth_with_data import draw_growth, grown
from decar.figures.performance import in_order
from decar.figures.quantities import bracketed
from decar.figures.save import Drawing
from decar.figures.style import (
    BLACK,
    BLUE,
    GREY,
    LINE_OF_ROLE,
    MARKER_OF_ROLE,
    PAGE,
    VERMILLION,
    new_figure,
    panel_letter,
    readable,
    style,
)
from decar.predictions import SCORES, Score

LETTERS = "abcdefghijklmnopqrstuvwxyz"
LOWER = 2.4  # inches of the lower row
ROLE_COLOUR = {"model": BLUE, "control": GREY, "baseline": VERMILLION}


def draw_benchmark(
    contenders: pd.DataFrame, calibration: pd.DataFrame, score: Score = SCORES["binary"], unit: str = ""
) -> Drawing:  # fmt: skip
    """Draw benchmark.csv and calibration.csv; the table of the drawing is the former.

    `score` is what contenders are compared by, `unit` that of RMSE; a regression has no calibration.
    """
    with style():
        return Drawing(_figure(contenders, calibration, score, unit), contenders)


def _figure(contenders: pd.DataFrame, calibration: pd.DataFrame, score: Score, unit: str) -> Figure:
    """Draw the splits in the upper row; growth with data, where there is some, and calibration in the lower one."""
    whole = contenders[contenders["share"] == contenders["share"].max()]
    splits = list(dict.fromkeys(whole["split"]))
    names = in_order(whole.rename(columns={"contender": "model"}))
    rows = grown(contenders[contenders["split"] == splits[0]])
    below = [part for part, is_there in (("growth", not rows.empty), ("calibration", score.sign > 0)) if is_there]
    tall, lower = 0.6 + 0.17 * len(names), LOWER if below else 0.0
    figure = new_figure(PAGE, tall + lower)
    heights = (tall, lower)[: 1 + bool(below)]
    parts = figure.subfigures(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
    panels = parts[0].subplots(1, len(splits), squeeze=False, sharey=True)[0]
    for letter, axes, split in zip(LETTERS, panels, splits):
        _forest(axes, whole[whole["split"] == split], names, score, unit)
        axes.set_xlim(*_range(whole, score))
        panel_letter(axes, letter)
    panels[0].set_yticks(range(len(names)), [readable(name) for name in names])
    panels[0].set_ylim(len(names) - 0.5, -0.5)
    grid = dict(zip(below, parts[-1].subplots(1, len(below), squeeze=False)[0])) if below else {}
    if "growth" in grid:
        axes = grid["growth"]
        draw_growth(axes, rows, intervals=False, score=score)
        axes.set_title(f"growth with data, {readable(str(splits[0]))}")
        axes.set_ylabel(bracketed(f"{score.text}, mean of folds", unit))
    if "calibration" in grid:
        _reliability(grid["calibration"], calibration, whole[whole["split"] == splits[0]])
    for letter, axes in zip(LETTERS[len(splits) :], grid.values()):
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
        panel_letter(axes, letter)
    return figure


def _range(rows: pd.DataFrame, score: Score) -> tuple[float, float]:
    """Return the limits of the axis of the score: AUROC ends at 1, RMSE begins at 0."""
    if score.sign > 0:
        return min(0.3, float(rows[["pooled_low", score.name]].min().min()) - 0.03), 1.03
    return 0.0, 1.05 * float(np.nanmax(rows[["pooled_high", score.name, f"{score.name}_pooled", "label_sd"]]))


def _forest(axes: Axes, rows: pd.DataFrame, names: list[str], score: Score, unit: str) -> None:
    for row in rows.to_dict("records"):
        y, role = names.index(row["contender"]), str(row["role"])
        colour = ROLE_COLOUR[role]
        axes.plot([row["pooled_low"], row["pooled_high"]], [y, y], color=colour, linewidth=1.1)
        axes.plot(row[f"{score.name}_pooled"], y, MARKER_OF_ROLE[role], color=colour)
        axes.plot(row[score.name], y, "|", color=BLACK, markersize=6)
    chance = 0.5 if score.sign > 0 else float(rows["label_sd"].median())
    axes.axvline(chance, color=GREY, linewidth=0.6, linestyle=(0, (1, 2)))
    first = rows.iloc[0]
    axes.set_title(f"{readable(str(first['split']))} (n = {first['molecules']})")
    axes.set_xlabel(bracketed(f"{score.text}, pooled; | mean of folds", unit))
    axes.grid(axis="x")


def _reliability(axes: Axes, calibration: pd.DataFrame, rows: pd.DataFrame) -> None:
    """Draw the best contender of each role on the first split."""
    best = rows.sort_values("auroc", ascending=False).drop_duplicates("role")
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.6, linestyle=(0, (1, 2)))
    for row in best.to_dict("records"):
        is_its = calibration["contender"] == row["contender"]
        curve = calibration[is_its & (calibration["split"] == row["split"]) & (calibration["share"] == row["share"])]
        role = str(row["role"])
        axes.plot(
            curve["probability"], curve["share_positive"], LINE_OF_ROLE[role], marker=MARKER_OF_ROLE[role],
            color=ROLE_COLOUR[role], label=f"{readable(str(row['contender']))}\n({role})",
        )  # fmt: skip
    axes.set_title("calibration of the best of each role")
    axes.set_xlabel("predicted probability")
    axes.set_ylabel("share of positives")
    axes.set_ylim(-0.03, 1.03)
