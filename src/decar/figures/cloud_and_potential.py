"""The example's electron cloud at several iso-values, and the electrostatic potential on its outer surface."""

from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, to_rgb
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from decar.config import FiguresSettings, Study
from decar.fields.grid import VoxelGrid
from decar.fields.registry import evaluate_fields
from decar.figures.example import (
    MARGIN,
    OVERSAMPLING,
    Cloud,
    draw_missing,
    example_row,
    read_cloud,
    show_image,
)
from decar.figures.render import Floats, Mesh, compose, rasterise, shrink, window_of
from decar.figures.save import Drawing
from decar.figures.scene import enclosed_volume, isosurface, molecule_mesh, turned, viewing_axes
from decar.figures.sources import Sources, noted_record
from decar.figures.style import DIVERGING, PAGE, SKY, new_figure, panel_letter, shortened
from decar.quantum.wavefunction import Wavefunction
from decar.units import BOHR_PER_ANGSTROM

PIXELS = 45.0  # pixels per angstrom of an image
ISOVALUES = (0.2, 0.02)  # beside that of the settings [e/bohr^3]: bonds, and the core of the molecule
POTENTIAL = "electrostatic_potential"
SPACING_ANGSTROM, EDGE_ANGSTROM = 0.2, 0.6  # of the grid on which the potential is computed


def potential_on(wavefunction: Wavefunction, points: Floats) -> Floats:
    """Return the potential [hartree/e] at points (n, 3) [angstrom], interpolated on a grid of its own around them.

    At 0.2 angstrom the error on the surface of 0.002 e/bohr^3 of D-glucose is at most 0.001 hartree/e.
    """
    low, high = points.min(axis=0) - EDGE_ANGSTROM, points.max(axis=0) + EDGE_ANGSTROM
    nx, ny, nz = (int(length) for length in np.ceil((high - low) / SPACING_ANGSTROM) + 1)
    x, y, z = (float(start) for start in low * BOHR_PER_ANGSTROM)
    grid = VoxelGrid((x, y, z), SPACING_ANGSTROM * BOHR_PER_ANGSTROM, (nx, ny, nz))
    values = evaluate_fields([POTENTIAL], wavefunction, grid)[POTENTIAL][0].numpy()
    return np.asarray(map_coordinates(values, ((points - low) / SPACING_ANGSTROM).T, order=3), dtype=np.float64)


def draw(cloud: Cloud, skins: dict[float, Mesh], potential: NDArray[np.float64], settings: FiguresSettings) -> Figure:
    """Draw a panel an iso-value (a, b, c) and the potential on the surface of the settings' iso-value (last).

    Every panel shows what the outermost surface fills; atoms and surfaces are rasterised once each.
    """
    figure = new_figure(PAGE, PAGE * 0.33)
    panels = figure.subplots(1, len(skins) + 1)
    rotation, centre = viewing_axes(cloud.positions), cloud.positions.mean(axis=0)
    seen = {isovalue: turned(skin, rotation, centre) for isovalue, skin in skins.items()}
    window = window_of(list(seen.values()), MARGIN, PIXELS * OVERSAMPLING)
    atoms = turned(molecule_mesh(cloud.atomic_numbers, cloud.positions, cloud.bonds), rotation, centre)
    limit = float(np.quantile(np.abs(potential), 0.98))
    colours = mpl.colormaps[DIVERGING]((np.clip(potential / limit, -1, 1) + 1) / 2)[:, :3]
    outer = seen[settings.isovalue]
    seen[settings.isovalue] = Mesh(outer.vertices, outer.normals, np.asarray(colours, np.float64), outer.triangles)
    solid, layers = rasterise(atoms, window), {isovalue: rasterise(skin, window) for isovalue, skin in seen.items()}
    painted = layers[settings.isovalue]
    layers[settings.isovalue] = replace(painted, colours=np.broadcast_to(to_rgb(SKY), painted.colours.shape))
    for axes, (isovalue, layer), letter in zip(panels, layers.items(), "abcde"):
        show_image(axes, shrink(compose(solid, layer), OVERSAMPLING), window)
        axes.set_title(f"ρ = {isovalue:g} e/bohr³", fontsize=7)
        panel_letter(axes, letter)
    show_image(panels[-1], shrink(compose(solid, painted, opacity=0.8, rim=0.2), OVERSAMPLING), window)
    panels[-1].set_title(f"potential at ρ = {settings.isovalue:g}", fontsize=7)
    panel_letter(panels[-1], "abcde"[len(skins)])
    panels[0].set_ylabel("y′ / Å")
    bar = figure.colorbar(
        ScalarMappable(Normalize(-limit, limit), DIVERGING), ax=list(panels), orientation="horizontal", fraction=0.06,
        aspect=45, pad=0.03, extend="both",
    )  # fmt: skip
    name = shortened(cloud.name, 45)
    bar.set_label(f"electrostatic potential on the surface of {name}, last panel / (hartree/e)")
    bar.outline.set_linewidth(0.4)
    return figure


def build(study: Study, sources: Sources) -> Drawing:
    """Draw the study's example, or say why it cannot be drawn."""
    cloud = read_cloud(study, sources)
    if cloud is None or sources.example_wavefunction is None:
        reason = "the molecule failed, or its density is not computed"
        return Drawing(draw_missing(example_row(study, sources), reason), pd.DataFrame([{"what": "failed"}]))
    settings = study.figures
    values = sorted({*ISOVALUES, settings.isovalue}, reverse=True)
    skins = {value: isosurface(cloud.density, cloud.origin, cloud.spacing, value, SKY) for value in values}
    record = noted_record(sources.example_wavefunction)
    wavefunction = Wavefunction.from_record(record.arrays, record.metadata["conformers"][0], "0/")
    potential = potential_on(wavefunction, skins[settings.isovalue].vertices)
    rows: list[dict[str, object]] = [
        {"what": "enclosed_volume_angstrom3", "isovalue_e_per_bohr3": value, "value": enclosed_volume(skin)}
        for value, skin in skins.items()
    ]
    rows += [
        {"what": f"potential_quantile_{share:g}_hartree_per_e", "isovalue_e_per_bohr3": settings.isovalue,
         "value": float(np.quantile(potential, share))}
        for share in (0, 0.02, 0.25, 0.5, 0.75, 0.98, 1)
    ]  # fmt: skip
    return Drawing(draw(cloud, skins, potential, settings), pd.DataFrame(rows))
