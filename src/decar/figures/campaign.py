"""The campaign in numbers: how large the molecules are, what each cost, why some failed, what lies in the store."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from decar.config import FiguresSettings, Study
from decar.figures.save import Drawing
from decar.figures.sources import Sources, read_columns
from decar.figures.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PAGE,
    VERMILLION,
    new_figure,
    panel_letter,
    readable,
    wrapped,
)

SECONDS_PER_HOUR, BYTES_PER_MB, MOST_REASONS = 3600.0, 1e6, 8
SIZES = {"num_electrons": "electrons", "num_basis_functions": "basis functions"}


def tabulate(sources: Sources) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return molecules (sizes, wavefunction's seconds), failures (stage, reason, count) and stages (cost, storage)."""
    records = sources.records
    quality = read_columns(records / "quality.parquet", ["key", *SIZES, "num_voxels"])
    attempts = read_columns(records / "stages.parquet", ["key", "stage", "status", "reason", "wall_seconds"])
    storage = read_columns(records / "storage.parquet", ["stage", "num_records", "num_bytes", "num_shared"])
    failures = read_columns(sources.dataset / "failures.csv", ["stage", "reason"])
    seconds = attempts[attempts["stage"] == "wavefunction"].set_index("key")["wall_seconds"]
    molecules = quality[["key", *SIZES, "num_voxels"]].assign(wavefunction_seconds=quality["key"].map(seconds))
    counted = failures.groupby(["stage", "reason"], sort=True).size().rename("count").reset_index()
    counted = counted.sort_values(["count", "stage", "reason"], ascending=[False, True, True], ignore_index=True)
    hours = attempts.groupby("stage")["wall_seconds"].sum() / SECONDS_PER_HOUR
    stages = storage.assign(
        hours=storage["stage"].map(hours).fillna(0.0), megabytes=storage["num_bytes"] / BYTES_PER_MB
    )
    return molecules.sort_values("key", ignore_index=True), counted, stages


def draw(molecules: pd.DataFrame, failures: pd.DataFrame, stages: pd.DataFrame, settings: FiguresSettings) -> Figure:  # noqa: ARG001
    """Draw sizes (a), cost against size (b), failures (c), and time and storage of the stages (d, e)."""
    figure = new_figure(PAGE, 4.1)
    halves: Any = figure.subfigures(2, 1, height_ratios=(1.15, 1))
    above, below = halves
    sizes, cost = above.subplots(1, 2)
    lost, time, space = below.subplots(1, 3, width_ratios=(1.0, 0.9, 0.9))
    _sizes(sizes, molecules)
    _cost(cost, molecules)
    _failures(lost, failures)
    _bars(time, stages, "hours", ORANGE, "sum of wall times / h")
    _bars(space, stages, "megabytes", GREEN, "records / MB (their number)")
    space.tick_params(labelleft=False)
    for letter, axes in zip("abcde", (sizes, cost, lost, time, space)):
        panel_letter(axes, letter)
    return figure


def _sizes(axes: Axes, molecules: pd.DataFrame) -> None:
    for (column, name), colour, style in zip(SIZES.items(), (BLUE, VERMILLION), ("-", "--")):
        values = np.sort(molecules[column].dropna().to_numpy(np.float64))
        if len(values):
            share = np.arange(1, len(values) + 1) / len(values)
            label = f"{name} (median {np.median(values):.0f})"
            axes.step(values, share, where="post", color=colour, linestyle=style, label=label)
    axes.set_xlim(left=0)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("number in a molecule")
    axes.set_ylabel("share with at most so many")
    axes.set_title(f"sizes of {len(molecules)} molecules")
    axes.legend(loc="lower right")
    axes.grid()


def _cost(axes: Axes, molecules: pd.DataFrame) -> None:
    """Draw time against size with the power law of least squares in logarithms, where there are ten molecules."""
    known = molecules[(molecules["wavefunction_seconds"] > 0) & (molecules["num_basis_functions"] > 0)]
    size, seconds = (known[name].to_numpy(np.float64) for name in ("num_basis_functions", "wavefunction_seconds"))
    axes.loglog(size, seconds, "o", color=BLUE, markersize=2.5, alpha=0.6, markeredgewidth=0)
    if len(known) >= 10 and np.ptp(np.log(size)) > 0:
        power, start = np.polyfit(np.log(size), np.log(seconds), 1)
        ends = np.array([size.min(), size.max()])
        axes.loglog(
            ends, np.exp(start) * ends**power, color=BLACK, linewidth=0.9, label=f"$\\propto N^{{{power:.1f}}}$"
        )
        axes.legend(loc="upper left")
    axes.set_xlabel("basis functions N of a molecule")
    axes.set_ylabel("time of a wavefunction / s")
    axes.set_title("cost")
    axes.grid(which="both")


def _failures(axes: Axes, failures: pd.DataFrame) -> None:
    shown = failures.head(MOST_REASONS)
    axes.set_title("failures by reason")
    axes.set_xlabel("molecules")
    if shown.empty:
        axes.text(0.5, 0.5, "none", ha="center", transform=axes.transAxes, color=GREY)
        axes.set_yticks([])
        return
    places = np.arange(len(shown))
    axes.barh(places, shown["count"], 0.6, color=VERMILLION, hatch="///", edgecolor="white", linewidth=0.4)
    names = [wrapped(readable(str(row["reason"])), 24, 3) + f"\n({row['stage']})" for row in shown.to_dict("records")]
    axes.set_yticks(places, names, fontsize=6)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.locator_params(axis="x", integer=True, nbins=5)
    left = len(failures) - len(shown)
    if left:
        axes.annotate(f"and {left} rarer reasons", (1, 0), (0, 3), xycoords="axes fraction",
                      textcoords="offset points", ha="right", fontsize=6, color=GREY)  # fmt: skip


def _bars(axes: Axes, stages: pd.DataFrame, column: str, colour: str, label: str) -> None:
    places = np.arange(len(stages))
    axes.barh(places, stages[column], 0.6, color=colour)
    largest = float(stages[column].max()) or 1.0
    for place, row in enumerate(stages.to_dict("records")):
        text = f" {row[column]:.2g}" if row[column] < 100 else f" {row[column]:.0f}"
        if column == "megabytes":
            text += f" ({row['num_records']})"
        axes.text(row[column], place, text, va="center", fontsize=6, color=BLACK)
    axes.set_xlim(0, 1.5 * largest)
    axes.set_yticks(places, list(stages["stage"]))
    axes.set_ylim(len(stages) - 0.4, -0.6)
    axes.set_xlabel(label)


def build(study: Study, sources: Sources) -> Drawing:
    """Draw the statistics of the campaign."""
    molecules, failures, stages = tabulate(sources)
    table = pd.concat(
        [molecules.assign(what="molecule"), failures.assign(what="failure"), stages.assign(what="stage")],
        ignore_index=True,
    )
    return Drawing(draw(molecules, failures, stages, study.figures), table[["what", *table.columns.drop("what")]])
