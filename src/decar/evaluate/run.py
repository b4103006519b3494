"""The evaluate stage: networks, controls and baselines on the same test molecules of the same folds.

Every molecule is tested once a scheme, by the network that did not see it; the metrics are over all folds together.
Only molecules that every model predicted count: a figure of fewer molecules than its rival's would say nothing.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import roc_curve

from decar.baselines.models import run_baseline
from decar.config import Study
from decar.errors import DataFormatError
from decar.evaluate.intervals import bootstrap_intervals
from decar.evaluate.measures import measures_of
from decar.evaluate.metrics import confusion, undefined_note
from decar.predictions import COLUMNS, kind_of, read_predictions
from decar.receipt import read_table, write_table
from decar.stages import derive_seed


def evaluate(
    study: Study,
    dataset_folder: Path,
    predictions: Sequence[Path],
    output: Path,
    report: Callable[[str], None] = lambda _: None,
) -> None:
    """Write predictions, metrics and, of a binary property, roc and confusion (Parquet) to the folder `output`.

    `predictions` are the predictions.parquet of the training jobs. Raises DataFormatError for predictions that lack a
    column, test a molecule twice or have no molecule in common.
    """
    name = study.training.property
    tables = [read_predictions(path, COLUMNS)[list(COLUMNS)] for path in predictions]
    molecules, labels, splits = (read_table(dataset_folder / f"{part}.parquet") for part in _TABLES)
    for baseline in study.evaluate.baselines:
        tables.append(run_baseline(baseline, molecules, labels, splits, name, study.seed, kind_of(study)))
        report(f"baseline {baseline}: done")
    joined = pd.concat(tables, ignore_index=True)
    joined.insert(1, "role", [role(study, model) for model in joined["model"]])
    joined = joined.sort_values(["scheme", "model", "fold", "key"], ignore_index=True)
    test = common_test(joined, report)
    write_table(output / "predictions.parquet", joined)
    if kind_of(study) == "binary":
        write_table(output / "roc.parquet", roc_table(test))
        write_table(output / "confusion.parquet", confusion_table(test))
    # Last: what follows waits for this file.
    write_table(output / "metrics.parquet", metrics_table(study, test))


_TABLES = ("molecules", "labels", "splits")
_GROUP = ["scheme", "model", "role"]


def role(study: Study, model: str) -> str:
    """Return `model` or `control` (geometry alone, permuted labels) as the study says, `baseline` for no network."""
    return study.training.models[model].role if model in study.training.models else "baseline"


def common_test(joined: pd.DataFrame, report: Callable[[str], None] = lambda _: None) -> pd.DataFrame:
    """Return the rows of the test subsets whose molecule has a label and is tested by every model of the scheme.

    Raises DataFormatError when a model tests a molecule twice or a scheme has no molecule in common.
    """
    test = joined.loc[(joined["subset"] == "test") & joined["label"].notna()]
    twice = test.duplicated(["scheme", "model", "key"])
    if twice.any():
        seen = test.loc[twice, ["scheme", "model", "key"]].iloc[0].to_dict()
        raise DataFormatError("a molecule is tested twice by one model", seen=seen, remedy="give each fold only once")
    parts: list[pd.DataFrame] = []
    for scheme, part in test.groupby("scheme", sort=True):
        finite = part.loc[np.isfinite(part["prediction"])]
        num_tests = finite.groupby("key").size()
        num_models = part["model"].nunique()
        common = num_tests.index[num_tests == num_models]
        num_all = part["key"].nunique()
        report(f"scheme {scheme}: {len(common)} of {num_all} test molecules are predicted by all {num_models} models")
        if len(common) == 0:
            raise DataFormatError(
                "no test molecule is predicted by every model", where=f"scheme {scheme}",
                seen=part.groupby("model")["key"].nunique().to_dict(), remedy="train all folds of every model",
            )  # fmt: skip
        parts.append(finite.loc[finite["key"].isin(common)])
    return pd.concat(parts, ignore_index=True) if parts else test


def metrics_table(study: Study, test: pd.DataFrame) -> pd.DataFrame:
    """Return a row a model, scheme and metric: value, interval (low, high), number of molecules, note."""
    measures = measures_of(study)
    rows: list[dict[str, object]] = []
    for (scheme, model, role_), part in test.groupby(_GROUP, sort=True):
        ordered = part.sort_values("key")  # the same resamples hit the same molecules for every model
        label, prediction = ordered["label"].to_numpy(np.float64), ordered["prediction"].to_numpy(np.float64)
        seed = derive_seed(study.seed, "evaluate", scheme)
        settings = study.evaluate
        intervals = bootstrap_intervals(
            label, prediction, settings.num_bootstrap, settings.confidence, seed, measures
        )  # fmt: skip
        values = measures.of(label, prediction, None)
        for metric in measures.names:
            value = float(values[metric])
            low, high = intervals[metric]
            rows.append({
                "model": model, "role": role_, "scheme": scheme, "metric": metric, "value": value, "low": low,
                "high": high, "n": len(part), "note": "" if np.isfinite(value) else measures.undefined_note(label),
            })  # fmt: skip
    return pd.DataFrame(rows)


def roc_table(test: pd.DataFrame) -> pd.DataFrame:
    """Return the corners of each ROC curve; a model and scheme with one class only has no curve and no row."""
    columns = ["model", "role", "scheme", "threshold", "false_positive_rate", "true_positive_rate"]
    parts: list[pd.DataFrame] = []
    for (scheme, model, role_), part in test.groupby(_GROUP, sort=True):
        if undefined_note(part["label"].to_numpy()):
            continue
        false_rate, true_rate, threshold = roc_curve(part["label"], part["prediction"])
        curve = {"threshold": threshold, "false_positive_rate": false_rate, "true_positive_rate": true_rate}
        parts.append(pd.DataFrame(curve).assign(model=str(model), role=str(role_), scheme=str(scheme))[columns])
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def confusion_table(test: pd.DataFrame) -> pd.DataFrame:
    """Return four rows a model and scheme: true class (0, 1), predicted (0, 1), count."""
    rows: list[dict[str, object]] = []
    for (scheme, model, role_), part in test.groupby(_GROUP, sort=True):
        counts = confusion(part["label"].to_numpy(), part["prediction"].to_numpy(), np.ones(len(part)))
        for (label, predicted), count in zip(((1, 1), (0, 0), (0, 1), (1, 0)), counts):
            rows.append({
                "model": model, "role": role_, "scheme": scheme, "label": label, "predicted": predicted,
                "count": round(float(count)),
            })  # fmt: skip
    return pd.DataFrame(rows).sort_values(["scheme", "model", "label", "predicted"], ignore_index=True)
