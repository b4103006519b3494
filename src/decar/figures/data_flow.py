"""The data flow of a study with its true counts: molecules, records, shards, networks, and what is shared.

Records lie in the store under the hash of what made them, so any study finds them; what other studies below the same
results use, too, is counted when the tables are collected.
"""

from dataclasses import dataclass
from itertools import pairwise

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse, FancyArrowPatch, FancyBboxPatch, Rectangle

from decar.config import FiguresSettings, Study
from decar.figures.learning_curves import job_of
from decar.figures.save import Drawing
from decar.figures.sources import Sources, read_columns
from decar.figures.style import BLACK, BLUE, GREEN, GREY, ORANGE, PAGE, PURPLE, SKY
from decar.stages import MOLECULE_STAGES

WIDTH, HEIGHT = 100.0, 44.0  # of the drawing, in its own unit
TOP, BOTTOM = 38.0, 6.0  # middles of the two rows of boxes
LOOK = {"table": GREY, "stage": SKY, "voxels": GREEN, "network": ORANGE, "result": PURPLE}


@dataclass(frozen=True)
class Box:
    """A step: its name, what it makes, and where it is drawn (centre, in the drawing's unit)."""

    name: str
    lines: tuple[str, ...]
    kind: str
    x: float
    y: float


def tabulate(study: Study, sources: Sources) -> pd.DataFrame:
    """Return a row a part of the flow: part, what, count, shared (with other studies), megabytes."""
    index = read_columns(sources.index, ["status"])
    storage = read_columns(sources.records / "storage.parquet", ["stage", "num_records", "num_bytes", "num_shared"])
    stages = read_columns(sources.records / "stages.parquet", ["stage", "status"])
    manifest = read_columns(sources.dataset / "manifest.parquet", ["key", "shard"])
    predictions = read_columns(sources.evaluation / "predictions.parquet", ["model", "role", "key"])
    ok = stages[stages["status"] == "ok"]["stage"].value_counts()
    rows: list[tuple[str, str, int, int | None, float | None]] = [
        ("table", "rows", len(index), None, None),
        ("molecules", "molecules", int((index["status"] == "ok").sum()), None, None),
    ]
    for row in storage.to_dict("records"):
        size = row["num_bytes"] / 1e6
        rows.append((row["stage"], "records", int(row["num_records"]), int(row["num_shared"]), size))
        rows.append((row["stage"], "sound", int(ok.get(row["stage"], 0)), None, None))
    jobs = [job_of(path) for path in sources.models]
    rows += [
        ("dataset", "samples", len(manifest), None, None),
        ("dataset", "shards", manifest["shard"].nunique(), None, None),
        ("train", "networks", len(jobs), None, None),
        ("train", "models", len({model for model, _, _ in jobs}), None, None),
        ("train", "splits", len({scheme for _, scheme, _ in jobs}), None, None),
        ("evaluate", "models", predictions["model"].nunique(), None, None),
        ("evaluate", "baselines", predictions.loc[predictions["role"] == "baseline", "model"].nunique(), None, None),
        ("evaluate", "molecules", predictions["key"].nunique(), None, None),
    ]
    del study
    return pd.DataFrame(rows, columns=["part", "what", "count", "shared", "megabytes"])


def draw(table: pd.DataFrame, settings: FiguresSettings) -> Figure:  # noqa: ARG001
    """Draw the stages above, the store that they share with other studies in the middle, what is made of it below."""
    count = {(row["part"], row["what"]): int(row["count"]) for row in table.to_dict("records")}
    figure = Figure(figsize=(PAGE, PAGE * HEIGHT / WIDTH))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, WIDTH), ylim=(0, HEIGHT))
    axes.set_axis_off()
    boxes = [
        Box("table", (f"{count['table', 'rows']} rows",), "table", 8.0, TOP),
        Box("molecules", (f"{count['molecules', 'molecules']} different ones",), "table", 24.8, TOP),
    ]
    names = {"conformers": "conformers", "optimise": "geometry", "wavefunction": "wavefunction", "fields": "fields"}
    for place, stage in enumerate(MOLECULE_STAGES):
        boxes.append(
            Box(names[stage], (f"{count.get((stage, 'sound'), 0)} molecules",), "stage", 41.6 + 16.8 * place, TOP)
        )
    made = {part: count["dataset", part] for part in ("shards", "samples")}
    trained = {part: count["train", part] for part in ("networks", "models")}
    tested = {part: count["evaluate", part] for part in ("models", "baselines")}
    below = [
        Box("shards", (f"{made['shards']} files", f"{made['samples']} samples"), "voxels", 91.0, BOTTOM),
        Box("networks", (f"{trained['networks']} trained", f"{trained['models']} models"), "network", 70.0, BOTTOM),
        Box("evaluation", (f"{tested['models']} models, of them", f"{tested['baselines']} baselines"), "result", 49.0,
            BOTTOM),
        Box("explanation", ("kernels, attribution,", "figures, report"), "result", 28.0, BOTTOM),
    ]  # fmt: skip
    for box in (*boxes, *below):
        _box(axes, box)
    for first, second in pairwise(boxes):
        _arrow(axes, (first.x + 7, TOP), (second.x - 7, TOP))
    for first, second in pairwise(below):
        _arrow(axes, (first.x - 8, BOTTOM), (second.x + 8, BOTTOM))
    _arrow(axes, (91, 15.7), (91, BOTTOM + 4.4))
    _store(axes, table)
    for place in range(len(MOLECULE_STAGES)):
        _arrow(axes, (41.6 + 16.8 * place, TOP - 4.2), (41.6 + 16.8 * place, 29.4), both=True)
    _others(axes, table)
    return figure


def _box(axes: Axes, box: Box) -> None:
    wide, tall = (14.0, 8.0) if box.y > HEIGHT / 2 else (16.0, 8.4)
    axes.add_patch(
        FancyBboxPatch(
            (box.x - wide / 2, box.y - tall / 2), wide, tall, boxstyle="round,pad=0,rounding_size=1",
            facecolor=LOOK[box.kind], alpha=0.35, edgecolor=BLACK, linewidth=0.6,
        )
    )  # fmt: skip
    top = box.y + 1.1 + 0.7 * (len(box.lines) - 1)
    axes.text(box.x, top, box.name, fontsize=7, fontweight="bold", ha="center", va="center", color=BLACK)
    axes.text(box.x, top - 1.6, "\n".join(box.lines), fontsize=6.2, ha="center", va="top", color=BLACK)


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], both: bool = False) -> None:
    axes.add_patch(
        FancyArrowPatch(
            start, end, arrowstyle="<|-|>" if both else "-|>", mutation_scale=6, color=BLACK, linewidth=0.7,
            shrinkA=0, shrinkB=0,
        )
    )  # fmt: skip


def _store(axes: Axes, table: pd.DataFrame) -> None:
    """Draw the store as a drum, with records and bytes under each stage."""
    left, right, low, high = 33.5, 99.0, 17.0, 28.0
    look = {"facecolor": "#EAF2F8", "edgecolor": BLUE, "linewidth": 0.7}
    middle, wide = (left + right) / 2, right - left
    axes.add_patch(Ellipse((middle, low), wide, 2.4, **look))  # type: ignore[arg-type]
    axes.add_patch(Rectangle((left, low), wide, high - low, facecolor="#EAF2F8", edgecolor="none"))
    axes.plot([left, left], [low, high], color=BLUE, linewidth=0.7)
    axes.plot([right, right], [low, high], color=BLUE, linewidth=0.7)
    axes.add_patch(Ellipse((middle, high), wide, 2.4, **look))  # type: ignore[arg-type]
    records = table[table["what"] == "records"]
    for place, row in enumerate(records.to_dict("records")):
        text = f"{int(row['count'])} records\n{row['megabytes']:.3g} MB"
        axes.text(41.6 + 16.8 * place, 25.6, text, fontsize=6.2, ha="center", va="top", color=BLACK)
    axes.text(middle, 19.2, "the store: a record is named by the hash of what made it, computed once, used by all",
              fontsize=6.2, ha="center", va="center", color=BLUE)  # fmt: skip


def _others(axes: Axes, table: pd.DataFrame) -> None:
    """Draw what other studies and other groups have to do with the store."""
    shared = int(table["shared"].fillna(0).sum())
    axes.add_patch(
        FancyBboxPatch((1, 16.2), 25.5, 12.6, boxstyle="round,pad=0,rounding_size=1", facecolor="white",
                       edgecolor=GREY, linewidth=0.6, linestyle="--")
    )  # fmt: skip
    axes.text(13.75, 26.6, "other studies and groups", fontsize=7, fontweight="bold", ha="center", va="center")
    lines = (f"{shared} of these records are used by\nother studies in this folder, too;\n"
             "records travel by bundle and merge,\nnetworks as packages")  # fmt: skip
    axes.text(13.75, 24.9, lines, fontsize=6.2, ha="center", va="top", color=BLACK, linespacing=1.3)
    _arrow(axes, (26.7, 22.5), (33.3, 22.5), both=True)


def build(study: Study, sources: Sources) -> Drawing:
    """Draw the data flow of the study."""
    table = tabulate(study, sources)
    return Drawing(draw(table, study.figures), table)
