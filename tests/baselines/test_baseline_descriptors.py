import numpy as np
import pytest

from decar.baselines.descriptors import (
    ecfp4_and_descriptors,
    ecfp4_counts,
    element_counts,
    rdkit_descriptors,
)
from decar.errors import InputMoleculeError

L_ALANINE, D_ALANINE = "C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O"


def test_elements_of_glucose_count_its_hydrogens():
    matrix, names = element_counts(["OC[C@H]1OC(O)[C@H](O)[C@@H](O)[C@@H]1O"])
    found = {name: int(value) for name, value in zip(names, matrix.toarray()[0]) if value}
    assert found == {"num_H": 12, "num_C": 6, "num_O": 6}


def test_ecfp4_counts_substructures_and_not_only_their_presence():
    decane, icosane = ecfp4_counts(["C" * 10, "C" * 20])[0].toarray()
    assert set(np.flatnonzero(decane)) == set(np.flatnonzero(icosane))
    assert icosane.sum() > decane.sum() > len(np.flatnonzero(decane))


def test_ecfp4_tells_enantiomers_apart_and_element_counts_do_not():
    left, right, flat = ecfp4_counts([L_ALANINE, D_ALANINE, "CC(N)C(=O)O"])[0].toarray()
    assert (left != right).any()
    assert (left != flat).any()
    left, right = element_counts([L_ALANINE, D_ALANINE])[0].toarray()
    assert (left == right).all()


def test_columns_do_not_depend_on_the_other_molecules():
    alone = ecfp4_and_descriptors(["CCO"])[0].toarray()
    among = ecfp4_and_descriptors(["c1ccccc1", "CCO", "[Na+].[Cl-]"])[0].toarray()
    np.testing.assert_array_equal(alone[0], among[1])


def test_descriptors_hold_the_molecular_weight_and_missing_values_are_nan():
    matrix, names = rdkit_descriptors(["CCO", "C" * 200])
    assert matrix[0, names.index("MolWt")] == pytest.approx(46.069, abs=1e-3)
    assert not np.isinf(matrix.toarray()).any()


def test_spelling_of_the_smiles_does_not_matter():
    first, second = ecfp4_counts(["OCC", "CCO"])[0].toarray()
    np.testing.assert_array_equal(first, second)


def test_an_unparsable_smiles_has_a_reason():
    with pytest.raises(InputMoleculeError) as caught:
        ecfp4_counts(["C1CC"])
    assert caught.value.reason == "unparsable_smiles"
