"""What `decar benchmark` writes: tables from the stored predictions, and what is not in them.

The folder of the result has predictions.parquet (every number regenerates from it), benchmark.csv and benchmark.md (the
table), pairs.csv, folds.csv, calibration.csv, not_run.csv. Whatever is there by now is enough for tables: a contender
that lacks folds is named in not_run.csv, with the reason where there is one.
"""

from pathlib import Path

import pandas as pd

from decar.atomic import atomic_path, write_text
from decar.benchmark.contenders import PERMUTED, unavailable
from decar.benchmark.parts import parts_of
from decar.benchmark.tables import calibration_table, contenders_table, folds_table, pairs_table
from decar.config import Study
from decar.errors import DataFormatError
from decar.receipt import read_table, write_table

COLUMNS = (
    "contender", "role", "folds", "AUROC, mean of folds (interval)", "AUROC, pooled (interval)", "accuracy", "MCC",
    "Brier", "ECE",
)  # fmt: skip


def write_tables(study: Study, dataset_folder: Path, output: Path) -> pd.DataFrame:
    """Write the tables of all parts that are there, and return that of the contenders.

    Raises DataFormatError where no contender has all folds of any split yet.
    """
    parts = parts_of(study, dataset_folder)
    done = [part for part in parts if (part.folder / "predictions.parquet").exists()]
    left_out = unavailable(study)
    missing = pd.DataFrame([
        {"contender": part.contender, "split": part.split, "seed": part.seed, "share": part.share, "fold": part.fold,
         "reason": left_out.get(part.contender, "not computed yet")}
        for part in parts if part not in done
    ], columns=["contender", "split", "seed", "share", "fold", "reason"])  # fmt: skip
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
    write_csv(output / "pairs.csv", pairs_table(study, predictions))
    write_csv(output / "folds.csv", folds_table(study, predictions))
    write_csv(output / "calibration.csv", calibration_table(study, predictions))
    write_csv(output / "benchmark.csv", contenders)
    write_text(output / "benchmark.md", markdown(contenders, missing))
    return contenders


def permuted_problems(contenders: pd.DataFrame) -> list[str]:
    """Return what speaks against the benchmark: a contender on permuted labels whose interval does not hold 0.5."""
    rows = contenders.loc[contenders["contender"].str.endswith(PERMUTED)]
    wrong = rows.loc[(rows["low"] > 0.5) | (rows["high"] < 0.5)]
    return [
        f"{row['contender']} on split {row['split']}: AUROC {row['auroc']:.3f} ({row['low']:.3f} to {row['high']:.3f}) "
        f"is not that of a coin: labels reach its training by another way, or one interval in twenty misses"
        for row in wrong.to_dict("records")
    ]


def markdown(contenders: pd.DataFrame, missing: pd.DataFrame) -> str:
    """Return the table of the contenders, the best of each split first, and what is not in it."""
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
    counts = missing.groupby(["contender", "split", "share", "reason"]).size().reset_index(name="count")
    for row in counts.to_dict("records"):
        where = f"{row['contender']} on {row['split']}, share {row['share']:g}"
        lines.append(f"- not run: {row['count']} folds of {where}: {row['reason']}")
    return "\n".join(lines).rstrip("\n") + "\n"


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write a table as CSV, whole or not at all."""
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g", lineterminator="\n")
