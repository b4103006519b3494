"""Receiver operating characteristic of every network, control and baseline, a panel a split, with AUROC intervals."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from decar.config import FiguresSettings, Study
from decar.figures.performance import in_order, read_metrics
from decar.figures.save import Drawing
from decar.figures.sources import Sources, read_columns
from decar.figures.style import COLUMN, GREY, LINE_OF_ROLE, PAGE, colours, new_figure, panel_letter, readable

COLUMNS = ["model", "scheme", "false_positive_rate", "true_positive_rate"]


def tabulate(sources: Sources) -> pd.DataFrame:
    """Return the curve's points with model, role, scheme, and AUROC (auroc, low, high, n) of the curve."""
    points = read_columns(sources.evaluation / "roc.parquet", COLUMNS)[COLUMNS]
    metrics = read_metrics(sources)
    area = metrics.loc[metrics["metric"] == "auroc", ["model", "scheme", "role", "value", "low", "high", "n"]]
    return points.merge(area.rename(columns={"value": "auroc"}), on=["model", "scheme"], how="left")


def draw(table: pd.DataFrame, settings: FiguresSettings) -> Figure:  # noqa: ARG001
    """Draw a square panel a split; the legend carries AUROC [interval] of the positive class."""
    if table.empty:
        figure = new_figure(COLUMN, 1.2)
        figure.text(0.5, 0.5, "no curve: the tested molecules are all of one class", ha="center", color=GREY)
        return figure
    schemes = sorted(table["scheme"].unique())
    colour = colours(in_order(table))
    figure = new_figure(COLUMN if len(schemes) == 1 else PAGE, 4.0)
    # Square panels end where their width says, so the layout leaves too little above them.
    figure.set_layout_engine(ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.12))
    panels = figure.subplots(1, len(schemes), squeeze=False)[0]
    for letter, axes, scheme in zip("abcdef", panels, schemes):
        chosen = table[table["scheme"] == scheme]
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.6, linestyle=(0, (1, 2)))
        for model in in_order(chosen):
            curve = chosen[chosen["model"] == model]
            first = curve.iloc[0]
            axes.plot(
                curve["false_positive_rate"], curve["true_positive_rate"], color=colour[model],
                linestyle=LINE_OF_ROLE.get(str(first["role"]), "-"),
                label=f"{readable(model)}: {first['auroc']:.2f} [{first['low']:.2f}, {first['high']:.2f}]",
            )  # fmt: skip
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
        axes.set_xlabel("false positive rate (1 − specificity)")
        axes.set_ylabel("true positive rate (sensitivity)")
        axes.set_title(f"{scheme} split, n = {int(chosen['n'].max())} molecules")
        axes.legend(
            loc="upper center", bbox_to_anchor=(0.5, -0.17), title="AUROC [bootstrap interval]",
            title_fontsize=6.5, alignment="left",
        )  # fmt: skip
        if len(schemes) > 1:
            panel_letter(axes, letter)
    return figure


def build(study: Study, sources: Sources) -> Drawing:
    """Draw the ROC curves of the study."""
    table = tabulate(sources)
    return Drawing(draw(table, study.figures), table)
