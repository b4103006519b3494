"""Chemprop's D-MPNN (doi 10.1021/acs.jcim.9b00237; 10.1021/acs.jcim.3c01250), in a process and environment of its own.

It brings its own RDKit and torch, so it is never imported here: a folder goes in (structures, labels, subsets as CSV),
its predictions come out. Early stopping by the validation molecules, as for the networks of this package. Settings
are Chemprop's defaults, or each of nine, the budget of every baseline that is tuned (`baselines/tuned.py`).
"""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd

from decar.baselines.chemprop_program import find_chemprop
from decar.baselines.tuned import grid
from decar.errors import DataFormatError, FoldError
from decar.predictions import COLUMNS, read_predictions
from decar.receipt import write_table

MAX_EPOCHS, PATIENCE = 100, 15
# Steps of message passing and dropout, Chemprop's own (3, 0) first.
SETTINGS = grid(depth=(3, 2, 5), dropout=(0.0, 0.2, 0.4))
# Keeps the epoch by what settings are chosen by, too; a lower mean square error is a lower RMSE.
BY_SCORE = {"binary": ("--tracking-metric", "roc"), "regression": ("--tracking-metric", "mse")}
TASK_TYPE = {"binary": "classification", "regression": "regression"}
SUBSETS = {"train": "train", "validation": "val", "test": "test"}


def run_chemprop(
    command: str | None, molecules: pd.DataFrame, labels: pd.DataFrame, splits: pd.DataFrame, seed: int, folder: Path,
    settings: Mapping[str, object] = MappingProxyType({}), kind: str = "binary",
) -> pd.DataFrame:  # fmt: skip
    """Train on one fold and return predictions, a row a molecule with a label; columns `COLUMNS`.

    `molecules`: key, smiles; `labels`: key, value (0 or 1 of a `binary` property); `splits`: scheme, fold, key, subset;
    `settings`: values of options of `chemprop train`, by its defaults without any. Files go to `folder`; what is whole
    there is kept. Raises FoldError for a subset that lacks a class and that training or choice would need, and
    DataFormatError, with the end of what Chemprop said, where it fails.
    """
    program, kept = find_chemprop(command), folder / "predictions.parquet"
    if kept.exists():
        return read_predictions(kept)
    rows = splits.merge(labels[["key", "value"]], on="key").sort_values("key", ignore_index=True)
    _check(rows, kind)
    smiles = molecules.drop_duplicates("key").set_index("key")["smiles"]
    folder.mkdir(parents=True, exist_ok=True)
    table = pd.DataFrame({
        "smiles": rows["key"].map(smiles), "label": rows["value"].astype(int if kind == "binary" else float),
        "split": rows["subset"].map(SUBSETS),
    })  # fmt: skip
    table.to_csv(folder / "data.csv", index=False)
    common = ["--accelerator", "cpu", "--num-workers", "0"]
    _run(folder, [
        program, "train", "--data-path", "data.csv", "--smiles-columns", "smiles", "--target-columns", "label",
        "--splits-column", "split", "--task-type", TASK_TYPE[kind], "--epochs", str(MAX_EPOCHS),
        "--patience", str(PATIENCE), "--pytorch-seed", str(seed), "--output-dir", "model", *common,
        *(BY_SCORE[kind] if settings else ()),
        *(text for name, value in settings.items() for text in (f"--{name}", str(value))),
    ])  # fmt: skip
    _run(folder, [
        program, "predict", "--test-path", "data.csv", "--smiles-columns", "smiles", "--drop-extra-columns",
        "--model-paths", "model/model_0/best.pt", "--output", "predictions.csv", *common,
    ])  # fmt: skip
    # Chemprop writes the table that it was given, with its predictions in place of the labels.
    said = pd.read_csv(folder / "predictions.csv")
    if list(said["smiles"]) != list(table["smiles"]):
        raise DataFormatError("Chemprop left molecules out", where=folder, seen=len(said), expected=len(rows))
    prediction = said["label"].to_numpy(dtype=np.float64)
    found = rows.assign(model="chemprop", label=rows["value"].astype(np.float64), prediction=prediction)
    found = found[list(COLUMNS)]
    write_table(kept, found)
    return found


def _check(rows: pd.DataFrame, kind: str) -> None:
    """Raise FoldError for a fold that Chemprop would end with an error of its own."""
    lack, least = ("lacks a class", 2) if kind == "binary" else ("has too few values", 1)
    for subset, wanted in (("train", 2), ("validation", least)):
        counts = rows.loc[rows["subset"] == subset, "value"].value_counts().to_dict()
        if len(counts) < wanted:
            raise FoldError(
                f"the {subset} subset {lack}, so Chemprop cannot learn or stop by it", seen=counts,
                remedy="lower num_folds, raise validation_fraction, or leave chemprop out",
            )  # fmt: skip


def _run(folder: Path, command: Sequence[str]) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    (folder / f"{command[1]}.log").write_text(done.stdout + done.stderr, encoding="utf-8")
    if done.returncode:
        raise DataFormatError(
            f"chemprop {command[1]} failed", where=folder / f"{command[1]}.log", seen=done.stderr.strip()[-500:]
        )
