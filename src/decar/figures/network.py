"""The network with its true sizes, as the trained model describes itself: grids, kernels in angstrom, parameters."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Polygon

from decar.config import Study
from decar.figures.learning_curves import job_of
from decar.figures.quantities import bracketed
from decar.figures.save import Drawing
from decar.figures.sources import Sources, note, read_columns
from decar.figures.style import BLACK, BLUE, GREEN, GREY, ORANGE, PAGE, SKY, new_figure, readable
from decar.predictions import kind_of, unit_of
from decar.units import ANGSTROM_PER_BOHR

COLUMNS = ["part", "channels", "box", "edge_voxels", "kernel_edge_angstrom", "receptive_field_angstrom", "parameters"]
SKEW = (0.42, 0.30)  # direction of the depth of a drawn block


def tabulate(study: Study, sources: Sources) -> pd.DataFrame:
    """Return a row a part of the explained network (COLUMNS); the box is the median one of the data set."""
    from decar.models.package import load_package  # noqa: PLC0415  torch is needed for this figure alone

    wanted = (study.interpret.model, study.interpret.scheme)
    folder = next(path for path in sources.models if job_of(path)[:2] == wanted)
    network, _ = load_package(folder / "model")
    note(*(path for path in (folder / "model").iterdir() if path.is_file()))
    manifest = read_columns(sources.dataset / "manifest.parquet", ["shape_x", "shape_y", "shape_z"])
    box = [int(edge) for edge in manifest[["shape_x", "shape_y", "shape_z"]].median()]
    rows: list[dict[str, object]] = [{"part": "input", "channels": network.num_inputs, **_box(box)}]
    for part in network.describe():
        row: dict[str, object] = {
            "part": part["layer"], "channels": int(str(part["shape"]).split("x", maxsplit=1)[0]),
            "parameters": part["parameters"],
        }  # fmt: skip
        if part["kernel_edge_bohr"] is not None:
            box = [-(-edge // 2) for edge in box]
            row |= {
                **_box(box),
                "kernel_edge_angstrom": float(str(part["kernel_edge_bohr"])) * ANGSTROM_PER_BOHR,
                "receptive_field_angstrom": float(str(part["receptive_field_bohr"])) * ANGSTROM_PER_BOHR,
            }
        rows.append(row)
    return pd.DataFrame(rows, columns=COLUMNS)


def _box(edges: list[int]) -> dict[str, object]:
    return {"box": " × ".join(str(edge) for edge in edges), "edge_voxels": max(edges)}


def draw(table: pd.DataFrame, output: tuple[str, str], kernel_size: int, fields: tuple[str, ...]) -> Figure:
    """Draw the parts from left to right; the height of a block is its edge, its depth grows with its channels.

    `output` says what the network returns, and how from its last number.
    """
    figure = new_figure(PAGE, 2.35)
    axes = figure.subplots()
    axes.set_axis_off()
    axes.set_aspect("equal")
    largest = float(table["edge_voxels"].max())
    step, place = 2.2, 0.0
    for number, row in enumerate(table.to_dict("records")):
        part, channels = str(row["part"]), int(row["channels"])
        is_block = not pd.isna(row["edge_voxels"])
        if is_block:
            height = max(0.28, 1.5 * float(row["edge_voxels"]) / largest)
            width = _block(axes, place, height, min(1.2, 0.12 * channels**0.6), GREEN if part == "input" else SKY)
        else:
            height = max(0.3, min(1.6, 0.045 * channels))
            width = _block(axes, place, height, 0.0, ORANGE, width=0.16)
        _text(axes, place + width / 2, part, row, kernel_size, fields, output[1])
        if number:
            arrow = FancyArrowPatch(
                (place - 0.62, 0), (place - 0.14, 0), arrowstyle="-|>", mutation_scale=7, color=BLACK, linewidth=0.8
            )
            axes.add_patch(arrow)
        place += step if is_block else 1.9
    axes.set_xlim(-0.7, place - 0.3)
    axes.set_ylim(-2.05, 1.35)
    total = int(table["parameters"].sum())
    axes.set_title(f"{total:,} parameters; output: {output[0]}".replace(",", " "))
    return figure


def _block(axes: Axes, x: float, height: float, depth: float, colour: str, width: float | None = None) -> float:
    """Draw a block in oblique projection, its front centred on y = 0; return its width."""
    width = height * 0.55 if width is None else width
    dx, dy = SKEW[0] * depth, SKEW[1] * depth
    low, high = -height / 2, height / 2
    look = {"edgecolor": BLUE if colour == SKY else BLACK, "linewidth": 0.6}
    front = [(x, low), (x + width, low), (x + width, high), (x, high)]
    axes.add_patch(Polygon(front, facecolor=colour, alpha=0.55, **look))  # type: ignore[arg-type]
    if depth:
        top = [(x, high), (x + width, high), (x + width + dx, high + dy), (x + dx, high + dy)]
        side = [(x + width, low), (x + width + dx, low + dy), (x + width + dx, high + dy), (x + width, high)]
        axes.add_patch(Polygon(top, facecolor=colour, alpha=0.3, **look))  # type: ignore[arg-type]
        axes.add_patch(Polygon(side, facecolor=colour, alpha=0.8, **look))  # type: ignore[arg-type]
    return width


def _text(
    axes: Axes, x: float, part: str, row: dict[object, object], kernel_size: int, fields: tuple[str, ...], last: str
) -> None:
    lines: list[str]
    if part == "input":
        lines = [*(name.replace("_", " ") for name in fields), f"{row['box']} voxels"]
    elif part.startswith("convolution"):
        lines = [
            f"{row['channels']} kernels of {kernel_size}³", f"({float(str(row['kernel_edge_angstrom'])):.1f} Å)",
            "rectify, pool by 2", f"{row['box']} voxels",
            f"sees {float(str(row['receptive_field_angstrom'])):.1f} Å",
        ]  # fmt: skip
    elif part == "hidden":
        lines = ["global mean", "and maximum,", f"{row['channels']} units"]
    else:
        lines = [last]
    axes.text(x, -0.95, part, ha="center", va="top", fontsize=7, fontweight="bold", color=BLACK)
    axes.text(x, -1.13, "\n".join(lines), ha="center", va="top", fontsize=6, color=GREY, linespacing=1.25)


def build(study: Study, sources: Sources) -> Drawing:
    """Draw the network that is explained."""
    table = tabulate(study, sources)
    network = study.training.models[study.interpret.model]
    output = (f"probability of “{study.figures.positive_name}”", "sigmoid")
    if kind_of(study) == "regression":
        output = (bracketed(readable(study.training.property), unit_of(study)), "mean + scale × output")
    return Drawing(draw(table, output, network.kernel_size, network.fields), table)
