"""Batches: molecules of one hash prefix go through the stages in one job; the names of their receipts; the batch files.

The number of batches is a power of two, at least molecules / batch_size, so that an edit moves the members of its own
batch only. When the table grows beyond batch_size times that power, batches are cut anew: then every record is looked
up, and none is computed.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from decar.atomic import atomic_path
from decar.config import Study
from decar.dataset.shards import bucket
from decar.errors import DataFormatError
from decar.molecules.sdf import read_molblocks
from decar.planning.hashing import Keys, keys_of, leading_digits, table_digest
from decar.stages import MOLECULE_STAGES, digest, settings_digests

SHORT = 16  # hex digits of a hash in a file name
MANY_JOBS = 20_000  # jobs a stage above which Snakemake takes minutes and gigabytes to plan
GOOD_NUMBER = 1024  # batches that keep a large cluster busy and Snakemake quick


@dataclass
class Batches:
    """What the plan says of batches. Names are those of receipts."""

    sources: dict[str, str] = field(default_factory=dict)  # name of a first-stage receipt -> batch file
    parents: dict[str, dict[str, str]] = field(default_factory=dict)  # stage -> name -> name at the stage before
    starts: list[int] = field(default_factory=list)  # number of the first molecule of each batch, by key

    def of(self, start: int, stop: int) -> list[str]:
        """Return the names, at the last stage, of the batches that have a molecule between these numbers."""
        names = list(self.parents[MOLECULE_STAGES[-1]])
        first, last = np.searchsorted(self.starts, [start, stop - 1], side="right")
        return sorted(names[first - 1 : last])


def batch_size_to_advise(study: Study, num_molecules: int) -> int | None:
    """Return a better batch size where one job a molecule would be too many, else None."""
    if study.workflow.batch_size > 1 or num_molecules <= MANY_JOBS:
        return None
    return -(-num_molecules // GOOD_NUMBER)


def make_batches(study: Study, molecules: pa.Table) -> Batches:
    """Name the receipts of every stage and write the batch files that are not there.

    `molecules`: key, smiles, charge, multiplicity, geometry, sdf_offset; sorted by key. A receipt is named after what
    decides the recipes in it, not after the recipes: those are made when the molecules are computed.
    """
    batches = Batches(parents={stage: {} for stage in MOLECULE_STAGES})
    settings = settings_digests(study)
    folder = study.folder / "plan" / "batches"
    there = {path.name for path in folder.glob("*.parquet")}
    for prefix, start, stop in _cut(study, keys_of(molecules["key"])):
        members = molecules.slice(start, stop - start)
        source = f"{prefix}-{_digest(members, ['key', 'smiles', 'geometry'])[:SHORT]}.parquet"
        if source not in there:
            write_batch(folder / source, members, study.molecules.table)
        members_digest, before = identity_digest(members), ""
        for stage in MOLECULE_STAGES:
            name = f"{prefix}-{digest([settings[stage], members_digest])[:SHORT]}"
            batches.parents[stage][name] = before
            before = name
        batches.sources[next(reversed(batches.parents[MOLECULE_STAGES[0]]))] = str(folder / source)
        batches.starts.append(start)
    return batches


def identity_digest(molecules: pa.Table) -> str:
    """Return the digest of what these molecules bring to their recipes: keys, and geometries where they have any."""
    return _digest(molecules, ["key", "geometry"])


def _digest(molecules: pa.Table, columns: list[str]) -> str:
    # The hash of a geometry stands where the geometry itself stood once: names of those without any are the same.
    names = ["molblock" if name == "geometry" else name for name in columns]
    return table_digest(molecules.select(columns).rename_columns(names))


def buckets(keys: Keys, number: int) -> Iterator[tuple[str, int, int]]:
    """Yield prefix, first molecule and end of each hash bucket (`decar.dataset.shards.bucket`) that has a member."""
    bits = number.bit_length() - 1
    leading = leading_digits(keys)
    codes = leading >> np.uint64(64 - bits) if bits else np.zeros(len(keys), dtype=np.uint64)
    for start, stop in _runs(codes):
        yield bucket(keys[start].decode(), number), start, stop


def num_batches(size: int, num_molecules: int) -> int:
    """Return into how many hash buckets molecules are cut for batches of at most about `size`: a power of two."""
    return 1 << (-(-num_molecules // size) - 1).bit_length()


def batch_prefix(key: str, size: int, num_molecules: int) -> str:
    """Return the prefix of the names of a molecule's batch."""
    return key[:12] if size == 1 else bucket(key, num_batches(size, num_molecules))


def _cut(study: Study, keys: Keys) -> Iterator[tuple[str, int, int]]:
    size = study.workflow.batch_size
    if size > 1:
        yield from buckets(keys, num_batches(size, len(keys)))
    else:
        yield from ((keys[start].decode()[:12], start, stop) for start, stop in _runs(keys.astype("S12")))


def _runs(values: "np.ndarray[Any, Any]") -> Iterator[tuple[int, int]]:
    """Yield start and end of each run of equal neighbours."""
    ends = [*(np.flatnonzero(values[1:] != values[:-1]) + 1).tolist(), len(values)]
    yield from zip([0, *ends[:-1]], ends, strict=True)


def write_batch(path: Path, members: pa.Table, table: Path) -> None:
    """Write a batch file: a receipt of what nobody has computed, whose recipe is that of a geometry that was given.

    Only here are geometries read, those of one batch, from the user's table.
    """
    columns = {name: members[name] for name in ("key", "smiles", "charge", "multiplicity")}
    geometries = members["geometry"].to_pylist()
    blocks = list(read_molblocks(table, members["sdf_offset"].to_pylist())) if any(geometries) else geometries
    for block, geometry in zip(blocks, geometries, strict=True):
        if block and digest(block) != geometry:
            raise DataFormatError("the table of molecules changed while it was planned", where=table)
    columns |= {"molblock": pa.array(blocks, type=pa.large_string())}
    columns |= {"recipe": pa.array([geometry or "" for geometry in geometries])}
    columns |= {"status": pa.array(["ok"] * len(members))}
    with atomic_path(path) as temporary:
        # A plan of a million molecules writes a thousand of these.
        pq.write_table(pa.table(columns), temporary, compression="zstd", use_dictionary=False, write_statistics=False)
