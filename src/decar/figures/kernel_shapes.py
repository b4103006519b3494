"""Kernels of the last layer as physical objects: radial profile in angstrom, symmetry, invariance under rotations."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from decar.config import Study
from decar.figures.save import Drawing
from decar.figures.sources import Sources, read_columns
from decar.figures.style import BLACK, BLUE, GREY, LINES, MARKER_OF_ROLE, PAGE, PALE, SEQUENCE, new_figure, panel_letter

MOST_KERNELS, MOST_PROFILES = 32, 5
SHARES = ["share_l0", "share_l1", "share_l2", "share_l3", "share_l4", "share_rest"]
# From a sphere (dark) to what no low symmetry describes (light), told apart in grey, too.
SHADES = ("#08306B", "#1C64AC", "#4292C6", "#7FB8DA", "#C6D5E3", "#FAFAFA")


def tabulate(sources: Sources) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return profiles and shapes of the first field, shapes with the effect size of the trained network's kernels."""
    shapes = read_columns(
        sources.attribution / "kernel_shapes.parquet", ["network", "kernel", "field", *SHARES, "invariance"]
    )
    profiles = read_columns(
        sources.attribution / "kernel_profiles.parquet", ["network", "kernel", "field", "radius_angstrom", "mean"]
    )
    first = shapes["field"].iloc[0]
    tests = read_columns(sources.interpretation / "kernel_tests.parquet", ["form", "network", "kernel", "effect_size"])
    tests = tests.loc[tests["form"] == "input", ["network", "kernel", "effect_size"]]
    shapes = shapes[shapes["field"] == first].merge(tests, on=["network", "kernel"], how="left")
    return profiles[profiles["field"] == first], shapes


def draw(profiles: pd.DataFrame, shapes: pd.DataFrame) -> Figure:
    """Draw radial profiles (a), shares of each l (b) and invariance (c)."""
    trained = shapes[shapes["network"] == "trained"]
    size = trained.assign(size=trained["effect_size"].abs().fillna(0))
    largest = size.sort_values(["size", "kernel"], ascending=[False, True])["kernel"].head(MOST_KERNELS)
    figure = new_figure(PAGE, 3.9)
    grid = figure.add_gridspec(2, 2, width_ratios=(2.2, 1), height_ratios=(1, 1.05))
    _profiles(left := figure.add_subplot(grid[0, 0]), profiles, list(largest.head(MOST_PROFILES)), shapes)
    panel_letter(left, "a")
    _invariance(right := figure.add_subplot(grid[0, 1]), shapes)
    panel_letter(right, "b")
    _shares(low := figure.add_subplot(grid[1, :]), shapes, sorted(largest))
    panel_letter(low, "c")
    return figure


def _profiles(axes: Axes, profiles: pd.DataFrame, kernels: list[int], shapes: pd.DataFrame) -> None:
    axes.axhline(0, color=BLACK, linewidth=0.6)
    effects = shapes[shapes["network"] == "trained"].set_index("kernel")["effect_size"]
    for kernel, colour, line in zip(kernels, (BLACK, *SEQUENCE), LINES):
        part = profiles[(profiles["network"] == "trained") & (profiles["kernel"] == kernel)]
        label = f"kernel {kernel} (δ = {effects[kernel]:+.2f})".replace("-", "−")
        axes.plot(part["radius_angstrom"], part["mean"], color=colour, linestyle=line, label=label)
    axes.set_xlim(0, None)
    axes.set_xlabel("distance from the kernel’s centre / Å")
    axes.set_ylabel("mean / r.m.s.")
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))  # beside the panel: where lines end differs by network
    axes.set_title("mean over spheres about the centre")


def _invariance(axes: Axes, shapes: pd.DataFrame) -> None:
    generator = np.random.default_rng(0)
    axes.axhline(0, color=BLACK, linewidth=0.6)
    names = [name for name in ("trained", "untrained") if name in set(shapes["network"])]
    for place, (name, colour) in enumerate(zip(names, (BLUE, GREY))):
        values = shapes.loc[shapes["network"] == name, "invariance"].dropna().to_numpy(float)
        marker = MARKER_OF_ROLE["model" if name == "trained" else "baseline"]
        spread = place + generator.uniform(-0.2, 0.2, len(values))
        axes.plot(spread, values, marker, color=colour, markersize=3, markeredgewidth=0.6,
                  markerfacecolor=colour if name == "trained" else "white", linestyle="")  # fmt: skip
        if len(values):
            axes.plot([place - 0.3, place + 0.3], [np.median(values)] * 2, color=BLACK, linewidth=1.2)
    axes.set_xticks(range(len(names)), names)
    axes.set_xlim(-0.6, len(names) - 0.4)
    axes.set_ylim(-0.15, 1.05)
    axes.set_ylabel("mean r when turned")
    axes.set_title("under 23 rotations")


def _shares(axes: Axes, shapes: pd.DataFrame, kernels: list[int]) -> None:
    """Draw a stacked bar a kernel, and the mean of the trained and of the untrained kernels at the right."""
    trained = shapes[shapes["network"] == "trained"].set_index("kernel")
    bars = [trained.loc[kernel, SHARES].to_numpy(float) for kernel in kernels]
    places = [float(place) for place in range(len(kernels))]
    names = [str(kernel) for kernel in kernels]
    for number, name in enumerate(("trained", "untrained")):
        part = shapes[shapes["network"] == name]
        if len(part):
            bars.append(part[SHARES].mean().to_numpy(float))
            places.append(len(kernels) + 1.0 + 3.0 * number)
            names.append(f"mean\n{name}")
    base = np.zeros(len(bars))
    widths = [0.8] * len(kernels) + [1.6] * (len(bars) - len(kernels))
    for column, colour in enumerate(SHADES):
        heights = np.array([bar[column] for bar in bars])
        label = f"l = {column}" if column < len(SHADES) - 1 else "l > 4"
        axes.bar(places, heights, widths, bottom=base, color=colour, edgecolor=GREY, linewidth=0.3, label=label)
        base += heights
    axes.set_xticks(places, names)
    axes.tick_params(axis="x", labelsize=6)
    axes.set_xlim(-0.7, places[-1] + 1.5)
    axes.set_ylim(0, 1)
    axes.set_ylabel("share of the power")
    axes.set_xlabel("kernel of the last convolution layer")
    axes.set_title("angular momentum")
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=6, borderaxespad=0.1, edgecolor=PALE)


def build(study: Study, sources: Sources) -> Drawing:
    """Draw the kernels of the network that is explained."""
    del study
    profiles, shapes = tabulate(sources)
    table = pd.concat([shapes.assign(what="shape"), profiles.assign(what="profile")], ignore_index=True)
    return Drawing(draw(profiles, shapes), table)
