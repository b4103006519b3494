"""SHA-256 over the columns of a table, from the bytes in which Arrow holds them: a second for ten million texts.

Per column: its name and length, then for each piece of rows the length of every text (-1 where it is missing) and the
texts one behind another, or numbers as float64 with one NaN for all that are missing. Two tables have one digest
only if they hold the same; how a table is cut into chunks, and how wide its offsets are, does not enter.
"""

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from decar.record import canonical_json

PIECE = 100_000  # rows of one piece, so that no column is copied as a whole
KEY_LENGTH = 64
Keys = np.ndarray[Any, np.dtype[np.bytes_]]


def table_digest(table: pa.Table) -> str:
    """Return the digest of a table of texts and of floating-point numbers; the order of its rows counts."""
    sha = hashlib.sha256()
    for name in table.column_names:
        sha.update(canonical_json([name, len(table)]).encode())
        for start in range(0, len(table), PIECE):
            for part in _bytes(table[name].slice(start, PIECE).combine_chunks()):
                sha.update(part)
    return sha.hexdigest()


def _bytes(column: pa.Array) -> Iterator[bytes | memoryview]:
    if pa.types.is_floating(column.type):
        values = pc.fill_null(column, np.nan).to_numpy(zero_copy_only=False).astype("<f8")
        values[np.isnan(values)] = np.nan
        yield values.tobytes()
        return
    yield pc.fill_null(pc.binary_length(column), -1).to_numpy().astype("<i4").tobytes()
    column = pc.fill_null(column, "") if column.null_count else column
    wide = pa.types.is_large_string(column.type)
    offsets = memoryview(column.buffers()[1]).cast("q" if wide else "i")
    begin, end = offsets[column.offset], offsets[column.offset + len(column)]
    if end > begin:
        yield memoryview(column.buffers()[2])[begin:end]


def keys_of(column: pa.ChunkedArray) -> Keys:
    """Return a column of keys as an array of bytes, which is the memory of the column where it is in one piece."""
    keys = column.combine_chunks()
    wide = pa.types.is_large_string(keys.type)
    begin = memoryview(keys.buffers()[1]).cast("q" if wide else "i")[keys.offset] if len(keys) else 0
    data = np.frombuffer(keys.buffers()[2] or b"", dtype=np.uint8)
    return data[begin : begin + len(keys) * KEY_LENGTH].view(f"S{KEY_LENGTH}")


def leading_digits(keys: Keys) -> "np.ndarray[Any, np.dtype[np.uint64]]":
    """Return the leading 16 hexadecimal digits of each key as a number."""
    # For all keys at once: '0' is 48, 'a' is 97.
    letters = keys.view(np.uint8).reshape(-1, KEY_LENGTH)
    leading = np.zeros(len(keys), dtype=np.uint64)
    for place in range(16):
        letter = letters[:, place]
        leading = (leading << np.uint64(4)) | (letter - np.where(letter > 57, np.uint8(87), np.uint8(48)))
    return leading
