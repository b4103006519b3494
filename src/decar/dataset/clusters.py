"""Clusters of alike structures, for splits that test on chemistry unlike that of the training molecules.

Butina (doi 10.1021/ci9803381): the molecule with the most neighbours within a Tanimoto distance of ECFP4 takes them all
as a cluster; then again among the rest. Ties go to the molecule that comes first, so the order of the rows decides
them: give rows in order of the key. Memory is a bit a pair of molecules: 12 GB for 100,000.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from decar.molecules.fingerprint import ecfp4_bits, tanimoto


def butina_clusters(smiles: Sequence[str], distance: float) -> NDArray[np.int64]:
    """Return the number of each molecule's cluster (molecule,), 0 for the first that was taken."""
    bits = ecfp4_bits(smiles)
    count = len(bits)
    near = np.empty((count, -(-count // 8)), dtype=np.uint8)
    for row in range(count):
        near[row] = np.packbits(tanimoto(bits[row], bits) >= 1.0 - distance)
    sizes = np.array([np.bitwise_count(row).sum() for row in near])
    cluster, number = np.full(count, -1), 0
    # Sizes count all neighbours, also those that an earlier cluster took: so does the published algorithm.
    for row in np.argsort(-sizes, kind="stable"):
        if cluster[row] >= 0:
            continue
        members = np.unpackbits(near[row], count=count).astype(bool) & (cluster < 0)
        cluster[members] = number
        number += 1
    return cluster
