"""Labels: values of any number of properties, apart from the structures; missing values are left out.

A binary value is 0 or 1 (also true/false, yes/no), a class its number 0, 1, 2, ..., a regression value a number. A
category is any text, kept as a number that follows from it: it is not learned, but holds molecules of a split together.
"""

import hashlib
import math
from collections.abc import Mapping
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from decar.config import LabelSettings
from decar.errors import ConfigError, DataFormatError

Floats = NDArray[np.float64]
OnConflict = Literal["drop_label", "mean", "error"]
LABEL_COLUMNS = ("id", "property", "value", "kind", "unit")
MERGED_COLUMNS = ("key", "property", "value", "kind", "unit")
CONFLICT_COLUMNS = ("key", "property", "ids", "values")

BINARY = {"1": 1.0, "true": 1.0, "yes": 1.0, "0": 0.0, "false": 0.0, "no": 0.0}
HASH_DIGITS = 12  # of the SHA-256 of a category: 48 bits, which a float64 holds
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
    tables = [_typed(pd.DataFrame(columns=list(LABEL_COLUMNS)))]
    for name, label in labels.items():
        values = label_values(rows, name, label)
        known = np.flatnonzero(~np.isnan(values))
        entries = {"id": rows["id"].iloc[known].array, "property": name, "value": values[known], "kind": label.kind}
        tables.append(_typed(pd.DataFrame({**entries, "unit": label.unit}, columns=list(LABEL_COLUMNS))))
    return pd.concat([table for table in tables[1:] if len(table)] or tables, ignore_index=True)


def label_values(rows: pd.DataFrame, name: str, label: LabelSettings) -> Floats:
    """Return the values of one property, a number a row of the table of `read_rows`, NaN where it is missing.

    Raises DataFormatError as `parse_labels` does. Each text is read once, however often it stands in the column.
    """
    codes, texts = pd.factorize(rows[name].astype("str").str.strip())
    values = np.full(len(texts) + 1, np.nan)
    missing = {""} if label.kind == "category" else MISSING
    for code, text in enumerate(texts):
        if text.lower() in missing:
            continue
        value = _value(text, label.kind)
        if value is None:
            position = int(np.argmax(codes == code))
            raise DataFormatError(
                f"a value of the {label.kind} property {name!r} cannot be read",
                where=f"data row {rows['row'].iloc[position]}, id {rows['id'].iloc[position]!r}, "
                f"column {label.column!r}",
                seen=repr(text),
                expected=EXPECTED[label.kind],
                remedy="correct the cell, or leave it empty",
            )
        values[code] = value
    return values[codes]


def merge_labels(
    labels: pd.DataFrame, keys: Mapping[str, str], on_conflict: OnConflict
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Join the labels of rows that are the same molecule: (labels, conflicts).

    `keys` maps identifiers to keys; identifiers without one (molecules that failed) are left out. Labels: key,
    property, value, kind, unit, sorted by key and property. Conflicts: key, property, and the identifiers and values
    that disagree (lists of equal length). With `drop_label` a label in conflict is left out; with `mean` that of a
    regression is the mean of its rows; with `error` the first one raises ConfigError.
    """
    known = labels.assign(key=labels["id"].map(dict(keys))).dropna(subset="key")
    return merge_keyed(known, on_conflict)


def merge_keyed(known: pd.DataFrame, on_conflict: OnConflict) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Join labels (see `merge_labels`) that have a column `key` already."""
    known = known.sort_values(["key", "property"], kind="stable", ignore_index=True)
    names = known[["key", "property"]]
    first = names.ne(names.shift()).any(axis=1).to_numpy(dtype=bool) if len(known) else np.zeros(0, dtype=bool)
    group = np.cumsum(first) - 1
    values = known["value"].to_numpy()
    differs = np.zeros(int(first.sum()), dtype=bool)
    differs[group[values != values[np.flatnonzero(first)][group]]] = True
    merged, is_kept = known, ~differs
    if on_conflict == "mean" and len(known):
        is_kept |= (known.loc[first, "kind"] == "regression").to_numpy()
        # Sorted within a molecule: their sum does not depend on the order of the rows.
        ordered = known.assign(group=group).sort_values(["group", "value"])
        means = ordered.groupby("group")["value"].mean().to_numpy()
        merged = known.assign(value=np.where(differs[group], means[group], values))
    merged = merged.loc[first & is_kept[group], list(MERGED_COLUMNS)]
    conflicts = []
    for (key, name), part in known.loc[differs[group]].groupby(["key", "property"], sort=True):
        if on_conflict == "error":
            raise ConfigError(
                f"rows of one molecule carry different values of {name!r}",
                where=f"molecule {key}",
                seen=", ".join(f"{i!r}: {v:g}" for i, v in zip(part["id"], part["value"], strict=True)),
                expected="one value a molecule",
                remedy="correct the table, write the stereochemistry that tells the rows apart, or set "
                "molecules.on_conflict: drop_label",
            )
        conflicts.append((key, name, part["id"].tolist(), part["value"].tolist()))
    return _typed(merged.reset_index(drop=True)), pd.DataFrame(conflicts, columns=list(CONFLICT_COLUMNS))


def _value(text: str, kind: str) -> float | None:
    if kind == "binary":
        # A spreadsheet may have turned 1 into 1.0.
        return BINARY.get(text.lower().removesuffix(".0"))
    if kind == "category":
        return float(int(hashlib.sha256(text.encode()).hexdigest()[:HASH_DIGITS], 16))
    try:
        value = float(text)
    except ValueError:
        return None
    is_valid = math.isfinite(value) and (kind == "regression" or (value >= 0 and value.is_integer()))
    return value if is_valid else None


def _typed(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with the column types that an empty table would lack."""
    return table.astype({"value": "float64", "property": "str", "kind": "str", "unit": "object"})
