"""Every metric of every network, control and baseline, with its interval and the number of molecules behind it."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from decar.config import FiguresSettings, Study
from decar.figures.save import Drawing
from decar.figures.sources import Sources, read_columns
from decar.figures.style import (
    BLACK,
    GREY,
    MARKER_OF_ROLE,
    PAGE,
    PALE,
    ROLES,
    colours,
    new_figure,
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
    """Draw a column a metric and a block of rows a split, a row a model: points with intervals, chance as a line."""
    rows = [(scheme, model) for scheme in sorted(table["scheme"].unique()) for model in [None, *in_order(table)]]
    figure = new_figure(PAGE, 0.165 * len(rows) + 0.75)
    panels = figure.subplots(1, len(METRICS), sharey=True)
    role = table.groupby("model")["role"].first()
    count = table.groupby("scheme")["n"].max()
    for letter, axes, metric in zip("abcdef", panels, METRICS):
        _panel(axes, table[table["metric"] == metric], rows, role)
        name = readable(metric) if readable(metric).isupper() else readable(metric).capitalize()
        axes.set_title(name.replace(" ", "\n"), fontsize=7)
        axes.set_xlim(-1.05 if metric == "mcc" else -0.03, 1.03)
        axes.set_xticks([-1, 0, 1] if metric == "mcc" else [0, 0.5, 1])
        if metric in CHANCE:
            axes.axvline(CHANCE[metric], color=GREY, linewidth=0.6, linestyle=(0, (1, 2)))
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.annotate(letter, (0, 1), (-11, 6), xycoords="axes fraction", textcoords="offset points", fontsize=9,
                      fontweight="bold")  # fmt: skip
    names = [f"{scheme} split, n = {int(count[scheme])}" if model is None else _named(model, role[model])
             for scheme, model in rows]  # fmt: skip
    labels = panels[0].set_yticks(range(len(rows)), names)
    for tick, (_, model) in zip(labels, rows):
        tick.label1.set_fontweight("bold" if model is None else "normal")
    panels[0].set_ylim(len(rows) - 0.4, -0.6)
    figure.supxlabel("value (no unit); dotted: chance; n: molecules", fontsize=7, color=BLACK)
    return figure


def _named(model: str, role: str) -> str:
    return readable(model) + ("" if role == "model" or role in readable(model) else f" ({role})")


def _panel(axes: Axes, table: pd.DataFrame, rows: list[tuple[str, str | None]], role: pd.Series) -> None:
    colour = colours([model for model in dict.fromkeys(model for _, model in rows) if model is not None])
    found = {(row["scheme"], row["model"]): row for row in table.to_dict("records")}
    for place, (scheme, model) in enumerate(rows):
        if model is None:
            if place:
                axes.axhline(place - 0.5, color=PALE, linewidth=0.6)
            continue
        row = found.get((scheme, model))
        if row is None or pd.isna(row["value"]):
            axes.text(
                0.02, place, "undefined", fontsize=6, color=GREY, va="center", transform=axes.get_yaxis_transform()
            )
            continue
        axes.plot([row["low"], row["high"]], [place, place], color=colour[model], linewidth=1.1)
        axes.plot(row["value"], place, MARKER_OF_ROLE.get(str(role[model]), "o"), color=colour[model], markersize=3.6)
    axes.grid(axis="x")


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
