"""The benchmark in one figure: every contender with its interval, a panel a split, growth with data, calibration."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from decar.figures.growth_with_data import draw_growth, grown
from decar.figures.performance import in_order
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

LETTERS = "abcdefghijklmnopqrstuvwxyz"
LOWER = 2.4  # inches of the lower row
ROLE_COLOUR = {"model": BLUE, "control": GREY, "baseline": VERMILLION}


def draw_benchmark(contenders: pd.DataFrame, calibration: pd.DataFrame) -> Drawing:
    """Draw benchmark.csv and calibration.csv; the table of the drawing is the former."""
    with style():
        return Drawing(_figure(contenders, calibration), contenders)


def _figure(contenders: pd.DataFrame, calibration: pd.DataFrame) -> Figure:
    """Draw the splits in the upper row; growth with data, where there is some, and calibration in the lower one."""
    whole = contenders[contenders["share"] == contenders["share"].max()]
    splits = list(dict.fromkeys(whole["split"]))
    names = in_order(whole.rename(columns={"contender": "model"}))
    tall = 0.6 + 0.17 * len(names)
    figure = new_figure(PAGE, tall + LOWER)
    upper, lower = figure.subfigures(2, 1, squeeze=False, height_ratios=(tall, LOWER))[:, 0]
    panels = upper.subplots(1, len(splits), squeeze=False, sharey=True)[0]
    for letter, axes, split in zip(LETTERS, panels, splits):
        _forest(axes, whole[whole["split"] == split], names)
        axes.set_xlim(min(0.3, float(whole[["pooled_low", "auroc"]].min().min()) - 0.03), 1.03)
        panel_letter(axes, letter)
    panels[0].set_yticks(range(len(names)), [readable(name) for name in names])
    panels[0].set_ylim(len(names) - 0.5, -0.5)
    rows = grown(contenders[contenders["split"] == splits[0]])
    below = lower.subplots(1, 1 + (not rows.empty), squeeze=False)[0]
    if not rows.empty:
        draw_growth(below[0], rows, intervals=False)
        below[0].set_title(f"growth with data, {readable(str(splits[0]))}")
        below[0].set_ylabel("AUROC, mean of folds")
    _reliability(below[-1], calibration, whole[whole["split"] == splits[0]])
    for letter, axes in zip(LETTERS[len(splits) :], below):
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
        panel_letter(axes, letter)
    return figure


def _forest(axes: Axes, rows: pd.DataFrame, names: list[str]) -> None:
    for row in rows.to_dict("records"):
        y, role = names.index(row["contender"]), str(row["role"])
        colour = ROLE_COLOUR[role]
        axes.plot([row["pooled_low"], row["pooled_high"]], [y, y], color=colour, linewidth=1.1)
        axes.plot(row["auroc_pooled"], y, MARKER_OF_ROLE[role], color=colour)
        axes.plot(row["auroc"], y, "|", color=BLACK, markersize=6)
    axes.axvline(0.5, color=GREY, linewidth=0.6, linestyle=(0, (1, 2)))
    first = rows.iloc[0]
    axes.set_title(f"{readable(str(first['split']))} (n = {first['molecules']})")
    axes.set_xlabel("AUROC, pooled; | mean of folds")
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
