"""Descriptors of a molecular graph: ECFP4 counts, element counts, RDKit's physicochemical descriptors.

Each function maps n SMILES to a sparse matrix [n, num_features] of float64 and the names of its columns. The columns
never depend on which molecules are given, so a molecule's row is the same in every data set.
"""

from collections.abc import Sequence

import numpy as np
from rdkit import Chem
from rdkit.Chem import Descriptors, rdFingerprintGenerator
from scipy import sparse

from decar.errors import InputMoleculeError

NUM_BITS = 2048
NUM_ELEMENTS = 118


def parse(smiles: str) -> Chem.Mol:
    """Return the molecule; raises InputMoleculeError (`unparsable_smiles`) when RDKit cannot read it."""
    molecule = Chem.MolFromSmiles(smiles)
    if molecule is None:
        raise InputMoleculeError("RDKit cannot read the SMILES", reason="unparsable_smiles", seen=smiles)
    return molecule


def ecfp4_counts(smiles: Sequence[str]) -> tuple[sparse.csr_matrix, list[str]]:
    """Return how often each circular substructure of radius 2 occurs, hashed into 2048 columns.

    ECFP4 (doi 10.1021/ci100050t) as RDKit's Morgan fingerprint. Chirality is included: an electron cloud knows which
    enantiomer it is, so its rival must too. For SMILES without stereochemistry this changes nothing.
    """
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=NUM_BITS, includeChirality=True)
    rows = [generator.GetCountFingerprint(parse(text)).GetNonzeroElements() for text in smiles]
    return _matrix(rows, NUM_BITS), [f"ecfp4_{bit}" for bit in range(NUM_BITS)]


def element_counts(smiles: Sequence[str]) -> tuple[sparse.csr_matrix, list[str]]:
    """Return the number of atoms of each element, hydrogen included, in columns of atomic number 1 to 118."""
    rows: list[dict[int, int]] = []
    for text in smiles:
        row: dict[int, int] = {}
        for atom in Chem.AddHs(parse(text)).GetAtoms():
            column = atom.GetAtomicNum() - 1
            if column >= 0:  # a dummy atom is of no element
                row[column] = row.get(column, 0) + 1
        rows.append(row)
    symbols = [Chem.GetPeriodicTable().GetElementSymbol(number) for number in range(1, NUM_ELEMENTS + 1)]
    return _matrix(rows, NUM_ELEMENTS), [f"num_{symbol}" for symbol in symbols]


def rdkit_descriptors(smiles: Sequence[str]) -> tuple[sparse.csr_matrix, list[str]]:
    """Return RDKit's list of about 200 descriptors (logP, polar surface, counts, charges, ...).

    A descriptor that is not defined for a molecule is NaN, a missing value; infinities count as missing too.
    """
    names = [name for name, _ in Descriptors.descList]
    molecules = [parse(text) for text in smiles]
    values = np.array([[_value(function, molecule) for _, function in Descriptors.descList] for molecule in molecules])
    values = values.reshape(len(smiles), len(names))
    values[~np.isfinite(values) | (np.abs(values) > 1e30)] = np.nan  # Ipc overflows for large molecules
    return sparse.csr_matrix(values), names


def ecfp4_and_descriptors(smiles: Sequence[str]) -> tuple[sparse.csr_matrix, list[str]]:
    """Return ECFP4 counts and RDKit descriptors side by side."""
    counts, count_names = ecfp4_counts(smiles)
    values, value_names = rdkit_descriptors(smiles)
    return sparse.hstack([counts, values], format="csr"), count_names + value_names


def _value(function: object, molecule: Chem.Mol) -> float:
    try:
        return float(function(molecule))  # type: ignore[operator]
    except (ValueError, ZeroDivisionError, RuntimeError):
        return float("nan")


def _matrix(rows: Sequence[dict[int, int]], num_columns: int) -> sparse.csr_matrix:
    row_index = [index for index, row in enumerate(rows) for _ in row]
    column_index = [column for row in rows for column in row]
    values = np.array([count for row in rows for count in row.values()], dtype=np.float64)
    return sparse.csr_matrix((values, (row_index, column_index)), shape=(len(rows), num_columns))
