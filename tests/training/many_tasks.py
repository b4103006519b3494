"""Four properties for the synthetic molecules, of every kind, with gaps."""

from pathlib import Path

import numpy as np
import pandas as pd

from decar.config import Study
from tests.dataset.synthetic_study import make_dataset, make_study

KINDS = {"bitter": "binary", "taste": "multiclass", "length": "regression"}


def make_many_tasks(folder: Path, num: int = 16, **training: object) -> tuple[Study, tuple[Path, Path]]:
    """`sweet` as ever; `bitter` its opposite; `taste` 0, 2 or 5; `length` 3 bohr or 0, and a little more.

    Every molecule lacks one of them, by turns.
    """
    settings = make_study(folder, **training).model_dump(mode="json")
    settings["molecules"]["labels"] |= {
        name: {"column": name, "kind": kind, "unit": "bohr" if kind == "regression" else None}
        for name, kind in KINDS.items()
    }
    tasks = {"bitter": {"weight": 0.5}, "taste": {}, "length": {}}
    settings["training"]["models"]["density"] |= {"tasks": tasks, "dropout": 0.0, "hidden": 16}
    study = Study.model_validate(settings)
    dataset, shards = make_dataset(folder, study, num, num_conformers=2)
    labels = pd.read_parquet(dataset / "labels.parquet").sort_values("key", ignore_index=True)
    sweet, number = labels["value"].to_numpy(), np.arange(len(labels))
    values = {
        "sweet": sweet, "bitter": 1 - sweet, "taste": np.where(sweet == 1, 5.0, 2.0 * (number % 2)),
        "length": 3 * sweet + 0.01 * number,
    }  # fmt: skip
    parts = []
    for place, (name, value) in enumerate(values.items()):
        label = study.molecules.labels[name]
        rows = labels[["key"]].assign(property=name, value=value, kind=label.kind, unit=label.unit)
        parts.append(rows.loc[number % 4 != place])
    pd.concat(parts).to_parquet(dataset / "labels.parquet", index=False)
    return study, (dataset, shards)
