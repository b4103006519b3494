"""The record: what one stage computed for one molecule, kept for ever under its recipe.

One HDF5 file: the root attribute `decar_record` holds the metadata as JSON, every array is a dataset (names may be
nested: `0/geometry_bohr`). Files appear whole or not at all (temporary file, flush to disk, rename). The records of a
batch are packed into one file, a group each (`decar.pack`).
"""

import hashlib
import io
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np

from decar.atomic import atomic_path
from decar.errors import DamagedFileError, DataFormatError

FORMAT_VERSION = 1
Array = np.ndarray[Any, np.dtype[Any]]
LARGE = 65536  # bytes above which an array is stored as one compressed chunk a leading index
# Of the codecs that lose nothing this one gives the smallest fields, and is read at gigabytes a second
# (benchmarks/storage.py).
COMPRESSION = hdf5plugin.Blosc2(cname="zstd", clevel=1, filters=hdf5plugin.Blosc2.SHUFFLE)


def canonical_json(value: object) -> str:
    """Return JSON with sorted keys, no spaces and shortest round-trip numbers: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def array_hash(array: Array) -> str:
    """Return the SHA-256 of an array's little-endian type, shape and values (never of a file's bytes)."""
    little = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False)
    digest = hashlib.sha256(f"{little.dtype.str}{little.shape}".encode())
    digest.update(little.tobytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class Place:
    """Where a record lies: a file of its own (group `/`), or the group `<recipe>` of a pack."""

    file: Path
    group: str = "/"

    @classmethod
    def parse(cls, text: str) -> "Place":
        """Return the place that `FILE` or `FILE:RECIPE` names."""
        file, colon, recipe = text.rpartition(":")
        return cls(Path(file), recipe) if colon and re.fullmatch("[0-9a-f]{64}", recipe) else cls(Path(text))

    def __str__(self) -> str:
        return str(self.file) if self.group == "/" else f"{self.file}:{self.group}"


@dataclass(frozen=True)
class Record:
    """`kind` names the stage's result (or `failure`); `metadata` is JSON-able; `provenance` stays out of the hash."""

    kind: str
    recipe: str
    metadata: Mapping[str, Any]
    arrays: Mapping[str, Array] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_failure(self) -> bool:
        """Return whether the molecule failed at this stage."""
        return self.kind == "failure"

    @property
    def content_hash(self) -> str:
        """Return the SHA-256 over kind, metadata and the hashes of the arrays."""
        hashes = {name: array_hash(array) for name, array in self.arrays.items()}
        text = canonical_json({"kind": self.kind, "metadata": self.metadata, "arrays": hashes})
        return hashlib.sha256(text.encode()).hexdigest()


def write_record(path: Path, record: Record) -> None:
    """Write a record; raises ResourceError when the disk is full, and leaves nothing half written."""
    header = {
        "format_version": FORMAT_VERSION,
        "kind": record.kind,
        "recipe": record.recipe,
        "content_hash": record.content_hash,
        "metadata": dict(record.metadata),
        "provenance": dict(record.provenance),
    }
    # Built in memory first: a full disk then meets one plain write, not an HDF5 file that cannot be closed.
    image = io.BytesIO()
    with h5py.File(image, "w") as file:
        file.attrs["decar_record"] = canonical_json(header)
        for name, array in record.arrays.items():
            _write_array(file, name, array)
    with atomic_path(path) as temporary:
        temporary.write_bytes(image.getbuffer())


def _write_array(file: h5py.File, name: str, array: Array) -> None:
    if array.nbytes < LARGE:
        file.create_dataset(name, data=array)
        return
    # One chunk a channel: a shard copies chunks without decoding them.
    chunk = (1, *array.shape[1:]) if array.ndim == 4 else array.shape
    file.create_dataset(name, data=array, chunks=chunk, **COMPRESSION)


def read_header(where: Path | Place) -> dict[str, Any]:
    """Return kind, recipe, content_hash, metadata and provenance without reading any array."""
    with open_record(where) as (_, header):
        return header


def holds(place: Place, recipe: str) -> bool:
    """Return whether the record of this recipe lies at `place`; errors as of `read_record`, but for what is absent."""
    try:
        with h5py.File(place.file, "r") as file:
            return place.group in file and bool(_header(file[place.group], place)["recipe"] == recipe)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise _damaged(place.file, error) from error


def read_record(where: Path | Place) -> Record:
    """Read a record whole; raises DataFormatError for a truncated, foreign or newer file."""
    arrays: dict[str, Array] = {}
    with open_record(where) as (group, header):
        group.visititems(lambda name, item: arrays.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
    return Record(header["kind"], header["recipe"], header["metadata"], arrays, header["provenance"])


@contextmanager
def open_record(where: Path | Place) -> Iterator[tuple[h5py.Group, dict[str, Any]]]:
    """Yield the HDF5 group of a record and its header, the file open; errors as of `read_record`."""
    place = where if isinstance(where, Place) else Place(where)
    try:
        with h5py.File(place.file, "r") as file:
            if place.group not in file:
                raise DataFormatError("the pack does not hold this record", where=place)
            yield file[place.group], _header(file[place.group], place)
    except OSError as error:
        raise _damaged(place.file, error) from error


def _header(group: h5py.Group, place: Place) -> dict[str, Any]:
    if "decar_record" not in group.attrs:
        holds = [name for name, member in group.items() if "decar_record" in member.attrs]
        if holds:
            raise DataFormatError(
                "this is a pack of records", where=place, seen=f"{len(holds)} records",
                remedy=f"name one of them, such as {place.file}:{holds[0]}",
            )  # fmt: skip
        raise DataFormatError("this HDF5 file is not a decar record", where=place)
    header: dict[str, Any] = json.loads(group.attrs["decar_record"])
    if header["format_version"] != FORMAT_VERSION:
        raise DataFormatError(
            "unknown record format",
            where=place,
            seen=header["format_version"],
            expected=FORMAT_VERSION,
            remedy="install the version of decar that wrote it",
        )
    return header


def _damaged(path: Path, error: OSError) -> DataFormatError:
    if isinstance(error, PermissionError | BlockingIOError):
        return DataFormatError(
            "the record may not be read", where=path, seen=str(error), remedy="look at its permissions"
        )
    size = os.path.getsize(path) if path.exists() else None  # noqa: PTH202
    return DamagedFileError(
        "the record cannot be read",
        where=path,
        seen=f"{size} bytes: {error}" if path.exists() else "no such file",
        remedy="run the workflow again: only this record is computed anew",
    )
