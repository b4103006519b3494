"""Statistics of the fields over the training voxels of one fold; nothing of validation or test enters.

They are those of the compressed field t(x) of decar.dataset.normalise, each voxel weighted with its conformer's 1/k.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from decar.dataset.normalise import FieldNormalisation, Normalisation, compress, reference_value
from decar.dataset.shards import shard_file
from decar.errors import DataFormatError

FORMAT_VERSION = 1
Flags = NDArray[np.bool_]


def voxel_moments(manifest: pd.DataFrame, shards: Mapping[str, Path]) -> pd.DataFrame:
    """Return a row a conformer and field: number of voxels, sum, sum of squares, extremes of the compressed field.

    `shards` maps a shard's name in the manifest to its file. Every voxel is read once, shard by shard. Raises
    DataFormatError for a voxel that is not finite.
    """
    rows: list[dict[str, object]] = []
    for name, members in manifest.groupby("shard", sort=True):
        with shard_file(shards[str(name)]) as file:
            for row in members.to_dict("records"):
                for field, dataset in file[str(row["path"])].items():
                    unit = str(dataset.attrs["unit"])
                    values = compress(torch.from_numpy(dataset[()].astype(np.float64)), reference_value(unit))
                    total = float(values.sum())
                    if not math.isfinite(total):
                        raise DataFormatError(
                            "a field has values that are not finite",
                            where=f"{shards[str(name)]}:/{row['path']}/{field}",
                            seen=f"{int((~torch.isfinite(values)).sum())} of {values.numel()} voxels",
                            expected="finite numbers", remedy="delete the shard and run the workflow again",
                        )  # fmt: skip
                    rows.append({
                        "key": row["key"], "conformer": row["conformer"], "weight": row["weight"], "field": field,
                        "unit": unit, "num_voxels": values.numel(), "sum": total,
                        "sum_squares": float(values.square().sum()), "minimum": float(values.min()),
                        "maximum": float(values.max()),
                    })  # fmt: skip
    return pd.DataFrame(rows)


@dataclass
class _Sums:
    """Sums of one field over the training voxels of one fold. Those of each part are exact, and so is their sum."""

    unit: str
    num_voxels: int = 0
    counts: list[float] = dataclass_field(default_factory=list)
    sums: list[float] = dataclass_field(default_factory=list)
    squares: list[float] = dataclass_field(default_factory=list)
    minimum: float = math.inf
    maximum: float = -math.inf

    def add(self, rows: pd.DataFrame) -> None:
        weight = rows["weight"].to_numpy(dtype=np.float64)
        self.num_voxels += int(rows["num_voxels"].sum())
        self.counts.append(math.fsum(weight * rows["num_voxels"]))
        self.sums.append(math.fsum(weight * rows["sum"]))
        self.squares.append(math.fsum(weight * rows["sum_squares"]))
        self.minimum = min(self.minimum, float(rows["minimum"].min()))
        self.maximum = max(self.maximum, float(rows["maximum"].max()))

    def content(self) -> dict[str, Any]:
        count = math.fsum(self.counts)
        return {
            "unit": self.unit,
            "reference": reference_value(self.unit),
            "num_voxels": self.num_voxels,
            "mean": math.fsum(self.sums) / count,
            "root_mean_square": math.sqrt(math.fsum(self.squares) / count),
            "minimum": self.minimum,
            "maximum": self.maximum,
        }


class Statistics:
    """The statistics of all folds, to which molecules are added a part at a time."""

    def __init__(self) -> None:
        self._sums: dict[str, dict[int, dict[str, _Sums]]] = {}

    def add(self, moments: pd.DataFrame, keys: Sequence[str], scheme: str, fold: int, is_trained: Flags) -> None:
        """Add the molecules of these keys on which a fold is trained; `moments` may have others, which are left out."""
        folds = self._sums.setdefault(scheme, {}).setdefault(fold, {})
        chosen = moments.loc[moments["key"].isin({key for key, trained in zip(keys, is_trained) if trained})]
        for field, rows in chosen.groupby("field", sort=True):
            folds.setdefault(str(field), _Sums(str(rows["unit"].iloc[0]))).add(rows)

    def content(self) -> dict[str, Any]:
        """Return the content of statistics.json: {"splits": {scheme: {fold: {field: statistics}}}}."""
        splits = {
            scheme: {
                str(fold): {field: fields[field].content() for field in sorted(fields)}
                for fold, fields in sorted(folds.items())
            }
            for scheme, folds in sorted(self._sums.items())
        }
        return {"format_version": FORMAT_VERSION, "splits": splits}


def all_statistics(moments: pd.DataFrame, splits: pd.DataFrame) -> dict[str, Any]:
    """Return the content of statistics.json for the moments and splits of all molecules."""
    statistics = Statistics()
    for (scheme, fold), rows in splits.groupby(["scheme", "fold"], sort=True, observed=True):
        is_trained = (rows["subset"] == "train").to_numpy(dtype=bool)
        statistics.add(moments, list(rows["key"]), str(scheme), int(str(fold)), is_trained)
    return statistics.content()


def load_normalisation(dataset_folder: Path, scheme: str, fold: int, fields: Sequence[str]) -> Normalisation:
    """Return the normalisation of these fields from the training molecules of one fold.

    Raises DataFormatError when the dataset's statistics.json is missing, unknown, or lacks the fold or a field.
    """
    path = dataset_folder / "statistics.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataFormatError("the statistics cannot be read", where=path, seen=str(error)) from error
    if content.get("format_version") != FORMAT_VERSION:
        raise DataFormatError(
            "unknown format of statistics", where=path, seen=content.get("format_version"), expected=FORMAT_VERSION
        )
    known = content["splits"].get(scheme, {}).get(str(fold), {})
    missing = [field for field in fields if field not in known]
    if missing:
        raise DataFormatError(f"no statistics of {missing} for {scheme} fold {fold}", where=path, seen=sorted(known))
    return Normalisation(
        tuple(
            # A field that is zero everywhere is left as it is.
            FieldNormalisation(
                name, known[name]["unit"], known[name]["reference"], known[name]["root_mean_square"] or 1.0
            )
            for name in fields
        )
    )
