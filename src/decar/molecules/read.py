"""Read the user's table: CSV (TSV), SMI or SDF in, one row a molecule out, nothing interpreted yet but the geometry.

Columns of the result: `row` (1-based data row), `id`, `name`, `raw` (the SMILES as written; of an SDF entry its
isomeric SMILES), `geometry` and `sdf_offset` (of an SDF entry with 3D coordinates of all its atoms: the hash of its mol
block, and the byte of the file at which `decar.molecules.sdf.read_molblocks` finds it; else missing), `multiplicity`
(Int64, missing allowed), and one text column a label property ("" where the value is missing).
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from decar.config import MoleculesSettings
from decar.errors import ConfigError, DataFormatError
from decar.molecules.sdf import SDF_RAW, read_sdf
from decar.molecules.text_table import read_columns, read_text, require_columns
from decar.stages import digest

COLUMNS = ("row", "id", "name", "raw", "geometry", "sdf_offset", "multiplicity")
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
    optional = _optional_columns(settings)
    name_column = settings.name_column or settings.id_column

    def choose(header: list[str]) -> set[str]:
        needed = {
            "molecules.id_column": settings.id_column,
            "molecules.name_column": settings.name_column,
            "molecules.smiles_column": settings.smiles_column,
            **optional,
        }
        require_columns(settings.table, header, needed)
        return {column for column in needed.values() if column is not None}

    columns = read_columns(settings.table, delimiter, choose)
    raw = columns[settings.smiles_column]
    return _assemble(settings, columns, columns[settings.id_column], columns[name_column], raw)


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
    return _assemble(settings, {}, _texts(ids), _texts(ids), _texts(raw))


def _from_sdf(settings: MoleculesSettings, report: Callable[[str], None]) -> pd.DataFrame:
    """Read SDF entries; identifier and name come from data items of these names, else from the title line."""
    wanted = {column for column in _optional_columns(settings).values() if column is not None}
    properties: set[str] = set()
    ids, names, raw = list[str](), list[str](), list[str]()
    geometries, offsets = list[str | None](), list[int | None]()
    values: dict[str, list[str]] = {column: [] for column in wanted}
    for entry in read_sdf(settings.table, report):
        properties |= set(entry.properties)
        ids.append(entry.properties.get(settings.id_column) or entry.title)
        names.append(entry.properties.get(settings.name_column or "") or entry.title or ids[-1])
        raw.append(entry.smiles or SDF_RAW.format(message=entry.message))
        geometries.append(digest(entry.molblock) if entry.molblock else None)
        offsets.append(entry.offset if entry.molblock else None)
        for column in wanted:
            values[column].append(entry.properties.get(column, ""))
    require_columns(settings.table, sorted(properties), _optional_columns(settings))
    columns = {column: _texts(texts) for column, texts in values.items()}
    return _assemble(settings, columns, _texts(ids), _texts(names), _texts(raw), (geometries, offsets))


def _optional_columns(settings: MoleculesSettings) -> dict[str, str | None]:
    columns: dict[str, str | None] = {
        f"molecules.labels.{name}.column": label.column for name, label in settings.labels.items()
    }
    if settings.multiplicity_column:
        columns["molecules.multiplicity_column"] = settings.multiplicity_column
    return columns


def _texts(values: Iterable[str]) -> "pd.Series[str]":
    return pd.Series(list(values), dtype="str")


def _assemble(
    settings: MoleculesSettings, columns: Mapping[str, "pd.Series[str]"], ids: "pd.Series[str]",
    names: "pd.Series[str]", raw: "pd.Series[str]", given: tuple[list[str | None], list[int | None]] | None = None,
) -> pd.DataFrame:  # fmt: skip
    geometries, offsets = given or ([None] * len(raw), [None] * len(raw))
    empty = pd.Series("", index=raw.index, dtype="str")
    table = {
        "row": pd.RangeIndex(1, len(raw) + 1),
        "id": ids,
        "name": names,
        "raw": raw,
        "geometry": pd.Series(geometries, dtype="object"),
        "sdf_offset": pd.Series(offsets, dtype="Int64"),
        "multiplicity": _multiplicities(settings, columns.get(settings.multiplicity_column or "", empty)),
    }
    labels = {name: columns.get(label.column, empty) for name, label in settings.labels.items()}
    return pd.DataFrame({**table, **labels})


def _multiplicities(settings: MoleculesSettings, texts: "pd.Series[str]") -> "pd.Series[int]":
    codes, values = pd.factorize(texts)
    for code, text in enumerate(values):
        if text and not (text.isdecimal() and int(text) >= 1):
            raise DataFormatError(
                "a multiplicity is not a positive whole number",
                where=f"{settings.table}, data row {int(np.argmax(codes == code)) + 1}, "
                f"column {settings.multiplicity_column!r}",
                seen=repr(text),
                expected="2S+1 = 1, 2, 3, ..., or nothing",
            )
    known = pd.array([int(text) if text else None for text in values], dtype="Int64")
    return pd.Series(known.take(codes), index=texts.index)


def _check_ids(table: pd.DataFrame, path: Path) -> None:
    ids = table["id"]
    missing = np.flatnonzero(ids == "")
    repeated = np.flatnonzero(ids.duplicated())
    if len(missing) and (not len(repeated) or missing[0] < repeated[0]):
        raise DataFormatError(
            "a molecule has no identifier", where=f"{path}, data row {missing[0] + 1}", remedy="give it one of its own"
        )
    if len(repeated):
        name = ids.iloc[repeated[0]]
        raise DataFormatError(
            "two rows have the same identifier",
            where=f"{path}, data rows {int(np.argmax(ids == name)) + 1} and {repeated[0] + 1}",
            seen=repr(name),
            expected="an identifier of its own for each row",
        )
