"""What the report says, as plain rows and sentences: the template only lays it out."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import yaml

from decar.config import Study
from decar.errors import InputMoleculeError
from decar.figures.learning_curves import TRAIN, VALIDATION
from decar.figures.learning_curves import tabulate as learning_curves
from decar.figures.molecule_table import label_text, model_columns, molecule_table
from decar.figures.performance import ERRORS, METRICS_OF, in_order, metric_texts, read_metrics, small_set_note
from decar.figures.pipeline import tabulate as pipeline
from decar.figures.quantities import bracketed, places_of, value_unit
from decar.figures.report_clouds import deflated
from decar.figures.sources import Sources, read_columns
from decar.figures.structure import structure_svg
from decar.figures.style import readable
from decar.predictions import kind_of, score_of

Row = dict[str, Any]


def report_data(study: Study, sources: Sources) -> Row:
    """Return everything that the page shows except the figures."""
    metrics, table, kind = read_metrics(sources), molecule_table(study, sources), kind_of(study)
    quality = read_columns(sources.records / "quality.parquet", ["level", "versions", "num_voxels", "num_electrons"])
    return {
        "study": study,
        "title": study.study,
        "summary": summary_sentences(study, table, metrics),
        "note": small_set_note(metrics, kind),
        "tiles": _tiles(study, table, metrics),
        "stages": stage_rows(sources),
        "models": [readable(name.removeprefix("p:")) for name in model_columns(table)],
        "molecules": [_molecule(study, row, model_columns(table)) for row in _records(table)],
        "failures": failure_groups(table),
        "performance": performance_rows(metrics, kind),
        "metrics": [(readable(name), value_unit(study) if name in ERRORS else "") for name in METRICS_OF[kind]],
        "predicted": _predicted(study, table),
        "training": training_rows(sources),
        "level": _facts(quality["level"]),
        "versions": _facts(quality["versions"]),
        "places": _places(study, sources),
        "settings": yaml.safe_dump(study.model_dump(mode="json"), sort_keys=False, allow_unicode=True),
    }


def _predicted(study: Study, table: pd.DataFrame) -> Row:
    """Return how the page shows labels and predictions: kind, name of the label, unit and decimal places."""
    is_binary = kind_of(study) == "binary"
    name = "class" if is_binary else readable(study.training.property)
    places = places_of(study, table["label"])
    return {"is_probability": is_binary, "name": name, "unit": value_unit(study), "places": places}


def _records(table: pd.DataFrame) -> list[Row]:
    rows = table.astype(object).where(table.notna(), None).to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in rows]


def summary_sentences(study: Study, table: pd.DataFrame, metrics: pd.DataFrame) -> list[str]:
    """Return the summary: what came out of the table, and how well the explained network does beside its rivals."""
    counts = table["status"].value_counts()
    clouds = int(table.loc[table["status"] == "ok", "energy_hartree"].notna().sum())
    basis = study.quantum.basis
    level = f"{study.quantum.method.upper()}/{basis.upper() if basis[0].isdigit() else basis}"
    first = (
        f"Of {len(table)} rows of {study.molecules.table.name}, {clouds} became molecules with an electron cloud "
        f"({level}, voxels of {study.fields.spacing_angstrom:g} Å). Failed: {_count(counts, 'failed')}; repeating "
        f"another row: {_count(counts, 'duplicate')}."
    )
    sentences = [first]
    score = score_of(study)
    area = metrics[(metrics["metric"] == score.name) & (metrics["scheme"] == study.interpret.scheme)]
    own = area[area["model"] == study.interpret.model]
    if own.empty or pd.isna(own.iloc[0]["value"]):
        return sentences
    rivals = area[area["model"] != study.interpret.model].sort_values("value", ascending=score.sign < 0)
    permuted = [name for name, model in study.training.models.items() if model.permuted_labels]
    unit = value_unit(study)
    parts = [f"the network {readable(study.interpret.model)} reaches {score.text} {_interval(own.iloc[0], unit)}"]
    for role, words in (("control", "the geometry-only control"), ("baseline", "the best baseline,")):
        best = rivals[(rivals["role"] == role) & ~rivals["model"].isin(permuted)].head(1)
        parts += [f"{words} {readable(row['model'])} {_interval(row, unit)}" for _, row in best.iterrows()]
    sentences.append(
        f"On the {int(own.iloc[0]['n'])} molecules of the test folds ({study.interpret.scheme} split), "
        + ", ".join(parts) + "."
    )  # fmt: skip
    overlapping = rivals[(rivals["high"] >= own.iloc[0]["low"]) & (rivals["low"] <= own.iloc[0]["high"])]
    if len(overlapping):
        sentences.append(
            f"Its interval overlaps that of {len(overlapping)} of {len(rivals)} rivals: no difference is shown."
        )
    return sentences


def _count(counts: pd.Series, status: str) -> str:
    number = int(counts.get(status, 0))
    return "none" if number == 0 else str(number)


def _interval(row: pd.Series, unit: str) -> str:
    value, low, high = metric_texts(row)
    return f"{value} [{low}, {high}] {unit}".rstrip()


def _tiles(study: Study, table: pd.DataFrame, metrics: pd.DataFrame) -> list[Row]:
    ok = table[table["status"] == "ok"]
    labels = ok["label"].map(lambda value: label_text(study, value))
    classes = " · ".join(f"{count} {name}" for name, count in labels[labels != ""].value_counts(sort=False).items())
    detail, values = classes if labels.nunique() <= 4 else "", ok["label"].dropna()
    if kind_of(study) == "regression" and len(values):
        detail = f"{readable(study.training.property)}: {values.min():.10g} to {values.max():.10g} {value_unit(study)}"
        detail = detail.replace("-", "−").rstrip()
    tiles = [
        {"value": str(len(ok)), "name": "molecules", "detail": detail},
        {"value": str(int((table["status"] == "failed").sum())), "name": "failures", "detail": "reasons below"},
        {"value": f"{ok['num_voxels'].median():,.0f}".replace(",", " ") if ok["num_voxels"].notna().any() else "–",
         "name": "voxels", "detail": f"of a median box, {study.fields.spacing_angstrom:g} Å apart"},
    ]  # fmt: skip
    error = ok["electron_count_error"].abs().max()
    if pd.notna(error):
        tiles.append(
            {
                "value": f"{error:.0e}".replace("-", "−"),
                "name": "electrons",
                "detail": "largest error of an electron count",
            }
        )
    score, unit = score_of(study), value_unit(study)
    own = metrics[(metrics["metric"] == score.name) & (metrics["model"] == study.interpret.model)]
    for _, row in own.iterrows():
        value, low, high = metric_texts(row)
        name = f"{bracketed(score.text, unit)}, {row['scheme']} split"
        tiles.append({"value": value, "name": name, "detail": f"[{low}, {high}], n = {int(row['n'])}"})
    return tiles


def stage_rows(sources: Sources) -> list[Row]:
    """Return a row a stage: molecules that came through, those that did not, median and total time."""
    counts, times = pipeline(sources)
    rows = []
    for stage, part in counts.groupby("stage", sort=False):
        seconds = times.loc[times["stage"] == stage, "wall_seconds"]
        lost = part[part["outcome"] != "ok"]
        rows.append({
            "stage": "rows of the table" if stage == "table" else stage,
            "ok": int(part.loc[part["outcome"] == "ok", "count"].sum()),
            "lost": [f"{row['count']} {readable(str(row['reason']))}" for _, row in lost.iterrows()],
            "median": duration(seconds.median()) if len(seconds) else "",
            "total": duration(seconds.sum()) if len(seconds) else "",
        })  # fmt: skip
    return rows


def duration(seconds: float) -> str:
    """Return a time in the largest fitting unit: 0.42 s, 12 s, 3.5 min, 2.1 h."""
    if seconds < 120:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def performance_rows(metrics: pd.DataFrame, kind: str = "binary") -> list[Row]:
    """Return a row a split and model: role, n, and (value, low, high) of each metric; best of a column is marked."""
    rows: list[Row] = []
    for scheme, of_scheme in metrics.groupby("scheme", sort=True):
        values = of_scheme.groupby("metric")["value"]
        best = {**values.max(), **{name: value for name, value in values.min().items() if name in ERRORS}}
        for model in in_order(of_scheme):
            part = of_scheme[of_scheme["model"] == model]
            by_metric = {str(row["metric"]): row for row in part.to_dict("records")}
            cells = [_cell(by_metric.get(metric), best.get(metric)) for metric in METRICS_OF[kind]]
            rows.append({
                "scheme": scheme, "model": readable(model), "role": part["role"].iloc[0], "n": int(part["n"].max()),
                "cells": cells,
            })  # fmt: skip
    return rows


def _cell(row: Mapping[Any, Any] | None, best: object) -> Row:
    if row is None or pd.isna(row["value"]):
        return {"value": "–", "interval": "", "best": False}
    value, low, high = (text.replace("-", "−") for text in metric_texts(row))
    return {"value": value, "interval": f"{low} to {high}", "best": row["value"] == best}


def training_rows(sources: Sources) -> list[Row]:
    """Return a row a network and split: folds, epochs, losses of the kept checkpoint, gap at the end (means)."""
    rows = []
    for (model, scheme), part in learning_curves(sources).groupby(["model", "scheme"], sort=True):
        folds = [fold for _, fold in part.groupby("fold")]
        best = [fold[fold["kept"]].iloc[0] for fold in folds]
        gaps = [float(fold.iloc[-1][VALIDATION] - fold.iloc[-1][TRAIN]) for fold in folds]
        rows.append({
            "model": readable(str(model)), "scheme": scheme, "folds": len(folds),
            "epochs": f"{np.mean([len(fold) for fold in folds]):.0f}",
            "best_epoch": f"{np.mean([row['epoch'] for row in best]):.0f}",
            "validation": f"{np.mean([row[VALIDATION] for row in best]):.3f}",
            "training": f"{np.mean([row[TRAIN] for row in best]):.3f}",
            "gap": f"{np.mean(gaps):+.3f}".replace("-", "−"),
        })  # fmt: skip
    return rows


def failure_groups(table: pd.DataFrame) -> list[Row]:
    """Return a row a stage and reason, the most frequent first, each with its molecules."""
    failed = table[table["status"] == "failed"].assign(stage=lambda rows: rows["stage"].fillna("molecules"))
    groups = [
        {"stage": stage, "reason": readable(str(reason)), "molecules": _records(part)}
        for (stage, reason), part in failed.groupby(["stage", "reason"], sort=True, dropna=False)
    ]
    return sorted(groups, key=lambda group: -len(group["molecules"]))


DIGITS = {"energy_hartree": 5, "gap_ev": 3, "dipole_debye": 3, "electron_count_error": 8}


def _molecule(study: Study, row: Row, models: list[str]) -> Row:
    """Return what the page's script needs of a row, JSON-able; the structure is its SVG, deflated."""
    try:
        structure = deflated(structure_svg(row["smiles"], 180, 120, 20.0).encode()) if row["smiles"] else ""
    except InputMoleculeError:
        structure = ""
    texts = {name: str(row[name] or "") for name in ("id", "name", "raw", "smiles", "inchikey", "key", "content_hash")}
    said, verdict = row.get(f"p:{study.interpret.model}"), ""
    if kind_of(study) == "binary" and row["label"] is not None and said is not None:
        verdict = "right" if (said >= 0.5) == (row["label"] > 0.5) else "wrong"
    return {
        **texts,
        "row": int(row["row"]),
        "label": label_text(study, row["label"]),
        "value": _rounded(row["label"], 8),
        "class": row["class"],
        "status": row["status"],
        "reason": readable(row["reason"]) if row["status"] == "failed" and row["reason"] else "",
        "stage": row["stage"] or "",
        "message": row["message"] or "",
        "predictions": [_rounded(row[name], 4) for name in models],
        "verdict": verdict,
        **{name: _rounded(row[name], digits) for name, digits in DIGITS.items()},
        **{name: _rounded(row[name], 2) for name in ("num_electrons", "num_voxels", "num_conformers", "wall_seconds")},
        "structure": structure,
    }


def _rounded(value: object, digits: int) -> float | None:
    return None if value is None else round(float(str(value)), digits)


def _facts(column: pd.Series) -> list[tuple[str, str]]:
    """Return name and value of JSON objects in a column; values that differ between records are all given."""
    found: dict[str, list[str]] = {}
    for text in sorted(column.dropna().unique()):
        for name, value in json.loads(text).items():
            shown = str(value) if value is not None else "none"
            if shown not in found.setdefault(name, []):
                found[name].append(shown)
    return [(name, ", ".join(found[name])) for name in sorted(found)]


def _places(study: Study, sources: Sources) -> list[tuple[str, str]]:
    named = [("records", str(study.store)), ("index", str(sources.index)), ("dataset", str(sources.dataset))]
    named += [("evaluation", str(sources.evaluation)), ("interpretation", str(sources.interpretation))]
    return named + [("network", str(folder)) for folder in sources.models]
