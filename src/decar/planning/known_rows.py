"""Rows that were identified before: Parquet files of a part each, found by structure and multiplicity as written.

A folder a way of identifying (protonation, KEY_VERSION, STAGE_VERSION): what another way found is another folder's. A
part is kept at once, so an index of a million rows that is interrupted goes on where it was.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from decar.atomic import atomic_path
from decar.planning.identify import Protonation, Written, identify_rows
from decar.stages import digest

PART = 20_000  # rows of a part: half a minute of one core
MOST_PARTS = 100  # above which all are joined into one file
SCHEMA = pa.schema(
    {
        "raw": pa.string(), "given_multiplicity": pa.int32(), "status": pa.string(), "reason": pa.string(),
        "message": pa.string(), "key": pa.string(), "smiles": pa.string(), "charge": pa.int64(),
        "multiplicity": pa.int64(), "inchikey": pa.string(), "split_group": pa.string(), "scaffold": pa.string(),
        "num_heavy_atoms": pa.int64(), "formula": pa.string(),
    }
)  # fmt: skip
Indices = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Known:
    """The parts as they were listed; a column is read when it is asked for."""

    paths: tuple[Path, ...]

    def read(self, columns: Sequence[str]) -> pa.Table:
        """Return columns of all known rows, in the order of the parts."""
        schema = pa.schema([SCHEMA.field(name) for name in columns])
        tables = [pq.read_table(path, columns=list(columns)).cast(schema) for path in self.paths]
        return pa.concat_tables(tables) if tables else schema.empty_table()


def identified(
    folder: Path, raw: pa.ChunkedArray, multiplicity: pa.ChunkedArray, protonation: Protonation, processes: int,
    report: Callable[[str], None], before_new: Callable[[], None],
) -> tuple[Known, Indices]:  # fmt: skip
    """Return the known rows, and for each row of the user's table its place among them.

    Rows never seen before are identified and kept in `folder` first.
    """
    names = _names(raw, multiplicity)
    known, places = _look_up(folder, names)
    if places.null_count:
        before_new()
        new = pc.unique(names.filter(pc.is_null(places)))
        for part, rows in identify_rows(_parts(new), len(new), protonation, processes, report):
            _keep(folder, part, rows)
        del known, places
        pa.default_memory_pool().release_unused()
        known, places = _look_up(folder, names)
    return known, places.combine_chunks().to_numpy().astype(np.int64)


def _look_up(folder: Path, names: pa.ChunkedArray) -> tuple[Known, pa.ChunkedArray]:
    known = Known(_sound_parts(folder))
    table = known.read(["raw", "given_multiplicity"])
    return known, pc.index_in(names, value_set=_names(table["raw"], table["given_multiplicity"]))


def _names(raw: pa.ChunkedArray, multiplicity: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the structure as written, followed by the multiplicity where one is given; no text has a zero byte."""
    raw = raw.cast(pa.large_string())
    if multiplicity.null_count == len(multiplicity):
        return raw
    given = pc.binary_join_element_wise(raw, multiplicity.cast(pa.large_string()), pa.scalar("\0", pa.large_string()))
    return pa.chunked_array(pc.if_else(pc.is_null(multiplicity), raw, given))


def _parts(names: pa.Array) -> Iterator[list[Written]]:
    for start in range(0, len(names), PART):
        split = (name.partition("\0") for name in names[start : start + PART].to_pylist())
        yield [(raw, int(given) if given else None) for raw, _, given in split]


def _keep(folder: Path, part: list[Written], rows: list[dict[str, Any]]) -> None:
    entries = [{"raw": raw, "given_multiplicity": given, **row} for (raw, given), row in zip(part, rows, strict=True)]
    _write(folder / f"{digest(part)[:16]}.parquet", pa.Table.from_pylist(entries, SCHEMA))


def _write(path: Path, table: pa.Table) -> None:
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", use_dictionary=["status", "reason", "scaffold"])


def _sound_parts(folder: Path) -> tuple[Path, ...]:
    """Return the parts that can be read, joined into one where they have become many."""
    paths = []
    for path in sorted(folder.glob("*.parquet")):
        # Another run may have joined the parts meanwhile, or a disk lost one: its rows are then identified anew.
        with suppress(OSError, pa.ArrowInvalid):
            if pq.read_schema(path).equals(SCHEMA):
                paths.append(path)
    if len(paths) <= MOST_PARTS:
        return tuple(paths)
    joined = folder / f"{digest([path.name for path in paths])[:16]}.parquet"
    _write(joined, Known(tuple(paths)).read(SCHEMA.names))
    for path in paths:
        path.unlink(missing_ok=True)
    return (joined,)
