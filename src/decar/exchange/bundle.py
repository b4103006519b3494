"""Write a bundle: a selection of records as canonical JSON and safetensors, with a manifest and RO-Crate metadata.

    bundle.json                   format, counts, licences, contributors, and the hash and size of every part
    <stage>-<number>.jsonl        headers of the records, a line each
    <stage>-<number>.safetensors  their arrays, `<recipe>/<array>`
    ro-crate-metadata.json        the same for people and repositories

A part is at most 64 MiB of arrays (or one record), so neither writer nor reader holds more than a part in memory.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from decar.errors import DataFormatError
from decar.exchange.bundle_reader import FORMAT, FORMAT_VERSION
from decar.exchange.catalogue import Entry
from decar.exchange.container import Target, write_files
from decar.exchange.crate import crate_metadata
from decar.exchange.limits import CRATE, MANIFEST, MAX_PART_BYTES, MAX_RECORDS_OF_PART, PART_BYTES
from decar.exchange.tensors import encode
from decar.provenance import provenance
from decar.record import Array, Place, Record, canonical_json, read_record
from decar.schema import schema_problems


@dataclass
class Summary:
    """What a bundle that was written holds."""

    num_of_stage: dict[str, int] = field(default_factory=dict)
    num_bytes: int = 0
    licences: set[str] = field(default_factory=set)
    contributors: set[str] = field(default_factory=set)
    num_without_licence: int = 0  # wavefunction records that state none

    @property
    def num_records(self) -> int:
        """Return the number of records of all stages."""
        return sum(self.num_of_stage.values())

    def count(self, stage: str, record: Record) -> None:
        """Count one record."""
        self.num_of_stage[stage] = self.num_of_stage.get(stage, 0) + 1
        if record.kind == "wavefunction":
            licence, contributor = record.metadata["licence"], record.metadata["contributor"]
            self.num_without_licence += licence is None
            self.licences |= {licence} - {None}
            self.contributors |= {contributor} - {None}


def write_bundle(
    path: Path, entries: Iterable[Entry], title: str, report: Callable[[str], None] = lambda _: None
) -> Summary:
    """Write the records of these entries, in order of stage; raises DataFormatError for a record that is not sound.

    `report` is told the stage of each record once it is written.
    """
    summary = Summary()
    parts: list[dict[str, Any]] = []
    files: list[tuple[str, int, str]] = []
    with write_files(path) as target:
        for stage, headers, arrays in _parts(entries, summary, report):
            number = sum(part["stage"] == stage for part in parts)
            name = f"{stage}-{number:05d}"
            text = "".join(f"{header}\n" for header in headers).encode()
            stored = {"records": (f"{name}.jsonl", text), "arrays": (f"{name}.safetensors", encode(arrays))}
            part: dict[str, Any] = {"stage": stage, "num_records": len(headers)}
            for which, (file, data) in stored.items():
                part[which] = _add(target, files, file, data)
            parts.append(part)
        made = provenance()
        manifest = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "created_utc": made["created_utc"],
            "versions": made["versions"],
            "num_records": summary.num_records,
            "stages": summary.num_of_stage,
            "licences": sorted(summary.licences),
            "contributors": sorted(summary.contributors),
            "parts": parts,
        }
        _add(target, files, MANIFEST, f"{canonical_json(manifest)}\n".encode())
        crate = crate_metadata(manifest, files, title, str(made["created_utc"]))
        _add(target, files, CRATE, f"{canonical_json(crate)}\n".encode())
        if not parts:
            raise DataFormatError("no record was selected", where=path, remedy="ask for other stages or keys")
    summary.num_bytes = sum(size for _, size, _ in files)
    return summary


def _add(target: Target, files: list[tuple[str, int, str]], name: str, data: bytes) -> dict[str, Any]:
    sha256 = hashlib.sha256(data).hexdigest()
    target.add(name, data)
    files.append((name, len(data), sha256))
    return {"file": name, "bytes": len(data), "sha256": sha256}


def _parts(
    entries: Iterable[Entry], summary: Summary, report: Callable[[str], None]
) -> Iterator[tuple[str, list[str], dict[str, Array]]]:
    """Yield (stage, headers, arrays) of one part after the other."""
    stage, headers, arrays, size = "", list[str](), dict[str, Array](), 0
    for entry in entries:
        record = _sound(entry)
        added = sum(array.nbytes for array in record.arrays.values())
        is_full = size + added > PART_BYTES or len(headers) == MAX_RECORDS_OF_PART
        if headers and (entry.stage != stage or is_full):
            yield stage, headers, arrays
            headers, arrays, size = [], {}, 0
        stage, size = entry.stage, size + added
        headers.append(header_line(entry.stage, record))
        arrays |= {f"{record.recipe}/{name}": array for name, array in record.arrays.items()}
        summary.count(stage, record)
        report(stage)
    if headers:
        yield stage, headers, arrays


def header_line(stage: str, record: Record) -> str:
    """Return the line of one record in a part."""
    return canonical_json(
        {
            "stage": stage,
            "kind": record.kind,
            "recipe": record.recipe,
            "content_hash": record.content_hash,
            "metadata": dict(record.metadata),
            "provenance": dict(record.provenance),
            "arrays": sorted(record.arrays),
        }
    )


def _sound(entry: Entry) -> Record:
    """Read a record and check what its receiver will check, so that nothing is sent in vain."""
    record = read_record(Place.parse(entry.place))
    problems = schema_problems(record, entry.stage)
    if record.content_hash != entry.content_hash:
        problems.append("its content hash is not the one in its header")
    if sum(array.nbytes for array in record.arrays.values()) > MAX_PART_BYTES // 2:
        problems.append(f"it has more than {MAX_PART_BYTES // 2**21} MB of arrays")
    if problems:
        raise DataFormatError(
            "a record cannot be sent", where=entry.place, seen="; ".join(problems[:3]),
            remedy="decar verify names every such record; leave it out with --key or --stage",
        )  # fmt: skip
    return record
