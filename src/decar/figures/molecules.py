"""All molecules on a page: structure, name, label, and the figures a chemist checks first."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from decar.config import FiguresSettings, Study
from decar.figures.classes import colour_of
from decar.figures.molecule_table import QUALITY, label_text, model_columns, molecule_table
from decar.figures.quantities import bracketed, places_of, written
from decar.figures.save import Drawing
from decar.figures.sources import Sources
from decar.figures.structure import draw_structure
from decar.figures.style import BLACK, GREY, PAGE, new_figure, readable, wrapped
from decar.predictions import kind_of, unit_of

COLUMNS, MOST = 5, 60
COLUMNS_OF_TABLE = ["row", "id", "name", "smiles", "label", "status", "stage", "reason", *QUALITY]


def draw(table: pd.DataFrame, settings: FiguresSettings, predicted: str, places: int) -> Figure:
    """Draw a cell a molecule with a structure, at most 60; `table` has `label_text`, `class`, QUALITY and `p:<model>`.

    `predicted` says what p is, which is written with so many decimal places.
    """
    molecules = table[table["smiles"].notna() & (table["status"] != "duplicate")]
    shown = molecules.head(MOST).to_dict("records")
    rows = max(1, -(-len(shown) // COLUMNS))
    names = [wrapped(_name(row), 27) for row in shown]
    most = max((name.count("\n") for name in names), default=0)
    height = 212 + 17 * most
    figure = new_figure(PAGE, height / 220 * PAGE / COLUMNS * rows + 0.35)
    grid = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    models = model_columns(table)[:1]
    for axes in grid:
        axes.set_axis_off()
    for place, (axes, row, name) in enumerate(zip(grid, shown, names)):
        first = place - place % COLUMNS
        lines = 1 + max(other.count("\n") for other in names[first : first + COLUMNS])
        _cell(axes, {str(key): value for key, value in row.items()}, name, lines, (models, places), settings)
        axes.set_ylim(height, 0)
    note = "E: energy [hartree]; gap: lowest unoccupied − highest occupied orbital [eV]; μ: dipole moment [debye]"
    if models:
        note += f"; p: {readable(models[0].removeprefix('p:'))}, {predicted} when tested"
    if len(molecules) > len(shown):
        note += f"\n{len(shown)} of {len(molecules)} molecules are drawn; the report lists all of them"
    figure.supxlabel(note, fontsize=6, color=GREY)
    return figure


def _name(row: dict[Any, Any]) -> str:
    return row["name"] if isinstance(row["name"], str) and row["name"] else str(row["id"])


def _cell(
    axes: Axes, row: dict[str, object], name: str, lines: int, predicted: tuple[list[str], int],
    settings: FiguresSettings,
) -> None:  # fmt: skip
    """Draw a molecule; its name has room for so many lines, `predicted` are columns and their decimal places."""
    draw_structure(axes, str(row["smiles"]), 220, 128, 22.0, line=0.5)
    colour = colour_of(str(row["class"]), settings)
    base = 129 + 17 * lines  # the middle of the name's last line
    axes.set_xlim(0, 220)
    axes.add_patch(Rectangle((0, 133), 220, 1.6, color=colour, linewidth=0))
    left: dict[str, Any] = {"ha": "left", "va": "center", "fontsize": 6.0}
    right = {**left, "ha": "right"}
    axes.text(0, 139, name, fontweight="bold", color=BLACK, **{**left, "va": "top"}, linespacing=1.15)
    axes.text(0, base + 21, str(row["label_text"]), color=colour, **left)
    if row["status"] != "ok":
        axes.text(0, base + 39, f"{row['status']}: {readable(str(row['reason'] or ''))}", color=GREY, **left)
        return
    axes.text(0, base + 39, f"E {_number(row['energy_hartree'], '.4f')}", color=BLACK, **left)
    axes.text(220, base + 39, f"μ {_number(row['dipole_debye'], '.2f')} D", color=BLACK, **right)
    axes.text(0, base + 57, f"gap {_number(row['gap_ev'], '.2f')} eV", color=BLACK, **left)
    models, places = predicted
    if models:
        value = row[models[0]]
        text = "–" if pd.isna(value) else written(float(str(value)), places)  # type: ignore[call-overload]
        axes.text(220, base + 21, f"p {text}", color=BLACK, **right)


def _number(value: object, form: str) -> str:
    return "–" if value is None or pd.isna(value) else format(value, form).replace("-", "−")  # type: ignore[call-overload]


def build(study: Study, sources: Sources) -> Drawing:
    """Draw the molecules of the study."""
    table = molecule_table(study, sources)
    table["label_text"] = [label_text(study, value) for value in table["label"]]
    columns = [*COLUMNS_OF_TABLE, *model_columns(table)]
    is_binary = kind_of(study) == "binary"
    predicted = f"probability of “{study.figures.positive_name}”" if is_binary else bracketed("value", unit_of(study))
    return Drawing(draw(table, study.figures, predicted, places_of(study, table["label"])), table[columns])
