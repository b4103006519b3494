"""A geometry from an SDF: its atom order and coordinates are kept, another molecule is refused."""

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import rdDistGeom

from decar.errors import InputMoleculeError
from decar.molecules.given_geometry import read_given_geometry
from decar.molecules.graph import atomic_numbers_of, bonds_of


def molblock(smiles, shuffle=True, hydrogens=True):
    molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
    assert rdDistGeom.EmbedMolecule(molecule, randomSeed=11) == 0
    if not hydrogens:
        molecule = Chem.RemoveHs(molecule)
    if shuffle:
        order = np.random.default_rng(4).permutation(molecule.GetNumAtoms())
        molecule = Chem.RenumberAtoms(molecule, [int(i) for i in order])
    return Chem.MolToMolBlock(molecule)


def test_atom_order_and_coordinates_of_the_block_are_kept():
    block = molblock("C[C@H](N)C(=O)O")
    given = read_given_geometry(block, "C[C@H](N)C(=O)O")
    raw = Chem.MolFromMolBlock(block, removeHs=False)
    assert np.array_equal(atomic_numbers_of(given.molecule), atomic_numbers_of(raw))
    assert np.array_equal(bonds_of(given.molecule), bonds_of(raw))
    assert given.geometry_bohr * 0.529177210903 == pytest.approx(raw.GetConformer().GetPositions(), abs=1e-10)


@pytest.mark.parametrize(
    ("given", "smiles"),
    [
        ("C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O"),  # the enantiomer
        ("C[C@H](N)C(=O)O", "C[C@H]([NH3+])C(=O)[O-]"),  # the zwitterion
        ("CCO", "COC"),
        ("C/C=C/C", "C/C=C\\C"),
        ("CC(=O)C", "CC(O)=C"),  # the tautomer
    ],
)
def test_another_molecule_is_refused(given, smiles):
    with pytest.raises(InputMoleculeError) as caught:
        read_given_geometry(molblock(given), smiles)
    assert caught.value.reason == "geometry_of_another_molecule"


def test_missing_hydrogens_are_refused():
    with pytest.raises(InputMoleculeError, match="with all hydrogens") as caught:
        read_given_geometry(molblock("CCO", hydrogens=False), "CCO")
    assert caught.value.reason == "geometry_of_another_molecule"


def test_an_open_centre_accepts_either_enantiomer():
    for smiles in ("C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O"):
        assert read_given_geometry(molblock(smiles), "CC(N)C(=O)O").geometry_bohr.shape == (13, 3)


def test_an_unreadable_block_is_refused():
    with pytest.raises(InputMoleculeError) as caught:
        read_given_geometry("nothing\n\n\n", "C")
    assert caught.value.reason == "unreadable_molblock"
