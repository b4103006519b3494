"""The tables of a benchmark, from its per-fold predictions alone: contenders, pairs, folds, calibration.

Per contender, split and share of the training molecules:

    auroc          mean over folds (and seeds) of the AUROC of a fold; its interval is the corrected resampled t's.
                   A fold whose test molecules are of one class has none; `folds` says how many count
    auroc_pooled   AUROC over the test molecules of all folds together, mean over seeds; bootstrap by molecules

Of a regression they are rmse and rmse_pooled. Pairs are compared on the molecules and seeds that both have: the pooled
score by DeLong's test, or RMSE by the delta method (p_pooled), the scores of the folds by the corrected resampled t
(`decar.evaluate.paired`). Its num_train counts what a contender fits: training molecules, and those of validation too
for baselines that are fitted again once they are tuned.
"""

from collections.abc import Iterator
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd

from decar.benchmark.contenders import learns_from_validation, role_of
from decar.config import Study
from decar.evaluate.calibration import brier, expected_calibration_error, reliability
from decar.evaluate.measures import Measures, measures_of
from decar.evaluate.paired import corrected_interval, corrected_resampled_t
from decar.evaluate.seeds import mean_score, mean_score_interval
from decar.predictions import kind_of
from decar.record import Array
from decar.stages import derive_seed

# Metrics over all test molecules, beside the score.
REPORTED = {
    "binary": ("accuracy", "balanced_accuracy", "sensitivity", "specificity", "mcc"),
    "regression": ("mae", "r2", "spearman"),
}
RUN = ["split", "share", "contender"]


class Contender(NamedTuple):
    """What one contender said: predictions [seed, molecule] of its test folds, and figures by (seed, fold)."""

    keys: list[str]
    label: Array  # [molecule]
    prediction: Array  # [seed, molecule]
    seeds: list[int]
    folds: pd.DataFrame  # seed, fold, `fold_metrics`, test_over_train


def contenders_table(study: Study, predictions: pd.DataFrame) -> pd.DataFrame:
    """Return a row a split, share and contender that has all folds of at least one seed."""
    rows = []
    for (split, share), found in _runs(study, predictions):
        for name, one in found.items():
            row: dict[str, object] = {"split": split, "share": share, "contender": name, "role": role_of(study, name)}
            rows.append(row | _figures(study, str(split), one))
    return pd.DataFrame(rows)


def pairs_table(study: Study, predictions: pd.DataFrame) -> pd.DataFrame:
    """Return a row a pair of contenders of one split and share: differences of the score, first minus second."""
    rows = []
    for (split, share), found in _runs(study, predictions):
        for first, second in combinations(found, 2):
            if not set(found[first].seeds) & set(found[second].seeds):
                continue
            row: dict[str, object] = {"split": split, "share": share, "first": first, "second": second}
            rows.append(row | _comparison(measures_of(study), found[first], found[second]))
    return pd.DataFrame(rows)


def folds_table(study: Study, predictions: pd.DataFrame) -> pd.DataFrame:
    """Return the score of each fold, and what chance is known by, a row a contender, split, share, seed and fold."""
    parts = [
        one.folds.assign(split=split, share=share, contender=name)
        for (split, share), found in _runs(study, predictions) for name, one in found.items()
    ]  # fmt: skip
    columns = [*RUN, "seed", "fold", *fold_metrics(measures_of(study)), "test_over_train"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def fold_metrics(measures: Measures) -> list[str]:
    """Return the metrics of a fold: its score, and what chance is known by where that is another one."""
    return list(dict.fromkeys((measures.score.name, measures.chance[0])))


def calibration_table(study: Study, predictions: pd.DataFrame) -> pd.DataFrame:
    """Return the reliability curve of each contender: mean probability and share of positives of each bin.

    Empty of a regression, whose predictions are no probabilities.
    """
    parts = []
    if kind_of(study) != "binary":
        return pd.DataFrame(columns=["bin", *RUN])
    for (split, share), found in _runs(study, predictions):
        for name, one in found.items():
            curve = reliability(np.tile(one.label, len(one.seeds)), one.prediction.ravel())
            curve = curve.rename(columns={"share": "share_positive"})
            parts.append(curve.assign(split=split, share=share, contender=name))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["bin", *RUN])


def _runs(
    study: Study, predictions: pd.DataFrame
) -> Iterator[tuple[tuple[str, float], dict[str, Contender]]]:  # fmt: skip
    """Yield (split, share) and its contenders, each on the test molecules that all of them predicted."""
    known = predictions.loc[(predictions["subset"] != "test") | np.isfinite(predictions["prediction"])]
    for (split, share), part in known.groupby(["split", "share"], sort=True):
        num_folds = study.benchmark.splits[str(split)].num_folds
        tested = part.loc[part["subset"] == "test"]
        whole = tested.groupby(["contender", "seed"])["fold"].nunique() == num_folds
        complete = part.set_index(["contender", "seed"]).loc[whole.index[whole]].reset_index()
        test = complete.loc[complete["subset"] == "test"]
        runs = test.groupby("contender")["seed"].nunique()
        count = test.groupby(["key", "contender"]).size().unstack(fill_value=0)
        common = count.index[(count == runs).all(axis=1)]
        yield (
            (str(split), float(str(share))),
            {
                str(name): _contender(study, complete, rows.loc[rows["key"].isin(common)])
                for name, rows in test.groupby("contender", sort=True)
            },
        )


def _contender(study: Study, complete: pd.DataFrame, test: pd.DataFrame) -> Contender:
    name, measures = str(test["contender"].iloc[0]), measures_of(study)
    learned = {"train", "validation"} if learns_from_validation(study, name) else {"train"}
    wide = test.pivot(index="seed", columns="key", values="prediction")
    label = test.drop_duplicates("key").set_index("key")["label"].reindex(wide.columns)
    own = complete.loc[complete["contender"] == name]
    rows = []
    for (seed, fold), part in test.groupby(["seed", "fold"], sort=True):
        values = measures.of(part["label"].to_numpy(np.float64), part["prediction"].to_numpy(np.float64), None)
        subset = own.loc[(own["seed"] == seed) & (own["fold"] == fold), "subset"]
        ratio = float((subset == "test").sum() / subset.isin(learned).sum())
        figures = {name: float(values[name]) for name in fold_metrics(measures)}
        rows.append({"seed": seed, "fold": fold, **figures, "test_over_train": ratio})
    return Contender(
        [str(key) for key in wide.columns], label.to_numpy(np.float64), wide.to_numpy(np.float64),
        [int(seed) for seed in wide.index], pd.DataFrame(rows),
    )  # fmt: skip


def _figures(study: Study, split: str, one: Contender) -> dict[str, object]:
    settings, measures, kind = study.evaluate, measures_of(study), kind_of(study)
    score = measures.score.name
    folds = one.folds[score].dropna().to_numpy(np.float64)  # test molecules of one class have no AUROC
    interval = corrected_interval(folds, float(one.folds["test_over_train"].mean()), settings.confidence)
    # What t lets out of a score's range says nothing.
    low, high = np.clip(interval, 0.0, 1.0 if kind == "binary" else np.inf).tolist()
    seed = derive_seed(study.seed, "benchmark", split)
    values = [measures.of(one.label, row, None) for row in one.prediction]
    pooled = mean_score_interval(
        measures.weighted, one.label, one.prediction, settings.num_bootstrap, settings.confidence, seed
    )
    found = {
        "molecules": len(one.label), "seeds": len(one.seeds), "folds": len(folds),
        score: float(np.mean(folds)) if len(folds) else np.nan,
        f"{score}_sd": float(np.std(folds, ddof=1)) if len(folds) > 1 else np.nan,
        "low": low, "high": high, f"{score}_pooled": mean_score(measures.weighted, one.label, one.prediction),
        "pooled_low": pooled[0], "pooled_high": pooled[1],
        **{name: float(np.mean([value[name] for value in values])) for name in REPORTED[kind]},
    }  # fmt: skip
    if kind == "regression":
        return found | {"label_sd": float(one.label.std())}
    every = np.tile(one.label, len(one.seeds)), one.prediction.ravel()
    return found | {
        "positives": int(one.label.sum()),
        "brier": brier(*every),
        "calibration_error": expected_calibration_error(*every),
    }


def _comparison(measures: Measures, first: Contender, second: Contender) -> dict[str, object]:
    """Compare on the seeds of both; molecules are the same already."""
    seeds = sorted(set(first.seeds) & set(second.seeds))
    chosen = [one.prediction[[one.seeds.index(seed) for seed in seeds]] for one in (first, second)]
    weight = np.repeat([1.0, -1.0], len(seeds)) / len(seeds)
    pooled = measures.contrast(first.label, np.vstack(chosen), weight)
    score = measures.score.name
    joined = first.folds.merge(second.folds, on=["seed", "fold"], suffixes=("_first", "_second"))
    joined = joined.dropna(subset=[f"{score}_first", f"{score}_second"])
    difference = (joined[f"{score}_first"] - joined[f"{score}_second"]).to_numpy(np.float64)
    # Of two contenders the one that learned from fewer molecules varies more.
    ratio = joined[["test_over_train_first", "test_over_train_second"]].max(axis=1)
    folds = corrected_resampled_t(difference, float(ratio.mean()))
    return {
        "molecules": len(first.label), "seeds": len(seeds), "folds": len(joined),
        "pooled_difference": pooled.value, "pooled_error": pooled.standard_error, "p_pooled": pooled.p,
        "smallest_shown": pooled.smallest_shown,
        "difference": folds.value, "error": folds.standard_error, "p_resampled_t": folds.p,
    }  # fmt: skip
