"""Structural formulas: well-formed, whole, and telling stereoisomers apart."""

import re
from xml.etree import ElementTree as ET

import pytest
from matplotlib.figure import Figure

from decar.errors import InputMoleculeError
from decar.figures.structure import draw_structure, structure_svg


def test_svg_is_one_well_formed_element_without_outside_references() -> None:
    text = structure_svg("OC[C@H]1OC(O)[C@H](O)[C@@H](O)[C@@H]1O", 200, 140)
    root = ET.fromstring(text)
    assert root.tag.endswith("svg")
    assert root.get("viewBox") == "0 0 200 140"
    assert "href" not in text
    assert len(text) < 8000


def test_all_strokes_lie_inside_the_picture() -> None:
    for smiles in ("CCCCCCCCCCCCCCCCCCCC", "Cn1cnc2c1c(=O)n(C)c(=O)n2C", "O"):
        text = structure_svg(smiles, 200, 140)
        data = "".join(re.findall(r' d="([^"]*)"', text))
        numbers = [float(value) for value in re.findall(r"-?\d+(?:\.\d+)?", data)]
        assert min(numbers) >= 0
        assert max(numbers[0::2]) <= 200
        assert max(numbers[1::2]) <= 140


def test_enantiomers_are_drawn_differently() -> None:
    assert structure_svg("C[C@H](N)C(=O)O") != structure_svg("C[C@@H](N)C(=O)O")


def test_the_same_structure_gives_the_same_drawing() -> None:
    assert structure_svg("OCC") == structure_svg("OCC")


def test_vector_paths_of_matplotlib_are_those_of_the_svg() -> None:
    figure = Figure()
    axes = figure.subplots()
    draw_structure(axes, "c1ccccc1C(=O)O")
    assert len(axes.patches) == structure_svg("c1ccccc1C(=O)O").count("<path")
    assert axes.get_ylim() == (160, 0)


def test_unreadable_smiles_is_refused() -> None:
    with pytest.raises(InputMoleculeError, match="C1CC"):
        structure_svg("C1CC")
