"""LightGBM (doi 10.5555/3294996.3295074) for sets of any size, on one thread: reruns agree to the bit.

Its default of 20 molecules a leaf grows no tree at all on fewer than 40 molecules; here it is one tenth of the training
molecules, at least 2 and at most the default. For the same reason a histogram bin may hold a single molecule.
"""

from collections.abc import Mapping

import lightgbm
import numpy as np
from scipy import sparse

from decar.record import Array

UNTUNED = {"num_leaves": 31.0, "num_trees": 100.0}  # LightGBM's defaults


def boosting(
    features: sparse.csr_matrix,
    label: Array,
    asked: sparse.csr_matrix,
    settings: Mapping[str, float],
    seed: int,
    kind: str = "binary",
) -> Array:
    """Return predictions [m] of the rows `asked` [m, f], fitted on features [n, f] and label [n].

    Probabilities of a `binary` label (0, 1), values of a `regression`. `settings`: num_leaves and num_trees.
    """
    parameters = boosting_parameters(len(label), seed, kind) | {"num_leaves": int(settings["num_leaves"])}
    data = lightgbm.Dataset(features, label=label)
    booster = lightgbm.train(parameters, data, num_boost_round=int(settings["num_trees"]))
    return np.asarray(booster.predict(asked, num_threads=1), dtype=np.float64)


def boosting_parameters(num_molecules: int, seed: int, kind: str = "binary") -> dict[str, object]:
    """Return what LightGBM is told for a training set of this size; the learning rate is its default, 0.1."""
    return {
        "objective": kind,  # LightGBM calls them the same
        "min_data_in_leaf": int(np.clip(num_molecules // 10, 2, 20)),
        "min_data_in_bin": 1,
        "num_threads": 1,
        "deterministic": True,
        "force_col_wise": True,
        "seed": seed,
        "verbosity": -1,
    }
