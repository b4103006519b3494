"""The arrays of a bundle's part: one safetensors file, names `<recipe>/<array>`; no code runs when it is read.

A safetensors file is a length (8 bytes), a JSON header (name: type, shape, first and last byte) and the bytes. Every
declared size is compared with the bytes that are there before anything is allocated.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from safetensors.numpy import save

from decar.errors import DataFormatError
from decar.exchange.limits import MAX_TENSOR_HEADER_BYTES, hostile, parse_json
from decar.record import Array

# The types of arrays in records; safetensors has others (bfloat16, 8-bit floats), which no record has.
TYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "|i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "|u1", "BOOL": "|b1",
}  # fmt: skip
MAX_DIMENSIONS = 8
Entry = tuple[str, tuple[int, ...], int, int]  # type, shape, first byte, byte after the last


def encode(arrays: Mapping[str, Array]) -> bytes:
    """Return the safetensors bytes of arrays; raises DataFormatError for a type that bundles do not have."""
    plain = {}
    for name, array in arrays.items():
        little = array.dtype.newbyteorder("<")
        if little.str not in TYPES.values():
            raise DataFormatError("a bundle has no such type of array", where=name, seen=array.dtype)
        plain[name] = np.ascontiguousarray(array).astype(little, copy=False).reshape(array.shape)
    return bytes(save(plain))


class Tensors:
    """The arrays of one safetensors file in memory; they are checked when it is made, and copied when asked for."""

    def __init__(self, data: bytes, where: object) -> None:
        self._data = memoryview(data)
        self._of: dict[str, dict[str, Entry]] = {}
        for name, entry in _entries(data, where):
            recipe, _, array = name.partition("/")
            self._of.setdefault(recipe, {})[array] = entry

    def of(self, recipe: str) -> dict[str, Array]:
        """Return the arrays of one record, without the recipe in their names."""
        return {name: self._array(entry) for name, entry in self._of.get(recipe, {}).items()}

    def _array(self, entry: Entry) -> Array:
        dtype, shape, begin, end = entry
        return np.frombuffer(self._data[begin:end], dtype=dtype).reshape(shape).copy()


def _entries(data: bytes, where: object) -> Iterator[tuple[str, Entry]]:
    """Yield (name, (type, shape, begin, end)) of every array; together they are exactly the bytes of the file."""
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > min(MAX_TENSOR_HEADER_BYTES, len(data) - 8):
        raise hostile("the header of the arrays is longer than allowed", where, f"{length} bytes")
    start = 8 + length
    header = parse_json(data[8:start], MAX_TENSOR_HEADER_BYTES, where)
    if not isinstance(header, dict):
        raise hostile("the header of the arrays is no table", where)
    header.pop("__metadata__", None)
    spans = []
    for name, stated in header.items():
        dtype, shape, begin, end = _stated(name, stated, where)
        size = math.prod(shape) * np.dtype(dtype).itemsize
        if not 0 <= begin <= end <= len(data) - start or end - begin != size:
            raise hostile(
                "an array is not where its header says", where, f"{name[:99]}: {size} bytes, {begin} to {end}"
            )
        spans.append((begin, end))
        yield name, (dtype, shape, start + begin, start + end)
    place = 0
    for begin, end in sorted(spans):
        if begin != place:
            raise hostile("arrays overlap, or bytes between them belong to none", where, f"byte {begin}")
        place = end
    if place != len(data) - start:
        raise hostile("bytes after the last array", where, len(data) - start - place)


def _stated(name: str, stated: Any, where: object) -> Entry:
    try:
        (begin, end), shape = stated["data_offsets"], tuple(stated["shape"])
        dtype = TYPES[stated["dtype"]]
        numbers = (begin, end, *shape)
        if len(shape) > MAX_DIMENSIONS or not all(type(n) is int and 0 <= n < 2**48 for n in numbers):
            raise ValueError
    except (KeyError, TypeError, ValueError) as error:
        raise hostile("the header of an array cannot be read", where, f"{name[:99]}: {str(stated)[:200]}") from error
    return dtype, shape, begin, end
