"""Keys come from chemistry: equal for spellings and salts, different for isomers that are different molecules."""

import csv
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem, rdBase

from decar.errors import InputMoleculeError
from decar.molecules import identity
from decar.molecules.identity import Identity, identify, standard_part
from decar.molecules.standardise import Parent, standardise

GLUCOSE = "OC[C@H]1O[C@@H](O)[C@H](O)[C@@H](O)[C@@H]1O"
TASTANTS = (
    GLUCOSE,
    "C[C@@H]([NH3+])C(=O)[O-]",
    "CC1=CC(=O)NS(=O)(=O)O1",
    "O/N=C/C1=CC[C@H](CC1)C(C)=C",
    "Cn1cnc2c1c(=O)n(C)c(=O)n2C",
    "[O-][n+]1ccccc1C(N)=[NH2+]",
    "C[S@](=O)CC[C@H](N)C(O)=O",
    "c1ccc2c(c1)[nH]c(=S)[nH]2",
)


def identity_of(smiles: str, protonation: str = "as_given", multiplicity: int | None = None) -> Identity:
    return identify(standardise(smiles, protonation, multiplicity))  # type: ignore[arg-type]


@settings(max_examples=60, deadline=None)
@given(smiles=st.sampled_from(TASTANTS), order=st.randoms(use_true_random=False), kekule=st.booleans())
def test_the_spelling_does_not_change_the_identity(smiles: str, order, kekule: bool) -> None:
    molecule = Chem.MolFromSmiles(smiles)
    atoms = list(range(molecule.GetNumAtoms()))
    order.shuffle(atoms)
    shuffled = Chem.RenumberAtoms(molecule, atoms)
    if kekule:
        Chem.Kekulize(shuffled, clearAromaticFlags=True)
    spelling = Chem.MolToSmiles(shuffled, canonical=False, kekuleSmiles=kekule)
    assert identity_of(spelling) == identity_of(smiles)


def test_standard_inchikeys_are_those_of_the_literature() -> None:
    assert identity_of(GLUCOSE).inchikey == "WQZGKKKJIJFFOK-VFUOTHLCSA-N"  # beta-D-glucopyranose, PubChem CID 64689
    assert identity_of("CC(C)[C@H](N)C(O)=O").inchikey == "KZSNJWFQEVHDMF-BYPYZUCNSA-N"  # L-valine, PubChem CID 6287


PARTLY = ("C[C@H](O)C(C)O", "OC(=O)/C=C/C(O)C")
UNDEFINED = ("CC(O)C(=O)O", "CC=CC(N)C", "CC(C)C(N)C(O)=O", "OC(=O)C=CC(O)=O", "C[C@@H]1CCC(C)CC1", "CC(O)CC=CC")
IONS = ("C[N+](C)(C)CC(=O)[O-]", "[O-]C(=O)c1ccccc1", "[Na+].[Cl-]", "[13CH4]", "[2H]C(C)O", "CC(=O)[O][Pb][O]C(C)=O")


def test_the_standard_inchi_is_read_from_the_full_one() -> None:
    table = (Path(__file__).parents[2] / "examples" / "tastants.csv").read_text(encoding="utf-8")
    with rdBase.BlockLogs():
        rows = [row["smiles"] for row in csv.DictReader(table.splitlines()) if Chem.MolFromSmiles(row["smiles"])]
    num_read = 0
    for smiles in (*rows, *TASTANTS, *PARTLY, *UNDEFINED, *IONS):
        for protonation in ("as_given", "neutral"):
            found = identity_of(smiles, protonation)
            parent = Chem.MolFromSmiles(standardise(smiles, protonation).smiles)
            with rdBase.BlockLogs():
                standard = Chem.MolToInchi(parent)
            assert found.inchikey == Chem.InchiToInchiKey(standard), smiles
            part = standard_part(found.inchi)
            assert part in {None, standard}, smiles
            num_read += part is not None
    assert num_read > len(rows)
    assert all(standard_part(identity_of(smiles).inchi) is None for smiles in PARTLY)
    assert all(standard_part(identity_of(smiles).inchi) is not None for smiles in UNDEFINED)


def test_enantiomers_have_different_keys_and_one_split_group() -> None:
    right, left, flat = (identity_of(s) for s in ("CC(C)[C@@H](N)C(O)=O", "CC(C)[C@H](N)C(O)=O", "CC(C)C(N)C(O)=O"))
    assert len({right.key, left.key, flat.key}) == 3
    assert {right.split_group, left.split_group, flat.split_group} == {"KZSNJWFQEVHDMF"}


def test_double_bond_isomers_have_different_keys() -> None:
    fumaric, maleic, unknown = ("OC(=O)/C=C/C(O)=O", "OC(=O)/C=C\\C(O)=O", "OC(=O)C=CC(O)=O")
    assert len({identity_of(s).key for s in (fumaric, maleic, unknown)}) == 3


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("c1nc(C)c[nH]1", "c1ncc(C)[nH]1"),  # 4- and 5-methylimidazole
        ("Oc1ccccn1", "O=c1cccc[nH]1"),  # 2-hydroxypyridine and 2-pyridone
        ("CN1C=CNC1=S", "CN1C=CN=C1S"),  # methimazole, thione and thiol
    ],
)
def test_tautomers_have_different_keys_and_one_standard_inchikey(one: str, other: str) -> None:
    first, second = identity_of(one), identity_of(other)
    assert first.key != second.key
    assert first.inchikey == second.inchikey


def test_a_zwitterion_has_a_key_of_its_own_unless_it_is_neutralised() -> None:
    zwitterion, neutral = "[NH3+]CC(=O)[O-]", "NCC(=O)O"
    assert identity_of(zwitterion).key != identity_of(neutral).key
    assert identity_of(zwitterion).inchikey == identity_of(neutral).inchikey
    assert identity_of(zwitterion, "neutral").key == identity_of(neutral, "neutral").key


def test_a_salt_has_the_key_of_its_parent() -> None:
    saccharin = identity_of("O=C1NS(=O)(=O)c2ccccc12", "neutral")
    for salt in ("[Na+].O=C1[N-]S(=O)(=O)c2ccccc12", "O.O.[K+].O=C1[N-]S(=O)(=O)c2ccccc12"):
        assert identity_of(salt, "neutral") == saccharin
        assert identity_of(salt).key == identity_of("O=C1[N-]S(=O)(=O)c2ccccc12").key != saccharin.key


def test_charge_multiplicity_isotopes_and_version_enter_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    singlet, triplet = identity_of("[O][O]", multiplicity=1), identity_of("[O][O]", multiplicity=3)
    assert singlet.inchi == triplet.inchi
    assert singlet.key != triplet.key
    assert identity_of("[2H]O[2H]").key != identity_of("O").key
    water = identity_of("O").key
    monkeypatch.setattr(identity, "KEY_VERSION", identity.KEY_VERSION + 1)
    assert identity_of("O").key != water


def test_the_key_of_glucose_is_kept() -> None:
    # A stored number: `identify(standardise(GLUCOSE, "neutral")).key` of KEY_VERSION 1. If it changes, every record of
    # every user is orphaned: bump KEY_VERSION and say "results change" in CHANGELOG.
    glucose = identity_of(GLUCOSE)
    assert glucose.inchi == ("InChI=1/C6H12O6/c7-1-2-3(8)4(9)5(10)6(11)12-2/h2-11H,1H2/t2-,3-,4+,5-,6-/m1/s1")
    assert glucose.key == "2e3cab58357cb5baefd87a2ef123f644f2c9b13167237dd30c45a54f2920ff87"
    assert len(glucose.key) == 64


def test_scaffolds() -> None:
    assert identity_of("CC(C)C(N)C(O)=O").scaffold == ""
    assert identity_of("OC(=O)[C@@H]1CCCN1").scaffold == identity_of("OC(=O)[C@H]1CCCN1").scaffold == "C1CCNC1"
    assert identity_of("COc1ccc(C=O)cc1").scaffold == "c1ccccc1"


def test_a_structure_that_inchi_cannot_name_is_a_failure() -> None:
    # More atoms than InChI's limit of 1023.
    chain = "C" * 1100
    with pytest.raises(InputMoleculeError) as caught:
        identity_of(chain)
    assert caught.value.reason == "no_inchi"


def test_identifying_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    identify(Parent("CC(N)C(=O)O", 0, 1, 6, "C3H7NO2", 1, False, False, ()))
    assert capfd.readouterr() == ("", "")
