"""Keep what a benchmark of the shared study predicted, so that every number of docs/benchmark.md follows from it.

    python -m benchmarks.shared_keep NAME RESULTS benchmarks/shared_benchmark

NAME is that of the study file (benchmarks/shared_study.py), RESULTS the folder that `decar benchmark` wrote
(results/<study>/benchmark/<hash>). Kept are NAME.parquet (predictions of the test molecules by contender, split,
seed, share and fold; molecules are numbers in the order of their keys), NAME.trainings.csv, NAME.settings.csv (of
networks and Chemprop), and in made.json with which versions they were kept. Contenders that were kept before and are
not in RESULTS stay. `python -m benchmarks.shared_page docs/benchmark.md` then writes the page.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd

from decar.atomic import write_text
from decar.benchmark.parts import PLACE
from decar.predictions import read_predictions
from decar.provenance import provenance
from decar.receipt import write_csv, write_table
from decar.stages import STAGE_VERSION


def compact(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return the predictions with numbers for keys, and values of the test molecules alone."""
    number = {key: place for place, key in enumerate(sorted(set(predictions["key"])))}
    tested = predictions["subset"] == "test"
    is_binary = predictions["label"].dropna().isin((0, 1)).all()
    kept = predictions.assign(
        key=predictions["key"].map(number).astype(np.int16),
        label=predictions["label"].astype(np.int8) if is_binary else predictions["label"],
        seed=predictions["seed"].astype(np.int8), fold=predictions["fold"].astype(np.int8),
        prediction=predictions["prediction"].where(tested).astype(np.float32),
    )  # fmt: skip
    return kept.sort_values([*PLACE, "key"], ignore_index=True)


def with_others(own: pd.DataFrame, before: pd.DataFrame | None) -> pd.DataFrame:
    """Return the rows with those of contenders that were there before and are not in them."""
    if before is None:
        return own
    others = before.loc[~before["contender"].isin(own["contender"])]
    return pd.concat([others, own], ignore_index=True).sort_values(list(PLACE), kind="stable", ignore_index=True)


def main(name: str, results: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.parquet"
    own = compact(read_predictions(results / "predictions.parquet"))
    write_table(path, with_others(own, read_predictions(path) if path.exists() else None))
    for table in ("trainings", "settings"):
        path = folder / f"{name}.{table}.csv"
        # As text: numbers stay as they were written.
        if len(rows := pd.read_csv(results / f"{table}.csv", dtype=str)):
            write_csv(path, with_others(rows, pd.read_csv(path, dtype=str) if path.exists() else None))
    made = folder / "made.json"
    known = json.loads(made.read_text(encoding="utf-8")) if made.exists() else {}
    stages = {stage: STAGE_VERSION[stage] for stage in ("fields", "train", "evaluate")}
    known[name] = {"stages": stages, **provenance("torch", "scikit-learn", "lightgbm")}
    write_text(made, json.dumps(known, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name")
    parser.add_argument("results", type=Path)
    parser.add_argument("folder", type=Path)
    main(**vars(parser.parse_args()))
