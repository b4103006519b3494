"""Baselines that are tuned: LS-SVM, random forest and LightGBM, each from a grid of nine settings.

The setting of best AUROC on the validation molecules wins (of lowest RMSE for a regression; the first of equals); it
is then fitted on the training and validation molecules together. Test molecules are never looked at. Nine is the budget
of every one of them.

LS-SVM (Suykens & Vandewalle, doi 10.1023/A:1018628609742) with labels y = +-1 solves one linear system,

    [ 0   1^T         ] [ b     ]   [ 0 ]
    [ 1   K + I/gamma ] [ alpha ] = [ y ],    f(x) = sum_i alpha_i K(x, x_i) + b,

with K(x, x') = exp(-|x - x'|^2 / (width num_features)) on standardised features. Least squares on +-1 estimate 2p - 1,
so the probability is (1 + f) / 2, cut to [0, 1]. Of a regression y are the labels, and f(x) is the value.
"""

from collections.abc import Callable, Mapping
from itertools import product

import numpy as np
from scipy import sparse
from scipy.spatial.distance import cdist
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

from decar.baselines.boosting import boosting
from decar.predictions import SCORES
from decar.record import Array

NUM_TREES = 100
MAX_DEVIATION = 5.0  # standard deviations: RDKit has descriptors with a few enormous values

Settings = Mapping[str, float]
Fit = Callable[[sparse.csr_matrix, Array, sparse.csr_matrix, Settings, int, str], Array]


def grid(**values: tuple[float, ...]) -> tuple[Settings, ...]:
    """Return every combination of the values, the last name fastest."""
    return tuple(dict(zip(values, chosen)) for chosen in product(*values.values()))


def lssvm(
    features: sparse.csr_matrix, label: Array, asked: sparse.csr_matrix, settings: Settings, _: int,
    kind: str = "binary",
) -> Array:  # fmt: skip
    """Return predictions [m] of the rows `asked` [m, f] of an LS-SVM of features [n, f] and label [n]."""
    known, new = _standardised(features.toarray(), asked.toarray())
    scale = settings["width"] * max(1, known.shape[1])
    kernel = np.exp(-cdist(known, known, "sqeuclidean") / scale)
    size = len(label)
    system = np.ones((size + 1, size + 1))
    system[0, 0] = 0.0
    system[1:, 1:] = kernel + np.eye(size) / settings["gamma"]
    solution = np.linalg.solve(system, np.r_[0.0, label if kind == "regression" else 2.0 * label - 1.0])
    value = np.exp(-cdist(new, known, "sqeuclidean") / scale) @ solution[1:] + solution[0]
    return np.asarray(value if kind == "regression" else np.clip((1.0 + value) / 2.0, 0.0, 1.0))


def forest(
    features: sparse.csr_matrix, label: Array, asked: sparse.csr_matrix, settings: Settings, seed: int,
    kind: str = "binary",
) -> Array:  # fmt: skip
    """Return predictions [m] of a random forest (doi 10.1023/A:1010933404324); a missing value counts as 0."""
    common = {
        "n_estimators": NUM_TREES, "max_features": settings["max_features"],
        "min_samples_leaf": int(settings["min_samples_leaf"]), "random_state": seed % 2**32, "n_jobs": 1,
    }  # fmt: skip
    known, new = _without_nan(features), _without_nan(asked)
    if kind == "regression":
        return np.asarray(RandomForestRegressor(**common).fit(known, label).predict(new), dtype=np.float64)
    model = RandomForestClassifier(class_weight="balanced", **common).fit(known, label)
    return np.asarray(model.predict_proba(new)[:, 1], dtype=np.float64)


FITS: dict[str, tuple[Fit, tuple[Settings, ...]]] = {
    "lssvm": (lssvm, grid(gamma=(1.0, 10.0, 100.0), width=(0.3, 1.0, 3.0))),
    "random_forest": (forest, grid(max_features=(0.02, 0.1, 0.3), min_samples_leaf=(1, 3, 9))),
    "lightgbm": (boosting, grid(num_leaves=(4, 8, 31), num_trees=(30, 100, 300))),
}


def tune_and_predict(
    fit: str, features: sparse.csr_matrix, label: Array, subset: Array, seed: int, kind: str = "binary"
) -> Array:  # fmt: skip
    """Return the prediction of every row [n]; subset [n] is train, validation or test.

    Without two labels that differ to train on their mean is the prediction; without both classes, or any value, to
    validate on, the first setting is taken.
    """
    function, settings = FITS[fit]
    is_train, is_fitted = subset == "train", subset != "test"
    if len(np.unique(label[is_fitted])) < 2:
        return np.full(len(label), label[is_fitted].mean() if is_fitted.any() else np.nan)
    best = settings[0]
    is_asked = subset == "validation"
    score = SCORES[kind]
    least = 2 if kind == "binary" else 1  # an error needs no second value
    if len(np.unique(label[is_train])) > 1 and len(np.unique(label[is_asked])) >= least:
        best = max(settings, key=lambda one: score.sign * score(
            label[is_asked], function(features[is_train], label[is_train], features[is_asked], one, seed, kind)
        ))  # fmt: skip
    return function(features[is_fitted], label[is_fitted], features, best, seed, kind)


def _without_nan(features: sparse.csr_matrix) -> sparse.csr_matrix:
    clean = features.copy()
    # A float32 inside the forest: Ipc of a large molecule would overflow it.
    clean.data = np.clip(np.nan_to_num(clean.data, nan=0.0), -1e30, 1e30)
    return clean


def _standardised(known: Array, new: Array) -> tuple[Array, Array]:
    """Return both in standard deviations of the known rows; missing is the mean, a constant column is left out."""
    is_used = np.isfinite(known).any(axis=0)
    known, new = known[:, is_used], new[:, is_used]
    mean, deviation = np.nanmean(known, axis=0), np.nanstd(known, axis=0)
    varies = deviation > 0
    scaled = [(part[:, varies] - mean[varies]) / deviation[varies] for part in (known, new)]
    first, second = (np.clip(np.nan_to_num(part, nan=0.0), -MAX_DEVIATION, MAX_DEVIATION) for part in scaled)
    return first, second
