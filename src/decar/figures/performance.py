"""Every metric of every network, control and baseline, with its interval and the number of molecules behind it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from decar.config import FiguresSettings, Study
from decar.evaluate.measures import MEASURES
from decar.figures.quantities import bracketed, value_unit
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
from decar.figures.tables import decimals
from decar.predictions import kind_of

COLUMNS = ["model", "role", "scheme", "metric", "value", "low", "high", "n"]
METRICS = ("auroc", "accuracy", "balanced_accuracy", "sensitivity", "specificity", "mcc")
METRICS_OF = {"binary": METRICS, "regression": MEASURES["regression"].names}
ERRORS = ("rmse", "mae")  # in the unit of the property, of which the lower is the better
CHANCE = {"auroc": 0.5, "balanced_accuracy": 0.5, "mcc": 0.0, "r2": 0.0, "spearman": 0.0}  # what a coin reaches
UNSURE = {"auroc": 0.2, "spearman": 0.4}  # an interval wider than this says little: a fifth of the range


def read_metrics(sources: Sources) -> pd.DataFrame:
    """Return metrics.parquet of the evaluation."""
    return read_columns(sources.evaluation / "metrics.parquet", COLUMNS)[COLUMNS]


def metric_texts(row: "Mapping[Any, Any] | pd.Series") -> tuple[str, str, str]:
    """Return value, low and high of a row of metrics: two decimal places, of errors what their interval supports."""
    value, low, high = (float(row[name]) for name in ("value", "low", "high"))
    places = decimals((high - low) / 2) if row["metric"] in ERRORS else 2
    return f"{value:.{places}f}", f"{low:.{places}f}", f"{high:.{places}f}"


def in_order(table: pd.DataFrame) -> list[str]:
    """Return the models of a table (columns model, role): networks, controls, baselines, each by name."""
    roles = table.groupby("model")["role"].first()
    return sorted(roles.index, key=lambda name: (ROLES.index(roles[name]) if roles[name] in ROLES else 9, name))


def label_spread(table: pd.DataFrame) -> dict[str, float]:
    """Return the standard deviation of the test labels of each split [unit]: the RMSE of the prediction of their mean.

    As R2 = 1 - (RMSE / standard deviation)^2 over the same molecules, it follows from both. NaN without a model whose
    R2 is below 1.
    """
    wide = table.pivot_table(index=["scheme", "model"], columns="metric", values="value")
    if not {"rmse", "r2"} <= set(wide.columns):
        return {}
    wide = wide[wide["r2"] < 1]
    spread = wide["rmse"] / (1 - wide["r2"]) ** 0.5
    return {str(scheme): float(value) for scheme, value in spread.groupby("scheme").first().items()}


def draw(
    table: pd.DataFrame,
    settings: FiguresSettings,  # noqa: ARG001
    kind: str = "binary",
    unit: str = "",
) -> Figure:
    """Draw a column a metric and a block of rows a split, a row a model: points with intervals, chance as a line.

    Errors are in `unit`.
    """
    rows = [(scheme, model) for scheme in sorted(table["scheme"].unique()) for model in [None, *in_order(table)]]
    metrics = METRICS_OF[kind]
    figure = new_figure(PAGE, 0.165 * len(rows) + 0.75)
    panels = figure.subplots(1, len(metrics), sharey=True)
    role = table.groupby("model")["role"].first()
    count = table.groupby("scheme")["n"].max()
    for letter, axes, metric in zip("abcdef", panels, metrics):
        _panel(axes, table[table["metric"] == metric], rows, role)
        axes.set_title(_title(metric), fontsize=7)
        _range(axes, table, metric)
        if metric in CHANCE:
            axes.axvline(CHANCE[metric], color=GREY, linewidth=0.6, linestyle=(0, (1, 2)))
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.annotate(letter, (0, 1), (-11, 6), xycoords="axes fraction", textcoords="offset points", fontsize=9,
                      fontweight="bold")  # fmt: skip
        if kind == "regression":
            axes.set_xlabel(bracketed("error", unit) if metric in ERRORS else "value (no unit)")
    names = [f"{scheme} split, n = {int(count[scheme])}" if model is None else _named(model, role[model])
             for scheme, model in rows]  # fmt: skip
    labels = panels[0].set_yticks(range(len(rows)), names)
    for tick, (_, model) in zip(labels, rows):
        tick.label1.set_fontweight("bold" if model is None else "normal")
    panels[0].set_ylim(len(rows) - 0.4, -0.6)
    if kind == "binary":
        figure.supxlabel("value (no unit); dotted: chance; n: molecules", fontsize=7, color=BLACK)
    else:
        _draw_spread(panels[0], label_spread(table), rows)
        figure.supxlabel("dotted: the mean of the labels as prediction; n: molecules", fontsize=7, color=BLACK)
    return figure


def _title(metric: str) -> str:
    name = readable(metric)
    return name if name[0].isupper() else name.capitalize().replace(" ", "\n")


def _range(axes: Axes, table: pd.DataFrame, metric: str) -> None:
    """Set the limits of a metric: errors share theirs; of R2 and Spearman no point is left out, but long intervals."""
    own = table[table["metric"] == metric]
    if metric in ERRORS:
        errors = table.loc[table["metric"].isin(ERRORS), ["value", "high"]]
        most = max([*errors.max(), *label_spread(table).values()])
        axes.set_xlim(0, 1.06 * most if np.isfinite(most) else 1.0)
        axes.xaxis.set_major_locator(MaxNLocator(4))
    elif metric in {"r2", "spearman"}:
        low = float(np.nanmin([0.0, own["value"].min(), max(own["low"].min(), -1.0)]))
        axes.set_xlim(low - 0.05 * (1 - low), 1 + 0.03 * (1 - low))
        axes.xaxis.set_major_locator(MaxNLocator(4))
    else:
        axes.set_xlim(-1.05 if metric == "mcc" else -0.03, 1.03)
        axes.set_xticks([-1, 0, 1] if metric == "mcc" else [0, 0.5, 1])


def _draw_spread(axes: Axes, spread: dict[str, float], rows: list[tuple[str, str | None]]) -> None:
    """Draw the standard deviation of the labels through the rows of its split."""
    for scheme, value in spread.items():
        places = [place for place, (name, model) in enumerate(rows) if name == scheme and model is not None]
        axes.plot([value] * 2, [places[0] - 0.5, places[-1] + 0.5], color=GREY, linewidth=0.6, linestyle=(0, (1, 2)))


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


def small_set_note(table: pd.DataFrame, kind: str = "binary") -> str | None:
    """Return what a reader must know when intervals of AUROC (of a regression: Spearman's) are wide, else None."""
    metric = MEASURES[kind].chance[0]
    area = table[(table["metric"] == metric) & (table["role"] != "baseline")]
    if area.empty:
        return None
    width = area["high"] - area["low"]
    if width.notna().any() and float(width.max()) <= UNSURE[metric]:
        return None
    return (
        f"With {int(area['n'].max())} molecules no metric means anything: the intervals show it. What this study shows "
        f"is that every step runs on real data; conclusions need hundreds of molecules."
    )


def build(study: Study, sources: Sources) -> Drawing:
    """Draw the performance of the study."""
    table = read_metrics(sources)
    return Drawing(draw(table, study.figures, kind_of(study), value_unit(study)), table)
