"""The index of a study: every row of the user's table, identified. Only rows never seen before are standardised.

Columns: `row` (1-based data row), `id`, `name`, `raw` (as written), `status` (`ok`, `failed` or `duplicate`), `reason`,
`message`, `key`, `smiles`, `charge`, `multiplicity`, `inchikey`, `split_group`, `scaffold`, `num_heavy_atoms`,
`molblock` (a geometry that the user brought), and `label:<property>` as numbers.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from decar.config import MoleculesSettings
from decar.errors import InputMoleculeError
from decar.molecules.identity import KEY_VERSION, identify
from decar.molecules.labels import parse_labels
from decar.molecules.read import read_rows
from decar.molecules.standardise import standardise
from decar.receipt import read_table, write_table
from decar.stages import STAGE_VERSION, digest

IDENTITY = (
    "status", "reason", "message", "key", "smiles", "charge", "multiplicity", "inchikey", "split_group", "scaffold",
    "num_heavy_atoms",
)  # fmt: skip


Row = Mapping[Any, Any]


def build_index(
    settings: MoleculesSettings, cache: Path, report: Callable[[str], None] = lambda _: None
) -> pd.DataFrame:
    """Read the table and identify every row; `cache` is a Parquet file of rows identified before (made if absent)."""
    rows = read_rows(settings, report)
    labels = parse_labels(rows, settings.labels)
    hashes = [_row_hash(settings, row) for row in rows.to_dict("records")]
    known = _known(cache)
    new = {row_hash: row for row_hash, row in zip(hashes, rows.to_dict("records")) if row_hash not in known}
    if new:
        known |= {row_hash: identify_row(settings, row) for row_hash, row in new.items()}
        write_table(cache, pd.DataFrame([{"row_hash": name, **known[name]} for name in sorted(known)]))
    identity = pd.DataFrame([known[name] for name in hashes], columns=list(IDENTITY))
    index = pd.concat([rows[["row", "id", "name", "raw", "molblock"]].reset_index(drop=True), identity], axis=1)
    for name in settings.labels:
        values = labels.loc[labels["property"] == name].set_index("id")["value"]
        index[f"label:{name}"] = index["id"].map(values).astype(float)
    return _mark_duplicates(index)


def identify_row(settings: MoleculesSettings, row: Row) -> dict[Any, Any]:
    """Standardise and identify one row; a chemistry error becomes a row of status `failed`."""
    try:
        parent = standardise(str(row["raw"]), settings.protonation, _multiplicity(row))
        identity = identify(parent)
    except InputMoleculeError as error:
        return {**dict.fromkeys(IDENTITY), "status": "failed", "reason": error.reason, "message": str(error)}
    return {
        "status": "ok",
        "reason": None,
        "message": None,
        "key": identity.key,
        "smiles": parent.smiles,
        "charge": parent.charge,
        "multiplicity": parent.multiplicity,
        "inchikey": identity.inchikey,
        "split_group": identity.split_group,
        "scaffold": identity.scaffold,
        "num_heavy_atoms": parent.num_heavy_atoms,
    }


def _multiplicity(row: Row) -> int | None:
    value: Any = row["multiplicity"]
    return None if pd.isna(value) else int(value)


def _row_hash(settings: MoleculesSettings, row: Row) -> str:
    return digest(
        [
            str(row["raw"]),
            row["molblock"] if isinstance(row["molblock"], str) else None,
            _multiplicity(row),
            settings.protonation,
            KEY_VERSION,
            STAGE_VERSION["molecules"],
        ]
    )


def _known(cache: Path) -> dict[str, dict[Any, Any]]:
    if not cache.exists():
        return {}
    table = read_table(cache).astype(object)
    table = table.where(table.notna(), None)
    return {str(row.pop("row_hash")): row for row in table.to_dict("records")}


def _mark_duplicates(index: pd.DataFrame) -> pd.DataFrame:
    """Mark every later row of one key as a duplicate of the first; its labels still count."""
    first: dict[str, tuple[int, str]] = {}
    for position, row in index.iterrows():
        if row["status"] != "ok":
            continue
        if row["key"] in first:
            number, identifier = first[row["key"]]
            index.loc[position, ["status", "reason", "message"]] = [
                "duplicate", "duplicate", f"the same molecule as row {number} (id {identifier})",
            ]  # fmt: skip
        else:
            first[row["key"]] = (row["row"], row["id"])
    return index
