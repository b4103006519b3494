"""The best of several trainings, by the molecules that validate: how a network or Chemprop is tuned."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from decar.benchmark.parts import PLACE, Part
from decar.config import ModelSettings
from decar.errors import FoldError
from decar.predictions import Score
from decar.receipt import write_csv

SETTINGS_FILE = "settings.csv"


def best_of(
    found: Sequence[pd.DataFrame | FoldError], settings: Sequence[Mapping[str, Any]], score: Score, folder: Path
) -> pd.DataFrame:  # fmt: skip
    """Return the predictions of the best score on the validation molecules, and write settings.csv.

    Columns: `columns_of(score)`. The first of equals wins, and the first of all where validation has no score. Test
    molecules are not looked at. What could not be trained has no score; raises its error where that is so of all.
    """
    values = [_validation_score(one, score) for one in found]
    trained = [number for number, one in enumerate(found) if not isinstance(one, FoldError)]
    is_known = np.isfinite(values).any()
    chosen = int(np.nanargmax(np.multiply(score.sign, values))) if is_known else next(iter(trained), 0)
    best = found[chosen]
    if isinstance(best, FoldError):
        raise best
    rows = [
        (json.dumps(dict(one)), value, number == chosen)
        for number, (one, value) in enumerate(zip(settings, values, strict=True))
    ]
    write_csv(folder / SETTINGS_FILE, pd.DataFrame(rows, columns=columns_of(score)))
    return best


def columns_of(score: Score) -> list[str]:
    """Return the columns of settings.csv."""
    return ["settings", f"validation_{score.name}", "is_chosen"]


def settings_table(parts: Sequence[Part], score: Score) -> pd.DataFrame:
    """Return the settings.csv of all parts that have one, with contender, split, seed, share and fold."""
    found = [
        pd.read_csv(part.folder / SETTINGS_FILE).assign(**part.place)
        for part in parts if (part.folder / SETTINGS_FILE).exists()
    ]  # fmt: skip
    columns = [*PLACE, *columns_of(score)]
    return pd.concat(found, ignore_index=True)[columns] if found else pd.DataFrame(columns=columns)


def differing(networks: Sequence[ModelSettings]) -> list[dict[str, Any]]:
    """Return of each network the settings that are not those of all."""
    dumped = [one.model_dump(mode="json") for one in networks]
    names = [name for name in dumped[0] if any(one[name] != dumped[0][name] for one in dumped)]
    return [{name: one[name] for name in names} for one in dumped]


def _validation_score(predictions: pd.DataFrame | FoldError, score: Score) -> float:
    if isinstance(predictions, FoldError):
        return float("nan")
    rows = predictions.loc[predictions["subset"] == "validation"]
    return score(rows["label"].to_numpy(), rows["prediction"].to_numpy())
