"""What `decar benchmark` writes: tables from the stored predictions, and what is not in them.

The folder of the result has predictions.parquet (every number regenerates from it), benchmark.csv and benchmark.md (the
table), pairs.csv, folds.csv, calibration.csv, trainings.csv (epochs of networks), settings.csv (of tuned networks and
Chemprop), not_run.csv. Whatever is there by now is enough for tables: a contender that lacks folds is named in
not_run.csv, with the reason where there is one.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from decar.atomic import write_text
from decar.benchmark.choice import settings_table
from decar.benchmark.contenders import network_contenders, unavailable
from decar.benchmark.parts import PLACE, Part, parts_of, reason_of, training_folder
from decar.benchmark.permuted import permuted_line, permuted_table
from decar.benchmark.tables import calibration_table, contenders_table, folds_table, pairs_table
from decar.config import Study
from decar.errors import DataFormatError
from decar.predictions import kind_of, read_predictions, score_of, unit_of
from decar.receipt import write_csv, write_table

# Beside the score: column of benchmark.csv, and its head in benchmark.md.
FURTHER = {
    "binary": {"accuracy": "accuracy", "mcc": "MCC", "brier": "Brier", "calibration_error": "ECE"},
    "regression": {"mae": "MAE", "r2": "R2", "spearman": "Spearman"},
}


def write_tables(study: Study, dataset_folder: Path, output: Path) -> pd.DataFrame:
    """Write the tables of all parts that are there, and return that of the contenders.

    Raises DataFormatError where no contender has all folds of any split yet.
    """
    parts = parts_of(study, dataset_folder)
    reasons = {part: reason_of(part) for part in parts}
    done = [part for part in parts if (part.folder / "predictions.parquet").exists() and not reasons[part]]
    left_out = unavailable(study)
    missing = pd.DataFrame([
        {**part.place, "reason": reasons[part] or left_out.get(part.contender, "not computed yet")}
        for part in parts if part not in done
    ], columns=[*PLACE, "reason"])  # fmt: skip
    write_csv(output / "not_run.csv", missing)
    if not done:
        raise DataFormatError("no part of the benchmark is there yet", where=study.folder / "benchmark" / "parts")
    predictions = pd.concat([read_predictions(part.folder / "predictions.parquet") for part in done], ignore_index=True)
    write_table(output / "predictions.parquet", predictions)
    contenders = contenders_table(study, predictions)
    if contenders.empty:
        raise DataFormatError(
            "no contender has all folds of a split yet", where=output, remedy="let more parts be computed"
        )
    folds = folds_table(study, predictions)
    write_csv(output / "pairs.csv", pairs_table(study, predictions))
    write_csv(output / "folds.csv", folds)
    write_csv(output / "trainings.csv", trainings_table(study, done))
    write_csv(output / "settings.csv", settings_table(done, score_of(study)))
    write_csv(output / "calibration.csv", calibration_table(study, predictions))
    write_csv(output / "benchmark.csv", contenders)
    write_text(output / "benchmark.md", markdown(study, contenders, missing, permuted_table(study, folds)))
    return contenders


def trainings_table(study: Study, parts: Sequence[Part]) -> pd.DataFrame:
    """Return a row a training of the networks: its epochs, the one that was kept, whether it stopped before the last.

    `training` counts the members of an ensemble, or the settings that a tuned network is chosen among.
    """
    networks, rows = network_contenders(study), []
    for part in parts:
        for number in range(len(networks[part.contender].trainings) if part.contender in networks else 0):
            package = part.folder / training_folder(number) / "model" / "config.json"
            if not package.exists():  # predictions are enough for all other tables
                continue
            kept = json.loads(package.read_text(encoding="utf-8"))["metrics"]
            epochs, best = int(kept["num_epochs"]), int(kept["best_epoch"])
            rows.append((*part.place.values(), number, epochs, best, epochs < study.training.max_epochs))
    return pd.DataFrame(rows, columns=[*PLACE, "training", "num_epochs", "best_epoch", "stopped_early"])


def markdown(study: Study, contenders: pd.DataFrame, missing: pd.DataFrame, permuted: pd.DataFrame) -> str:
    """Return the table of the contenders, the best of each split first, what is not in it, and the permutation runs."""
    kind, score, unit = kind_of(study), score_of(study), unit_of(study)
    further = FURTHER[kind]
    digits = ".3f" if kind == "binary" else ".3g"  # an AUROC is of order 1, an RMSE of any
    name = score.text + (f" [{unit}]" if unit else "")
    columns = ["contender", "role", "folds", f"{name}, mean of folds (interval)", f"{name}, pooled (interval)"]
    lines = []
    for (split, share), rows in contenders.groupby(["split", "share"], sort=True):
        lines += [
            f"### {split}" + ("" if share == 1 else f", {share:.0%} of the training molecules"), "",
            _molecules(rows.iloc[0], unit), "",
            f"| {' | '.join([*columns, *further.values()])} |", "|---|---|---:|---|---|" + "---:|" * len(further),
        ]  # fmt: skip
        for row in rows.sort_values(score.name, ascending=score.sign < 0).to_dict("records"):
            figures = [
                f"{row[of]:{digits}} ({row[low]:{digits}} to {row[high]:{digits}})"
                for of, low, high in (
                    (score.name, "low", "high"), (f"{score.name}_pooled", "pooled_low", "pooled_high")
                )
            ]  # fmt: skip
            figures += [f"{row[column]:{digits}}" for column in further]
            lines.append(f"| {' | '.join([row['contender'], row['role'], str(row['folds']), *figures])} |")
        lines.append("")
    lines += [f"- {permuted_line(row)}" for row in permuted.itertuples()]
    counts = missing.groupby(["contender", "split", "share", "reason"]).size().reset_index(name="count")
    for row in counts.to_dict("records"):
        where = f"{row['contender']} on {row['split']}, share {row['share']:g}"
        lines.append(f"- not run: {row['count']} folds of {where}: {row['reason']}")
    return "\n".join(lines).rstrip("\n") + "\n"


def _molecules(row: "pd.Series[Any]", unit: str) -> str:
    """Return how many molecules there are, and how their labels are spread."""
    if "positives" in row:
        return f"{row['molecules']} molecules, {row['positives']} of them positive."
    spread = f"{row['label_sd']:.3g} {unit}".strip()
    return f"{row['molecules']} molecules; the standard deviation of their labels is {spread}."
