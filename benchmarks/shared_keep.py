"""Keep what a benchmark of the shared study predicted, so that every number of docs/benchmark.md follows from it.

    python -m benchmarks.shared_keep NAME RESULTS benchmarks/shared_benchmark

NAME is that of the study file (benchmarks/shared_study.py), RESULTS the folder that `decar benchmark` wrote
(results/<study>/benchmark/<hash>). Kept are NAME.parquet (probabilities of the test molecules by contender, split,
seed, share and fold; molecules are numbers in the order of their keys), NAME.trainings.csv, NAME.settings.csv (of
networks and Chemprop), and in made.json with which versions they were kept. `python -m benchmarks.shared_page
docs/benchmark.md` then writes the page.
"""

import argparse
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd

from decar.atomic import write_text
from decar.provenance import provenance
from decar.receipt import read_table, write_table
from decar.stages import STAGE_VERSION


def compact(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return the predictions with numbers for keys, and probabilities of the test molecules alone."""
    number = {key: place for place, key in enumerate(sorted(set(predictions["key"])))}
    tested = predictions["subset"] == "test"
    kept = predictions.assign(
        key=predictions["key"].map(number).astype(np.int16), label=predictions["label"].astype(np.int8),
        seed=predictions["seed"].astype(np.int8), fold=predictions["fold"].astype(np.int8),
        probability=predictions["probability"].where(tested).astype(np.float32),
    )  # fmt: skip
    order = ["contender", "split", "share", "seed", "fold", "key"]
    return kept.sort_values(order, ignore_index=True)


def main(name: str, results: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_table(folder / f"{name}.parquet", compact(read_table(results / "predictions.parquet")))
    for table in ("trainings", "settings"):
        if len(pd.read_csv(results / f"{table}.csv")):
            shutil.copyfile(results / f"{table}.csv", folder / f"{name}.{table}.csv")
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
