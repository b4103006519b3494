"""All molecules on a page: structure, name, label, and the figures a chemist checks first."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from decar.config import FiguresSettings, Study
from decar.figures.molecule_table import QUALITY, label_text, model_columns, molecule_table
from decar.figures.save import Drawing
from decar.figures.sources import Sources
from decar.figures.structure import draw_structure
from decar.figures.style import BLACK, GREY, PAGE, new_figure, readable, shortened

COLUMNS, MOST = 5, 60
COLUMNS_OF_TABLE = ["row", "id", "name", "smiles", "label", "status", "stage", "reason", *QUALITY]


def draw(table: pd.DataFrame, settings: FiguresSettings) -> Figure:
    """Draw a cell a molecule with a structure, at most 60; `table` has `label_text`, QUALITY and `p:<model>`."""
    molecules = table[table["smiles"].notna() & (table["status"] != "duplicate")]
    shown = molecules.head(MOST).to_dict("records")
    rows = max(1, -(-len(shown) // COLUMNS))
    figure = new_figure(PAGE, 1.27 * rows + 0.3)
    grid = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    models = model_columns(table)[:1]
    for axes in grid:
        axes.set_axis_off()
    for axes, row in zip(grid, shown):
        _cell(axes, {str(name): value for name, value in row.items()}, models, settings)
    note = "E: energy [hartree]; gap: lowest unoccupied − highest occupied orbital [eV]; μ: dipole moment [debye]"
    if models:
        note += f"; p: {readable(models[0].removeprefix('p:'))}, probability of “{settings.positive_name}” when tested"
    if len(molecules) > len(shown):
        note += f"\n{len(shown)} of {len(molecules)} molecules are drawn; the report lists all of them"
    figure.supxlabel(note, fontsize=6, color=GREY)
    return figure


def _cell(axes: Axes, row: dict[str, object], models: list[str], settings: FiguresSettings) -> None:
    draw_structure(axes, str(row["smiles"]), 220, 128, 22.0, line=0.5)
    colours = {settings.positive_name: settings.positive_colour, settings.negative_name: settings.negative_colour}
    colour = colours.get(str(row["label_text"]), GREY)
    axes.set_ylim(192, 0)
    axes.set_xlim(0, 220)
    axes.add_patch(Rectangle((0, 133), 220, 1.6, color=colour, linewidth=0))
    name = str(row["name"]) if isinstance(row["name"], str) and row["name"] else str(row["id"])
    left: dict[str, Any] = {"ha": "left", "va": "center", "fontsize": 6.0}
    right = {**left, "ha": "right"}
    axes.text(0, 145, shortened(name, 24 - len(str(row["label_text"]))), fontweight="bold", color=BLACK, **left)
    axes.text(220, 145, str(row["label_text"]), color=colour, **right)
    if row["status"] != "ok":
        axes.text(0, 163, f"{row['status']}: {readable(str(row['reason'] or ''))}", color=GREY, **left)
        return
    axes.text(0, 163, f"E {_number(row['energy_hartree'], '.4f')}", color=BLACK, **left)
    axes.text(220, 163, f"μ {_number(row['dipole_debye'], '.2f')} D", color=BLACK, **right)
    axes.text(0, 181, f"gap {_number(row['gap_ev'], '.2f')} eV", color=BLACK, **left)
    if models:
        axes.text(220, 181, f"p {_number(row[models[0]], '.2f')}", color=BLACK, **right)


def _number(value: object, form: str) -> str:
    return "–" if value is None or pd.isna(value) else format(value, form).replace("-", "−")  # type: ignore[call-overload]


def build(study: Study, sources: Sources) -> Drawing:
    """Draw the molecules of the study."""
    table = molecule_table(study, sources)
    table["label_text"] = [label_text(study, value) for value in table["label"]]
    columns = [*COLUMNS_OF_TABLE, *model_columns(table)]
    return Drawing(draw(table, study.figures), table[columns])
