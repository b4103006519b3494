"""Conformers: determinism, stereochemistry, ranking, metals, failures."""

import numpy as np
import pytest

from decar.batch import Molecule
from decar.config import (
    ConformersSettings,
    FiguresSettings,
    InterpretSettings,
    LabelSettings,
    ModelSettings,
    MoleculesSettings,
    Study,
    TrainingSettings,
)
from decar.errors import InputMoleculeError
from decar.molecules.conformers import compute
from decar.molecules.graph import molecular_graph, stereoisomer_smiles
from decar.molecules.rmsd import heavy_atom_symmetries, rmsd_bohr
from decar.units import ANGSTROM_PER_BOHR


def study(seed=1, **conformers):
    return Study(
        study="test",
        seed=seed,
        molecules=MoleculesSettings(table="table.csv", labels={"sweet": LabelSettings(column="sweet")}),
        conformers=ConformersSettings(**conformers),
        training=TrainingSettings(property="sweet", models={"net": ModelSettings()}),
        interpret=InterpretSettings(model="net"),
        figures=FiguresSettings(example="1"),
    )


def conformers(smiles, charge=0, multiplicity=1, key="key", seed=1, **settings):
    molecule = Molecule(key, smiles, charge, multiplicity, None)
    return compute(study(seed, **settings), molecule, "recipe", None)


BUTANOL = "CCCCO"


def test_record_has_the_agreed_shape():
    record = conformers(BUTANOL, num_kept=3)
    count = record.metadata["num_conformers"]
    assert (record.kind, record.recipe, record.metadata["source"]) == ("conformers", "recipe", "embedded")
    assert 1 < count <= 3
    assert record.arrays["geometry_bohr"].shape == (count, 15, 3)
    assert record.arrays["geometry_bohr"].dtype == np.float64
    assert record.arrays["atomic_numbers"].tolist() == [6, 6, 6, 6, 8] + [1] * 10
    assert record.arrays["atomic_numbers"].dtype == record.arrays["bonds"].dtype == np.int32
    assert record.arrays["bonds"].shape == (14, 2)
    assert (np.diff(record.arrays["energy_hartree"]) >= 0).all()
    assert record.metadata["num_embedded"] == 20
    assert record.metadata["ranking"] == "gfn2-xtb"


def test_same_seed_same_coordinates_and_the_key_changes_the_seed():
    first, again = conformers(BUTANOL), conformers(BUTANOL)
    assert np.array_equal(first.arrays["geometry_bohr"], again.arrays["geometry_bohr"])
    assert first.content_hash == again.content_hash
    other = conformers(BUTANOL, key="another key")
    assert not np.array_equal(first.arrays["geometry_bohr"], other.arrays["geometry_bohr"])
    assert not np.array_equal(first.arrays["geometry_bohr"], conformers(BUTANOL, seed=2).arrays["geometry_bohr"])


def test_kept_conformers_differ_by_more_than_the_threshold():
    record = conformers(BUTANOL, num_kept=5, rmsd_angstrom=0.4)
    symmetries, _ = heavy_atom_symmetries(molecular_graph(BUTANOL))
    geometry = record.arrays["geometry_bohr"]
    for i in range(len(geometry)):
        for j in range(i):
            assert rmsd_bohr(geometry[i], geometry[j], symmetries) * ANGSTROM_PER_BOHR >= 0.4


@pytest.mark.parametrize("smiles", ["C", "Cl", "O", "c1ccccc1", "CC(C)(C)C"])
def test_a_rigid_molecule_has_one_conformer(smiles):
    assert conformers(smiles, num_kept=5).metadata["num_conformers"] == 1


def test_gfn2_ranking_prefers_the_anti_conformer_of_butane():
    """The anti conformer lies 0.6 kcal/mol below gauche (experiment, gas): its ends are 3.9 angstrom apart."""
    record = conformers("CCCC", num_kept=2)
    ends = np.linalg.norm(record.arrays["geometry_bohr"][:, 0] - record.arrays["geometry_bohr"][:, 3], axis=1)
    assert ends[0] * ANGSTROM_PER_BOHR == pytest.approx(3.93, abs=0.1)
    assert ends[1] * ANGSTROM_PER_BOHR == pytest.approx(3.1, abs=0.2)
    difference = (record.arrays["energy_hartree"][1] - record.arrays["energy_hartree"][0]) * 627.5
    assert 0.2 < difference < 1.5


@pytest.mark.parametrize(
    "smiles",
    ["C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O", "OC[C@H]1O[C@@H](O)[C@H](O)[C@@H](O)[C@@H]1O", "C/C=C\\C", "C[S@](=O)CC"],
)
def test_the_embedded_stereoisomer_is_that_of_the_smiles(smiles):
    record = conformers(smiles, num_embeddings=5)
    graph = molecular_graph(smiles)
    expected = stereoisomer_smiles(graph, record.arrays["geometry_bohr"][0])
    from rdkit import Chem

    assert record.metadata["stereoisomer"] == expected == Chem.CanonSmiles(smiles)
    assert record.metadata["num_unspecified_stereo"] == 0


def test_an_open_centre_is_embedded_as_one_named_stereoisomer():
    record = conformers("OCC1OC(O)C(O)C(O)C1O", num_kept=5, num_ranked=10)
    graph = molecular_graph("OCC1OC(O)C(O)C(O)C1O")
    assert record.metadata["num_unspecified_stereo"] == 5
    assert "@" in record.metadata["stereoisomer"]
    found = {stereoisomer_smiles(graph, geometry) for geometry in record.arrays["geometry_bohr"]}
    assert found == {record.metadata["stereoisomer"]}


def test_a_lead_compound_keeps_its_etkdg_geometry():
    record = conformers("CC(=O)O[Pb]OC(C)=O")
    assert record.metadata["force_field"] == "none"
    assert 82 in record.arrays["atomic_numbers"]
    assert np.isfinite(record.arrays["geometry_bohr"]).all()


def test_uff_stands_in_for_missing_mmff_types():
    assert conformers("C[Se]C").metadata["force_field"] == "uff"
    assert conformers("CSC").metadata["force_field"] == "mmff94s"


def test_mmff_ranking_needs_no_gfn2():
    record = conformers("CCCC", ranking="mmff", num_kept=2)
    assert record.metadata["ranking"] == "mmff94s"
    assert (np.diff(record.arrays["energy_hartree"]) > 0).all()


def test_an_impossible_ring_is_an_embedding_failure():
    with pytest.raises(InputMoleculeError) as caught:
        conformers("[C@H]12C[C@@H]1C2")  # a trans-fused bicyclobutane
    assert caught.value.reason == "embedding_failed"
    assert len(caught.value.attempts) == 2


def test_radical_and_ion():
    assert conformers("C[CH2]", multiplicity=2).metadata["multiplicity"] == 2
    assert conformers("[Na+]", charge=1).arrays["geometry_bohr"].shape == (1, 1, 3)
