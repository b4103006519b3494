"""What was made, stage by stage: the rows that `decar summary` prints at the end of a run."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from decar.config import Study
from decar.config_file import load_study
from decar.figures.build import sources_of
from decar.figures.catalogue import figure_names
from decar.figures.performance import in_order, metric_texts, read_metrics
from decar.figures.quantities import bracketed, value_unit
from decar.figures.report_data import stage_rows, training_rows
from decar.figures.sources import Sources, read_columns
from decar.figures.style import readable
from decar.planning.frozen import Plan
from decar.predictions import score_of
from decar.stages import MOLECULE_STAGES

LISTED = 5  # failures named one by one


class SummaryRow(NamedTuple):
    """One line of the summary."""

    stage: str
    what: str
    number: str
    detail: str


def summarise(plan: Plan) -> list[SummaryRow]:
    """Return the lines of the summary of a planned study; what is not made yet is said to be so."""
    study, folder = load_study(Path(plan.study)), Path(plan.folder)
    sources = sources_of(study, plan)
    last = sources.interpretation / "kernel_tests.parquet"
    parts: list[tuple[str, Path, Callable[[], list[SummaryRow]]]] = [
        ("molecules", sources.dataset / "failures.csv", lambda: _molecules(study, sources, Path(plan.molecules))),
        ("records", sources.records / "stages.parquet", lambda: _records(sources)),
        ("shards", sources.dataset / "manifest.parquet", lambda: _shards(sources, folder, plan)),
        ("train", sources.models[-1] / "metrics.csv", lambda: _training(sources)),
        ("evaluate", sources.evaluation / "metrics.parquet", lambda: _evaluation(study, sources)),
        ("interpret", last, lambda: _interpretation(sources)),
        ("attribute", sources.attribution / "kernel_gallery.parquet", lambda: _attribution(sources)),
    ]
    rows: list[SummaryRow] = []
    for stage, needed, describe in parts:
        if stage == "records" and not needed.exists():
            rows += _receipts(plan)
        elif stage == "train" and not all((path / "metrics.csv").exists() for path in sources.models):
            done = sum((path / "predictions.parquet").exists() for path in sources.models)
            rows.append(SummaryRow("train", "training jobs", f"{done} of {len(sources.models)}", "not finished"))
        elif needed.exists():
            rows += describe()
        else:
            rows.append(SummaryRow(stage, "", "0", "not made yet"))
    names = figure_names(study)
    made = [name for name in names if (folder / "figures" / f"{name}.csv").exists()]
    count = f"{len(made)} of {len(names)}" if len(made) < len(names) else str(len(made))
    rows.append(SummaryRow("figures", ", ".join(plan.formats), count, str(folder / "figures")))
    page = folder / "report.html"
    rows.append(SummaryRow("report", "page", "1" if page.exists() else "0", str(page)))
    return rows


def _molecules(study: Study, sources: Sources, folder: Path) -> list[SummaryRow]:
    index = read_columns(sources.index, ["status"])
    failures = read_columns(sources.dataset / "failures.csv", ["id", "stage", "reason"])
    counts = index["status"].value_counts()
    detail = f"{study.molecules.table}: {len(index)} rows, {int(counts.get('duplicate', 0))} repeating another row"
    rows = [SummaryRow("molecules", "molecules", str(int(counts.get("ok", 0))), detail)]
    listed = failures.head(LISTED).to_dict("records")
    reasons = [f"{row['id']}: {readable(str(row['reason']))} ({row['stage']})" for row in listed]
    if len(failures) > len(reasons):
        reasons.append(f"and {len(failures) - len(reasons)} more in {sources.dataset / 'failures.csv'}")
    rows.append(SummaryRow("molecules", "failures", str(len(failures)), "; ".join(reasons)))
    path = folder / "conflicts.parquet"
    if path.exists() and len(conflicts := read_columns(path, ["property", "ids"])):
        pairs = conflicts.head(LISTED)[["property", "ids"]].to_numpy().tolist()
        some = [f"{name} of {', '.join(ids)}" for name, ids in pairs]
        more = f"; and {len(conflicts) - LISTED} more" if len(conflicts) > LISTED else ""
        detail = f"rows of one molecule disagree, {study.molecules.on_conflict}: {'; '.join(some)}{more}"
        rows.append(SummaryRow("molecules", "conflicting labels", str(len(conflicts)), detail))
    return rows


def _records(sources: Sources) -> list[SummaryRow]:
    rows = []
    for row in stage_rows(sources):
        if row["stage"] not in MOLECULE_STAGES:
            continue
        lost = f"; left out: {', '.join(row['lost'])}" if row["lost"] else ""
        detail = f"{row['median']} each (median), {row['total']} in all{lost}"
        rows.append(SummaryRow(row["stage"], "records", str(row["ok"]), detail))
    return rows


def _receipts(plan: Plan) -> list[SummaryRow]:
    rows = []
    for stage, names in plan.receipts.items():
        done = sum((Path(plan.folder) / stage / f"{name}.parquet").exists() for name in names)
        rows.append(SummaryRow(stage, "batches", f"{done} of {len(names)}", ""))
    return rows


def _shards(sources: Sources, folder: Path, plan: Plan) -> list[SummaryRow]:
    manifest = read_columns(sources.dataset / "manifest.parquet", ["shape_x", "shape_y", "shape_z"])
    voxels = (manifest["shape_x"] * manifest["shape_y"] * manifest["shape_z"]).median()
    paths = [folder / "shards" / f"{name}.h5" for name in plan.shards]
    size = sum(path.stat().st_size for path in paths if path.exists()) / 1e6
    detail = f"{len(manifest)} samples, {voxels:.0f} voxels a field (median), {size:.1f} MB"
    return [SummaryRow("shards", "HDF5 files", str(len(paths)), detail)]


def _training(sources: Sources) -> list[SummaryRow]:
    rows = []
    for row in training_rows(sources):
        detail = f"{row['epochs']} epochs, kept epoch {row['best_epoch']}, validation loss {row['validation']} (means)"
        rows.append(SummaryRow("train", f"{row['model']}, {row['scheme']} split", f"{row['folds']} folds", detail))
    return rows


def _evaluation(study: Study, sources: Sources) -> list[SummaryRow]:
    metrics, score = read_metrics(sources), score_of(study)
    rows = []
    for scheme, part in metrics[metrics["metric"] == score.name].groupby("scheme", sort=True):
        by_model = {str(row["model"]): row for row in part.to_dict("records")}
        for model in in_order(part):
            row = by_model[model]
            number, low, high = metric_texts(row)
            value = "undefined" if pd.isna(row["value"]) else number
            detail = f"{bracketed(score.text, value_unit(study))}, {low} to {high}, n = {row['n']} ({row['role']})"
            rows.append(SummaryRow("evaluate", f"{readable(model)}, {scheme} split", value, detail))
    return rows


def _interpretation(sources: Sources) -> list[SummaryRow]:
    tests = read_columns(sources.interpretation / "kernel_tests.parquet", ["form", "network", "p_adjusted"])
    rows = []
    for form, part in tests[tests["network"] == "trained"].groupby("form", sort=True):
        differ = int((part["p_adjusted"] < 0.05).sum())
        rows.append(
            SummaryRow("interpret", f"kernels, {form} form", str(len(part)), f"{differ} with adjusted p < 0.05")
        )
    return rows


def _attribution(sources: Sources) -> list[SummaryRow]:
    """Return a row a method: molecules looked at, and whether folds agree better than the controls."""
    table = read_columns(sources.attribution / "agreement.parquet", ["key", "method", "kind", "spearman"])
    rows = []
    for method, part in table.groupby("method", sort=True):
        medians = part.groupby("kind")["spearman"].median()
        named = [f"{kind} {medians[kind]:.2f}" for kind in ("folds", "untrained", "permuted") if kind in medians]
        number = str(part["key"].nunique())
        rows.append(SummaryRow("attribute", readable(str(method)), number, f"rank correlation: {', '.join(named)}"))
    return rows
