"""Do gradients vanish, and what do rotations do against overfitting: two questions of the method's authors.

Gradient norms are those of a layer's weights, sqrt(sum of squares), mean over the steps of an epoch. The gap is the
validation loss less the training loss at the last epoch, which is where overfitting is largest.
"""

from collections.abc import Iterable
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from decar.config import Study
from decar.figures.learning_curves import TRAIN, VALIDATION, job_of
from decar.figures.save import Drawing
from decar.figures.sources import Sources, read_columns
from decar.figures.style import BLACK, LINE_OF_ROLE, LINES, PAGE, SEQUENCE, colours, new_figure, panel_letter, readable

PREFIX = "gradient_norm_"
ROTATIONS = {"none": "1", "rotations_6": "6", "rotations_24": "24", "continuous": "any"}
LETTERS = "abcdefghijklmnopqrstuvwxyz"
MOST_PANELS, PER_ROW = 18, 3


class Job(NamedTuple):
    """A training; `series` is the name of the networks that differ from it in their rotations only."""

    model: str
    scheme: str
    fold: int
    series: str
    augmentation: str
    folder: Path


def jobs_of(study: Study, sources: Sources) -> list[Job]:
    """Return the trainings of a study."""
    models, found = study.training.models, []
    alike: dict[str, str] = {}  # by what a model is, rotations apart: the shortest name of its series
    described = {name: model.model_dump_json(exclude={"augmentation", "input"}) for name, model in models.items()}
    for name in sorted(models, key=lambda name: (len(name), name)):
        alike.setdefault(described[name], name)
    for folder in sources.models:
        model, scheme, fold = job_of(folder)
        augmentation = study.training.augmentation_of(models[model])
        found.append(Job(model, scheme, fold, alike[described[model]], augmentation, folder))
    return found


def tabulate(jobs: Iterable[Job]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return gradient norms, a row a job, epoch and layer; and gaps, a row a job."""
    norms, gaps = [], []
    for job in jobs:
        log = read_columns(job.folder / "metrics.csv", ["epoch", TRAIN, VALIDATION])
        names = [name for name in log.columns.astype(str) if name.startswith(PREFIX)]
        long = log.melt("epoch", names, "layer", "gradient_norm")
        own: dict[str, Any] = {"model": job.model, "scheme": job.scheme, "fold": job.fold}
        norms.append(long.assign(layer=long["layer"].str.removeprefix(PREFIX), **own))
        gap = float(log[VALIDATION].iloc[-1] - log[TRAIN].iloc[-1])
        gaps.append({**own, "series": job.series, "rotations": ROTATIONS[job.augmentation], "gap": gap})
    return pd.concat(norms, ignore_index=True), pd.DataFrame(gaps)


def draw(norms: pd.DataFrame, gaps: pd.DataFrame) -> Figure:
    """Draw a panel a network and split, then the gap by number of rotations."""
    panels = list(norms.groupby(["model", "scheme"], sort=True))[:MOST_PANELS]
    rows = -(-len(panels) // PER_ROW)
    figure = new_figure(PAGE, 1.65 * (rows + 1) + 0.3)
    grid = figure.add_gridspec(rows + 1, PER_ROW)
    layers = list(dict.fromkeys(norms["layer"]))
    low, high = norms.loc[norms["gradient_norm"] > 0, "gradient_norm"].agg(["min", "max"])
    handles: dict[str, Line2D] = {}
    for place, ((model, scheme), curves) in enumerate(panels):
        axes = figure.add_subplot(grid[divmod(place, PER_ROW)])
        _norms(axes, curves, layers)
        axes.set_title(f"{readable(str(model))}, {scheme}", fontsize=7)
        axes.set_ylim(low / 1.5, high * 1.5)
        panel_letter(axes, LETTERS[place])
        handles |= {str(line.get_label()): line for line in axes.lines}
    figure.legend(handles.values(), handles, loc="outside upper center", ncols=min(len(handles), 8))
    _gaps(last := figure.add_subplot(grid[rows, : PER_ROW - 1]), gaps)
    panel_letter(last, LETTERS[len(panels)])
    return figure


def _norms(axes: Axes, curves: pd.DataFrame, layers: list[str]) -> None:
    # Seven colours and six styles: no two parts of a study look alike.
    for layer, colour, line in zip(layers, cycle(SEQUENCE), cycle(LINES)):
        mean = curves[curves["layer"] == layer].groupby("epoch")["gradient_norm"].mean()
        if len(mean):
            axes.plot(mean.index, mean, color=colour, linestyle=line, linewidth=0.9, label=layer)
    axes.set_yscale("log")
    axes.set_xlabel("epoch")
    axes.set_ylabel("gradient norm / nat")
    axes.grid(axis="y")


def _gaps(axes: Axes, gaps: pd.DataFrame) -> None:
    """Draw the folds as points and their mean as a line through the numbers of rotations."""
    order = [label for label in ROTATIONS.values() if label in set(gaps["rotations"])]
    names = list(dict.fromkeys(gaps["series"]))
    axes.axhline(0, color=BLACK, linewidth=0.6)
    for place, (name, colour) in enumerate(colours(names).items()):
        own = gaps[gaps["series"] == name]
        shift = 0.5 * ((place + 1) / (len(names) + 1) - 0.5)
        at = own["rotations"].map(order.index) + shift
        axes.plot(at, own["gap"], ".", color=colour, markersize=2.5, alpha=0.7)
        mean = own.groupby("rotations")["gap"].mean().reindex(order).dropna()
        places = [order.index(label) + shift for label in mean.index]
        axes.plot(places, mean, LINE_OF_ROLE["model"], marker="o", markersize=3, color=colour, linewidth=0.9,
                  label=readable(name))  # fmt: skip
    axes.set_xticks(range(len(order)), order)
    axes.set_xlim(-0.6, len(order) - 0.4)
    axes.set_xlabel("rotations of a training molecule")
    axes.set_ylabel("gap of the loss / nat")
    axes.set_title("validation less training, last epoch", fontsize=7)
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1)).set_in_layout(False)  # it stands where no panel is


def build(study: Study, sources: Sources) -> Drawing:
    """Draw gradients and gaps of every training job."""
    norms, gaps = tabulate(jobs_of(study, sources))
    table = pd.concat([norms.assign(what="gradient norm"), gaps.assign(what="gap")], ignore_index=True)
    return Drawing(draw(norms, gaps), table)
