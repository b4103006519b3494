"""The published explanation: how strongly each kernel of the last layer answers to molecules of either class.

r_k(m) is the largest Pearson correlation between kernel k and molecule m over positions and proper rotations, in one of
two forms: "activation" (the kernel's weights against patches of the layer before) or "input" (its linearised receptive
field against the field itself). Classes are compared by Cliff's delta, P(r+ > r-) - P(r+ < r-), and a Mann-Whitney test
whose p values are adjusted after Holm; of a regression they are the molecules above the median and the rest. An
untrained network of the same shape is the control, and where there is one, the network that was trained on permuted
labels.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from decar.config import FiguresSettings, Study
from decar.figures.save import Drawing
from decar.figures.sources import Sources, read_columns
from decar.figures.style import BLACK, GREEN, GREY, PAGE, SKY, new_figure, panel_letter
from decar.predictions import boundary_of

MOST = 32  # kernels drawn; beyond it those of largest effect
MANY = 80  # molecules of a class above which single points are not drawn
ALPHA = 0.05
NETWORKS = {"trained": "trained network", "untrained": "untrained network", "permuted": "network of permuted labels"}
FORMS = {
    "activation": "layer activations",
    "input": "input field",
}


def tabulate(sources: Sources, form: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return correlations (network, kernel, key, label, correlation) and tests of one form.

    A table without a `network` column is of the trained network.
    """
    correlations = read_columns(
        sources.interpretation / "kernel_correlation.parquet", ["form", "kernel", "key", "label", "correlation"]
    )
    tests = read_columns(
        sources.interpretation / "kernel_tests.parquet", ["form", "kernel", "effect_size", "p_value", "p_adjusted"]
    )
    tables = []
    for table in (correlations, tests):
        chosen = table.assign(network=table.get("network", "trained"))
        tables.append(chosen[chosen["form"] == form].reset_index(drop=True))
    return tables[0], tables[1]


def draw(
    correlations: pd.DataFrame, tests: pd.DataFrame, form: str, settings: FiguresSettings, boundary: float = 0.5
) -> Figure:
    """Draw the distributions by class (one panel a network) above the effect size of each kernel.

    Labels above `boundary` are of the positive class.
    """
    correlations = correlations.assign(is_positive=correlations["label"] > boundary)
    networks = [name for name in NETWORKS if name in set(tests["network"])]
    kernels = _kernels(tests[tests["network"] == networks[0]])
    figure = new_figure(PAGE, 1.5 * len(networks) + 1.7)
    panels = figure.subplots(
        len(networks) + 1, 1, sharex=True, squeeze=False, height_ratios=[1.0] * len(networks) + [0.85]
    )[:, 0]
    values = correlations["correlation"].to_numpy(dtype=float)
    low, high = (float(np.nanmin(values)), float(np.nanmax(values))) if len(values) else (0.0, 1.0)
    room = 0.06 * max(high - low, 0.05)
    for letter, axes, network in zip("abcdef", panels, networks):
        _distributions(axes, correlations[correlations["network"] == network], kernels, settings)
        axes.set_ylim(low - room, high + room)
        axes.set_ylabel("largest r")
        axes.set_title(f"{NETWORKS[network]}, {FORMS[form]}")
        panel_letter(axes, letter)
    _legend(panels[0], correlations[correlations["network"] == networks[0]], settings)
    _effects(panels[-1], tests, networks, kernels)
    panel_letter(panels[-1], "abcdef"[len(networks)])
    total = tests["kernel"].nunique()
    chosen = f"kernel of the last convolution layer ({len(kernels)} of {total} with the largest effect)"
    panels[-1].set_xlabel(chosen if total > len(kernels) else "kernel of the last convolution layer, by effect size")
    return figure


def _kernels(tests: pd.DataFrame) -> list[int]:
    """Return the kernels to draw, from the most positive effect size to the most negative one."""
    tests = tests.fillna({"effect_size": 0.0})
    largest = tests.assign(size=tests["effect_size"].abs()).sort_values(["size", "kernel"], ascending=[False, True])
    chosen = largest.head(MOST).sort_values(["effect_size", "kernel"], ascending=[False, True])
    return [int(kernel) for kernel in chosen["kernel"]]


def _distributions(axes: Axes, table: pd.DataFrame, kernels: list[int], settings: FiguresSettings) -> None:
    look = ((True, settings.positive_colour, -0.2), (False, settings.negative_colour, 0.2))
    generator = np.random.default_rng(0)
    for place, kernel in enumerate(kernels):
        if place % 2:
            axes.axvspan(place - 0.5, place + 0.5, color="#F5F5F5", zorder=0, linewidth=0)
        of_kernel = table[table["kernel"] == kernel].sort_values("key")
        for is_positive, colour, shift in look:
            values = (
                of_kernel.loc[of_kernel["is_positive"] == is_positive, "correlation"].dropna().to_numpy(dtype=float)
            )
            if not len(values):
                continue
            axes.boxplot(
                [values], positions=[place + shift], widths=0.3, showfliers=False, whis=(5, 95), manage_ticks=False,
                patch_artist=True, boxprops={"facecolor": colour, "alpha": 0.35, "edgecolor": colour, "linewidth": 0.6},
                medianprops={"color": colour, "linewidth": 1.4}, whiskerprops={"color": colour, "linewidth": 0.6},
                capprops={"linewidth": 0},
            )  # fmt: skip
            if len(values) <= MANY:
                spread = place + shift + generator.uniform(-0.11, 0.11, len(values))
                axes.plot(spread, values, "o", color=colour, markersize=1.3, markeredgewidth=0, alpha=0.8)
    axes.set_xlim(-0.6, len(kernels) - 0.4)
    axes.set_xticks(range(len(kernels)), [str(kernel) for kernel in kernels])
    axes.tick_params(axis="x", labelsize=6 if len(kernels) > 24 else 6.5)


def _legend(axes: Axes, table: pd.DataFrame, settings: FiguresSettings) -> None:
    handles = []
    for is_positive, name, colour in (
        (True, settings.positive_name, settings.positive_colour),
        (False, settings.negative_name, settings.negative_colour),
    ):
        count = table.loc[table["is_positive"] == is_positive, "key"].nunique()
        handles.append(Line2D([], [], marker="s", linestyle="", color=colour, label=f"{name} (n = {count} molecules)"))
    axes.legend(handles=handles, loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0.1)


def _effects(axes: Axes, tests: pd.DataFrame, networks: list[str], kernels: list[int]) -> None:
    axes.axhline(0, color=BLACK, linewidth=0.6)
    for network, colour, marker, shift in zip(networks, (BLACK, GREY, SKY), "osD", (-0.12, 0.12, 0.3)):
        by_kernel = tests[tests["network"] == network].set_index("kernel")
        for place, kernel in enumerate(kernels):
            if kernel not in by_kernel.index:
                continue
            effect, p = by_kernel.loc[[kernel], ["effect_size", "p_adjusted"]].to_numpy(dtype=float)[0]
            axes.plot([place + shift] * 2, [0, effect], color=colour, linewidth=0.8)
            axes.plot(
                place + shift, effect, marker, color=colour, markersize=3.6, markeredgewidth=0.8,
                markerfacecolor=colour if p < ALPHA else "white",
            )  # fmt: skip
    handles = [
        Line2D([], [], marker=marker, color=colour, linewidth=0.8, markersize=3.6, label=network)
        for network, colour, marker in zip(networks, (BLACK, GREY, SKY), "osD")
    ]
    first = tests[tests["network"] == networks[0]]
    if "effect_size_unseen" in first and first["effect_size_unseen"].notna().any():
        unseen = first.set_index("kernel").reindex(kernels)["effect_size_unseen"]
        axes.plot(np.arange(len(kernels)) - 0.12, unseen, "x", color=GREEN, markersize=4, markeredgewidth=1.1)
        text = f"{networks[0]}, unseen molecules (n = {int(first['num_unseen'].max())})"
        handles.append(Line2D([], [], marker="x", linestyle="", color=GREEN, markeredgewidth=1.1, label=text))
    passed = int((first["p_adjusted"] < ALPHA).sum())
    handles.append(Line2D([], [], linestyle="", label=f"filled: adjusted p < {ALPHA:g} ({passed} of {len(first)})"))
    axes.legend(
        handles=handles,
        loc="lower right",
        bbox_to_anchor=(1, 1),
        ncols=5,
        columnspacing=1.2,
        handlelength=1.6,
        borderaxespad=0.1,
    )
    axes.set_ylim(-1.05, 1.05)
    axes.set_ylabel("Cliff's δ")


def _build(study: Study, sources: Sources, form: str) -> Drawing:
    correlations, tests = tabulate(sources, form)
    keys = ["network", "form", "kernel"]
    columns = [*keys, "key", "label", "correlation", "effect_size", "p_value", "p_adjusted"]
    table = correlations.merge(tests, on=keys, how="left", suffixes=("", "_test"))[columns]
    table = table.sort_values(["network", "kernel", "key"], ignore_index=True)
    boundary = boundary_of(study, correlations.drop_duplicates("key")["label"].to_numpy())
    return Drawing(draw(correlations, tests, form, study.figures, boundary), table)


def build_activation(study: Study, sources: Sources) -> Drawing:
    """Draw the published form: kernel weights against the activations of the layer before."""
    return _build(study, sources, "activation")


def build_input(study: Study, sources: Sources) -> Drawing:
    """Draw the input form: each kernel's linearised receptive field against the molecule's field."""
    return _build(study, sources, "input")
