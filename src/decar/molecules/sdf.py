"""Read an SDF: structures, data items, and the geometries that come with them (doi 10.1021/ci00007a012).

Geometries are kilobytes a molecule, so that a large table never has all of them in memory: an entry says at which byte
of the file it begins, and `read_molblocks` reads it from there when it is needed.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from rdkit import Chem, rdBase

from decar.molecules.rdkit_log import complaint

# Stands in the place of a SMILES for an entry that cannot be read. It begins with a parenthesis, so that it is no
# valid SMILES whatever the message says, and the row becomes a failure like any other structure that cannot be read.
SDF_RAW = "(the SDF entry cannot be read: {message})"


@dataclass(frozen=True)
class SdfEntry:
    """One entry. `smiles` is None, and `message` says why, when the structure cannot be read."""

    title: str
    properties: dict[str, str]
    smiles: str | None
    molblock: str | None  # only with 3D coordinates of all atoms, hydrogens included
    message: str
    offset: int  # byte of the file at which the entry begins


def read_sdf(path: Path, report: Callable[[str], None] = lambda _: None) -> Iterator[SdfEntry]:
    """Yield the entries of an SDF; the text of one of them is in memory.

    A geometry without all its hydrogens cannot be used: `report` is told, and the entry counts as one without.
    """
    with path.open("rb") as file:
        for offset, lines in _entries(file):
            yield _entry(lines, offset, report)


def read_molblocks(path: Path, offsets: Iterable[int | None]) -> Iterator[str | None]:
    """Yield the mol blocks of the entries that begin at these bytes of an SDF; None for None."""
    with path.open("rb") as file:
        for offset in offsets:
            if offset is None:
                yield None
                continue
            file.seek(offset)
            _, lines = next(_entries(file), (offset, []))
            yield _molblock(lines)[0]


def _entries(file: BinaryIO) -> Iterator[tuple[int, list[str]]]:
    """Yield the place and the lines of each entry from here on."""
    start = place = file.tell()
    lines: list[bytes] = []
    for piece in file:
        for line in piece.splitlines(keepends=True):  # a carriage return alone ends a line, too
            place += len(line)
            if line.startswith(b"$$$$"):
                yield start, _decoded(lines)
                start, lines = place, []
            else:
                lines.append(line)
    if any(line.strip() for line in lines):
        yield start, _decoded(lines)


def _decoded(lines: list[bytes]) -> list[str]:
    data = b"".join(line.rstrip(b"\r\n") + b"\n" for line in lines)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    return text.split("\n")[:-1]


def _molblock(lines: list[str]) -> tuple[str, list[str]]:
    """Return the mol block of an entry, and the lines of its data items."""
    end = next((i + 1 for i, line in enumerate(lines) if line.startswith("M  END")), len(lines))
    return "\n".join(lines[:end]) + "\n", lines[end:]


def _entry(lines: list[str], offset: int, report: Callable[[str], None]) -> SdfEntry:
    block, items = _molblock(lines)
    properties = _properties(items)
    title = lines[0].strip() if lines else ""
    with rdBase.BlockLogs(), rdBase.CaptureErrorLog() as log:
        molecule = Chem.MolFromMolBlock(block, removeHs=False)
    if molecule is None:
        return SdfEntry(title, properties, None, None, complaint(log.messages) or "no structure", offset)
    # RDKit may take a planar molecule in the plane z = 0 for a drawing, whatever the entry says.
    is_tagged = len(lines) > 1 and lines[1][20:22].upper() == "3D"
    is_given = bool(molecule.GetNumConformers() and (is_tagged or molecule.GetConformer().Is3D()))
    if is_given and not molecule.GetConformer().Is3D():
        molecule.GetConformer().Set3D(True)
        Chem.AssignStereochemistryFrom3D(molecule)
    if is_given and any(atom.GetTotalNumHs() for atom in molecule.GetAtoms()):
        report(f"{title}: the geometry lacks hydrogens and is not used")
        is_given = False
    with rdBase.BlockLogs():
        smiles = Chem.MolToSmiles(Chem.RemoveHs(molecule))
    return SdfEntry(title, properties, str(smiles), block if is_given else None, "", offset)


def _properties(lines: list[str]) -> dict[str, str]:
    """Return the data items: a line `> <name>`, then the value up to a blank line."""
    properties: dict[str, str] = {}
    name: str | None = None
    for line in lines:
        if name is None and line.startswith(">") and "<" in line:
            name = line[line.index("<") + 1 : line.rindex(">")]
            properties[name] = ""
        elif not line.strip():
            name = None
        elif name is not None:
            properties[name] = f"{properties[name]}\n{line}".strip()
    return properties
