"""A geometry that the user brought as a MDL mol block: read, and checked to be the molecule of the SMILES."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem, rdBase

from decar.errors import InputMoleculeError
from decar.molecules.graph import geometry_of, molecular_graph


@dataclass(frozen=True)
class GivenGeometry:
    """A geometry and the graph of the SMILES, both in the atom order of the mol block."""

    molecule: Chem.Mol
    geometry_bohr: NDArray[np.float64]  # (atom, 3), untouched


def read_given_geometry(molblock: str, smiles: str) -> GivenGeometry:
    """Read a mol block with 3D coordinates of all atoms, hydrogens included.

    Raises InputMoleculeError: `unreadable_molblock`; `geometry_of_another_molecule` when the graph, the charges, the
    number of hydrogens or the specified stereochemistry differ from those of the SMILES.
    """
    reference = molecular_graph(smiles)
    with rdBase.BlockLogs():
        given = Chem.MolFromMolBlock(molblock, sanitize=True, removeHs=False)
    if given is None:
        raise InputMoleculeError(
            "the mol block cannot be read", reason="unreadable_molblock", seen=molblock.splitlines()[:4]
        )
    given.GetConformer().Set3D(True)  # a planar molecule in the plane z = 0 may be read as a drawing
    Chem.AssignStereochemistryFrom3D(given)
    seen, expected = _flat_smiles(given), _flat_smiles(reference)
    if seen != expected or given.GetNumAtoms() != reference.GetNumAtoms():
        raise _another(
            f"{seen}, {given.GetNumAtoms()} atoms", f"{expected}, {reference.GetNumAtoms()} atoms with all hydrogens"
        )
    # order[i] is the atom of the mol block that atom i of the SMILES is; specified stereochemistry must match.
    order = given.GetSubstructMatch(reference, useChirality=True)
    if not order:
        raise _another(Chem.MolToSmiles(Chem.RemoveHs(given)), smiles)
    inverse = [int(i) for i in np.argsort(order)]
    return GivenGeometry(Chem.RenumberAtoms(reference, inverse), geometry_of(given))


def _flat_smiles(molecule: Chem.Mol) -> str:
    return str(Chem.MolToSmiles(Chem.RemoveHs(molecule), isomericSmiles=False))


def _another(seen: str, expected: str) -> InputMoleculeError:
    return InputMoleculeError(
        "the geometry is that of another molecule than the SMILES",
        reason="geometry_of_another_molecule",
        seen=seen,
        expected=expected,
        remedy="give all hydrogens, and the same charges, tautomer and stereochemistry; with "
        "`molecules.protonation: as_given` the SMILES keeps the charges of the file",
    )
