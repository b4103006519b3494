"""Delimited text with a header line, and the errors that name the row or the column at fault."""

import _csv
import codecs
import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from functools import reduce
from itertools import chain, islice
from pathlib import Path
from typing import TextIO

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from decar.errors import ConfigError, DataFormatError

PIECE = 20_000  # rows that are Python objects at one time
SPACES = "".join(filter(str.isspace, map(chr, range(0x3001))))  # what `str.strip` takes away


def read_text(path: Path) -> str:
    """Return the text of a file that is UTF-8 (with or without a byte-order mark) or else Latin-1."""
    data = path.read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def open_text(path: Path) -> TextIO:
    """Open a text file that is UTF-8 (with or without a byte-order mark) or else Latin-1; line ends stay."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    encoding = "utf-8-sig"
    with path.open("rb") as file:
        try:
            while piece := file.read(2**20):
                decoder.decode(piece)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            encoding = "latin-1"
    return path.open(encoding=encoding, newline="")


def read_columns(
    path: Path, delimiter: str, choose: Callable[[list[str]], Iterable[str]]
) -> dict[str, "pd.Series[str]"]:
    """Return columns of a delimited text, stripped; blank lines are skipped.

    `choose` is given the header and names the columns; the others are not kept. A million rows are never a million
    Python objects. Raises DataFormatError for a ragged row.
    """
    if (columns_at_once := _plain_columns(path, delimiter, choose)) is not None:
        return columns_at_once
    with open_text(path) as file:
        lines = csv.reader(file, delimiter=delimiter, strict=True)
        try:
            header = _header(lines, path)
            columns = {name: header.index(name) for name in choose(header)}
            pieces: dict[str, list[pd.Series[str]]] = {name: [pd.Series([], dtype="str")] for name in columns}
            for rows in _pieces(lines, path, header, delimiter):
                by_column = list(zip(*rows, strict=True))
                for name, number in columns.items():
                    pieces[name].append(pd.Series([cell.strip() for cell in by_column[number]], dtype="str"))
        except csv.Error as error:
            raise DataFormatError(
                "the table cannot be read as delimited text",
                where=f"{path}, line {lines.line_num}",
                seen=str(error),
                remedy="close every double quote, and double those inside a value",
            ) from error
    return {name: pd.concat(parts, ignore_index=True) for name, parts in pieces.items()}


def _plain_columns(
    path: Path, delimiter: str, choose: Callable[[list[str]], Iterable[str]]
) -> dict[str, "pd.Series[str]"] | None:
    """Return the columns of a text without quotes, in which every delimiter and every line end is one; None else.

    Five times as fast as a row after another. What is unusual or wrong (quotes, blank or ragged rows, another encoding)
    is left to that way, which tells where it stands.
    """
    with path.open("rb") as file:
        first = file.readline().rstrip(b"\r\n")
        parts = chain([first], iter(lambda: file.read(2**20), b""))
        if not first or b"\r" in first or any(b'"' in part for part in parts):
            return None
    try:
        header = _header(iter([first.decode("utf-8-sig").split(delimiter)]), path)
        names = list(choose(header))
        table = pa_csv.read_csv(
            path,
            read_options=pa_csv.ReadOptions(column_names=header, skip_rows=1, use_threads=False),
            parse_options=pa_csv.ParseOptions(delimiter=delimiter, quote_char=False),
            convert_options=pa_csv.ConvertOptions(
                column_types=dict.fromkeys(header, pa.string()), strings_can_be_null=False, include_columns=names
            ),
        )
    except (UnicodeDecodeError, pa.ArrowInvalid):
        return None
    table = pa.table({name: pc.utf8_trim(table[name], characters=SPACES) for name in names})
    blank = reduce(pc.and_, (pc.equal(table[name], "") for name in names))
    if pc.any(blank).as_py():
        return None
    columns = table.to_pandas()
    return {name: columns[name] for name in names}


def _header(lines: Iterator[list[str]], path: Path) -> list[str]:
    header = [name.strip() for name in next(lines, [])]
    if len(set(header)) < len(header):
        repeated = sorted({name for name in header if header.count(name) > 1})
        raise DataFormatError("a column stands twice in the header", where=path, seen=", ".join(map(repr, repeated)))
    return header


def _pieces(lines: "_csv.Reader", path: Path, header: list[str], delimiter: str) -> Iterator[list[list[str]]]:
    """Yield the rows, many at a time; what is usual is checked for all of them together."""
    while piece := list(islice(lines, PIECE)):
        if not all(cells and cells[0].strip() for cells in piece):
            piece = [cells for cells in piece if any(cell.strip() for cell in cells)]
        if any(len(cells) != len(header) for cells in piece):
            raise _ragged(path, header, delimiter)
        if piece:
            yield piece


def _ragged(path: Path, header: list[str], delimiter: str) -> DataFormatError:
    """Return the error of the first row that has another number of cells; the table is read again to number it."""
    with open_text(path) as file:
        lines = csv.reader(file, delimiter=delimiter, strict=True)
        next(lines)
        rows = (cells for cells in lines if any(cell.strip() for cell in cells))
        number, cells = next((i, cells) for i, cells in enumerate(rows, start=1) if len(cells) != len(header))
        return DataFormatError(
            "a row has another number of cells than the header",
            where=f"{path}, line {lines.line_num} (data row {number})",
            seen=f"{len(cells)} cells: {delimiter.join(cells)[:80]}",
            expected=f"{len(header)} cells: {delimiter.join(header)[:80]}",
            remedy="put values that contain the delimiter between double quotes",
        )


def require_columns(path: Path, existing: Iterable[str], wanted: Mapping[str, str | None]) -> None:
    """Raise ConfigError for the first wanted column (setting: column, None for none) that does not exist."""
    existing = list(existing)
    for setting, column in wanted.items():
        if column is None or column in existing:
            continue
        folded = {name.lower(): name for name in existing}
        near = [folded[name] for name in get_close_matches(column.lower(), folded, n=1)]
        raise ConfigError(
            f"the table has no column {column!r}" + (f"; did you mean {near[0]!r}?" if near else ""),
            where=f"{path} ({setting})",
            seen=", ".join(map(repr, existing)) or "no columns",
            expected=repr(column),
            remedy=f"correct {setting} in the study file, or the header of the table",
        )
