"""What share of a molecule's attribution its functional groups have, by method, beside the controls."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from decar.config import Study
from decar.figures.attribution_tables import METHOD_NAMES, method_name
from decar.figures.save import Drawing
from decar.figures.sources import Sources, read_columns
from decar.figures.style import BLACK, GREEN, GREY, PAGE, PALE, new_figure, panel_letter
from decar.predictions import kind_of

COLUMNS = ["method", "network", "group", "num_molecules", "num_atoms", "attribution", "share", "low", "high"]
# Name in the legend, marker, colour, shift, and whether the marker is hollow.
LOOK = {
    "folds": ("trained (mean of folds)", "o", BLACK, 0.0, False),
    "untrained": ("untrained", "D", GREY, 0.22, True),
    "permuted": ("permuted labels", "s", GREEN, -0.22, True),
}


def positive_means(study: Study) -> str:
    """Return what a positive attribution says."""
    return f"for “{study.figures.positive_name}”" if kind_of(study) == "binary" else "where it raises the prediction"


def draw(table: pd.DataFrame, positive: str) -> Figure:
    """Draw a panel a method and a row a group, from the group of most molecules down; shares are `positive` so."""
    methods = [name for name in METHOD_NAMES if name in set(table["method"])]
    own = table[(table["network"] == "folds") & (table["method"] == methods[0])]
    groups = own.sort_values(["num_molecules", "num_atoms", "group"], ascending=[False, False, True])
    figure = new_figure(PAGE, 0.19 * len(groups) + 0.95)
    panels = figure.subplots(1, len(methods), sharey=True, squeeze=False)[0]
    for letter, axes, method in zip("abc", panels, methods):
        _panel(axes, table[table["method"] == method], list(groups["group"]))
        axes.set_title(method_name(method))
        panel_letter(axes, letter)
    names = [f"{row['group']} ({row['num_molecules']})" for row in groups.to_dict("records")]
    panels[0].set_yticks(range(len(names)), names)
    panels[0].set_ylim(len(names) - 0.4, -0.6)
    figure.supxlabel(f"share of the molecule’s absolute attribution, positive {positive}",
                     fontsize=7.5, color=BLACK)  # fmt: skip
    handles = [
        Line2D([], [], marker=marker, color=colour, markersize=4, linewidth=0.9, label=name,
               markerfacecolor="white" if hollow else colour)
        for network, (name, marker, colour, _, hollow) in LOOK.items() if network in set(table["network"])
    ]  # fmt: skip
    figure.legend(handles=handles, loc="outside upper right", ncols=3)
    return figure


def _panel(axes: Axes, table: pd.DataFrame, groups: list[str]) -> None:
    axes.axvline(0, color=BLACK, linewidth=0.6)
    for network, (_, marker, colour, shift, hollow) in LOOK.items():
        by_group = table[table["network"] == network].set_index("group")
        for place, group in enumerate(groups):
            if group not in by_group.index:
                continue
            value, low, high = by_group.loc[[group], ["share", "low", "high"]].to_numpy(float)[0]
            axes.plot([low, high], [place + shift] * 2, color=colour, linewidth=0.9)
            axes.plot(value, place + shift, marker, color=colour, markersize=3.4, markeredgewidth=0.8,
                      markerfacecolor="white" if hollow else colour)  # fmt: skip
    axes.grid(axis="x", color=PALE)
    for place in range(0, len(groups), 2):
        axes.axhspan(place - 0.5, place + 0.5, color="#F5F5F5", zorder=0, linewidth=0)


def build(study: Study, sources: Sources) -> Drawing:
    """Draw the functional groups."""
    table = read_columns(sources.attribution / "groups.parquet", COLUMNS)[COLUMNS]
    return Drawing(draw(table, positive_means(study)), table)
