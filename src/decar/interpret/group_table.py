"""The table of functional groups: what a group adds to the logit of a molecule that has it, with an interval.

Of each molecule the attributions of all atoms of a group are summed, and of the networks of all folds the mean is
taken; the mean over the molecules that have the group has a 95 % percentile interval over 1000 bootstrap samples of
them (one molecule has no interval).
"""

import numpy as np
import pandas as pd

from decar.record import Array
from decar.stages import derive_seed

NUM_BOOTSTRAP, CONFIDENCE = 1000, 0.95
COLUMNS = ["method", "network", "group", "num_molecules", "num_atoms", "attribution", "low", "high"]


def group_table(atoms: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Return a row a method, network (folds, untrained, permuted) and group (COLUMNS), from atoms as in attribute.py.

    Hydrogens count with their group; `num_atoms` counts heavy atoms over all molecules.
    """
    chosen = atoms.loc[(atoms["rotation"] == 0) & (atoms["atom"] >= 0)]
    chosen = chosen.assign(network=chosen["network"].where(~chosen["network"].str.startswith("fold"), "folds"),
                           is_heavy=chosen["atom"] == chosen["heavy_atom"])  # fmt: skip
    num_folds = sum(name.startswith("fold") for name in atoms["network"].unique())
    rows: list[dict[str, object]] = []
    for (method, network, group), part in chosen.groupby(["method", "network", "group"], sort=True):
        num_members = num_folds if network == "folds" else 1
        of_molecule = part.groupby("key", sort=True)["attribution"].sum().to_numpy(np.float64) / num_members
        low, high = _interval(of_molecule, derive_seed(seed, "groups", method, network, group))
        rows.append({
            "method": method, "network": network, "group": group, "num_molecules": len(of_molecule),
            "num_atoms": int(part["is_heavy"].sum()) // num_members, "attribution": of_molecule.mean(), "low": low,
            "high": high,
        })  # fmt: skip
    return pd.DataFrame(rows, columns=COLUMNS)


def _interval(values: Array, seed: int) -> tuple[float, float]:
    if len(values) < 2:
        return float("nan"), float("nan")
    drawn = np.random.default_rng(seed).choice(values, size=(NUM_BOOTSTRAP, len(values))).mean(axis=1)
    low, high = np.quantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)
