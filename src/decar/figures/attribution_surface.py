"""Where the first fold's network looks on the example: structural formula, and the electron cloud coloured by it."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.ndimage import gaussian_filter, map_coordinates

from decar.config import FiguresSettings, Study
from decar.figures.attribution_tables import heavy_atoms
from decar.figures.example import (
    MARGIN,
    OVERSAMPLING,
    Cloud,
    draw_missing,
    example_row,
    read_cloud,
    show_image,
)  # fmt: skip
from decar.figures.halo import diverging, draw_halos, halo_legend
from decar.figures.quantities import attribution_unit, bracketed, per_volume
from decar.figures.render import Floats, Mesh, compose, rasterise, shrink, window_of
from decar.figures.save import Drawing
from decar.figures.scene import isosurface, molecule_mesh, turned, viewing_axes
from decar.figures.sources import Sources, note
from decar.figures.style import PAGE, SKY, new_figure, panel_letter, wrapped
from decar.interpret.voxel_map import read_map
from decar.units import ANGSTROM_PER_BOHR

PIXELS = 45.0  # pixels per angstrom of the image: two panels share the page
SMOOTHING = 0.4  # standard deviation of the Gaussian over the map [angstrom]
METHOD = "integrated_gradients"


@dataclass(frozen=True)
class Map:
    """The example's attribution: per volume [logit/angstrom^3], smoothed, on its grid; and by heavy atom [logit].

    Of a regression its unit stands in place of the logit.
    """

    density: Floats  # (x, y, z)
    origin: Floats  # (3,) [angstrom]
    spacing: float  # [angstrom]
    atoms: list[float]


def smoothed_map(sources: Sources, key: str) -> Map | None:
    """Return the map of the example, None when the example was not looked at."""
    path = sources.attribution / "example.h5"
    note(path)
    stored = read_map(path) if path.exists() else None
    if stored is None or stored.key != key:
        return None
    origin = stored.origin_bohr * ANGSTROM_PER_BOHR
    spacing = stored.spacing_bohr * ANGSTROM_PER_BOHR
    table = heavy_atoms(sources, METHOD)
    atoms = table.loc[table["key"] == key].sort_values("atom")["attribution"]
    density = gaussian_filter(stored.values.astype(np.float64) / spacing**3, SMOOTHING / spacing)
    return Map(density, origin, spacing, [float(a) for a in atoms])


def values_at(found: Map, points: Floats) -> Floats:
    """Return the map at points (n, 3) [angstrom], by linear interpolation."""
    return np.asarray(map_coordinates(found.density, ((points - found.origin) / found.spacing).T, order=1))


def draw(cloud: Cloud, found: Map, settings: FiguresSettings, unit: str) -> tuple[Figure, Floats]:
    """Draw the formula (a) and the surface from the front (b) and from behind (c); return the values on the surface.

    `unit` is that of the attributions.
    """
    figure = new_figure(PAGE, PAGE * 0.42)
    panels = figure.subplots(1, 3, width_ratios=(0.9, 1.25, 1.25))
    limit = max(map(abs, found.atoms), default=0.0)
    draw_halos(panels[0], cloud.smiles, found.atoms, limit, settings, (240, 230), 36.0)
    panels[0].set_anchor("N")
    panels[0].set_title(wrapped(cloud.name, 24))
    panel_letter(panels[0], "a")
    skin = isosurface(cloud.density, cloud.origin, cloud.spacing, settings.isovalue, SKY)
    values = values_at(found, skin.vertices)
    largest = float(np.quantile(np.abs(values), 0.99)) or 1.0
    colours = diverging(settings)((np.clip(values / largest, -1, 1) + 1) / 2)[:, :3]
    skin = Mesh(skin.vertices, skin.normals, np.asarray(colours, dtype=np.float64), skin.triangles)
    front = viewing_axes(cloud.positions)
    behind = np.diag([-1.0, 1.0, -1.0]) @ front  # half a turn about the vertical
    for axes, rotation, letter, title in zip(panels[1:], (front, behind), "bc", ("front", "from behind")):
        _draw_surface(axes, cloud, skin, rotation)
        axes.set_title(f"ρ = {settings.isovalue:g} e/bohr³, {title}")
        panel_letter(axes, letter)
    halo_legend(figure, [panels[0]], limit, bracketed("by atom", unit), settings, aspect=18, intervals=4)
    halo_legend(figure, list(panels[1:]), largest, f"on the surface [{per_volume(unit)}]", settings, aspect=40)
    return figure, values


def _draw_surface(axes: Axes, cloud: Cloud, skin: Mesh, rotation: Floats) -> None:
    centre = cloud.positions.mean(axis=0)
    solid = turned(molecule_mesh(cloud.atomic_numbers, cloud.positions, cloud.bonds), rotation, centre)
    skin = turned(skin, rotation, centre)
    window = window_of([skin], MARGIN, PIXELS * OVERSAMPLING)
    image = compose(rasterise(solid, window), rasterise(skin, window), opacity=0.72, rim=0.28)
    show_image(axes, shrink(image, OVERSAMPLING), window)
    axes.set_ylabel("y′ / Å")


def build(study: Study, sources: Sources) -> Drawing:
    """Draw the attribution of the study's example, or say why there is none."""
    row, cloud = example_row(study, sources), read_cloud(study, sources)
    found = smoothed_map(sources, str(row["key"])) if cloud is not None else None
    if cloud is None or found is None:
        reason = "no attribution" if cloud is not None else "the molecule failed, or its density is not computed"
        return Drawing(draw_missing(row, reason), pd.DataFrame([{"what": "failed", "label": reason}]))
    unit = attribution_unit(study)
    figure, values = draw(cloud, found, study.figures, unit)
    rows = [{"what": "atom", "label": str(atom), "value": value} for atom, value in enumerate(found.atoms)]
    rows += [
        {
            "what": f"surface_quantile_{share:g}",
            "label": per_volume(unit).replace("Å³", "angstrom^3"),
            "value": float(np.quantile(values, share)),
        }
        for share in (0.01, 0.25, 0.5, 0.75, 0.99)
    ]
    rows.append({"what": "sum_over_box", "label": unit, "value": float(found.density.sum() * found.spacing**3)})
    return Drawing(figure, pd.DataFrame(rows))
