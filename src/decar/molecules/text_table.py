"""Delimited text with a header line, and the errors that name the row or the column at fault."""

import _csv
import csv
import io
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path

from decar.errors import ConfigError, DataFormatError


def read_text(path: Path) -> str:
    """Return the text of a file that is UTF-8 (with or without a byte-order mark) or else Latin-1."""
    data = path.read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def read_csv(text: str, path: Path, delimiter: str = ",") -> tuple[list[str], list[dict[str, str]]]:
    """Return header and rows of a CSV text; blank lines are skipped; raises DataFormatError for a ragged row."""
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        return _rows(lines, path, delimiter)
    except csv.Error as error:
        raise DataFormatError(
            "the table cannot be read as delimited text",
            where=f"{path}, line {lines.line_num}",
            seen=str(error),
            remedy="close every double quote, and double those inside a value",
        ) from error


def _rows(lines: "_csv.Reader", path: Path, delimiter: str) -> tuple[list[str], list[dict[str, str]]]:
    header = [name.strip() for name in next(lines, [])]
    if len(set(header)) < len(header):
        repeated = sorted({name for name in header if header.count(name) > 1})
        raise DataFormatError("a column stands twice in the header", where=path, seen=", ".join(map(repr, repeated)))
    rows: list[dict[str, str]] = []
    for cells in lines:
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(header):
            raise DataFormatError(
                "a row has another number of cells than the header",
                where=f"{path}, line {lines.line_num} (data row {len(rows) + 1})",
                seen=f"{len(cells)} cells: {delimiter.join(cells)[:80]}",
                expected=f"{len(header)} cells: {delimiter.join(header)[:80]}",
                remedy="put values that contain the delimiter between double quotes",
            )
        rows.append({name: cell.strip() for name, cell in zip(header, cells, strict=True)})
    return header, rows


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
