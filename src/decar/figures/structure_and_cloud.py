"""One molecule twice: as structural formula, and as electron cloud (an iso-surface of its density, to scale)."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rdkit.Chem import GetPeriodicTable

from decar.config import FiguresSettings, Study
from decar.figures.example import (
    FIELD,
    MARGIN,
    OVERSAMPLING,
    Cloud,
    draw_missing,
    example_row,
    read_cloud,
    show_image,
)
from decar.figures.render import Mesh, compose, rasterise, shrink, window_of
from decar.figures.save import Drawing
from decar.figures.scene import element_colour, enclosed_volume, isosurface, molecule_mesh, turned, viewing_axes
from decar.figures.sources import Sources, read_columns
from decar.figures.structure import draw_structure
from decar.figures.style import BLACK, GREY, PAGE, SKY, new_figure, panel_letter

PIXELS = 80.0  # pixels per angstrom of the image


def draw(cloud: Cloud, settings: FiguresSettings) -> Figure:
    """Draw the structural formula (a) and the iso-surface of the density at `settings.isovalue` (b)."""
    figure = new_figure(PAGE, PAGE * 0.47)
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.25))
    draw_structure(left, cloud.smiles, 240, 200, 34.0, line=0.75)
    left.set_anchor("N")
    left.set_title(cloud.name)
    panel_letter(left, "a")
    skin = isosurface(cloud.density, cloud.origin, cloud.spacing, settings.isovalue, SKY)
    _draw_cloud(right, cloud, skin)
    right.set_title(f"electron cloud, ρ = {settings.isovalue:g} e/bohr³")
    panel_letter(right, "b")
    return figure


def _draw_cloud(axes: Axes, cloud: Cloud, skin: Mesh) -> None:
    rotation = viewing_axes(cloud.positions)
    centre = cloud.positions.mean(axis=0)
    solid = turned(molecule_mesh(cloud.atomic_numbers, cloud.positions, cloud.bonds), rotation, centre)
    skin = turned(skin, rotation, centre)
    window = window_of([skin, solid], MARGIN, PIXELS * OVERSAMPLING)
    image = shrink(compose(rasterise(solid, window), rasterise(skin, window)), OVERSAMPLING)
    show_image(axes, image, window)
    axes.set_ylabel("y′ / Å")
    _label_elements(axes, cloud)


def _label_elements(axes: Axes, cloud: Cloud) -> None:
    """Name the elements by their colours, in a line below the axes."""
    for number in sorted({int(number) for number in cloud.atomic_numbers}):
        axes.plot(
            [], [], "o", color=element_colour(number), markeredgecolor=GREY, markeredgewidth=0.5,
            label=GetPeriodicTable().GetElementSymbol(number),
        )  # fmt: skip
    axes.legend(loc="upper right", ncols=4, handletextpad=0.1, columnspacing=0.9, borderaxespad=0.2, labelcolor=BLACK)


def table(cloud: Cloud, settings: FiguresSettings) -> pd.DataFrame:
    """Return the atoms (element, x, y, z), the bonds, and the size of the surface, one row each."""
    symbol = GetPeriodicTable().GetElementSymbol
    skin = isosurface(cloud.density, cloud.origin, cloud.spacing, settings.isovalue, SKY)
    rows: list[dict[str, object]] = [
        {"what": "atom", "label": f"{symbol(int(number))}{i + 1}", "x_angstrom": x, "y_angstrom": y, "z_angstrom": z}
        for i, (number, (x, y, z)) in enumerate(zip(cloud.atomic_numbers, cloud.positions))
    ]
    rows += [{"what": "bond", "label": f"{a + 1}-{b + 1}"} for a, b in cloud.bonds]
    inside = cloud.density >= settings.isovalue
    rows += [
        {"what": "isovalue_e_per_bohr3", "value": settings.isovalue},
        {"what": "spacing_angstrom", "value": cloud.spacing},
        {"what": "voxels_inside", "value": int(inside.sum())},
        {"what": "enclosed_volume_angstrom3", "value": enclosed_volume(skin)},
        {"what": "triangles", "value": len(skin.triangles)},
    ]
    columns = ["what", "label", "x_angstrom", "y_angstrom", "z_angstrom", "value"]
    return pd.DataFrame(rows, columns=columns)


def build(study: Study, sources: Sources) -> Drawing:
    """Draw the study's example."""
    cloud = read_cloud(study, sources)
    if cloud is None:
        failures = read_columns(sources.dataset / "failures.csv", ["id", "reason"])
        reasons = failures.loc[failures["id"].astype(str) == study.figures.example, "reason"]
        reason = str(reasons.iloc[0]) if len(reasons) else f"{FIELD} is not in fields.names"
        figure = draw_missing(example_row(study, sources), reason)
        return Drawing(figure, pd.DataFrame([{"what": "failed", "label": reason}]))
    return Drawing(draw(cloud, study.figures), table(cloud, study.figures))
