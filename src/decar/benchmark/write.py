"""What `decar benchmark` writes: tables from the stored predictions, and what is not in them.

The folder of the result has predictions.parquet (every number regenerates from it), benchmark.csv and benchmark.md (the
table), pairs.csv, folds.csv, calibration.csv, trainings.csv (epochs of networks), settings.csv (of tuned networks and
Chemprop), not_run.csv. Whatever is there by now is enough for tables: a contender that lacks folds is named in
not_run.csv, with the reason where there is one.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from decar.atomic import write_text
from decar.benchmark.choice import settings_table
from decar.benchmark.contenders import network_contenders, unavailable
from decar.benchmark.parts import PLACE, Part, parts_of, reason_of, training_folder
from decar.benchmark.permuted import permuted_line, permuted_table
from decar.benchmark.tables import calibration_table, contenders_table, folds_table, pairs_table
from decar.config import Study
from decar.errors import DataFormatError
from decar.receipt import read_table, write_csv, write_table

COLUMNS = (
    "contender", "role", "folds", "AUROC, mean of folds (interval)", "AUROC, pooled (interval)", "accuracy", "MCC",
    "Brier", "ECE",
)  # fmt: skip


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
    predictions = pd.concat([read_table(part.folder / "predictions.parquet") for part in done], ignore_index=True)
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
    write_csv(output / "settings.csv", settings_table(done))
    write_csv(output / "calibration.csv", calibration_table(study, predictions))
    write_csv(output / "benchmark.csv", contenders)
    write_text(output / "benchmark.md", markdown(contenders, missing, permuted_table(study, folds)))
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


def markdown(contenders: pd.DataFrame, missing: pd.DataFrame, permuted: pd.DataFrame) -> str:
    """Return the table of the contenders, the best of each split first, what is not in it, and the permutation runs."""
    lines = []
    for (split, share), rows in contenders.groupby(["split", "share"], sort=True):
        first = rows.iloc[0]
        lines += [
            f"### {split}" + ("" if share == 1 else f", {share:.0%} of the training molecules"), "",
            f"{first['molecules']} molecules, {first['positives']} of them positive.", "",
            f"| {' | '.join(COLUMNS)} |", "|---|---|---:|---|---|---:|---:|---:|---:|",
        ]  # fmt: skip
        for row in rows.sort_values("auroc", ascending=False).to_dict("records"):
            lines.append(
                f"| {row['contender']} | {row['role']} | {row['folds']} | {row['auroc']:.3f} ({row['low']:.3f} to "
                f"{row['high']:.3f}) | {row['auroc_pooled']:.3f} ({row['pooled_low']:.3f} to {row['pooled_high']:.3f}) "
                f"| {row['accuracy']:.3f} | {row['mcc']:.3f} | {row['brier']:.3f} | {row['calibration_error']:.3f} |"
            )
        lines.append("")
    lines += [f"- {permuted_line(row)}" for row in permuted.itertuples()]
    counts = missing.groupby(["contender", "split", "share", "reason"]).size().reset_index(name="count")
    for row in counts.to_dict("records"):
        where = f"{row['contender']} on {row['split']}, share {row['share']:g}"
        lines.append(f"- not run: {row['count']} folds of {where}: {row['reason']}")
    return "\n".join(lines).rstrip("\n") + "\n"
