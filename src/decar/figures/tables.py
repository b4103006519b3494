r"""Tables for a paper: one description of columns, written as CSV, LaTeX (booktabs) and Markdown by one function.

A number with an interval is rounded to what the interval supports, by the rule of the Particle Data Group (doi
10.1103/PhysRevD.110.030001, section 5.3): of the three leading digits of its half width, 100 to 354 keep two digits,
355 to 949 one, and above that it counts as 1000. Other numbers have the format that their column states. A unit stands
in the head of its column.
"""

import csv
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from decar.atomic import atomic_path, write_text
from decar.figures.latex import Grid, latex

NONE = "–"


@dataclass(frozen=True)
class Column:
    """A column: what it reads, its head, its unit, and how its numbers are written ("" for text, "s" for
    numbers that are written already).

    With `low` and `high` it is a value with an interval, from these three columns of the table.
    """

    name: str
    head: str
    unit: str = ""
    form: str = ""
    low: str = ""
    high: str = ""

    @property
    def title(self) -> str:
        """Return the head with its unit, as in `E / hartree`."""
        return f"{self.head} / {self.unit}" if self.unit else self.head

    @property
    def is_number(self) -> bool:
        """Return whether the cells are numbers."""
        return bool(self.form or self.low)


@dataclass(frozen=True)
class Table:
    """A caption and columns over a tidy table."""

    caption: str
    columns: tuple[Column, ...]
    rows: pd.DataFrame


def decimals(half_width: float) -> int:
    """Return the decimal places that a half width supports (see above); 2 where there is none."""
    if not math.isfinite(half_width) or half_width <= 0:
        return 2
    power = math.floor(math.log10(half_width))
    leading = round(half_width / 10 ** (power - 2))
    if leading >= 950:
        power, leading = power + 1, 100
    return max(0, (1 if leading < 355 else 0) - power)


def cells(column: Column, row: dict[str, object]) -> tuple[str, ...]:
    """Return the text of a cell; of an interval value, low and high."""
    value = row[column.name]
    if _is_missing(value):
        return ("", "", "") if column.low else ("",)
    if not column.low:
        return (_plain(format(value, column.form)) if column.form else str(value),)
    low, high = float(str(row[column.low])), float(str(row[column.high]))
    places = decimals((high - low) / 2)
    return tuple(
        "" if math.isnan(number) else _plain(f"{number:.{places}f}") for number in (float(str(value)), low, high)
    )


def _plain(number: str) -> str:
    """Return a number without the sign of a zero that was rounded to."""
    return number[1:] if number.startswith("-") and not any(digit in number for digit in "123456789") else number


def _is_missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value)) or value is pd.NA


def write_table(table: Table, name: str, folder: Path) -> list[Path]:
    """Write `<name>.csv`, `.tex` and `.md`; return the paths."""
    rows = [{str(key): value for key, value in row.items()} for row in table.rows.to_dict("records")]
    texts = [[cells(column, row) for column in table.columns] for row in rows]
    paths = [folder / f"{name}.{suffix}" for suffix in ("csv", "tex", "md")]
    with atomic_path(paths[0]) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([head for column in table.columns for head in _heads(column)])
        writer.writerows([[text for cell in line for text in cell] for line in texts])
    joined = [[_joined(cell).replace("-", "−") if column.is_number else _joined(cell)
               for column, cell in zip(table.columns, line)] for line in texts]  # fmt: skip
    grid = Grid([column.title for column in table.columns], joined, [column.is_number for column in table.columns])
    write_text(paths[1], latex(grid, table.caption, name))
    write_text(paths[2], _markdown(table, joined))
    return paths


def _heads(column: Column) -> list[str]:
    return [column.title, f"{column.title}, low", f"{column.title}, high"] if column.low else [column.title]


def _joined(cell: Sequence[str]) -> str:
    """Return `value [low, high]`, without the brackets where there is no interval."""
    if not cell[0]:
        return NONE
    return cell[0] if len(cell) == 1 or not cell[1] else f"{cell[0]} [{cell[1]}, {cell[2]}]"


def _markdown(table: Table, lines: list[list[str]]) -> str:
    def line(texts: Sequence[str]) -> str:
        return "| " + " | ".join(re.sub(r"([|\\])", r"\\\1", text).replace("\n", " ") for text in texts) + " |"

    rule = "| " + " | ".join("---:" if column.is_number else "---" for column in table.columns) + " |"
    heads = line([column.title for column in table.columns])
    return "\n".join([table.caption, "", heads, rule, *map(line, lines), ""])
