"""Batches: molecules of one hash prefix go through the stages in one job; the names of their receipts; the batch files.

The number of batches is a power of two, at least molecules / batch_size, so that an edit moves the members of its own
batch only. When the table grows beyond batch_size times that power, batches are cut anew: then every record is looked
up, and none is computed.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from decar.atomic import atomic_path
from decar.config import Study
from decar.dataset.shards import bucket
from decar.planning.recipe_cache import BatchRecipes, Keys, RecipeCache
from decar.stages import MOLECULE_STAGES, digest, recipe_function, stage_settings

SHORT = 16  # hex digits of a hash in a file name
KEY_LENGTH = 64
MANY_JOBS = 20_000  # jobs a stage above which Snakemake takes minutes and gigabytes to plan
GOOD_NUMBER = 1024  # batches that keep a large cluster busy and Snakemake quick


@dataclass
class Batches:
    """What the plan says of batches. Names are those of receipts."""

    sources: dict[str, str] = field(default_factory=dict)  # name of a first-stage receipt -> batch file
    parents: dict[str, dict[str, str]] = field(default_factory=dict)  # stage -> name -> name at the stage before
    starts: list[int] = field(default_factory=list)  # number of the first molecule of each batch, by key
    recipes: Keys = field(default_factory=lambda: np.zeros(0, f"S{KEY_LENGTH}"))  # of the last stage, by key

    def of(self, start: int, stop: int) -> list[str]:
        """Return the names, at the last stage, of the batches that have a molecule between these numbers."""
        names = list(self.parents[MOLECULE_STAGES[-1]])
        first, last = np.searchsorted(self.starts, [start, stop - 1], side="right")
        return sorted(names[first - 1 : last])

    def sorted_recipes(self, start: int, stop: int) -> pa.ChunkedArray:
        """Return the recipes of these molecules at the last stage, sorted, as a column of texts."""
        return _as_texts(np.sort(self.recipes[start:stop]))

    def release_recipes(self) -> pa.ChunkedArray:
        """Return all recipes of the last stage, sorted; they are no longer held here."""
        self.recipes.sort()
        recipes, self.recipes = self.recipes, self.recipes[:0].copy()
        return _as_texts(recipes)


def _as_texts(values: Keys) -> pa.ChunkedArray:
    offsets = np.arange(0, values.nbytes + 1, KEY_LENGTH, dtype=np.int64)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(values)]
    return pa.chunked_array([pa.Array.from_buffers(pa.large_string(), len(values), buffers)])


def batch_size_to_advise(study: Study, num_molecules: int) -> int | None:
    """Return a better batch size where one job a molecule would be too many, else None."""
    if study.workflow.batch_size > 1 or num_molecules <= MANY_JOBS:
        return None
    return -(-num_molecules // GOOD_NUMBER)


def make_batches(study: Study, molecules: pa.Table) -> Batches:
    """Name the receipts of every stage and write the batch files that are not there.

    `molecules`: key, smiles, charge, multiplicity, molblock; sorted by key. Of the recipes, those of one batch are held
    at a time, and those of the last stage for all.
    """
    keys = keys_of(molecules)
    batches = Batches(parents={stage: {} for stage in MOLECULE_STAGES}, recipes=np.zeros_like(keys))
    recipe_of = {stage: recipe_function(stage, stage_settings(study, stage)) for stage in MOLECULE_STAGES}
    cache, sources, receipts = RecipeCache.open(study), list[str](), list[list[str]]()
    for prefix, start, stop in _cut(study, keys):
        members = molecules.slice(start, stop - start)
        source = study.folder / "plan" / "batches" / f"{prefix}-{digest(_content(members))[:SHORT]}.parquet"
        if not source.exists():
            write_batch(source, members, _geometries(members))
        found = cache.get(source.name) or _recipes(prefix, members, recipe_of)
        sources.append(source.name)
        receipts.append(found.receipts)
        batches.sources[found.receipts[0]] = str(source)
        for stage, name, before in zip(MOLECULE_STAGES, found.receipts, ["", *found.receipts[:-1]], strict=True):
            batches.parents[stage][name] = before
        batches.starts.append(start)
        batches.recipes[start:stop] = np.frombuffer(found.recipes, dtype=f"S{KEY_LENGTH}")
    cache.keep(sources, receipts, batches.starts, batches.recipes)
    return batches


def _geometries(members: pa.Table) -> list[str]:
    return [digest(block) if block else "" for block in members["molblock"].to_pylist()]


def _recipes(prefix: str, members: pa.Table, recipe_of: Mapping[str, Callable[[str, str], str]]) -> BatchRecipes:
    keys, recipes = members["key"].to_pylist(), _geometries(members)
    receipts = []
    for recipe in recipe_of.values():
        recipes = list(map(recipe, keys, recipes))
        receipts.append(f"{prefix}-{digest(sorted(recipes))[:SHORT]}")
    return BatchRecipes(receipts, "".join(recipes).encode())


def keys_of(molecules: pa.Table) -> Keys:
    """Return the keys as an array of bytes."""
    keys = molecules["key"].combine_chunks()
    data = np.frombuffer(keys.buffers()[2], dtype=np.uint8)
    begin = keys.offset * KEY_LENGTH
    return data[begin : begin + len(keys) * KEY_LENGTH].view(f"S{KEY_LENGTH}")


def buckets(keys: Keys, number: int) -> Iterator[tuple[str, int, int]]:
    """Yield prefix, first molecule and end of each hash bucket (`decar.dataset.shards.bucket`) that has a member."""
    bits = number.bit_length() - 1
    # The leading 16 hexadecimal digits as a number, for all keys at once: '0' is 48, 'a' is 97.
    letters = keys.view(np.uint8).reshape(-1, KEY_LENGTH)
    leading = np.zeros(len(keys), dtype=np.uint64)
    for place in range(16):
        letter = letters[:, place]
        leading = (leading << np.uint64(4)) | (letter - np.where(letter > 57, np.uint8(87), np.uint8(48)))
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


def _content(members: pa.Table) -> list[list[str]]:
    columns = [members[name].to_pylist() for name in ("key", "smiles", "molblock")]
    return [[key, smiles, str(block)] for key, smiles, block in zip(*columns, strict=True)]


def write_batch(path: Path, members: pa.Table, geometries: list[str]) -> None:
    """Write a batch file: a receipt of what nobody has computed, whose recipe is that of a geometry that was given."""
    columns = {name: members[name] for name in ("key", "smiles", "charge", "multiplicity", "molblock")}
    columns |= {"recipe": pa.array(geometries), "status": pa.array(["ok"] * len(members))}
    with atomic_path(path) as temporary:
        # A plan of a million molecules writes a thousand of these.
        pq.write_table(pa.table(columns), temporary, compression="zstd", use_dictionary=False, write_statistics=False)
