"""The structural formula, drawn by RDKit: as SVG text for pages, as vector paths for matplotlib."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree as ET

from matplotlib.axes import Axes
from matplotlib.patches import PathPatch
from matplotlib.path import Path as Outline
from rdkit import Chem
from rdkit.Chem import rdDepictor
from rdkit.Chem.Draw import rdMolDraw2D

from decar.errors import InputMoleculeError

_TOKEN = re.compile(r"[MLQCZ]|-?\d+(?:\.\d+)?")
_CODES = {
    "M": [int(Outline.MOVETO)],
    "L": [int(Outline.LINETO)],
    "Q": [int(Outline.CURVE3)] * 2,
    "C": [int(Outline.CURVE4)] * 3,
}


def structure_svg(smiles: str, width: int = 220, height: int = 160, bond_length: float = 26.0) -> str:
    """Return the structural formula as an `<svg>` element with a transparent background, no XML header.

    Wedges show the stereocentres; bonds are at most `bond_length` pixels long, so that a row of formulas has one scale.
    Raises InputMoleculeError for an unreadable SMILES.
    """
    return _compact(_drawn(smiles, width, height, bond_length)[0].GetDrawingText(), width, height)


def atom_places(smiles: str, width: int, height: int, bond_length: float) -> list[tuple[float, float]]:
    """Return where `structure_svg` draws each heavy atom (x to the right, y down, in pixels), in the SMILES' order."""
    drawer, molecule = _drawn(smiles, width, height, bond_length)
    points = [drawer.GetDrawCoords(atom.GetIdx()) for atom in molecule.GetAtoms()]
    return [(float(point.x), float(point.y)) for point in points]


def _drawn(smiles: str, width: int, height: int, bond_length: float) -> tuple[Any, Chem.Mol]:
    """Return RDKit's finished drawer and the molecule that it drew."""
    molecule = Chem.MolFromSmiles(smiles)
    if molecule is None:
        raise InputMoleculeError("the SMILES cannot be read", reason="invalid_smiles", seen=smiles)
    rdDepictor.SetPreferCoordGen(False)
    rdDepictor.Compute2DCoords(molecule)
    rdDepictor.StraightenDepiction(molecule)
    drawer = rdMolDraw2D.MolDraw2DSVG(width, height)
    options: Any = drawer.drawOptions()
    options.clearBackground = False
    options.fixedBondLength = bond_length
    options.bondLineWidth = 1.4
    options.scaleBondWidth = False
    options.padding = 0.04
    options.useBWAtomPalette()
    rdMolDraw2D.PrepareAndDrawMolecule(drawer, molecule)
    drawer.FinishDrawing()
    return drawer, molecule


def _compact(text: str, width: int, height: int) -> str:
    """Return RDKit's SVG without header, classes and needless digits; neighbours of one style become one path."""
    merged: list[tuple[str, str]] = []
    for data, style in _paths(text):
        short = re.sub(r"-?\d+\.\d+", lambda match: f"{float(match.group()):.1f}".removesuffix(".0"), data)
        short = re.sub(r"\s*([MLQCZ])\s*", r"\1", short.strip())
        fill, stroke = style.get("fill", "none"), style.get("stroke", "none")
        look = f' fill="{fill}"'
        if stroke != "none":
            look += f' stroke="{stroke}" stroke-width="{style.get("stroke-width", "1").removesuffix("px")}"'
        if merged and merged[-1][1] == look:
            merged[-1] = (merged[-1][0] + short, look)
        else:
            merged.append((short, look))
    paths = "".join(f'<path d="{data}"{look}/>' for data, look in merged)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
        f"{paths}</svg>"
    )


def _paths(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    for element in ET.fromstring(text).iter():
        if not element.tag.endswith("path"):
            continue
        style = dict(item.split(":", 1) for item in element.get("style", "").split(";") if ":" in item)
        fill = element.get("fill")
        if fill:
            style.setdefault("fill", fill)
        yield element.get("d", ""), style


@dataclass(frozen=True)
class _Stroke:
    outline: Outline
    fill: str
    stroke: str
    width: float


def _strokes(svg: str) -> list[_Stroke]:
    """Return the paths of an SVG that holds M, L, Q, C and Z commands in absolute coordinates."""
    strokes = []
    for element in ET.fromstring(svg).iter():
        if not element.tag.endswith("path"):
            continue
        tokens = _TOKEN.findall(element.get("d", ""))
        vertices: list[tuple[float, float]] = []
        codes: list[int] = []
        command, place = "M", 0
        while place < len(tokens):
            if tokens[place] == "Z":
                vertices.append(vertices[-1])
                codes.append(int(Outline.CLOSEPOLY))
                place += 1
                continue
            if tokens[place] in _CODES:
                command, place = tokens[place], place + 1
            for code in _CODES[command]:
                vertices.append((float(tokens[place]), float(tokens[place + 1])))
                codes.append(code)
                place += 2
            command = "L" if command == "M" else command
        strokes.append(
            _Stroke(
                Outline(vertices, codes), element.get("fill", "none"), element.get("stroke", "none"),
                float(element.get("stroke-width", "0")),
            )
        )  # fmt: skip
    return strokes


def draw_structure(
    axes: Axes, smiles: str, width: int = 220, height: int = 160, bond_length: float = 26.0, line: float = 0.5
) -> None:
    """Draw the structural formula as vector paths that fill the axes; `line` scales the stroke widths to points."""
    strokes = _strokes(structure_svg(smiles, width, height, bond_length))
    for item in strokes:
        axes.add_patch(
            PathPatch(
                item.outline, facecolor=item.fill, edgecolor=item.stroke, linewidth=item.width * line,
                capstyle="round", joinstyle="round",
            )
        )  # fmt: skip
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    axes.set_aspect("equal")
    axes.set_axis_off()
