"""The figures of the explanation say what their tables say."""

from itertools import pairwise

import numpy as np
import pytest
from matplotlib.patches import Circle

from decar.figures import (
    attribution_agreement,
    attribution_molecules,
    attribution_surface,
    kernel_gallery,
    kernel_shapes,
)
from decar.figures.attribution_tables import heavy_atoms
from decar.figures.halo import draw_halos
from decar.figures.structure import atom_places, structure_svg
from decar.figures.style import new_figure
from tests.figures.conftest import Drawn
from tests.figures.study_on_disk import MOLECULES, key_of


def test_atoms_lie_where_the_formula_is_drawn() -> None:
    places = atom_places("CCO", 220, 160, 26.0)
    assert len(places) == 3
    lengths = [np.hypot(a[0] - b[0], a[1] - b[1]) for a, b in pairwise(places)]
    assert lengths == pytest.approx([1.5 * 26.0, 1.5 * 26.0], abs=0.1)  # a bond is 1.5 units of RDKit's scale
    x, y = places[0]
    assert f"M{x:.1f} {y:.1f}".replace(".0", "") in structure_svg("CCO").replace(",", " ")


def test_discs_carry_sign_and_size(drawn: Drawn) -> None:
    settings = drawn.study.figures
    axes = new_figure(2, 2).subplots()
    draw_halos(axes, "CCO", [0.5, -0.5, 0.0], 0.5, settings)
    discs = [patch for patch in axes.patches if isinstance(patch, Circle)]
    colours = ["#{:02X}{:02X}{:02X}".format(*(round(255 * c) for c in disc.get_facecolor()[:3])) for disc in discs]
    assert colours[:2] == [settings.positive_colour.upper(), settings.negative_colour.upper()]
    assert colours[2] == "#FFFFFF"
    assert discs[0].get_linestyle() != discs[1].get_linestyle()
    assert discs[2].get_linewidth() == 0


def test_an_atom_is_the_mean_over_folds_of_the_mean_over_rotations_with_its_hydrogens(drawn: Drawn) -> None:
    import pandas as pd

    table = attribution_molecules.tabulate(drawn.study, drawn.sources)
    assert table["key"].nunique() == 6
    atoms = pd.read_parquet(drawn.sources.attribution / "atoms.parquet")
    chosen = atoms[(atoms["key"] == key_of("glycine")) & (atoms["method"] == "integrated_gradients")]
    of_first = chosen[chosen["heavy_atom"] == 0].groupby(["network", "rotation"])["attribution"].sum()
    expected = ((of_first["fold 0", 0] + of_first["fold 0", 1]) / 2 + of_first["fold 1", 0]) / 2
    own = heavy_atoms(drawn.sources, "integrated_gradients")
    found = own[(own["key"] == key_of("glycine")) & (own["atom"] == 0)]["attribution"].item()
    assert found == pytest.approx(expected)
    smiles = next(smiles for name, _, smiles, _ in MOLECULES if name == "glycine")
    assert set(table.loc[table["key"] == key_of("glycine"), "smiles"]) == {smiles}


def test_controls_are_hollow(drawn: Drawn) -> None:
    table = attribution_agreement.read_columns(
        drawn.sources.attribution / "agreement.parquet", attribution_agreement.COLUMNS
    )
    figure = attribution_agreement.draw(table)
    diamonds = [line for line in figure.axes[0].lines if line.get_marker() == "D"]
    assert [line.get_markerfacecolor() for line in diamonds] == ["white", "white"]
    for line, kind in zip(diamonds, ("untrained", "permuted")):
        values = table[(table["kind"] == kind) & (table["method"] == "integrated_gradients")]["spearman"]
        assert line.get_xdata()[0] == pytest.approx(values.median())


def test_the_map_is_read_off_on_the_surface_where_it_lies(drawn: Drawn) -> None:
    found = attribution_surface.smoothed_map(drawn.sources, key_of("glucose"))
    assert found is not None
    voxel = np.array([5, 6, 7])
    value = attribution_surface.values_at(found, (found.origin + found.spacing * voxel)[None])
    assert value[0] == pytest.approx(found.density[tuple(voxel)])
    assert attribution_surface.smoothed_map(drawn.sources, "another molecule") is None


def test_shares_of_every_bar_sum_to_one_and_the_gallery_is_sorted(drawn: Drawn) -> None:
    _, shapes = kernel_shapes.tabulate(drawn.sources)
    np.testing.assert_allclose(shapes[kernel_shapes.SHARES].sum(axis=1), 1.0)
    table = kernel_gallery.tabulate(drawn.study, drawn.sources)
    figure = kernel_gallery.draw(table, drawn.study.figures)
    titles = [text.get_text() for axes in figure.axes for text in axes.texts if text.get_text().startswith("kernel")]
    # The six largest of eight, from the most positive down.
    assert titles == [f"kernel {number}" for number in (3, 5, 1, 2, 6, 7)]
