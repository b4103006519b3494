"""The synthetic study with a number to learn: balls have about 20 kJ/mol, dumbbells about 50."""

from pathlib import Path

import numpy as np
import pandas as pd

from decar.config import Study
from tests.dataset.synthetic_study import make_dataset, make_study

SMALL, LARGE = 20.0, 50.0


def make_regression_study(folder: Path, **training: object) -> Study:
    """Return the synthetic study, whose property is a regression in kJ/mol."""
    content = make_study(folder, **training).model_dump(mode="json")
    content["molecules"]["labels"]["sweet"] |= {"kind": "regression", "unit": "kJ/mol"}
    del content["figures"]["positive_name"], content["figures"]["negative_name"]
    return Study.model_validate(content)


def make_regression_dataset(
    folder: Path, study: Study, num: int, unlabelled: tuple[int, ...] = ()
) -> tuple[Path, Path]:  # fmt: skip
    """Return the folders of dataset and shards; every molecule has a value of its own."""
    dataset, shards = make_dataset(folder, study, num, unlabelled=unlabelled)
    labels = pd.read_parquet(dataset / "labels.parquet")
    own = np.random.default_rng(1).normal(0, 0.5, len(labels))
    values = np.where(labels["value"] > 0, LARGE, SMALL) + own
    labels.assign(value=values, kind="regression", unit="kJ/mol").to_parquet(dataset / "labels.parquet")
    return dataset, shards
