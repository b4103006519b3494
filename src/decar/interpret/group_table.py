"""The table of functional groups: what a group adds to the logit of a molecule that has it, with an interval.

    share of group g in molecule m = sum_{A in g} a_A / sum_A |a_A|       a_A the attribution of atom A

A share, as the logits of two networks have no common scale. Of the networks of all folds the mean is taken; the mean
over the molecules that have the group has a 95 % percentile interval over 1000 bootstrap samples of them (one molecule
has no interval).
"""

import numpy as np
import pandas as pd

from decar.record import Array
from decar.stages import derive_seed

NUM_BOOTSTRAP, CONFIDENCE = 1000, 0.95
COLUMNS = ["method", "network", "group", "num_molecules", "num_atoms", "attribution", "share", "low", "high"]


def group_table(atoms: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Return a row a method, network (folds, untrained, permuted) and group (COLUMNS), from atoms as in attribute.py.

    Hydrogens count with their group; `num_atoms` counts heavy atoms over all molecules.
    """
    num_folds = sum(name.startswith("fold") for name in atoms["network"].unique())
    is_repeat = atoms["network"].str.startswith("seed")
    inside = atoms.loc[(atoms["rotation"] == 0) & (atoms["atom"] >= 0) & ~is_repeat]
    size = inside["attribution"].abs().groupby([inside["key"], inside["network"], inside["method"]]).transform("sum")
    chosen = inside.assign(
        share=inside["attribution"] / size.where(size > 0), is_heavy=inside["atom"] == inside["heavy_atom"],
        network=inside["network"].where(~inside["network"].str.startswith("fold"), "folds"),
    )  # fmt: skip
    rows: list[dict[str, object]] = []
    for (method, network, group), part in chosen.groupby(["method", "network", "group"], sort=True):
        num_members = num_folds if network == "folds" else 1
        of_molecule = part.groupby("key", sort=True)[["attribution", "share"]].sum() / num_members
        shares = of_molecule["share"].to_numpy(np.float64)
        low, high = _interval(shares, derive_seed(seed, "groups", method, network, group))
        rows.append({
            "method": method, "network": network, "group": group, "num_molecules": len(of_molecule),
            "num_atoms": int(part["is_heavy"].sum()) // num_members, "attribution": of_molecule["attribution"].mean(),
            "share": shares.mean(), "low": low, "high": high,
        })  # fmt: skip
    return pd.DataFrame(rows, columns=COLUMNS)


def _interval(values: Array, seed: int) -> tuple[float, float]:
    if len(values) < 2:
        return float("nan"), float("nan")
    drawn = np.random.default_rng(seed).choice(values, size=(NUM_BOOTSTRAP, len(values))).mean(axis=1)
    low, high = np.quantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)
