"""Every figure can be printed: of a journal's width, in letters that can be read, with units, and nothing cut."""

import re
from collections.abc import Iterator
from itertools import pairwise

import matplotlib.text
import pytest
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from decar.figures.catalogue import CATALOGUE, entry
from decar.figures.style import COLUMN, PAGE, style
from tests.figures.conftest import Drawn

SMALLEST = 6.0  # points, at the width of print
# A label that names one of these has to give its unit.
QUANTITIES = {
    "time": "s|h", "distance": "Å", "density": "(e|hartree)/bohr", "potential": "hartree/e", "loss": "nat",
    "energy": "hartree|eV|kJ/mol", "gradients": "logit|kJ/mol",
    "logit": "logit", "surface": r"hartree/e|logit/Å³|\(kJ/mol\)/Å³", "error": "kJ/mol|nat", "RMSE": "kJ/mol",
    "x′": "Å", "y′": "Å", "records": "MB",
}  # fmt: skip


# Nothing in these depends on the property.
OF_MOLECULES = ("structure_and_cloud", "cloud_and_potential", "field_gallery", "data_flow", "pipeline", "campaign")
FIGURES = [(name, kind) for name, about in CATALOGUE.items() for kind in about.kinds
           if kind == "binary" or name not in OF_MOLECULES]  # fmt: skip


@pytest.fixture(scope="module", params=FIGURES, ids="-".join)
def figure(request: pytest.FixtureRequest) -> Figure:
    name, kind = request.param
    drawn: Drawn = request.getfixturevalue("drawn" if kind == "binary" else "drawn_values")
    with style():
        found = entry(name, drawn.study).load()(drawn.study, drawn.sources).figure
        FigureCanvasAgg(found).draw()
    return found


def texts(figure: Figure) -> list[matplotlib.text.Text]:
    """Return what is written: no tick beyond the limits of its axis, nothing of an axis that is switched off."""
    unseen = {id(text) for axes in figure.axes for axis in (axes.xaxis, axes.yaxis) for text in labels_of(axis)}
    seen = {id(text) for axes in figure.axes if axes.axison for axis in (axes.xaxis, axes.yaxis)
            for text in ticks(axis)}  # fmt: skip
    found = figure.findobj(matplotlib.text.Text)
    return [text for text in found if text.get_visible() and text.get_text().strip()
            and (id(text) in seen or id(text) not in unseen)]  # fmt: skip


def labels_of(axis: Axis) -> Iterator[matplotlib.text.Text]:
    for tick in (*axis.majorTicks, *axis.minorTicks):
        yield from (tick.label1, tick.label2)


def ticks(axis: Axis) -> list[matplotlib.text.Text]:
    """Return the labels of the ticks that are drawn."""
    low, high = sorted(axis.get_view_interval())
    margin = 1e-6 * (high - low)
    return [tick.label1 for tick in axis.get_major_ticks() + axis.get_minor_ticks()
            if low - margin <= tick.get_loc() <= high + margin
            and tick.label1.get_visible() and tick.label1.get_text().strip()]  # fmt: skip


def box(text: matplotlib.text.Text) -> Bbox:
    return text.get_window_extent()


def test_the_width_is_that_of_a_column_or_a_page(figure: Figure) -> None:
    assert figure.get_size_inches()[0] in (pytest.approx(COLUMN), pytest.approx(PAGE))


def test_no_letter_is_too_small_and_none_is_cut(figure: Figure) -> None:
    width, height = figure.get_size_inches() * figure.dpi
    for text in texts(figure):
        assert text.get_fontsize() >= SMALLEST, text.get_text()
        place = box(text)
        inside = min(place.x0, place.y0) > -1 and place.x1 < width + 1 and place.y1 < height + 1
        assert inside, (text.get_text(), place)


def test_labels_of_ticks_do_not_overlap(figure: Figure) -> None:
    for axes in (axes for axes in figure.axes if axes.axison):
        for axis in (axes.xaxis, axes.yaxis):
            places = sorted((box(text) for text in ticks(axis)), key=lambda place: (place.x0, place.y0))
            for first, second in pairwise(places):
                assert not first.padded(-0.5).overlaps(second.padded(-0.5)), (axes.get_title(loc="left"), axis)


def test_no_legend_hides_a_line_or_a_point(figure: Figure) -> None:
    for axes in figure.axes:
        legend = axes.get_legend()
        if legend is None:
            continue
        place = legend.get_window_extent()
        for line in axes.lines:
            path = line.get_transform().transform_path(line.get_path())
            if line.get_linestyle() != "None":
                assert not path.intersects_bbox(place, filled=False), (axes.get_title(loc="left"), line.get_label())
            assert not any(place.contains(*point) for point in path.vertices), axes.get_title(loc="left")


def named(axes: Axes, axis: Axis) -> str:
    """Return what says what an axis is of: its label, that of a neighbour, of the figure, or the title of its panel.

    A colour bar without a label is under the panel whose colours it explains.
    """
    figure, name = axes.get_figure(), axis.axis_name
    own = axis.get_label_text()
    shared = getattr(axes, f"get_shared_{name}_axes")().get_siblings(axes)
    others = [getattr(other, f"{name}axis").get_label_text() for other in shared]
    row = [getattr(other, f"{name}axis").get_label_text() for other in figure.axes
           if other.get_subplotspec() and axes.get_subplotspec()
           and (name == "y") and other.get_subplotspec().rowspan == axes.get_subplotspec().rowspan]  # fmt: skip
    whole = figure.get_supxlabel() if name == "x" else figure.get_supylabel()
    bar = getattr(axes, "_colorbar", None)
    panel = getattr(bar.mappable, "axes", axes) if bar else axes
    title = panel.get_title(loc="left") or panel.get_title()
    return next((text for text in (own, *others, whole, *row, title) if text), "")


def is_number(text: str) -> bool:
    return re.fullmatch(r"[−+\d.,\s]+|\$.*\$", text) is not None


def test_every_axis_of_numbers_says_of_what_and_in_which_unit(figure: Figure) -> None:
    for axes in (axes for axes in figure.axes if axes.axison):
        for axis in (axes.xaxis, axes.yaxis):
            if any(is_number(text.get_text()) for text in ticks(axis)):
                label = named(axes, axis)
                assert label, f"an axis without a label: {[text.get_text() for text in ticks(axis)]}"
                for quantity, unit in QUANTITIES.items():
                    if re.search(rf"\b{quantity}\b", label):
                        assert re.search(rf"(/ ?\(?|\[)({unit}|no unit)", label), f"no unit: {label}"
