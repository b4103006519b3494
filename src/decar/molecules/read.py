"""Read the user's table: CSV (TSV), SMI or SDF in, one row a molecule out, nothing interpreted yet but the geometry.

Columns of the result: `row` (1-based data row), `id`, `name`, `raw` (the SMILES as written; of an SDF entry its
isomeric SMILES), `molblock` (an SDF entry with 3D coordinates of all its atoms, in the order of the file, else None),
`multiplicity` (Int64, missing allowed), and one text column a label property ("" where the value is missing).
"""

from collections.abc import Callable, Iterable
from pathlib import Path

import pandas as pd

from decar.config import MoleculesSettings
from decar.errors import ConfigError, DataFormatError
from decar.molecules.sdf import SDF_RAW, read_sdf
from decar.molecules.text_table import read_csv, read_text, require_columns

COLUMNS = ("row", "id", "name", "raw", "molblock", "multiplicity")
CSV_SUFFIXES = {".csv": ",", ".tsv": "\t"}
SMI_SUFFIXES = (".smi", ".smiles")
SDF_SUFFIXES = (".sdf", ".sd")


def read_rows(settings: MoleculesSettings, report: Callable[[str], None] = lambda _: None) -> pd.DataFrame:
    """Read the table that the settings name.

    Raises ConfigError (no such file or column, unknown suffix) and DataFormatError (empty or ragged table, an
    identifier that is missing or used twice, a multiplicity that is no number).
    """
    path, reserved = settings.table, set(COLUMNS) & set(settings.labels)
    if reserved:
        raise ConfigError(
            "a label property has the name of a column that decar uses",
            where="molecules.labels",
            seen=", ".join(sorted(reserved)),
            expected=f"a name other than {', '.join(COLUMNS)}",
        )
    if not path.is_file():
        raise ConfigError("the table of molecules does not exist", where="molecules.table", seen=path)
    suffix = path.suffix.lower()
    if suffix in CSV_SUFFIXES:
        table = _from_csv(settings, CSV_SUFFIXES[suffix])
    elif suffix in SMI_SUFFIXES:
        table = _from_smi(settings)
    elif suffix in SDF_SUFFIXES:
        table = _from_sdf(settings, report)
    else:
        raise ConfigError(
            "the format of the table is not known",
            where=path,
            seen=suffix or "no suffix",
            expected=", ".join((*CSV_SUFFIXES, *SMI_SUFFIXES, *SDF_SUFFIXES)),
            remedy="save it as CSV (UTF-8) with a header line",
        )
    if table.empty:
        raise DataFormatError("the table has no molecule", where=path, expected="at least one data row")
    _check_ids(table, path)
    return table


def _from_csv(settings: MoleculesSettings, delimiter: str) -> pd.DataFrame:
    header, rows = read_csv(read_text(settings.table), settings.table, delimiter)
    require_columns(
        settings.table,
        header,
        {
            "molecules.id_column": settings.id_column,
            "molecules.name_column": settings.name_column,
            "molecules.smiles_column": settings.smiles_column,
            **_optional_columns(settings),
        },
    )
    name_column = settings.name_column or settings.id_column
    ids, names = (row[settings.id_column] for row in rows), (row[name_column] for row in rows)
    raw = (row[settings.smiles_column] for row in rows)
    return _assemble(settings, rows, ids, names, raw, (None for _ in rows))


def _from_smi(settings: MoleculesSettings) -> pd.DataFrame:
    """Read lines `SMILES identifier`; without an identifier it is the data row's number; a header is skipped."""
    if unreadable := _optional_columns(settings):
        raise ConfigError(
            "an SMI file has no columns for labels or multiplicities",
            where=settings.table,
            seen=", ".join(f"{key}: {column}" for key, column in unreadable.items()),
            remedy="give the molecules as CSV, or leave these settings out",
        )
    lines = [line.split(None, 1) for line in read_text(settings.table).splitlines()]
    lines = [cells for cells in lines if cells and not cells[0].startswith("#")]
    if lines and lines[0][0].lower() == "smiles":
        lines = lines[1:]
    raw = [cells[0] for cells in lines]
    ids = [cells[1].strip() if len(cells) > 1 else str(i + 1) for i, cells in enumerate(lines)]
    return _assemble(settings, [{} for _ in lines], ids, ids, raw, (None for _ in lines))


def _from_sdf(settings: MoleculesSettings, report: Callable[[str], None]) -> pd.DataFrame:
    """Read SDF entries; identifier and name come from data items of these names, else from the title line."""
    entries = read_sdf(settings.table, report)
    properties = sorted({name for entry in entries for name in entry.properties})
    require_columns(settings.table, properties, _optional_columns(settings))
    ids = [entry.properties.get(settings.id_column) or entry.title for entry in entries]
    names = [entry.properties.get(settings.name_column or "") or entry.title or i for entry, i in zip(entries, ids)]
    rows = [entry.properties for entry in entries]
    raw = [entry.smiles or SDF_RAW.format(message=entry.message) for entry in entries]
    return _assemble(settings, rows, ids, names, raw, (entry.molblock for entry in entries))


def _optional_columns(settings: MoleculesSettings) -> dict[str, str | None]:
    columns: dict[str, str | None] = {
        f"molecules.labels.{name}.column": label.column for name, label in settings.labels.items()
    }
    if settings.multiplicity_column:
        columns["molecules.multiplicity_column"] = settings.multiplicity_column
    return columns


def _assemble(
    settings: MoleculesSettings, rows: list[dict[str, str]], ids: Iterable[str], names: Iterable[str],
    raw: Iterable[str], molblocks: Iterable[str | None],
) -> pd.DataFrame:  # fmt: skip
    columns: dict[str, object] = {
        "row": range(1, len(rows) + 1),
        "id": pd.Series(list(ids), dtype="str"),
        "name": pd.Series(list(names), dtype="str"),
        "raw": pd.Series(list(raw), dtype="str"),
        "molblock": pd.Series(list(molblocks), dtype="object"),
        "multiplicity": pd.array(_multiplicities(settings, rows), dtype="Int64"),
    }
    for name, label in settings.labels.items():
        columns[name] = pd.Series([row.get(label.column, "") for row in rows], dtype="str")
    return pd.DataFrame(columns)


def _multiplicities(settings: MoleculesSettings, rows: list[dict[str, str]]) -> list[int | None]:
    column = settings.multiplicity_column
    texts = [row.get(column, "") if column else "" for row in rows]
    for number, text in enumerate(texts, start=1):
        if text and not (text.isdecimal() and int(text) >= 1):
            raise DataFormatError(
                "a multiplicity is not a positive whole number",
                where=f"{settings.table}, data row {number}, column {column!r}",
                seen=repr(text),
                expected="2S+1 = 1, 2, 3, ..., or nothing",
            )
    return [int(text) if text else None for text in texts]


def _check_ids(table: pd.DataFrame, path: Path) -> None:
    first: dict[str, int] = {}
    for row, name in zip(table["row"], table["id"], strict=True):
        if not name:
            raise DataFormatError(
                "a molecule has no identifier", where=f"{path}, data row {row}", remedy="give it one of its own"
            )
        if name in first:
            raise DataFormatError(
                "two rows have the same identifier",
                where=f"{path}, data rows {first[name]} and {row}",
                seen=repr(name),
                expected="an identifier of its own for each row",
            )
        first[name] = row
