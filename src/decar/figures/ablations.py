"""What a network owes to what: AUROC of every other model less that of the explained network, on the same molecules.

Of a regression it is the RMSE, in its unit, of which the lower is the better.

The models of a study are its ablations: the network on geometry alone, on permuted labels, on another field or of
another architecture, and baselines that see no field. Intervals are DeLong's, or of RMSE those of the delta method
(decar.evaluate.paired), paired by molecule over all test folds; they hold for these networks, not for networks that are
trained anew.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import norm

from decar.config import FiguresSettings, Study
from decar.evaluate.measures import measures_of
from decar.figures.performance import in_order
from decar.figures.quantities import bracketed
from decar.figures.save import Drawing
from decar.figures.sources import Sources, read_columns
from decar.figures.style import (
    BLACK,
    COLUMN,
    GREY,
    MARKER_OF_ROLE,
    PAGE,
    PALE,
    colours,
    new_figure,
    panel_letter,
    readable,
)
from decar.predictions import SCORES, Score, score_of, unit_of

COLUMNS = ["model", "role", "scheme", "key", "subset", "label", "prediction"]
CONFIDENCE = 0.95


def tabulate(study: Study, sources: Sources) -> pd.DataFrame:
    """Return a row a split and other model: difference of the score, low, high, p, smallest_shown, n."""
    table = read_columns(sources.evaluation / "predictions.parquet", COLUMNS)
    test = table[(table["subset"] == "test") & table["label"].notna() & np.isfinite(table["prediction"])]
    own, contrast, rows = study.interpret.model, measures_of(study).contrast, []
    for scheme, part in test.groupby("scheme", sort=True):
        wide = part.pivot_table(index=["key", "label"], columns="model", values="prediction").dropna()
        label = wide.index.get_level_values("label").to_numpy(np.float64)
        if own not in wide.columns or len(set(label)) < 2:
            continue
        roles = part.groupby("model")["role"].first()
        for model in wide.columns.drop(own):
            both = wide[[model, own]].to_numpy(np.float64).T
            found = contrast(label, both, np.array([1.0, -1.0]))
            half = float(norm.ppf((1 + CONFIDENCE) / 2)) * found.standard_error
            rows.append({
                "scheme": scheme, "model": model, "role": roles[model], "difference": found.value,
                "low": found.value - half, "high": found.value + half, "p": found.p,
                "smallest_shown": found.smallest_shown, "n": len(wide),
            })  # fmt: skip
    return pd.DataFrame(rows, columns=["scheme", "model", "role", "difference", "low", "high", "p", "smallest_shown",
                                       "n"])  # fmt: skip


def draw(
    table: pd.DataFrame,
    settings: FiguresSettings,  # noqa: ARG001
    own: str,
    score: Score = SCORES["binary"],
    unit: str = "",
) -> Figure:
    """Draw a panel a split and a row a model; the grey band is what the study is too small to show."""
    if table.empty:
        figure = new_figure(COLUMN, 1.2)
        nothing = "one class" if score.sign > 0 else "labels of one value"
        figure.text(0.5, 0.5, f"no comparison: {nothing}, or no other model", ha="center", color=GREY)
        return figure
    schemes, models = sorted(table["scheme"].unique()), in_order(table)
    figure = new_figure(PAGE, 0.25 * len(models) + 1.0)
    panels = figure.subplots(1, len(schemes), sharey=True, squeeze=False)[0]
    for letter, axes, scheme in zip("abcdefgh", panels, schemes):
        part = table[table["scheme"] == scheme].set_index("model")
        _panel(axes, part, models)
        axes.set_title(f"{scheme} split, n = {int(part['n'].max())} molecules")
        if len(schemes) > 1:
            panel_letter(axes, letter)
    role = table.groupby("model")["role"].first()
    names = [readable(name) + ("" if role[name] == "model" else f" ({role[name]})") for name in models]
    panels[0].set_yticks(range(len(models)), names)
    panels[0].set_ylim(len(models) - 0.4, -0.6)
    label = f"{score.text} less that of {readable(own)}"
    label = f"{label} (no unit)" if score.sign > 0 else f"{bracketed(label, unit)}, lower is better"
    figure.supxlabel(label, fontsize=7.5, color=BLACK)
    return figure


def _panel(axes: Axes, table: pd.DataFrame, models: list[str]) -> None:
    axes.axvline(0, color=BLACK, linewidth=0.6)
    colour = colours(models)
    for place, model in enumerate(models):
        if model not in table.index:
            continue
        row = table.loc[model]
        shown = float(str(row["smallest_shown"]))
        if np.isfinite(shown):
            axes.barh(place, 2 * shown, 0.7, left=-shown, color=PALE, zorder=0)
        axes.plot([row["low"], row["high"]], [place, place], color=colour[model], linewidth=1.1)
        axes.plot(row["difference"], place, MARKER_OF_ROLE.get(str(row["role"]), "o"), color=colour[model])
        if np.isfinite(row["p"]):
            axes.annotate(f"p = {row['p']:.2g}", (1, place), (-1, 2), xycoords=("axes fraction", "data"),
                          textcoords="offset points", fontsize=6, ha="right", va="bottom", color=GREY)  # fmt: skip
    reach = np.nanmax(np.abs(table[["low", "high", "smallest_shown", "difference"]].to_numpy(np.float64)))
    reach = float(reach) or 0.1  # two models of the same order have no difference to scale by
    axes.set_xlim(-1.1 * reach, 1.5 * reach)
    axes.grid(axis="x", color=PALE)


def build(study: Study, sources: Sources) -> Drawing:
    """Draw the ablations of the study."""
    table = tabulate(study, sources)
    return Drawing(draw(table, study.figures, study.interpret.model, score_of(study), unit_of(study)), table)
