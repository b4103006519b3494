"""Predicted against measured value of the test molecules of a regression: the networks, and the best baseline."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator

from decar.config import FiguresSettings, Study
from decar.evaluate.run import common_test
from decar.figures.performance import in_order, metric_texts, read_metrics
from decar.figures.quantities import bracketed
from decar.figures.save import Drawing
from decar.figures.sources import Sources, read_columns
from decar.figures.style import BLACK, BLUE, GREY, PAGE, PALE, VERMILLION, new_figure, panel_letter, readable, shortened
from decar.predictions import unit_of

COLUMNS = ["scheme", "model", "role", "fold", "key", "subset", "label", "prediction"]
TEXT = {"rmse": "RMSE", "r2": "R²", "spearman": "ρ"}
COLOUR_OF_ROLE = {"model": BLUE, "baseline": VERMILLION}
LONGEST = 26  # letters of a name above a panel
MANY = 400  # molecules above which points are small and pale


def shown(metrics: pd.DataFrame) -> list[tuple[str, str]]:
    """Return split and model of each panel: the networks that are no controls, and the baseline of lowest RMSE."""
    panels = []
    for scheme, part in metrics[metrics["metric"] == "rmse"].groupby("scheme", sort=True):
        best = part[part["role"] == "baseline"].sort_values(["value", "model"]).head(1)
        chosen = pd.concat([part[part["role"] == "model"], best])
        panels += [(str(scheme), model) for model in in_order(chosen)]
    return panels


def tabulate(sources: Sources) -> pd.DataFrame:
    """Return a row a panel and test molecule: scheme, model, role, fold, key, label, prediction.

    The molecules are those that the metrics are of: predicted by every model of the split.
    """
    table = read_columns(sources.evaluation / "predictions.parquet", COLUMNS)[COLUMNS]
    test = common_test(table).drop(columns="subset")
    panels = shown(read_metrics(sources))
    parts = [test[(test["scheme"] == scheme) & (test["model"] == model)] for scheme, model in panels]
    return pd.concat(parts, ignore_index=True) if parts else test.head(0)


def draw(
    table: pd.DataFrame,
    metrics: pd.DataFrame,
    settings: FiguresSettings,  # noqa: ARG001
    name: str,
    unit: str,
) -> Figure:
    """Draw a square panel a split and model, all to one scale; `name` is the property, `metrics` of its models."""
    panels = list(table.groupby(["scheme", "model"], sort=False))
    columns = min(4, len(panels))
    rows = -(-len(panels) // columns)
    figure = new_figure(PAGE, 2.2 * rows + 0.25)
    # Square panels end where their width says, so the layout leaves too little above them.
    figure.set_layout_engine(ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.07))
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    values = table[["label", "prediction"]].to_numpy(np.float64)
    low, high = float(values.min()), float(values.max())
    room = 0.05 * (high - low) or 0.5
    for place, (axes, ((scheme, model), part)) in enumerate(zip(grid, panels)):
        _panel(axes, part, (low - room, high + room))
        own = metrics[(metrics["scheme"] == scheme) & (metrics["model"] == model)]
        lines = _scores(own.set_index("metric"), unit)
        axes.set_title(
            f"{shortened(readable(str(model)), LONGEST)}\n{scheme} split, n = {len(part)}",
            fontsize=7,
            pad=4 + 8.5 * len(lines),
        )
        axes.annotate("\n".join(lines), (0, 1), (0, 3), xycoords="axes fraction", textcoords="offset points",
                      fontsize=6, color=BLACK, va="bottom")  # fmt: skip
        panel_letter(axes, chr(ord("a") + place % 26))
        if place + columns >= len(panels):
            axes.tick_params(labelbottom=True)
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    figure.supxlabel(bracketed(f"measured {name}", unit), fontsize=7.5, color=BLACK)
    figure.supylabel(bracketed(f"predicted {name}", unit), fontsize=7.5, color=BLACK)
    return figure


def _panel(axes: Axes, table: pd.DataFrame, limits: tuple[float, float]) -> None:
    axes.axline((limits[0], limits[0]), slope=1, color=GREY, linewidth=0.6, linestyle=(0, (1, 2)))
    colour, are_many = COLOUR_OF_ROLE.get(str(table["role"].iloc[0]), GREY), len(table) > MANY
    axes.plot(table["label"], table["prediction"], "o", color=colour, markersize=1.4 if are_many else 2.8,
              alpha=0.35 if are_many else 0.7, markeredgewidth=0)  # fmt: skip
    axes.set(xlim=limits, ylim=limits, aspect="equal")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    axes.grid(color=PALE)


def _scores(metrics: pd.DataFrame, unit: str) -> list[str]:
    """Return a line a metric with its interval."""
    lines: list[str] = []
    for metric, text in TEXT.items():
        row = metrics.loc[metric]
        if pd.isna(row["value"]):
            lines.append(f"{text} undefined")
            continue
        numbers = [number.replace("-", "−") for number in metric_texts({**row, "metric": metric})]
        of_unit = f" {unit}" if unit and metric == "rmse" else ""
        lines.append(f"{text} {numbers[0]} [{numbers[1]}, {numbers[2]}]{of_unit}")
    return lines


def build(study: Study, sources: Sources) -> Drawing:
    """Draw the predictions of the study's networks."""
    table = tabulate(sources)
    name = readable(study.training.property)
    return Drawing(draw(table, read_metrics(sources), study.figures, name, unit_of(study)), table)
