"""Statistics of the fields over the training voxels of one fold; nothing of validation or test enters.

They are those of the compressed field t(x) of decar.dataset.normalise, each voxel weighted with its conformer's 1/k.
"""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from decar.dataset.normalise import FieldNormalisation, Normalisation, compress, reference_value
from decar.dataset.shards import shard_file
from decar.errors import DataFormatError

FORMAT_VERSION = 1


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


def field_statistics(moments: pd.DataFrame, training_keys: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return {field: unit, reference, num_voxels, mean, root_mean_square, minimum, maximum} over these molecules."""
    chosen = moments.loc[moments["key"].isin(set(training_keys))]
    statistics: dict[str, dict[str, Any]] = {}
    for field, rows in chosen.groupby("field", sort=True):
        weight = rows["weight"].to_numpy(dtype=np.float64)
        count = float((weight * rows["num_voxels"]).sum())
        unit = str(rows["unit"].iloc[0])
        statistics[str(field)] = {
            "unit": unit,
            "reference": reference_value(unit),
            "num_voxels": int(rows["num_voxels"].sum()),
            "mean": float((weight * rows["sum"]).sum() / count),
            "root_mean_square": float(np.sqrt((weight * rows["sum_squares"]).sum() / count)),
            "minimum": float(rows["minimum"].min()),
            "maximum": float(rows["maximum"].max()),
        }
    return statistics


def all_statistics(moments: pd.DataFrame, splits: pd.DataFrame) -> dict[str, Any]:
    """Return the content of statistics.json: {"splits": {scheme: {fold: {field: statistics}}}}."""
    result: dict[str, dict[str, Any]] = {}
    training = splits.loc[splits["subset"] == "train"]
    for (scheme, fold), rows in training.groupby(["scheme", "fold"], sort=True):
        result.setdefault(str(scheme), {})[str(fold)] = field_statistics(moments, list(rows["key"]))
    return {"format_version": FORMAT_VERSION, "splits": result}


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
