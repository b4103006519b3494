"""Recipes of batches that were planned before: after an edit, four hashes a molecule are due for one batch only.

A Parquet file a choice of settings, a row a batch: the name of its batch file (which has the hash of its members), the
names of its receipts, and the recipes of its last stage. It may be deleted: it is made anew.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from decar.atomic import atomic_path
from decar.config import Study
from decar.stages import MOLECULE_STAGES, STAGE_VERSION, digest, stage_settings

GROUP = 64  # batches of a row group
WORTH_IT = 10_000  # molecules from which the file saves more than it costs
Keys = np.ndarray[Any, np.dtype[np.bytes_]]
SCHEMA = pa.schema({"source": pa.string(), "receipts": pa.list_(pa.string()), "recipes": pa.large_binary()})


@dataclass(frozen=True)
class BatchRecipes:
    """The names of a batch's receipts, a stage each, and the recipes of the last stage, joined."""

    receipts: list[str]
    recipes: bytes


@dataclass
class RecipeCache:
    """What the last plan with these settings found; some batches of it are in memory at a time."""

    path: Path
    places: dict[str, int]  # name of a batch file -> its row
    file: pq.ParquetFile | None = None
    group: int = -1  # number of the row group that is in memory
    rows: pa.Table | None = None

    @classmethod
    def open(cls, study: Study) -> "RecipeCache":
        """Return the cache of a study's settings, empty where there is none that can be read."""
        settings = [[stage, STAGE_VERSION[stage], stage_settings(study, stage)] for stage in MOLECULE_STAGES]
        path = study.folder / "plan" / f"recipes-{digest(settings)[:8]}.parquet"
        try:
            file = pq.ParquetFile(path)
            sources = file.read(columns=["source"])["source"].to_pylist()
        except (OSError, pa.ArrowInvalid):
            return cls(path, {})
        return cls(path, {name: place for place, name in enumerate(sources)}, file)

    def get(self, source: str) -> BatchRecipes | None:
        """Return what is known of a batch, by the name of its batch file."""
        place = self.places.get(source)
        if place is None or self.file is None:
            return None
        if self.rows is None or self.group != place // GROUP:
            self.group = place // GROUP
            self.rows = self.file.read_row_group(self.group)
        row = self.rows.slice(place % GROUP, 1)
        return BatchRecipes(row["receipts"][0].as_py(), row["recipes"][0].as_py())

    def keep(self, sources: list[str], receipts: list[list[str]], starts: list[int], recipes: Keys) -> None:
        """Write what this plan found, where the study is large and something of it is new.

        `recipes` are those of all molecules; each batch begins at one of `starts`.
        """
        if len(recipes) < WORTH_IT or set(sources) <= set(self.places):
            return
        self.rows = None
        offsets = np.array([*starts, len(recipes)], dtype=np.int64) * recipes.itemsize
        buffers = [None, pa.py_buffer(offsets), pa.py_buffer(recipes)]
        joined = pa.Array.from_buffers(pa.large_binary(), len(sources), buffers)
        table = pa.table([pa.array(sources), pa.array(receipts), joined], schema=SCHEMA)
        with atomic_path(self.path) as temporary:
            pq.write_table(
                table, temporary, compression="zstd", use_dictionary=False, write_statistics=False,
                row_group_size=GROUP,
            )  # fmt: skip
