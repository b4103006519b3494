"""The parent of a structure: salts, charges, stereochemistry, metals, multiplicity, errors."""

import pytest
from rdkit import Chem

from decar.errors import InputMoleculeError
from decar.molecules.standardise import standardise


def test_sodium_saccharin_becomes_saccharin() -> None:
    parent = standardise("[Na+].O=C1[N-]S(=O)(=O)c2ccccc12", "neutral")
    assert parent.smiles == Chem.CanonSmiles("O=C1NS(=O)(=O)c2ccccc12")
    assert (parent.charge, parent.multiplicity, parent.num_heavy_atoms) == (0, 1, 12)
    assert parent.formula == "C7H5NO3S"
    assert (parent.num_fragments, parent.removed) == (2, ("[Na+]",))
    assert parent.is_changed
    assert not parent.is_mixture


def test_as_given_keeps_the_charge_of_the_parent() -> None:
    parent = standardise("[Na+].O=C1[N-]S(=O)(=O)c2ccccc12", "as_given")
    assert (parent.charge, parent.multiplicity) == (-1, 1)
    assert parent.formula == "C7H4NO3S-"


def test_an_untouched_molecule_is_not_changed() -> None:
    parent = standardise("OCC(O)CO", "neutral")
    assert (parent.is_changed, parent.num_fragments, parent.removed) == (False, 1, ())


def test_a_zwitterion_is_neutralised_with_its_stereochemistry() -> None:
    parent = standardise("C[C@@H]([NH3+])C(=O)[O-]", "neutral")
    assert parent.smiles == Chem.CanonSmiles("C[C@@H](N)C(=O)O")
    assert parent.is_changed
    assert not standardise("C[C@@H]([NH3+])C(=O)[O-]", "as_given").is_changed


def test_betaine_and_nitro_groups_keep_charges_that_no_proton_carries() -> None:
    betaine = "C[N+](C)(C)CC(=O)[O-]"
    assert standardise(betaine, "neutral").smiles == Chem.CanonSmiles(betaine)
    nitrobenzene = standardise("O=N(=O)c1ccccc1", "neutral")
    assert nitrobenzene.smiles == Chem.CanonSmiles("[O-][N+](=O)c1ccccc1")
    assert nitrobenzene.charge == 0


def test_double_bond_geometry_and_isotopes_survive_the_removal_of_a_salt() -> None:
    assert standardise("[K+].[O-]C(=O)/C=C/C", "neutral").smiles == Chem.CanonSmiles("OC(=O)/C=C/C")
    assert standardise("[13CH3]C(=O)[O-].[K+]", "neutral").smiles == "[13CH3]C(=O)O"


def test_a_covalently_drawn_metal_stays_in_the_parent() -> None:
    lead = standardise("CC(=O)O[Pb]OC(C)=O", "neutral")  # sugar of lead
    assert "[Pb]" in lead.smiles
    assert (lead.num_fragments, lead.num_heavy_atoms, lead.formula) == (1, 9, "C4H6O4Pb")


def test_the_organic_fragment_is_the_parent_even_beside_a_larger_inorganic_one() -> None:
    assert standardise("C.OS(=O)(=O)O", "neutral").smiles == "C"


def test_hydrates_and_counter_ions_are_no_mixtures_but_two_sugars_are() -> None:
    assert not standardise("O.O.OCC1OC(O)C(O)C(O)C1O", "neutral").is_mixture
    invert_sugar = standardise("OCC(O)C(O)C(O)C(O)C=O.OCC(O)C(O)C(O)C(=O)CO", "neutral")
    assert invert_sugar.is_mixture
    assert not standardise("CC(O)C(=O)[O-].[Ca+2].CC(O)C(=O)[O-]", "neutral").is_mixture  # two of the same


@pytest.mark.parametrize(
    ("smiles", "multiplicity", "charge"),
    [("[N]=O", 2, 0), ("[CH3]", 2, 0), ("[O][O]", 1, 0), ("CS", 1, 0), ("[NH4+]", 1, 1)],
)
def test_the_lowest_multiplicity_that_the_electrons_allow(smiles: str, multiplicity: int, charge: int) -> None:
    parent = standardise(smiles, "as_given")
    assert (parent.multiplicity, parent.charge) == (multiplicity, charge)


def test_triplet_oxygen_is_accepted_and_a_wrong_parity_is_not() -> None:
    assert standardise("[O][O]", "neutral", multiplicity=3).multiplicity == 3
    for smiles, wrong in [("OCCO", 2), ("[N]=O", 1), ("[H][H]", 5), ("OCCO", 0)]:
        with pytest.raises(InputMoleculeError) as caught:
            standardise(smiles, "neutral", multiplicity=wrong)
        assert caught.value.reason == "impossible_multiplicity"


@pytest.mark.parametrize(
    ("smiles", "complaint"),
    [
        ("C1CC", "unclosed ring"),
        ("CC(C)(C)(C)C", "valence"),
        ("c1cccc1", "kekulize"),
        ("", "no atoms"),
        ("not a molecule", "syntax error"),
    ],
)
def test_an_unparsable_smiles_carries_the_message_of_rdkit_and_prints_nothing(
    smiles: str, complaint: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InputMoleculeError) as caught:
        standardise(smiles, "neutral")
    assert caught.value.reason == "unparsable"
    assert complaint in str(caught.value)
    assert repr(smiles) in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_a_placeholder_atom_is_refused() -> None:
    with pytest.raises(InputMoleculeError) as caught:
        standardise("CC*", "neutral")
    assert caught.value.reason == "placeholder_atom"


def test_a_molecule_is_as_good_as_its_smiles() -> None:
    smiles = "OC[C@H]1O[C@@H](O)[C@H](O)[C@@H](O)[C@@H]1O"
    assert standardise(Chem.MolFromSmiles(smiles), "neutral") == standardise(smiles, "neutral")


def test_standardising_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    for smiles in ("[Na+].CC([O-])=O", "[H+].[Cl-]", "[H][H]", "CC[NH3+].[Cl-].O"):
        standardise(smiles, "neutral")
    assert capfd.readouterr() == ("", "")
