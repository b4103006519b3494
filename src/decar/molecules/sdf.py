"""Read an SDF: structures, data items, and the geometries that come with them (doi 10.1021/ci00007a012)."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rdkit import Chem, rdBase

from decar.molecules.rdkit_log import complaint
from decar.molecules.text_table import open_text

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


def read_sdf(path: Path, report: Callable[[str], None] = lambda _: None) -> Iterator[SdfEntry]:
    """Yield the entries of an SDF; the text of one of them is in memory.

    A geometry without all its hydrogens cannot be used: `report` is told, and the entry counts as one without.
    """
    with open_text(path) as file:
        for lines in _blocks(line.rstrip("\r\n") for line in file):
            yield _entry(lines, report)


def _blocks(text: Iterable[str]) -> Iterator[list[str]]:
    lines: list[str] = []
    for line in text:
        if line.startswith("$$$$"):
            yield lines
            lines = []
        else:
            lines.append(line)
    if any(line.strip() for line in lines):
        yield lines


def _entry(lines: list[str], report: Callable[[str], None]) -> SdfEntry:
    end = next((i + 1 for i, line in enumerate(lines) if line.startswith("M  END")), len(lines))
    block, properties = "\n".join(lines[:end]) + "\n", _properties(lines[end:])
    title = lines[0].strip() if lines else ""
    with rdBase.BlockLogs(), rdBase.CaptureErrorLog() as log:
        molecule = Chem.MolFromMolBlock(block, removeHs=False)
    if molecule is None:
        return SdfEntry(title, properties, None, None, complaint(log.messages) or "no structure")
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
    return SdfEntry(title, properties, str(smiles), block if is_given else None, "")


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
