"""Training and validation loss over the epochs, of each fold of each network: the gap between them is overfitting."""

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from decar.config import FiguresSettings, Study
from decar.errors import DataFormatError
from decar.figures.save import Drawing
from decar.figures.sources import Sources, read_columns
from decar.figures.style import BLUE, GREY, PAGE, VERMILLION, new_figure, panel_letter, readable
from decar.predictions import kind_of

TRAIN, VALIDATION = "train_loss", "val_loss"
COLUMNS = ["model", "scheme", "fold", "epoch", TRAIN, VALIDATION, "kept"]
LOSS = {"binary": "cross-entropy loss", "regression": "squared-error loss"}  # decar.training.objectives


def job_of(folder: Path) -> tuple[str, str, int]:
    """Return model, scheme and fold from the name of a training job's folder, `<model>-<scheme>-fold<k>-<hash>`."""
    parts = folder.name.rsplit("-", 3)
    if len(parts) != 4 or not parts[2].startswith("fold"):
        raise DataFormatError(
            "not the folder of a training job", where=folder, expected="<model>-<scheme>-fold<k>-<hash>"
        )
    return parts[0], parts[1], int(parts[2].removeprefix("fold"))


def tabulate(sources: Sources) -> pd.DataFrame:
    """Return model, scheme, fold, epoch, train_loss, val_loss, kept (by its checkpoint), a row an epoch."""
    tables = []
    for folder in sources.models:
        model, scheme, fold = job_of(folder)
        log = read_columns(folder / "metrics.csv", ["epoch", TRAIN, VALIDATION])
        if "kept" not in log:  # a log from before there was a choice
            log["kept"] = log.index == log[VALIDATION].idxmin()
        tables.append(log[["epoch", TRAIN, VALIDATION, "kept"]].assign(model=model, scheme=scheme, fold=fold))
    table = pd.concat(tables, ignore_index=True)
    return table[COLUMNS].sort_values(["model", "scheme", "fold", "epoch"], ignore_index=True)


def draw(table: pd.DataFrame, settings: FiguresSettings, kind: str = "binary") -> Figure:  # noqa: ARG001
    """Draw one panel a network and split; thin lines are folds, dots the checkpoints that were kept."""
    panels = list(table.groupby(["model", "scheme"], sort=True))
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    figure = new_figure(PAGE, 2.0 * rows + 0.25)
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
    top = float(table[[TRAIN, VALIDATION]].quantile(0.98).max()) * 1.25
    for letter, axes, ((model, scheme), curves) in zip("abcdefghijklmnop", grid, panels):
        _panel(axes, curves)
        axes.set_title(f"{readable(str(model))}, {scheme} split")
        axes.set_ylim(0, top)
        panel_letter(axes, letter)
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    for axes in grid[: len(panels)]:
        axes.set_xlabel("epoch")
    for axes in grid[::columns]:
        axes.set_ylabel(f"{LOSS[kind]} / nat")
    handles = [
        Line2D([], [], color=BLUE, label="training"),
        Line2D([], [], color=VERMILLION, linestyle="--", label="validation"),
        Line2D([], [], marker="o", linestyle="", color=VERMILLION, label="checkpoint kept"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


def _panel(axes: Axes, curves: pd.DataFrame) -> None:
    gaps = []
    for _, fold in curves.groupby("fold"):
        axes.plot(fold["epoch"], fold[TRAIN], color=BLUE, linewidth=0.8, alpha=0.7)
        axes.plot(fold["epoch"], fold[VALIDATION], color=VERMILLION, linewidth=0.8, alpha=0.7, linestyle="--")
        best, last = fold[fold["kept"]].iloc[0], fold.iloc[-1]
        gaps.append(float(last[VALIDATION] - last[TRAIN]))
        axes.plot(best["epoch"], best[VALIDATION], "o", color=VERMILLION, markersize=3.2)
    folds = curves["fold"].nunique()
    if gaps:
        axes.text(
            0.97, 0.96, f"{folds} folds; gap at the end {sum(gaps) / len(gaps):+.2f} (mean)",
            transform=axes.transAxes, ha="right", va="top", fontsize=6.5, color=GREY,
        )  # fmt: skip
    axes.grid(axis="y")


def build(study: Study, sources: Sources) -> Drawing:
    """Draw the learning curves of every training job."""
    table = tabulate(sources)
    return Drawing(draw(table, study.figures, kind_of(study)), table)
