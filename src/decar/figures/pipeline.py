"""What became of the molecules: how many came through each stage, why the others did not, and how long it took."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from decar.config import FiguresSettings, Study
from decar.figures.save import Drawing
from decar.figures.sources import Sources, read_columns
from decar.figures.style import BLACK, BLUE, GREEN, GREY, PAGE, VERMILLION, new_figure, panel_letter, readable
from decar.stages import MOLECULE_STAGES

COLUMNS = ["stage", "outcome", "reason", "count", "median_seconds", "total_seconds"]
MANY = 200


def tabulate(sources: Sources) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return counts (COLUMNS) and times (stage, key, wall_seconds); the stage `table` is the user's table."""
    index = read_columns(sources.index, ["status", "reason", "key"])
    stages = read_columns(sources.records / "stages.parquet", ["key", "stage", "status", "reason", "wall_seconds"])
    rows: list[dict[str, object]] = []
    for (status, reason), part in index.fillna({"reason": ""}).groupby(["status", "reason"], sort=True):
        rows.append({"stage": "table", "outcome": status, "reason": reason, "count": len(part)})
    for stage in MOLECULE_STAGES:
        of_stage = stages[stages["stage"] == stage].fillna({"reason": ""})
        for (status, reason), part in of_stage.groupby(["status", "reason"], sort=True):
            seconds = part["wall_seconds"]
            rows.append({
                "stage": stage, "outcome": status, "reason": reason, "count": len(part),
                "median_seconds": seconds.median(), "total_seconds": seconds.sum(),
            })  # fmt: skip
    return pd.DataFrame(rows, columns=COLUMNS), stages[["stage", "key", "wall_seconds"]]


def draw(counts: pd.DataFrame, times: pd.DataFrame, settings: FiguresSettings) -> Figure:  # noqa: ARG001
    """Draw counts (a) and times (b) side by side, a row a stage, in the order of the data flow."""
    stages = [name for name in ("table", *MOLECULE_STAGES) if name in set(counts["stage"])]
    figure = new_figure(PAGE, 0.42 * len(stages) + 0.85)
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(1.25, 1))
    _counts(left, counts, stages)
    _times(right, times, stages)
    left.set_yticks(range(len(stages)), ["rows of the table" if name == "table" else name for name in stages])
    left.set_ylim(len(stages) - 0.5, -0.5)
    panel_letter(left, "a")
    panel_letter(right, "b")
    return figure


def _counts(axes: Axes, counts: pd.DataFrame, stages: list[str]) -> None:
    look = {"ok": (GREEN, ""), "duplicate": (GREY, "\\\\\\"), "failed": (VERMILLION, "///")}
    largest = int(counts.groupby("stage")["count"].sum().max())
    drawn = set()
    for place, stage in enumerate(stages):
        start = 0
        reasons = []
        for outcome, (colour, hatch) in look.items():
            part = counts[(counts["stage"] == stage) & (counts["outcome"] == outcome)]
            number = int(part["count"].sum())
            if not number:
                continue
            axes.barh(
                place, number, left=start, height=0.55, color=colour, hatch=hatch, edgecolor="white", linewidth=0.4,
                label=outcome if outcome not in drawn else None,
            )  # fmt: skip
            drawn.add(outcome)
            start += number
            if outcome == "ok":
                axes.text(number / 2, place, str(number), ha="center", va="center", color="white", fontweight="bold")
            else:
                reasons += [f"{row.count_} {readable(str(row.reason))}" for row in
                            part.rename(columns={"count": "count_"}).itertuples()]  # fmt: skip
        axes.text(start + 0.015 * largest, place, "\n".join(reasons), ha="left", va="center", fontsize=6, color=BLACK)
    axes.set_xlim(0, largest * 1.5)
    axes.set_xticks([tick for tick in axes.get_xticks() if tick <= largest * 1.05])
    axes.spines["bottom"].set_bounds(0, largest)
    axes.set_xlabel("number of molecules")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderaxespad=0.1)


def _times(axes: Axes, times: pd.DataFrame, stages: list[str]) -> None:
    generator = np.random.default_rng(0)
    axes.set_xscale("log")
    for place, stage in enumerate(stages):
        part = times[times["stage"] == stage].sort_values("key")
        seconds = part.loc[part["wall_seconds"] > 0, "wall_seconds"].to_numpy(dtype=float)
        if not len(seconds):
            continue
        if len(seconds) <= MANY:
            height = place + generator.uniform(-0.16, 0.16, len(seconds))
            axes.plot(seconds, height, "o", color=BLUE, markersize=2, markeredgewidth=0, alpha=0.6)
        else:
            low, high = np.quantile(seconds, [0.05, 0.95])
            axes.plot([low, high], [place, place], color=BLUE, linewidth=3, alpha=0.35, solid_capstyle="butt")
        median = float(np.median(seconds))
        axes.plot([median, median], [place - 0.28, place + 0.28], color=BLACK, linewidth=1.2)
        axes.annotate(
            f"{median:.2g} s", (median, place - 0.3), (0, 0.5), textcoords="offset points", fontsize=6, ha="center",
            va="bottom",
        )  # fmt: skip
    axes.set_xlabel("wall time of a molecule / s (line: median)")
    axes.grid(axis="x")


def build(study: Study, sources: Sources) -> Drawing:
    """Draw the way of the study's molecules through the stages."""
    counts, times = tabulate(sources)
    return Drawing(draw(counts, times, study.figures), counts)
