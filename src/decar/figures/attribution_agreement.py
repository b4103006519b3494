"""Does an attribution hold: rank correlations of atoms between rotations, seeds, folds and methods, beside controls."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from decar.config import Study
from decar.figures.attribution_tables import METHOD_NAMES, method_name
from decar.figures.save import Drawing
from decar.figures.sources import Sources, read_columns
from decar.figures.style import BLACK, BLUE, GREY, PAGE, PALE, new_figure, panel_letter

COLUMNS = ["key", "method", "kind", "other", "num_atoms", "spearman"]
# What a row compares the first network's attribution with; controls are drawn hollow.
KINDS = {
    "rotations": "molecule turned", "seeds": "same fold, other seed", "folds": "other fold and seed",
    "methods": "other method",
    "untrained": "untrained network", "permuted": "permuted labels",
}  # fmt: skip
CONTROLS = ("untrained", "permuted")


def draw(table: pd.DataFrame) -> Figure:
    """Draw a panel a method and a row a comparison: one point a molecule and comparison, median and quartiles."""
    methods = [name for name in METHOD_NAMES if name in set(table["method"])]
    kinds = [name for name in KINDS if name in set(table["kind"])]
    figure = new_figure(PAGE, 0.32 * len(kinds) + 0.85)
    panels = figure.subplots(1, len(methods), sharex=True, sharey=True, squeeze=False)[0]
    for letter, axes, method in zip("abc", panels, methods):
        _panel(axes, table[table["method"] == method], kinds)
        axes.set_title(method_name(method))
        panel_letter(axes, letter)
    panels[0].set_yticks(range(len(kinds)), [KINDS[kind] for kind in kinds])
    panels[0].set_ylim(len(kinds) - 0.5, -0.5)
    figure.supxlabel("Spearman’s ρ over the heavy atoms of a molecule", fontsize=7.5, color=BLACK)
    return figure


def _panel(axes: Axes, table: pd.DataFrame, kinds: list[str]) -> None:
    generator = np.random.default_rng(0)
    axes.axvline(0, color=BLACK, linewidth=0.6)
    for place, kind in enumerate(kinds):
        values = table.loc[table["kind"] == kind, "spearman"].dropna().to_numpy(float)
        colour = GREY if kind in CONTROLS else BLUE
        if not len(values):
            axes.text(0.03, place, "not computed", fontsize=6, color=GREY, va="center")
            continue
        spread = place + generator.uniform(-0.18, 0.18, len(values))
        axes.plot(values, spread, "o", color=colour, markersize=2.2, alpha=0.55, markeredgewidth=0)
        low, median, high = np.quantile(values, [0.25, 0.5, 0.75])
        axes.plot([low, high], [place, place], color=colour, linewidth=2.2, solid_capstyle="butt")
        axes.plot(median, place, "D" if kind in CONTROLS else "o", color=colour, markersize=5, markeredgewidth=1.0,
                  markerfacecolor="white" if kind in CONTROLS else colour)  # fmt: skip
    axes.set_xlim(-1.05, 1.05)
    axes.grid(axis="x", color=PALE)


def build(study: Study, sources: Sources) -> Drawing:
    """Draw the agreement of attributions."""
    del study
    table = read_columns(sources.attribution / "agreement.parquet", COLUMNS)[COLUMNS]
    return Drawing(draw(table), table)
