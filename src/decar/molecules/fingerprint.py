"""ECFP4 bits of a molecule, and how alike two are: the coordinates in which a model's neighbourhood is measured.

ECFP4 (doi 10.1021/ci100050t) as RDKit's Morgan fingerprint of radius 2, folded to 2048 bits, without chirality. The
Tanimoto similarity of two sets of bits is (bits of both) / (bits of either), 1 for two empty sets.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rdkit.Chem import rdFingerprintGenerator
from rdkit.DataStructs import BitVectToBinaryText

from decar.molecules.standardise import parse

NUM_BITS = 2048
Bits = NDArray[np.uint8]


def ecfp4_bits(smiles: Sequence[str]) -> Bits:
    """Return the bits of each molecule, packed, (molecule, 256); raises InputMoleculeError (`unparsable`)."""
    generator: Any = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=NUM_BITS)
    texts = [BitVectToBinaryText(generator.GetFingerprint(parse(text))) for text in smiles]
    return np.frombuffer(b"".join(texts), dtype=np.uint8).reshape(len(texts), NUM_BITS // 8)


def tanimoto(one: Bits, others: Bits) -> NDArray[np.float64]:
    """Return the Tanimoto similarity of one molecule (256,) to each of the others, (other,)."""
    common = np.bitwise_count(one & others).sum(axis=-1, dtype=np.int64)
    either = np.bitwise_count(one | others).sum(axis=-1, dtype=np.int64)
    return np.where(either > 0, common / np.maximum(either, 1), 1.0)
