"""Baselines on the folds of a study: models on descriptors of the molecular graph.

A baseline named `tuned_...` chooses its settings on the validation molecules (`baselines/tuned.py`). The others are
LightGBM at its defaults, untuned: 100 trees of 31 leaves (`baselines/boosting.py`).

A baseline has no early stopping, so it is fitted on the training and the validation molecules of a fold together: the
networks use the validation molecules too, to choose their checkpoint. What it says of a molecule of either subset
is therefore a fit, and only that of the `test` subset a prediction: the probability of class 1, or the value of a
regression.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from scipy import sparse

from decar.baselines.boosting import UNTUNED, boosting
from decar.baselines.descriptors import ecfp4_and_descriptors, ecfp4_counts, element_counts, rdkit_descriptors
from decar.baselines.tuned import tune_and_predict
from decar.errors import ConfigError, DataFormatError
from decar.predictions import COLUMNS
from decar.record import Array
from decar.stages import derive_seed

Features = Callable[[Sequence[str]], tuple[sparse.csr_matrix, list[str]]]
BASELINES: dict[str, Features] = {
    "lightgbm_ecfp4": ecfp4_counts,
    "lightgbm_ecfp4_descriptors": ecfp4_and_descriptors,
    "atom_counts": element_counts,
    "tuned_lssvm_descriptors": rdkit_descriptors,
    "tuned_random_forest": ecfp4_and_descriptors,
    "tuned_lightgbm": ecfp4_and_descriptors,
    "tuned_lightgbm_atom_counts": element_counts,
}
TUNED = {
    "tuned_lssvm_descriptors": "lssvm",
    "tuned_random_forest": "random_forest",
    "tuned_lightgbm": "lightgbm",
    "tuned_lightgbm_atom_counts": "lightgbm",
}


def run_baseline(
    name: str,
    molecules: pd.DataFrame,
    labels: pd.DataFrame,
    splits: pd.DataFrame,
    property_name: str,
    seed: int,
    kind: str = "binary",
) -> pd.DataFrame:
    """Fit a baseline on every fold of every scheme and return its predictions, a row a molecule and fold.

    `molecules` has the columns key and smiles; `labels` key, property and value (0 or 1 of a `binary`
    property, a number of a `regression`); `splits` scheme, fold, key
    and subset. A molecule without a label is left out. Columns of the result: `COLUMNS`.
    Raises ConfigError for an unknown name and DataFormatError for a key without a structure.
    """
    if name not in BASELINES:
        raise ConfigError("unknown baseline", where="evaluate.baselines", seen=name, expected=sorted(BASELINES))
    value = labels.loc[labels["property"] == property_name].dropna(subset="value").set_index("key")["value"]
    rows = splits.loc[splits["key"].isin(value.index)].sort_values(["scheme", "fold", "key"], ignore_index=True)
    keys = pd.Index(sorted(set(rows["key"])))
    smiles = molecules.drop_duplicates("key").set_index("key")["smiles"].reindex(keys)
    if smiles.isna().any():
        missing = list(keys[smiles.isna()])
        raise DataFormatError("the splits have keys that the molecules lack", seen=missing[:3], where="splits.parquet")
    features, _ = BASELINES[name](list(smiles))
    parts: list[pd.DataFrame] = []
    for (scheme, fold), part in rows.groupby(["scheme", "fold"], sort=True):
        position = keys.get_indexer(pd.Index(part["key"]))
        label = value.reindex(part["key"]).to_numpy(dtype=np.float64)
        subset = part["subset"].to_numpy(dtype=object)
        fold_seed = derive_seed(seed, "baseline", name, scheme, fold)
        if name in TUNED:
            prediction = tune_and_predict(TUNED[name], features[position], label, subset, fold_seed, kind)
        else:
            prediction = fit_and_predict(features[position], label, subset != "test", fold_seed, kind)
        parts.append(part[["scheme", "fold", "key", "subset"]].assign(label=label, prediction=prediction, model=name))
    if not parts:
        return pd.DataFrame(columns=list(COLUMNS))
    return pd.concat(parts, ignore_index=True)[list(COLUMNS)]


def fit_and_predict(
    features: sparse.csr_matrix, label: Array, is_fitted: Array, seed: int, kind: str = "binary"
) -> Array:  # fmt: skip
    """Return the prediction of every row [n], from LightGBM fitted on the rows of `is_fitted`.

    Where those all have one label there is nothing to learn, and it is the prediction.
    """
    known = label[is_fitted]
    if len(known) == 0:
        return np.full(len(label), np.nan)
    if len(np.unique(known)) == 1:
        return np.full(len(label), known[0])
    return boosting(features[is_fitted], known, features, UNTUNED, seed, kind)
