"""Labels: values of any number of properties, apart from the structures; missing values are left out.

A binary value is 0 or 1 (also true/false, yes/no), a class its number 0, 1, 2, ..., a regression value a number.
"""

import math
from collections.abc import Mapping
from typing import Literal

import pandas as pd

from decar.config import LabelSettings
from decar.errors import ConfigError, DataFormatError

LABEL_COLUMNS = ("id", "property", "value", "kind", "unit")
MERGED_COLUMNS = ("key", "property", "value", "kind", "unit")
CONFLICT_COLUMNS = ("key", "property", "ids", "values")

BINARY = {"1": 1.0, "true": 1.0, "yes": 1.0, "0": 0.0, "false": 0.0, "no": 0.0}
MISSING = {"", "na", "n/a", "nan", "none", "null"}
EXPECTED = {
    "binary": "0 or 1 (also true/false, yes/no), or an empty cell",
    "multiclass": "the number of a class, 0, 1, 2, ..., or an empty cell",
    "regression": "a finite number, or an empty cell",
}


def parse_labels(rows: pd.DataFrame, labels: Mapping[str, LabelSettings]) -> pd.DataFrame:
    """Return one row (id, property, value, kind, unit) a value of the table of `read_rows`; missing ones are left out.

    Raises DataFormatError that names row, identifier, column and value.
    """
    found = []
    for name, label in labels.items():
        for row, molecule, cell in zip(rows["row"], rows["id"], rows[name], strict=True):
            text = str(cell).strip()
            if text.lower() in MISSING:
                continue
            value = _value(text, label.kind)
            if value is None:
                raise DataFormatError(
                    f"a value of the {label.kind} property {name!r} cannot be read",
                    where=f"data row {row}, id {molecule!r}, column {label.column!r}",
                    seen=repr(text),
                    expected=EXPECTED[label.kind],
                    remedy="correct the cell, or leave it empty",
                )
            found.append((molecule, name, value, label.kind, label.unit))
    return _typed(pd.DataFrame(found, columns=list(LABEL_COLUMNS)))


def merge_labels(
    labels: pd.DataFrame, keys: Mapping[str, str], on_conflict: Literal["drop_label", "error"]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Join the labels of rows that are the same molecule: (labels, conflicts).

    `keys` maps identifiers to keys; identifiers without one (molecules that failed) are left out. Labels: key,
    property, value, kind, unit, sorted by key and property. Conflicts: key, property, and the identifiers and values
    that disagree (lists of equal length). With `drop_label` a label in conflict is left out; with `error` the first
    one raises ConfigError.
    """
    known = labels.assign(key=labels["id"].map(dict(keys))).dropna(subset="key")
    merged, conflicts = [], []
    for (key, name), group in known.groupby(["key", "property"], sort=True):
        if group["value"].nunique() == 1:
            first = group.iloc[0]
            merged.append((key, name, first["value"], first["kind"], first["unit"]))
            continue
        if on_conflict == "error":
            raise ConfigError(
                f"rows of one molecule carry different values of {name!r}",
                where=f"molecule {key}",
                seen=", ".join(f"{i!r}: {v:g}" for i, v in zip(group["id"], group["value"], strict=True)),
                expected="one value a molecule",
                remedy="correct the table, write the stereochemistry that tells the rows apart, or set "
                "molecules.on_conflict: drop_label",
            )
        conflicts.append((key, name, group["id"].tolist(), group["value"].tolist()))
    table = _typed(pd.DataFrame(merged, columns=list(MERGED_COLUMNS)))
    return table, pd.DataFrame(conflicts, columns=list(CONFLICT_COLUMNS))


def _value(text: str, kind: str) -> float | None:
    if kind == "binary":
        # A spreadsheet may have turned 1 into 1.0.
        return BINARY.get(text.lower().removesuffix(".0"))
    try:
        value = float(text)
    except ValueError:
        return None
    is_valid = math.isfinite(value) and (kind == "regression" or (value >= 0 and value.is_integer()))
    return value if is_valid else None


def _typed(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with the column types that an empty table would lack."""
    return table.astype({"value": "float64", "property": "str", "kind": "str", "unit": "object"})
