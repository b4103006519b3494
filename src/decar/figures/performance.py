"""Every metric of every network, control and baseline, with its interval and the number of molecules behind it."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from decar.config import FiguresSettings, Study
from decar.figures.save import Drawing
from decar.figures.sources import Sources, read_columns
from decar.figures.style import (
    BLACK,
    GREY,
    MARKER_OF_ROLE,
    PAGE,
    ROLES,
    colours,
    new_figure,
    panel_letter,
    readable,
)

COLUMNS = ["model", "role", "scheme", "metric", "value", "low", "high", "n"]
METRICS = ("auroc", "accuracy", "balanced_accuracy", "sensitivity", "specificity", "mcc")
CHANCE = {"auroc": 0.5, "balanced_accuracy": 0.5, "mcc": 0.0}  # what a coin reaches
UNSURE = 0.2  # an interval wider than this says little


def read_metrics(sources: Sources) -> pd.DataFrame:
    """Return metrics.parquet of the evaluation."""
    return read_columns(sources.evaluation / "metrics.parquet", COLUMNS)[COLUMNS]


def in_order(table: pd.DataFrame) -> list[str]:
    """Return the models of a table (columns model, role): networks, controls, baselines, each by name."""
    roles = table.groupby("model")["role"].first()
    return sorted(roles.index, key=lambda name: (ROLES.index(roles[name]) if roles[name] in ROLES else 9, name))


def draw(table: pd.DataFrame, settings: FiguresSettings) -> Figure:  # noqa: ARG001
    """Draw a panel a metric: points with intervals, the split told by the fill, chance as a line."""
    models, schemes = in_order(table), sorted(table["scheme"].unique())
    figure = new_figure(PAGE, 2 * (0.5 + len(models) * max(0.3, 0.16 * len(schemes))) + 0.3)
    grid = figure.subplots(2, 3, sharey=True)
    for letter, axes, metric in zip("abcdef", grid.ravel(), METRICS):
        _panel(axes, table[table["metric"] == metric], models, schemes)
        axes.set_title(readable(metric) if readable(metric).isupper() else readable(metric).capitalize())
        axes.set_xlim(-1.05 if metric == "mcc" else -0.03, 1.03)
        if metric in CHANCE:
            axes.axvline(CHANCE[metric], color=GREY, linewidth=0.6, linestyle=(0, (1, 2)))
        panel_letter(axes, letter)
    role = table.groupby("model")["role"].first()
    names = [readable(name) + ("" if role[name] == "model" else f"\n({role[name]})") for name in models]
    for axes in grid[:, 0]:
        axes.set_yticks(range(len(models)), names)
        axes.set_ylim(len(models) - 0.5, -0.5)
    for axes in grid[-1]:
        axes.set_xlabel("value (no unit)")
    figure.legend(handles=_handles(table, schemes), loc="outside lower center", ncols=len(schemes) + 1)
    return figure


def _panel(axes: Axes, table: pd.DataFrame, models: list[str], schemes: list[str]) -> None:
    colour = colours(models)
    for place, model in enumerate(models):
        for number, scheme in enumerate(schemes):
            found = table[(table["model"] == model) & (table["scheme"] == scheme)]
            if found.empty or pd.isna(found.iloc[0]["value"]):
                continue
            row = found.iloc[0]
            y = place + 0.26 * (number - (len(schemes) - 1) / 2)
            axes.plot([row["low"], row["high"]], [y, y], color=colour[model], linewidth=1.1)
            axes.plot(
                row["value"], y, MARKER_OF_ROLE.get(str(row["role"]), "o"), color=colour[model],
                markerfacecolor=colour[model] if number == 0 else "white", markeredgewidth=0.9,
            )  # fmt: skip
    axes.grid(axis="x")


def _handles(table: pd.DataFrame, schemes: list[str]) -> list[Line2D]:
    handles = []
    for number, scheme in enumerate(schemes):
        count = int(table.loc[table["scheme"] == scheme, "n"].max())
        fill = BLACK if number == 0 else "white"
        text = f"{scheme} split (n = {count} molecules)"
        handles.append(Line2D([], [], marker="o", linestyle="", color=BLACK, markerfacecolor=fill, label=text))
    return [*handles, Line2D([], [], color=GREY, linewidth=0.6, linestyle=(0, (1, 2)), label="chance")]


def small_set_note(table: pd.DataFrame) -> str | None:
    """Return what a reader must know when the intervals are wide, or None when all AUROC intervals are narrow."""
    area = table[(table["metric"] == "auroc") & (table["role"] != "baseline")]
    if area.empty:
        return None
    width = area["high"] - area["low"]
    if width.notna().any() and float(width.max()) <= UNSURE:
        return None
    return (
        f"With {int(area['n'].max())} molecules no metric means anything: the intervals show it. What this study shows "
        f"is that every step runs on real data; conclusions need hundreds of molecules."
    )


def build(study: Study, sources: Sources) -> Drawing:
    """Draw the performance of the study."""
    table = read_metrics(sources)
    return Drawing(draw(table, study.figures), table)
