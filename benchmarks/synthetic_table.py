"""Tables of any number of synthetic drug-like molecules: substituted scaffolds, from strings alone (no toolkit).

Row i is (core, R1, R2) of a mixed-radix number, so that a table of n rows is the beginning of every longer one.
A row in 40 is a hydrochloride, to be stripped, and two substituents carry a stereocentre.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Each core has three different places for a substituent, and no symmetry that exchanges two of them.
CORES = (
    "c1({0})cnc({1})c(C(=O)N{2})c1", "c1({0})ccc(C(=O)N{2})c2cc({1})[nH]c12", "C1({0})CCN(C(=O){2})c2ccc({1})cc21",
    "c1({0})nc(N{2})c2cc({1})ccc2n1", "c1({0})sc(NC(=O){2})nc1{1}", "O=C1N({2})C({0})=Nc2cc({1})ccc12",
    "c1({0})cc(S(=O)(=O)N{2})cc({1})c1F", "c1({0})n({2})c2ncc({1})cc2c1C#N", "C1({0})CC(N{2})c2cc({1})ccc2O1",
    "c1({0})nn({2})c({1})c1C(=O)OC", "c1({0})oc2ccc(NC(=O){2})cc2c1{1}", "N1({2})CCC(c2nc({0})no2)C({1})C1",
    "c1({0})ccc(CN2CCN({2})CC2)c({1})c1", "c1({0})cc2c(cc1{1})N(C(=O){2})CCO2", "C({0})(NC(=O){2})c1ccc({1})nc1",
    "c1({0})nccc(N2CCC(C(=O)N{2})CC2)c1{1}",
)  # fmt: skip
SUBSTITUENTS = (
    "C", "CC", "C(C)C", "CCC", "C1CC1", "C1CCCC1", "C1CCOCC1", "CCOC", "CC(F)(F)F", "CCN(C)C", "CCO", "CC(N)=O",
    "Cc1ccccc1", "Cc1ccc(F)cc1", "Cc1ccc(Cl)cc1", "Cc1ccncc1", "Cc1ccco1", "Cc1cccs1", "c1ccccc1", "c1ccc(F)cc1",
    "c1ccc(OC)cc1", "c1ccc(C#N)cc1", "c1cccc(Cl)c1", "c1cccc(C(F)(F)F)c1", "c1ccncc1", "c1cncnc1", "c1ccc(C)nc1",
    "c1ccc2OCOc2c1", "CC(C)(C)O", "CCS(C)(=O)=O", "CCCN1CCOCC1", "C1CCN(C)CC1", "CC1CC1", "CCC#N", "CCCF",
    "c1nccs1", "c1cn(C)nc1", "CCc1ccccc1", "[C@H](C)c1ccccc1", "[C@@H](C)CO",
)  # fmt: skip
CAPACITY = len(CORES) * len(SUBSTITUENTS) ** 3


def smiles(index: int) -> str:
    """Return the SMILES of row `index` (0-based, below CAPACITY); different rows are different texts."""
    core, *places = parts(index)
    text = CORES[core].format(*(_renumbered(SUBSTITUENTS[place], ring) for ring, place in enumerate(places, start=1)))
    return f"{text}.Cl" if index % 40 == 39 else text


def parts(index: Any) -> tuple[Any, Any, Any, Any]:
    """Return the numbers of the core and of the three substituents of a row, or of an array of rows."""
    number, core = divmod(index, len(CORES))
    number, first = divmod(number, len(SUBSTITUENTS))
    third, second = divmod(number, len(SUBSTITUENTS))
    return core, first, second, third


def _renumbered(substituent: str, ring: int) -> str:
    """Give a substituent ring numbers of its own (%41 and above), so that no core shares them."""
    text, inside = "", False
    for character in substituent:
        inside = character == "[" or (inside and character != "]")
        text += f"%{20 + 10 * ring + int(character)}" if character.isdigit() and not inside else character
    return text


def rows(count: int) -> Iterator[str]:
    """Yield the lines of a table (CSV): id, name, smiles, active."""
    if count > CAPACITY:
        raise ValueError(f"at most {CAPACITY} molecules, not {count}")
    yield "id,name,smiles,active\n"
    for index in range(count):
        yield f"m{index},synthetic {index},{smiles(index)},{index * 7 % 11 % 2}\n"


def write(path: Path, count: int) -> None:
    """Write a table of `count` molecules."""
    with path.open("w", encoding="utf-8") as file:
        file.writelines(rows(count))
