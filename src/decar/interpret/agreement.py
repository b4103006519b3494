"""Does an attribution hold? Rank correlation of the atoms of a molecule between networks, rotations and methods.

    rotations   the molecule turned, the same network              what turning alone changes
    seeds       the same fold, trained from another seed           what training alone changes
    folds       networks of other folds (other data, other seeds)  what training and the choice of molecules change
    methods     each other method on the same network
    untrained   all weights drawn anew (Adebayo et al. 2018, arXiv 1810.03292)
    permuted    a network trained on permuted labels

Spearman's rho over the heavy atoms, hydrogens counted with the atom that bears them. The last two are controls: an
attribution that agrees with theirs as well as it does between folds shows the molecule, not what was learned.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from decar.record import Array

FIRST = "fold 0"  # the network that everything is compared with
LEAST_ATOMS = 4
COLUMNS = ["key", "method", "kind", "other", "num_atoms", "spearman"]


def agreement(atoms: pd.DataFrame) -> pd.DataFrame:
    """Return a row a molecule, method and comparison (COLUMNS), from atoms as in attribute.py.

    What everything is compared with is the first network ("fold 0") in rotation 0. Molecules with fewer than four
    heavy atoms are left out; rho of constant attributions is NaN.
    """
    rows: list[dict[str, object]] = []
    for key, of_molecule in atoms.loc[atoms["atom"] >= 0].groupby("key", sort=True):
        table = of_molecule.pivot_table(
            index="heavy_atom", columns=["method", "network", "rotation"], values="attribution", aggfunc="sum"
        )
        if len(table) < LEAST_ATOMS:
            continue
        for method, kind, other, column in _pairs(table):
            rho = rank_correlation(table[(method, FIRST, 0)].to_numpy(np.float64), table[column].to_numpy(np.float64))
            rows.append({"key": key, "method": method, "kind": kind, "other": other, "num_atoms": len(table),
                         "spearman": rho})  # fmt: skip
    return pd.DataFrame(rows, columns=COLUMNS)


def _pairs(table: pd.DataFrame) -> Iterator[tuple[str, str, str, tuple[str, str, int]]]:
    """Yield what each method of the first network is compared with: (method, kind, name of the other, its column)."""
    columns = [(str(method), str(network), int(str(turn))) for method, network, turn in map(tuple, table.columns)]
    methods = [method for method, network, turn in columns if (network, turn) == (FIRST, 0)]
    for method, network, rotation in columns:
        if rotation:
            yield method, "rotations", f"rotation {rotation}", (method, network, rotation)
        elif network != FIRST:
            kind = {"fold": "folds", "seed": "seeds"}.get(network.split()[0], network)
            yield method, kind, network, (method, network, rotation)
        else:
            for other in methods:
                if other != method:
                    yield method, "methods", other, (other, network, 0)


def rank_correlation(first: Array, second: Array) -> float:
    """Return Spearman's rho; NaN when one of them is constant."""
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    return float(spearmanr(first, second).statistic)
