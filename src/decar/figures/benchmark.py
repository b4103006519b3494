"""The benchmark in one figure: every contender with its interval, a panel a split, growth with data, calibration."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from decar.figures.growth_with_data import draw_growth, grown
from decar.figures.performance import in_order
from decar.figures.save import Drawing
from decar.figures.style import (
    BLACK,
    GREY,
    LINE_OF_ROLE,
    MARKER_OF_ROLE,
    PAGE,
    new_figure,
    panel_letter,
    readable,
    style,
)

LETTERS = "abcdefghijklmnopqrstuvwxyz"
ROLE_COLOUR = {"model": "#0072B2", "control": GREY, "baseline": "#D55E00"}


def draw_benchmark(contenders: pd.DataFrame, calibration: pd.DataFrame) -> Drawing:
    """Draw benchmark.csv and calibration.csv; the table of the drawing is the former."""
    with style():
        return Drawing(_figure(contenders, calibration), contenders)


def _figure(contenders: pd.DataFrame, calibration: pd.DataFrame) -> Figure:
    whole = contenders[contenders["share"] == contenders["share"].max()]
    splits = list(dict.fromkeys(whole["split"]))
    names = in_order(whole.rename(columns={"contender": "model"}))
    has_growth = contenders["share"].nunique() > 1
    columns = len(splits) + (2 if has_growth else 1)
    figure = new_figure(PAGE * max(1.0, columns / 3), 0.8 + 0.22 * len(names))
    panels = figure.subplots(1, columns, squeeze=False)[0]
    for letter, axes, split in zip(LETTERS, panels, splits):
        _forest(axes, whole[whole["split"] == split], names)
        axes.set_xlim(min(0.3, float(whole[["pooled_low", "auroc"]].min().min()) - 0.03), 1.03)
        axes.set_yticks(range(len(names)), [readable(name) for name in names] if letter == "a" else [])
        panel_letter(axes, letter)
    rest = list(panels[len(splits) :])
    if has_growth:
        draw_growth(rest[0], grown(contenders[contenders["split"] == splits[0]]), intervals=False)
        rest[0].set_title("growth with data")
        rest[0].set_ylabel("AUROC, mean of folds")
        rest[0].legend()
        panel_letter(rest.pop(0), LETTERS[len(splits)])
    _reliability(rest[0], calibration, whole[whole["split"] == splits[0]])
    panel_letter(rest[0], LETTERS[columns - 1])
    return figure


def _forest(axes: Axes, rows: pd.DataFrame, names: list[str]) -> None:
    for row in rows.to_dict("records"):
        y, role = names.index(row["contender"]), str(row["role"])
        colour = ROLE_COLOUR[role]
        axes.plot([row["pooled_low"], row["pooled_high"]], [y, y], color=colour, linewidth=1.1)
        axes.plot(row["auroc_pooled"], y, MARKER_OF_ROLE[role], color=colour)
        axes.plot(row["auroc"], y, "|", color=BLACK, markersize=6)
    axes.axvline(0.5, color=GREY, linewidth=0.6, linestyle=(0, (1, 2)))
    axes.set_ylim(len(names) - 0.5, -0.5)
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
            color=ROLE_COLOUR[role], label=f"{readable(str(row['contender']))} ({role})",
        )  # fmt: skip
    axes.set_title("calibration")
    axes.set_xlabel("predicted probability")
    axes.set_ylabel("share of positives")
    axes.set_ylim(-0.03, 1.5)  # room for the legend
    axes.set_yticks([0.0, 0.5, 1.0])
    axes.legend(loc="upper left")
