"""The shard: voxels of the molecules of one hash prefix in one HDF5 file, written once by one writer.

    /                        format = "decar shard", format_version, study (JSON), provenance (JSON)
    /<key>                   recipe and content_hash of the fields record, num_conformers
    /<key>/<conformer>       origin_bohr (3,), spacing_bohr, quality (JSON)
    /<key>/<conformer>/<field>   [channel, x, y, z], one chunk a channel; symbol, unit, parity, core, channels (JSON),
                             checksum = decar.record.array_hash of the values

Boxes may differ from molecule to molecule. Compressed chunks are copied from the fields records as they are.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

from decar.atomic import atomic_path
from decar.errors import DataFormatError
from decar.provenance import provenance
from decar.record import COMPRESSION, Place, Record, array_hash, canonical_json, open_record, read_header, read_record

FORMAT = "decar shard"
FORMAT_VERSION = 1
AT_A_TIME = 5_000  # conformers of a part of the manifest
MANIFEST_COLUMNS = (
    "key", "conformer", "weight", "shard", "path", "shape_x", "shape_y", "shape_z", "spacing_bohr", "checksum",
    "status",
)  # fmt: skip


def bucket(key: str, num_shards: int) -> str:
    """Return the shard of a key: the leading log2(num_shards) bits of its hexadecimal, at fixed width.

    `num_shards` is a power of two, at most 2^64. Half as many shards are pairs of neighbours of these.
    """
    bits = num_shards.bit_length() - 1
    width = max(1, (bits + 3) // 4)
    return f"{int(key[:16], 16) >> (64 - bits) if bits else 0:0{width}x}"


def write_shard(path: Path, members: Sequence[tuple[str, Place | Record]], study_metadata: Mapping[str, Any]) -> None:
    """Write the shard of these molecules: (key, place of the fields record or the record itself).

    Each record is decoded once to check its content hash, and its chunks are then copied without being encoded again.
    Raises DataFormatError for a record that is damaged, of another molecule or not of the fields stage.
    """
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs["format"] = FORMAT
        file.attrs["format_version"] = FORMAT_VERSION
        file.attrs["study"] = canonical_json(dict(study_metadata))
        file.attrs["provenance"] = canonical_json(provenance("h5py", "hdf5plugin", "numpy"))
        for key, source in sorted(members, key=lambda member: member[0]):
            _write_member(file, key, source)


def _write_member(file: h5py.File, key: str, source: Place | Record) -> None:
    record = _checked(key, source)
    group = file.create_group(key)
    group.attrs["recipe"] = record.recipe
    group.attrs["content_hash"] = record.content_hash
    group.attrs["num_conformers"] = int(record.metadata["num_conformers"])
    with ExitStack() as stack:
        stored = stack.enter_context(open_record(source))[0] if isinstance(source, Place) else None
        for number, conformer in enumerate(record.metadata["conformers"]):
            target = group.create_group(str(number))
            target.attrs["origin_bohr"] = np.asarray(conformer["grid"]["origin_bohr"], dtype=np.float64)
            target.attrs["spacing_bohr"] = float(conformer["grid"]["spacing_bohr"])
            target.attrs["quality"] = canonical_json(conformer.get("quality", {}))
            for field, description in record.metadata["fields"].items():
                _write_field(target, field, description, f"{number}/{field}", record, stored)


def _write_field(
    target: h5py.Group, field: str, description: Mapping[str, Any], name: str, record: Record, stored: h5py.Group | None
) -> None:
    if name not in record.arrays:
        raise DataFormatError("the fields record lacks an array", where=target.name, expected=name)
    array = record.arrays[name]
    chunk = (1, *array.shape[1:])
    if stored is not None and stored[name].chunks == chunk:
        # HDF5 copies the compressed chunks byte by byte when neither type nor layout changes.
        stored.copy(name, target, name=field)
    else:
        target.create_dataset(field, data=array, chunks=chunk, **COMPRESSION)
    attributes = target[field].attrs
    for entry in ("symbol", "unit", "parity", "core"):
        attributes[entry] = str(description.get(entry, ""))
    attributes["channels"] = canonical_json(description.get("channels", array.shape[0]))
    attributes["checksum"] = array_hash(array)


def _checked(key: str, source: Place | Record) -> Record:
    """Return the fields record of a molecule, its content hash checked against the file's."""
    record = source if isinstance(source, Record) else read_record(source)
    where = key if isinstance(source, Record) else source
    if record.kind != "fields":
        raise DataFormatError("a shard is made of fields records", where=where, seen=record.kind, expected="fields")
    if record.metadata["key"] != key:
        raise DataFormatError(
            "the record is of another molecule", where=where, seen=record.metadata["key"], expected=key
        )
    if isinstance(source, Place):
        expected = read_header(source)["content_hash"]
        if record.content_hash != expected:
            raise DataFormatError(
                "the values of the record do not match its content hash", where=source, seen=record.content_hash,
                expected=expected, remedy="delete it and run the workflow again: only this record is computed anew",
            )  # fmt: skip
    return record


@contextmanager
def shard_file(path: Path) -> Iterator[h5py.File]:
    """Open a shard for reading, for the length of a block."""
    file = open_shard(path)
    try:
        yield file
    finally:
        file.close()


def open_shard(path: Path) -> h5py.File:
    """Open a shard for reading; raises DataFormatError for one that is missing, truncated, foreign or newer."""
    try:
        # The chunk cache must hold at least one chunk of a large box: 64 MiB is a float32 box of 256^3.
        file = h5py.File(path, "r", rdcc_nbytes=64 * 2**20)
    except OSError as error:
        raise DataFormatError(
            "the shard cannot be read", where=path, seen=str(error) if path.exists() else "no such file",
            remedy="delete it and run the workflow again: it is copied anew from the fields records",
        ) from error  # fmt: skip
    version = file.attrs.get("format_version")
    if file.attrs.get("format") != FORMAT or version != FORMAT_VERSION:
        seen = f"format {file.attrs.get('format')!r}, version {version}"
        file.close()
        raise DataFormatError("this is not a shard that this version reads", where=path, seen=seen,
                              expected=f"format {FORMAT!r}, version {FORMAT_VERSION}")  # fmt: skip
    return file


def read_manifest(path: Path) -> pd.DataFrame:
    """Return the manifest of one shard: a row a conformer, sorted by key and conformer; no voxel is read.

    `weight` is 1/k for each of a molecule's k conformers; `checksum` is JSON, {field: SHA-256 of its values}.
    """
    parts = list(manifest_parts(path))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(MANIFEST_COLUMNS))


def manifest_parts(path: Path) -> Iterator[pd.DataFrame]:
    """Yield the manifest of one shard, about AT_A_TIME rows each; the conformers of a molecule are not parted."""
    rows: list[dict[str, object]] = []
    with shard_file(path) as file:
        for key in sorted(file):
            if len(rows) >= AT_A_TIME:
                yield pd.DataFrame(rows, columns=list(MANIFEST_COLUMNS))
                rows = []
            rows += [_manifest_row(path, key, number, file[key][number]) for number in sorted(file[key], key=int)]
    if rows:
        yield pd.DataFrame(rows, columns=list(MANIFEST_COLUMNS))


def _manifest_row(path: Path, key: str, number: str, conformer: h5py.Group) -> dict[str, object]:
    shapes = {dataset.shape[1:] for dataset in conformer.values()}
    if len(shapes) != 1:
        raise DataFormatError("the fields of a conformer differ in shape", where=f"{path}:{conformer.name}",
                              seen=sorted(shapes))  # fmt: skip
    shape = shapes.pop()
    checksums = {name: str(dataset.attrs["checksum"]) for name, dataset in conformer.items()}
    return {
        "key": key, "conformer": int(number), "weight": 1.0 / int(conformer.parent.attrs["num_conformers"]),
        "shard": path.name, "path": f"{key}/{number}", "shape_x": shape[0], "shape_y": shape[1], "shape_z": shape[2],
        "spacing_bohr": float(conformer.attrs["spacing_bohr"]), "checksum": canonical_json(checksums), "status": "ok",
    }  # fmt: skip


def _conformers(file: h5py.File) -> Iterator[tuple[str, int, h5py.Group]]:
    for key in sorted(file):
        for number in sorted(file[key], key=int):
            yield key, int(number), file[key][number]


def verify_shard(path: Path) -> list[str]:
    """Decode everything and return what is wrong, a line a problem: checksums, shapes, units, finite values.

    Raises DataFormatError when the file cannot be opened at all.
    """
    problems: list[str] = []
    with shard_file(path) as file:
        for key in sorted(file):
            expected = int(file[key].attrs.get("num_conformers", 0))
            if sorted(file[key], key=int) != [str(number) for number in range(expected)]:
                problems.append(f"{path.name}:/{key}: {len(file[key])} conformers, expected {expected}")
        for key, number, conformer in _conformers(file):
            where = f"{path.name}:/{key}/{number}"
            if not conformer.attrs.get("spacing_bohr", 0.0) > 0:
                problems.append(f"{where}: spacing_bohr is not positive")
            if np.shape(conformer.attrs.get("origin_bohr", ())) != (3,):
                problems.append(f"{where}: origin_bohr is not a point")
            if len({dataset.shape[1:] for dataset in conformer.values()}) != 1:
                problems.append(f"{where}: the fields differ in shape")
            for name, dataset in conformer.items():
                problems += [f"{where}/{name}: {problem}" for problem in _verify_field(dataset)]
    return problems


def _verify_field(dataset: h5py.Dataset) -> list[str]:
    problems = []
    if dataset.ndim != 4:
        problems.append(f"shape {dataset.shape} is not [channel, x, y, z]")
    if not dataset.attrs.get("unit"):
        problems.append("it has no unit")
    try:
        array = dataset[()]
    except OSError as error:
        return [*problems, f"cannot be decoded: {error}"]
    if not np.isfinite(array).all():
        problems.append(f"{int((~np.isfinite(array)).sum())} values are not finite")
    if array_hash(array) != dataset.attrs.get("checksum"):
        problems.append("the values do not match their checksum")
    return problems
