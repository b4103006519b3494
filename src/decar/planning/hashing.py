"""SHA-256 over long JSON lists, a piece at a time: equal to `decar.stages.digest`, without the whole text in memory.

The JSON of a million rows is made by column operations, a tenth of the time of making it row by row.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from decar.record import canonical_json

PIECE = 50_000  # rows of one piece
CONTROL = r"[\x00-\x1f]"  # JSON escapes these one by one: rare enough to be left to `json`


@dataclass(frozen=True)
class Pieces:
    """A JSON list, given as texts of some of its entries each, joined by commas."""

    texts: Iterable[bytes]


def digest_in_pieces(values: list[object]) -> str:
    """Return `digest(values)`; an entry may be `Pieces`, which stands for its list."""
    sha = hashlib.sha256(b"[")
    for number, value in enumerate(values):
        sha.update(b"," if number else b"")
        if isinstance(value, Pieces):
            sha.update(b"[")
            for place, text in enumerate(text for text in value.texts if text):
                sha.update(b"," if place else b"")
                sha.update(text)
            sha.update(b"]")
        else:
            sha.update(canonical_json(value).encode())
    sha.update(b"]")
    return sha.hexdigest()


def later(make: Callable[[], Pieces]) -> Pieces:
    """Return a list whose columns are read when its turn comes, and let go after it."""

    def pieces() -> Iterator[bytes]:
        yield from make().texts
        pa.default_memory_pool().release_unused()

    return Pieces(pieces())


def texts(column: pa.ChunkedArray) -> Pieces:
    """Return the list of the texts of a column."""
    return Pieces(_joined(_quoted(column.slice(start, PIECE))) for start in range(0, len(column), PIECE))


def rows(table: pa.Table) -> Pieces:
    """Return the list of the rows of a table, each the list of its values as text; a missing one is `nan`."""

    def pieces() -> Iterator[bytes]:
        for start in range(0, len(table), PIECE):
            part = table.slice(start, PIECE)
            cells = _join(*(_quoted(part[name]) for name in part.column_names), ",")
            yield _joined(_join("[", cells, "]", ""))

    return Pieces(pieces())


def _quoted(column: pa.ChunkedArray) -> pa.Array:
    """Return each value as a JSON string (text, or the shortest number that Python writes)."""
    column = column.combine_chunks()
    if pa.types.is_floating(column.type):
        distinct = column.dictionary_encode()
        shown = pa.array([repr(value) for value in distinct.dictionary.to_pylist()], type=pa.large_string())
        column = shown.take(distinct.indices)
    column = pc.fill_null(column.cast(pa.large_string()), "nan")
    if pc.any(pc.match_substring_regex(column, CONTROL)).as_py():
        return pa.array([canonical_json(value) for value in column.to_pylist()], type=pa.large_string())
    column = pc.replace_substring(column, "\\", "\\\\")
    return _join('"', pc.replace_substring(column, '"', '\\"'), '"', "")


def _joined(column: pa.Array) -> bytes:
    """Return the texts of a column with commas between them: the data of an Arrow column lie one behind another."""
    if not len(column):
        return b""
    column = _join(column, ",", "")
    begin, end = column.offset, column.offset + len(column)
    offsets = memoryview(column.buffers()[1]).cast("q")
    return memoryview(column.buffers()[2])[offsets[begin] : offsets[end] - 1].tobytes()


def _join(*parts: "pa.Array | str") -> pa.Array:
    """Join texts row by row; the last of the parts stands between the others."""
    columns = [pa.scalar(part, type=pa.large_string()) if isinstance(part, str) else part for part in parts]
    return pc.binary_join_element_wise(*columns)
