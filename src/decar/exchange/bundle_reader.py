"""Read a bundle from anyone: every name, size, hash and nesting is checked before what it says is used.

Parts come one after the other; of each the headers are read line by line, the arrays when a record is asked for.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from decar.exchange.container import Files, file_hash, read_whole
from decar.exchange.limits import (
    CRATE,
    MANIFEST,
    MAX_LINE_BYTES,
    MAX_MANIFEST_BYTES,
    MAX_PART_BYTES,
    MAX_RECORDS_OF_PART,
    PART_NAME,
    hostile,
    parse_json,
)
from decar.exchange.tensors import Tensors
from decar.record import Record
from decar.schema import ARRAY_NAME, HASH

FORMAT, FORMAT_VERSION = "decar bundle", 1
ENTRIES = {"stage", "kind", "recipe", "content_hash", "metadata", "provenance", "arrays"}


@dataclass(frozen=True)
class Incoming:
    """One record that comes: what its header claims, and how it is read whole (nothing of it has been checked yet).

    `load` raises DataFormatError when the record is not whole.
    """

    stage: str
    key: str
    recipe: str
    content_hash: str
    load: Callable[[], Record]


@dataclass(frozen=True)
class Bundle:
    """The manifest of a bundle and its records, part by part."""

    manifest: dict[str, Any]
    num_of_stage: dict[str, int]
    records: Iterator[Incoming]


@dataclass(frozen=True)
class _PartFile:
    name: str
    num_bytes: int
    sha256: str


@dataclass(frozen=True)
class _Part:
    files: Files
    stage: str
    num_records: int
    headers: _PartFile
    arrays: _PartFile


class _Arrays:
    """The arrays of one part, read when the first record is asked for; gone with the last record of the part."""

    def __init__(self, part: _Part) -> None:
        self._part = part

    @cached_property
    def tensors(self) -> Tensors:
        files, name = self._part.files, self._part.arrays.name
        return Tensors(read_whole(files, name), f"{files.path}: {name}")


def read_bundle(files: Files) -> Bundle:
    """Check the manifest and the list of files of a bundle and return its records; raises DataFormatError."""
    manifest = parse_json(read_whole(files, MANIFEST, MAX_MANIFEST_BYTES), MAX_MANIFEST_BYTES, files.path)
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise hostile("this is no bundle of records", files.path, expected=f'"format": "{FORMAT}"')
    if manifest.get("format_version") != FORMAT_VERSION:
        raise hostile("unknown bundle format", files.path, str(manifest.get("format_version"))[:80], FORMAT_VERSION)
    try:
        parts = [_part(files, stated) for stated in manifest["parts"]]
    except (KeyError, TypeError, ValueError) as error:
        raise hostile("the list of parts cannot be read", files.path, str(error)[:200]) from error
    listed = [file.name for part in parts for file in (part.headers, part.arrays)]
    if len(set(listed)) < len(listed):
        raise hostile("a file is listed twice", files.path)
    extra = sorted(set(files.sizes) - set(listed) - {MANIFEST, CRATE})
    if extra:
        raise hostile("the bundle has files that its manifest does not list", files.path, ", ".join(extra[:5]))
    for part in parts:
        for file in (part.headers, part.arrays):
            _check_size(files, file)
    counts: dict[str, int] = {}
    for part in parts:
        counts[part.stage] = counts.get(part.stage, 0) + part.num_records
    return Bundle(manifest, counts, (record for part in parts for record in _records(part)))


def _part(files: Files, stated: dict[str, Any]) -> _Part:
    found = {}
    for which, suffix in (("records", ".jsonl"), ("arrays", ".safetensors")):
        name, size, sha256 = (stated[which][entry] for entry in ("file", "bytes", "sha256"))
        if not PART_NAME.fullmatch(name) or not name.endswith(suffix):
            raise hostile("a bundle has no file of this name", files.path, repr(name[:120]))
        if type(size) is not int or not HASH.fullmatch(sha256):
            raise hostile("size or hash of a part cannot be read", files.path, name)
        found[which] = _PartFile(name, size, sha256)
    number, stage = stated["num_records"], found["records"].name.split("-")[0]
    if type(number) is not int or not 0 < number <= MAX_RECORDS_OF_PART:
        raise hostile("a part has too many records", files.path, str(number)[:40], MAX_RECORDS_OF_PART)
    return _Part(files, stage, number, found["records"], found["arrays"])


def _check_size(files: Files, file: _PartFile) -> None:
    if files.sizes.get(file.name) != file.num_bytes or file.num_bytes > MAX_PART_BYTES:
        raise hostile(
            "a part is missing, too large, or not as long as stated", f"{files.path}: {file.name}",
            files.sizes.get(file.name), f"{file.num_bytes} bytes, at most {MAX_PART_BYTES}",
        )  # fmt: skip


def _records(part: _Part) -> Iterator[Incoming]:
    files = part.files
    for file in (part.headers, part.arrays):
        if file_hash(files, file.name) != file.sha256:
            raise hostile("the hash of a part is not the one stated", f"{files.path}: {file.name}")
    number, arrays = 0, _Arrays(part)
    with files.open(part.headers.name) as lines:
        while line := lines.readline(MAX_LINE_BYTES + 1):
            number += 1
            where = f"{files.path}: {part.headers.name}, line {number}"
            if number > part.num_records:
                raise hostile("a part has more records than stated", where)
            yield _record(part.stage, arrays, parse_json(line, MAX_LINE_BYTES, where), where)
    if number < part.num_records:
        raise hostile("a part has fewer records than stated", f"{files.path}: {part.headers.name}", number)


def _record(stage: str, part: _Arrays, header: Any, where: str) -> Incoming:
    if not isinstance(header, dict) or set(header) != ENTRIES or header["stage"] != stage:
        raise hostile("the header of a record has other entries than it should", where, expected=sorted(ENTRIES))
    texts = {name: header[name] for name in ("kind", "recipe", "content_hash")}
    tables = (header["metadata"], header["provenance"])
    names = header["arrays"]
    is_whole = (
        all(isinstance(text, str) for text in texts.values())
        and all(isinstance(table, dict) for table in tables)
        and HASH.fullmatch(texts["recipe"])
        and isinstance(header["metadata"].get("key"), str)
        and isinstance(names, list)
        and all(isinstance(name, str) and ARRAY_NAME.fullmatch(name) for name in names)
    )
    if not is_whole:
        raise hostile("the header of a record cannot be read", where)

    def load() -> Record:
        arrays = part.tensors.of(texts["recipe"])
        if sorted(arrays) != sorted(names):
            raise hostile("the arrays of a record are not those stated", where, f"{len(arrays)}", f"{len(names)}")
        return Record(texts["kind"], texts["recipe"], header["metadata"], arrays, header["provenance"])

    return Incoming(stage, header["metadata"]["key"], texts["recipe"], texts["content_hash"], load)
