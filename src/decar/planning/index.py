"""The index of a study: every row of the user's table, identified. Only rows never seen before are standardised.

Columns: `row` (1-based data row), `id`, `name`, `raw` (as written), `geometry` and `sdf_offset` (hash and place in the
user's SDF of a geometry that the user brought), `status` (`ok`, `failed` or `duplicate`), `reason`, `message`, `key`,
`smiles`, `charge`, `multiplicity`, `inchikey`, `split_group`, `scaffold`, `num_heavy_atoms`, `formula` (Hill order, of
the parent), and `label:<property>` as numbers.

A table of a million rows is columns of half a gigabyte; as Python objects it would be several. So rows are read into
columns, looked up as columns, and the index goes to its file a slice at a time.
"""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from decar.atomic import atomic_path
from decar.config import MoleculesSettings
from decar.errors import DataFormatError
from decar.molecules.identity import KEY_VERSION
from decar.molecules.labels import label_values
from decar.molecules.read import read_rows
from decar.planning.hashing import KEY_LENGTH, keys_of, leading_digits
from decar.planning.identify import IDENTITY
from decar.planning.known_rows import identified
from decar.receipt import read_table
from decar.stages import STAGE_VERSION, digest

SLICE = 50_000  # rows of one row group of the file


def write_index(
    settings: MoleculesSettings, known: Path, output: Path, processes: int = 1,
    report: Callable[[str], None] = lambda _: None, before_new: Callable[[], None] = lambda: None,
) -> None:  # fmt: skip
    """Read the table, identify every row and write the index `output`; `known` is a folder of rows seen before.

    `before_new` is called before rows are identified that were not, which may take long.
    """
    rows = read_rows(settings, report)
    values = {name: label_values(rows, name, label) for name, label in settings.labels.items()}
    version = digest([settings.protonation, KEY_VERSION, STAGE_VERSION["molecules"], list(IDENTITY)])[:8]
    given = pa.table(
        {
            "row": rows["row"],
            "id": _text(rows["id"]).combine_chunks(),
            "name": _text(rows["name"]),
            "raw": _text(rows["raw"]),
            "geometry": pa.array(rows["geometry"], type=pa.large_string(), from_pandas=True),
            "sdf_offset": pa.array(rows["sdf_offset"], type=pa.int64(), from_pandas=True),
        }
    )
    multiplicity = pa.chunked_array([pa.array(rows["multiplicity"], type=pa.int32(), from_pandas=True)])
    del rows
    seen, places = identified(
        known / version, given["raw"], multiplicity, settings.protonation, processes, report, before_new
    )  # fmt: skip
    pa.default_memory_pool().release_unused()
    first = _first_of_key(seen.read(["key"])["key"], places)
    del multiplicity
    pa.default_memory_pool().release_unused()
    # In one piece each: a column of many chunks is joined anew whenever rows are taken from it.
    table = pa.table({name: seen.read([name])[name].combine_chunks() for name in IDENTITY})
    with atomic_path(output) as temporary:
        writer = None
        for start in range(0, len(places), SLICE):
            part = slice(start, start + SLICE)
            piece = _piece(given, table, places[part], first[part], start)
            for name, column in values.items():
                piece = piece.append_column(f"label:{name}", pa.array(column[part], from_pandas=True))
            if writer is None:
                writer = pq.ParquetWriter(
                    temporary, piece.schema, compression="zstd",
                    use_dictionary=["status", "reason", "message", "scaffold", "charge", "multiplicity"],
                )  # fmt: skip
            writer.write_table(piece)
            pa.default_memory_pool().release_unused()
        if writer is not None:
            writer.close()
    del given, table, places, first
    pa.default_memory_pool().release_unused()


def build_index(
    settings: MoleculesSettings, known: Path, report: Callable[[str], None] = lambda _: None
) -> pd.DataFrame:
    """Return the index as one table in memory, for a look at a row of it."""
    with TemporaryDirectory() as folder:
        write_index(settings, known, Path(folder) / "index.parquet", report=report)
        return read_table(Path(folder) / "index.parquet")


def _text(column: "pd.Series[Any]") -> pa.ChunkedArray:
    array = pa.array(column, type=pa.large_string(), from_pandas=True)
    return array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])


def _first_of_key(keys: pa.ChunkedArray, places: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """Return for each row the number of the first row of the same molecule; its own where it has no key."""
    has_key = pc.is_valid(keys).to_numpy()[places]
    sound = np.flatnonzero(has_key)
    leading = leading_digits(keys_of(pc.fill_null(keys, "0" * KEY_LENGTH)))[places[sound]]
    # Numbers of 8 bytes tell nearly all apart; only those that share one are compared as the texts that they are.
    _, inverse, counts = np.unique(leading, return_inverse=True, return_counts=True)
    shared = sound[counts[inverse] > 1]
    codes = keys.take(pa.array(places[shared])).combine_chunks().dictionary_encode().indices.to_numpy()
    first = np.arange(len(places))
    _, place, inverse = np.unique(codes, return_index=True, return_inverse=True)
    first[shared] = shared[place[inverse]]
    return first


def _piece(
    given: pa.Table, known: pa.Table, places: "np.ndarray[Any, Any]", first: "np.ndarray[Any, Any]", start: int
) -> pa.Table:
    """Return some rows of the index; every later row of one key is a duplicate of the first; its labels still count."""
    piece = given.slice(start, len(places))
    identity = known.select(IDENTITY).take(pa.array(places))
    repeated = np.flatnonzero(first != np.arange(start, start + len(places)))
    if len(repeated):
        mask = np.zeros(len(places), dtype=bool)
        mask[repeated] = True
        originals = given.select(["row", "id"]).take(pa.array(first[repeated])).to_pylist()
        messages = [f"the same molecule as row {original['row']} (id {original['id']})" for original in originals]
        for name, texts in (("status", ["duplicate"]), ("reason", ["duplicate"]), ("message", messages)):
            column = identity[name].combine_chunks()
            filled = pa.array(texts * (len(repeated) // len(texts)), type=pa.string())
            place = identity.schema.get_field_index(name)
            identity = identity.set_column(place, name, pc.replace_with_mask(column, pa.array(mask), filled))
    for name in IDENTITY:
        piece = piece.append_column(name, identity[name])
    return piece


def read_sound(index: Path, columns: list[str], sort_by: str = "key") -> pa.Table:
    """Read columns of the molecules of an index (rows of status `ok`), sorted by one of them.

    Raises DataFormatError for an index that lacks one: it is of another version of decar.
    """
    missing = sorted(set(columns) - set(pq.read_schema(index).names))
    if missing:
        raise DataFormatError(
            "the index of this plan lacks columns", where=index, expected=", ".join(missing),
            seen="the index of another version of decar",
            remedy=f"plan the study once (`snakemake -n`), then delete this plan (*-{index.stem.split('-')[-1]}.*)",
        )  # fmt: skip
    order = _order(index, index.stat().st_mtime_ns, sort_by)
    # One after another: only one column is in memory twice.
    return pa.table({name: pq.read_table(index, columns=[name])[name].take(order) for name in columns})


@lru_cache(maxsize=1)  # a plan reads half a dozen times in the order of the keys
def _order(index: Path, _changed: int, sort_by: str) -> pa.ChunkedArray:
    table = pq.read_table(index, columns=["status", sort_by])
    sound = pc.indices_nonzero(pc.equal(table["status"], "ok"))
    return pc.take(sound, pc.sort_indices(table[sort_by].take(sound)))


def key_of(index: Path, identifier: str) -> str | None:
    """Return the key of a row of the user's table, None when it has none."""
    table = pq.read_table(index, columns=["id", "key"])
    found = table.filter(pc.equal(pc.cast(table["id"], pa.string()), identifier))["key"].to_pylist()
    return found[0] if found else None


def count_status(index: Path) -> dict[str, int]:
    """Return how many rows of an index have each status, the most frequent first."""
    counts = pc.value_counts(pq.read_table(index, columns=["status"])["status"]).to_pylist()
    return {entry["values"]: entry["counts"] for entry in sorted(counts, key=lambda entry: -entry["counts"])}
