"""A table that a stranger wrote: find its delimiter, its column of SMILES and its identifiers; no row is an error.

Columns of the result: `row` (1-based data row), `id`, `raw` (the SMILES as written), `molblock` (SDF only), `problem`
(None, or why the row itself cannot be read). SMI and SDF files are read as those of a study.
"""

import csv
from collections import Counter
from itertools import islice
from pathlib import Path

import pandas as pd
from rdkit import Chem, rdBase

from decar.config import MoleculesSettings
from decar.errors import ConfigError, DataFormatError
from decar.molecules.read import SDF_SUFFIXES, SMI_SUFFIXES, read_rows
from decar.molecules.sdf import read_molblocks
from decar.molecules.text_table import open_text, require_columns

COLUMNS = ("row", "id", "raw", "molblock", "problem")
DELIMITERS = ",;\t|"
SMILES_NAMES = (
    "smiles", "canonical smiles", "canonicalsmiles", "isomeric smiles", "isomericsmiles", "smiles string", "smi",
    "structure",
)  # fmt: skip
ID_NAMES = ("id", "identifier", "molecule id", "compound id", "compound", "cid", "name", "title")
LOOKED_AT = 200  # rows by which delimiter and columns are guessed
MOSTLY = 0.5  # share of a column's values that are SMILES, above which it may be the one


def read_molecules(path: Path, smiles_column: str | None = None, id_column: str | None = None) -> pd.DataFrame:
    """Read the table; columns that are not named are guessed.

    Raises ConfigError where there is no such file or column, or no column or several could be the SMILES, and
    DataFormatError for a table without a row.
    """
    if not path.is_file():
        raise ConfigError("the table of molecules does not exist", where=path)
    if path.suffix.lower() in SMI_SUFFIXES + SDF_SUFFIXES:
        table = read_rows(MoleculesSettings(table=path))
        offsets = [None if pd.isna(offset) else int(offset) for offset in table["sdf_offset"]]
        blocks = pd.Series(list(read_molblocks(path, offsets)), dtype="object")
        return table[["row", "id", "raw"]].assign(molblock=blocks, problem=None)
    with open_text(path) as file:
        first = list(islice(file, LOOKED_AT))
    delimiter = _delimiter(first)
    with open_text(path) as file:
        lines = [[cell.strip() for cell in cells] for cells in csv.reader(file, delimiter=delimiter)]
    lines = [cells for cells in lines if any(cells)]
    if not lines:
        raise DataFormatError("the table is empty", where=path, expected="a header and a row a molecule")
    header, rows = lines[0], lines[1:]
    if smiles_column is None and _has_no_header(header):
        header, rows = ["smiles" if _is_smiles(cell) else f"column {i + 1}" for i, cell in enumerate(header)], lines
    if not rows:
        raise DataFormatError("the table has no molecule", where=path, expected="at least one row under its header")
    require_columns(path, header, {"--smiles-column": smiles_column, "--id-column": id_column})
    place = header.index(smiles_column) if smiles_column else _smiles_place(path, header, rows)
    named = header.index(id_column) if id_column else _named(header, ID_NAMES)
    entries = [_entry(number, cells, header, place, named) for number, cells in enumerate(rows, start=1)]
    return pd.DataFrame(entries, columns=list(COLUMNS))


def _entry(number: int, cells: list[str], header: list[str], place: int, named: int | None) -> dict[str, object]:
    fits = len(cells) == len(header)
    problem = None if fits else f"the row has {len(cells)} cells, the header {len(header)}: quote what has a delimiter"
    name = cells[named] if named is not None and named < len(cells) else ""
    raw = cells[place] if place < len(cells) else ""
    return {"row": number, "id": name or str(number), "raw": raw, "molblock": None, "problem": problem}


def _delimiter(lines: list[str]) -> str:
    """Return the delimiter that most lines have equally often and at least once; a comma where none is."""

    def agreeing(delimiter: str) -> tuple[int, int]:
        counts = Counter(len(cells) for cells in csv.reader(lines, delimiter=delimiter) if cells)
        number, times = counts.most_common(1)[0] if counts else (1, 0)
        return (times, number) if number > 1 else (0, 0)

    return max(DELIMITERS, key=agreeing)


def _has_no_header(header: list[str]) -> bool:
    """Return whether the first line is a molecule already: no name of a column is known, and a cell is a SMILES."""
    known = _named(header, SMILES_NAMES) is not None or _named(header, ID_NAMES) is not None
    return not known and any(_is_smiles(cell) for cell in header)


def _named(header: list[str], names: tuple[str, ...]) -> int | None:
    """Return the place of the first of these names, in any case, with _ and - as spaces."""
    folded = [name.lower().replace("_", " ").replace("-", " ") for name in header]
    return next((folded.index(name) for name in names if name in folded), None)


def _smiles_place(path: Path, header: list[str], rows: list[list[str]]) -> int:
    """Return the place of the column of SMILES: by its name, else the only one whose values mostly are SMILES."""
    by_name = _named(header, SMILES_NAMES)
    if by_name is not None:
        return by_name
    likely = []
    for place in range(len(header)):
        values = [cells[place] for cells in rows[:LOOKED_AT] if place < len(cells) and cells[place]]
        if values and sum(map(_is_smiles, values)) > MOSTLY * len(values):
            likely.append(place)
    if len(likely) == 1:
        return likely[0]
    raise ConfigError(
        "no column can be told to hold the SMILES" if not likely else "several columns could hold the SMILES",
        where=path, seen=", ".join(header[place] for place in likely) or ", ".join(header),
        remedy="name it: --smiles-column NAME",
    )  # fmt: skip


def _is_smiles(text: str) -> bool:
    """Return whether a text is a SMILES, not merely a number or a word that happens to be one atom."""
    if not text or text.isdigit():
        return False
    with rdBase.BlockLogs():
        molecule = Chem.MolFromSmiles(text)
    return molecule is not None and molecule.GetNumAtoms() > 0
