"""Import ChemTastesDB (doi 10.5281/zenodo.5747393) as it is published, and count what an honest study must know of it.

The published table is CSV or XLSX, UTF-8 or Latin-1; `sweet` is 1 for the class Sweetness and 0 for every other one.
"""

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from decar.atomic import write_text
from decar.errors import DataFormatError
from decar.molecules.chemtastesdb_traps import ImportReport, count_traps
from decar.molecules.text_table import read_text

OUTPUT_COLUMNS = ("id", "name", "smiles", "sweet", "taste", "class", "source")
# Our column: the published one, which later versions spell a little differently (compared by letters only).
PUBLISHED = {
    "id": ("id",),
    "name": ("name",),
    "smiles": ("canonicalsmiles", "smiles"),
    "taste": ("taste",),
    "class": ("classtaste", "tasteclass"),
    "reference": ("reference", "references"),
}
CITATION = "ChemTastesDB (doi 10.5281/zenodo.5747393) no. {number}: {reference}"
HEADER_SEARCH = 20  # rows of a spreadsheet in which the header is looked for
MARKS = "*^"  # a number may end in one of them; it stays in the source column, the identifier goes without


def import_chemtastesdb(path: Path, output_csv: Path, report: Callable[[str], None] = lambda _: None) -> ImportReport:
    """Read the published file, write the table that decar reads, and count the traps.

    Raises DataFormatError for a file that is not this table.
    """
    rows = read_published(path)
    write_text(output_csv, _as_csv(rows))
    report(f"{len(rows)} rows written to {output_csv}")
    return count_traps(rows)


def read_published(path: Path) -> list[dict[str, str]]:
    """Return the rows with the columns of the output, every cell as text."""
    lines = _spreadsheet(path) if path.suffix.lower() in {".xlsx", ".xlsm"} else _delimited(path)
    start, columns = _header(lines, path)
    rows = []
    for number, cells in enumerate(lines[start + 1 :], start=1):
        padded = [*cells, *[""] * (max(columns.values()) + 1 - len(cells))]
        if any(cell.strip() for cell in cells):
            rows.append(_row({name: padded[index].strip() for name, index in columns.items()}, number, path))
    if not rows:
        raise DataFormatError("the table has no rows", where=path)
    return rows


def _row(cells: dict[str, str], number: int, path: Path) -> dict[str, str]:
    for name in ("id", "smiles", "class"):
        if not cells[name]:
            raise DataFormatError(f"a tastant has no {name}", where=f"{path}, data row {number}", seen=str(cells))
    return {
        "id": cells["id"].rstrip(MARKS),
        "name": cells["name"],
        "smiles": cells["smiles"],
        "sweet": "1" if cells["class"].lower() in {"sweetness", "sweet"} else "0",
        "taste": cells["taste"],
        "class": cells["class"],
        "source": CITATION.format(number=cells["id"], reference=cells["reference"]),
    }


def _header(lines: list[list[str]], path: Path) -> tuple[int, dict[str, int]]:
    """Return the line of the header and the place of each column."""
    for start, cells in enumerate(lines[:HEADER_SEARCH]):
        letters = ["".join(c for c in cell.split("(")[0].lower() if c.isalpha()) for cell in cells]
        columns = {
            ours: letters.index(theirs) for ours, names in PUBLISHED.items() for theirs in names if theirs in letters
        }
        if len(columns) == len(PUBLISHED):
            return start, columns
    raise DataFormatError(
        "this is not the table of ChemTastesDB",
        where=path,
        seen=", ".join(lines[0])[:200] if lines else "an empty file",
        expected="columns ID, Name, canonical SMILES, Taste, Class taste, Reference",
        remedy="take the table from doi 10.5281/zenodo.5747393",
    )


def _delimited(path: Path) -> list[list[str]]:
    text = read_text(path)
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))


def _spreadsheet(path: Path) -> list[list[str]]:
    try:
        table = pd.read_excel(path, header=None, dtype=str, keep_default_na=False)
    except (ValueError, KeyError, OSError) as error:
        raise DataFormatError("the spreadsheet cannot be read", where=path, seen=str(error)) from error
    return [[str(cell) for cell in row] for row in table.fillna("").to_numpy()]


def _as_csv(rows: list[dict[str, str]]) -> str:
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, OUTPUT_COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()
