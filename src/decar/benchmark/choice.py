"""The best of several trainings, by the molecules that validate: how a network or Chemprop is tuned."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from decar.benchmark.parts import PLACE, Part
from decar.config import ModelSettings
from decar.errors import FoldError
from decar.receipt import write_csv

SETTINGS_FILE = "settings.csv"
COLUMNS = ("settings", "validation_auroc", "is_chosen")


def best_of(
    found: Sequence[pd.DataFrame | FoldError], settings: Sequence[Mapping[str, Any]], folder: Path
) -> pd.DataFrame:  # fmt: skip
    """Return the predictions of highest AUROC on the validation molecules, and write settings.csv (`COLUMNS`).

    The first of equals wins, and the first of all where validation lacks a class. Test molecules are not looked at.
    What could not be trained has no AUROC; raises its error where that is so of all.
    """
    values = [_validation_auroc(one) for one in found]
    trained = [number for number, one in enumerate(found) if not isinstance(one, FoldError)]
    chosen = int(np.nanargmax(values)) if np.isfinite(values).any() else next(iter(trained), 0)
    best = found[chosen]
    if isinstance(best, FoldError):
        raise best
    rows = [
        {"settings": json.dumps(dict(one)), "validation_auroc": value, "is_chosen": number == chosen}
        for number, (one, value) in enumerate(zip(settings, values, strict=True))
    ]
    write_csv(folder / SETTINGS_FILE, pd.DataFrame(rows, columns=list(COLUMNS)))
    return best


def settings_table(parts: Sequence[Part]) -> pd.DataFrame:
    """Return the settings.csv of all parts that have one, with contender, split, seed, share and fold."""
    found = [
        pd.read_csv(part.folder / SETTINGS_FILE).assign(**part.place)
        for part in parts if (part.folder / SETTINGS_FILE).exists()
    ]  # fmt: skip
    columns = [*PLACE, *COLUMNS]
    return pd.concat(found, ignore_index=True)[columns] if found else pd.DataFrame(columns=columns)


def differing(networks: Sequence[ModelSettings]) -> list[dict[str, Any]]:
    """Return of each network the settings that are not those of all."""
    dumped = [one.model_dump(mode="json") for one in networks]
    names = [name for name in dumped[0] if any(one[name] != dumped[0][name] for one in dumped)]
    return [{name: one[name] for name in names} for one in dumped]


def _validation_auroc(predictions: pd.DataFrame | FoldError) -> float:
    if isinstance(predictions, FoldError):
        return float("nan")
    rows = predictions.loc[predictions["subset"] == "validation"]
    if rows["label"].nunique() < 2 or not np.isfinite(rows["probability"]).all():
        return float("nan")
    return float(roc_auc_score(rows["label"], rows["probability"]))
