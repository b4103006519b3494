"""The stage `optimise`: energies fall, chemistry that changes is caught, the frame keeps handedness."""

import numpy as np
import pytest
from rdkit import Chem

from decar.batch import Molecule
from decar.config import (
    ConformersSettings,
    FiguresSettings,
    InterpretSettings,
    LabelSettings,
    ModelSettings,
    MoleculesSettings,
    OptimiseSettings,
    QuantumSettings,
    Study,
    TrainingSettings,
)
from decar.errors import ChemistryError, ConvergenceError
from decar.molecules import conformers
from decar.molecules.graph import molecular_graph, with_geometry
from decar.quantum import optimise
from decar.quantum.connectivity import relative_distances
from decar.quantum.dispersion import d3bj
from decar.quantum.surfaces import surface_of
from decar.record import Record
from decar.units import ANGSTROM_PER_BOHR
from decar.xtb import Gfn2


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    """Where the store of `study` lies: a DFT optimisation keeps its progress there."""
    monkeypatch.chdir(tmp_path)


def study(num_kept=1, quantum=None, **settings):
    return Study(
        study="test",
        molecules=MoleculesSettings(table="table.csv", labels={"sweet": LabelSettings(column="sweet")}),
        conformers=ConformersSettings(num_embeddings=5, num_kept=num_kept),
        optimise=OptimiseSettings(**settings),
        quantum=quantum or QuantumSettings(),
        training=TrainingSettings(property="sweet", models={"net": ModelSettings()}),
        interpret=InterpretSettings(model="net"),
        figures=FiguresSettings(example="1"),
    )


def molecule(smiles, charge=0, multiplicity=1, molblock=None):
    return Molecule("key", smiles, charge, multiplicity, molblock)


def run(settings, subject):
    parent = conformers.compute(settings, subject, "first", None)
    return parent, optimise.compute(settings, subject, "second", parent)


def with_geometries(parent, geometries):
    arrays = {**parent.arrays, "geometry_bohr": np.array(geometries), "energy_hartree": np.zeros(len(geometries))}
    return Record(parent.kind, parent.recipe, {**parent.metadata, "num_conformers": len(geometries)}, arrays)


@pytest.mark.parametrize(
    "smiles", ["OC[C@H]1O[C@@H](O)[C@H](O)[C@@H](O)[C@@H]1O", "C", "Cl", "C#C", "CC(=O)O[Pb]OC(C)=O"]
)
def test_energy_falls_and_the_geometry_is_a_stationary_point(smiles):
    parent, record = run(study(), molecule(smiles))
    assert record.kind == "geometry"
    assert record.arrays["energy_hartree"][0] < parent.arrays["energy_hartree"][0]
    energy, gradient = Gfn2(record.arrays["atomic_numbers"], 0, 1)(record.arrays["geometry_bohr"][0])
    assert energy == pytest.approx(record.arrays["energy_hartree"][0], abs=1e-6)
    assert np.linalg.norm(gradient, axis=1).max() < 6e-4  # GAU: 4.5e-4, and the cold start of the charges
    for name in ("atomic_numbers", "bonds"):
        assert np.array_equal(record.arrays[name], parent.arrays[name])
    for name in ("key", "smiles", "charge", "multiplicity", "source"):
        assert record.metadata[name] == parent.metadata[name]
    trajectory = record.metadata["steps"][0][0]["trajectory_hartree"]
    assert record.metadata["num_steps"] == [len(trajectory) - 1]


def test_bond_length_of_hydrogen_chloride():
    """Experiment: r_e = 1.2746 angstrom (Huber and Herzberg); GFN2 comes within a few hundredths."""
    _, record = run(study(convergence="tight"), molecule("Cl"))
    geometry = record.arrays["geometry_bohr"][0]
    assert np.linalg.norm(geometry[1] - geometry[0]) * ANGSTROM_PER_BOHR == pytest.approx(1.2746, abs=0.04)
    assert np.abs(geometry[:, 1:]).max() < 1e-6  # along x


def test_methane_is_a_regular_tetrahedron():
    _, record = run(study(convergence="tight"), molecule("C"))
    hydrogens = record.arrays["geometry_bohr"][0][1:]
    carbon = record.arrays["geometry_bohr"][0][0]
    directions = (hydrogens - carbon) / np.linalg.norm(hydrogens - carbon, axis=1, keepdims=True)
    cosines = (directions @ directions.T)[np.triu_indices(4, 1)]
    assert cosines == pytest.approx(np.full(6, -1 / 3), abs=2e-3)


def test_single_atom_goes_through():
    _, record = run(study(), molecule("[Na+]", charge=1))
    assert record.arrays["geometry_bohr"] == pytest.approx(np.zeros((1, 1, 3)))


def test_glycine_zwitterion_transfers_its_proton_in_the_gas_phase_and_not_in_water():
    subject = molecule("[NH3+]CC(=O)[O-]")
    with pytest.raises(ChemistryError, match=r"from N1 to O[45]") as caught:
        run(study(), subject)
    assert caught.value.reason == "proton_transfer"
    _, record = run(study(solvent="water"), subject)
    assert record.metadata["num_conformers"] == 1
    assert record.metadata["solvent"] == "water"


def test_a_chain_of_methods_starts_each_from_the_one_before():
    settings = study(methods=("mmff", "gfn2-xtb"))
    _, record = run(settings, molecule("CCO"))
    first, second = record.metadata["steps"][0]
    assert [first["method"], second["method"]] == ["mmff", "gfn2-xtb"]
    _, direct = run(study(methods=("gfn2-xtb",)), molecule("CCO"))
    assert record.arrays["energy_hartree"][0] == pytest.approx(direct.arrays["energy_hartree"][0], abs=1e-5)


def test_mmff_gradient_is_the_derivative_of_its_energy():
    parent = conformers.compute(study(), molecule("CCO"), "first", None)
    geometry = parent.arrays["geometry_bohr"][0] * 1.02
    surface = surface_of("mmff", study(), molecular_graph("CCO"), geometry, 0, 1)
    _, gradient = surface(geometry)
    for atom, axis in [(0, 0), (2, 1), (7, 2)]:
        step = np.zeros_like(geometry)
        step[atom, axis] = 1e-4
        numeric = (surface(geometry + step)[0] - surface(geometry - step)[0]) / 2e-4
        assert gradient[atom, axis] == pytest.approx(numeric, abs=1e-7)


def test_no_methods_keep_the_geometry():
    parent, record = run(study(methods=(), frame="as_given"), molecule("CCO"))
    assert np.array_equal(record.arrays["geometry_bohr"], parent.arrays["geometry_bohr"])
    assert np.array_equal(record.arrays["energy_hartree"], parent.arrays["energy_hartree"])


def test_frame_changes_orientation_only():
    settings = study()
    parent = conformers.compute(settings, molecule("CCO"), "first", None)
    turned = optimise.compute(settings, molecule("CCO"), "second", parent)
    as_given = optimise.compute(study(frame="as_given"), molecule("CCO"), "second", parent)
    numbers = parent.arrays["atomic_numbers"]
    first, second = turned.arrays["geometry_bohr"][0], as_given.arrays["geometry_bohr"][0]
    assert not np.allclose(first, second)
    assert np.tril(relative_distances(numbers, first), -1) == pytest.approx(
        np.tril(relative_distances(numbers, second), -1), abs=1e-9
    )
    extent = np.ptp(first, axis=0)
    assert extent[0] == extent.max()


def test_enantiomers_come_out_as_mirror_images():
    left, right = "C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O"
    settings = study()
    parent = conformers.compute(settings, molecule(left), "first", None)
    mirrored = with_geometries(parent, parent.arrays["geometry_bohr"] * np.array([-1.0, 1.0, 1.0]))
    one = optimise.compute(settings, molecule(left), "second", parent)
    two = optimise.compute(settings, molecule(right), "second", mirrored)
    expected = one.arrays["geometry_bohr"] * np.array([1.0, 1.0, -1.0])
    assert two.arrays["geometry_bohr"] == pytest.approx(expected, abs=1e-3)
    assert two.arrays["energy_hartree"] == pytest.approx(one.arrays["energy_hartree"], abs=1e-7)
    assert {one.metadata["stereoisomer"], two.metadata["stereoisomer"]} == {
        Chem.CanonSmiles(left),
        Chem.CanonSmiles(right),
    }


def test_the_wrong_enantiomer_is_caught():
    settings = study()
    parent = conformers.compute(settings, molecule("C[C@H](N)C(=O)O"), "first", None)
    mirrored = with_geometries(parent, parent.arrays["geometry_bohr"] * np.array([-1.0, 1.0, 1.0]))
    with pytest.raises(ChemistryError, match="centre 1") as caught:
        optimise.compute(settings, molecule("C[C@H](N)C(=O)O"), "second", mirrored)
    assert caught.value.reason == "stereochemistry_changed"


def test_a_broken_conformer_is_dropped_and_a_merged_one_counted():
    settings = study(num_kept=3)
    subject = molecule("CCO")
    parent = conformers.compute(settings, subject, "first", None)
    good = parent.arrays["geometry_bohr"][0]
    apart = good.copy()
    apart[2] += 12.0  # the oxygen leaves without its hydrogen
    record = optimise.compute(settings, subject, "second", with_geometries(parent, [apart, good, good * 1.01]))
    assert record.metadata["num_conformers"] == 1
    assert record.metadata["num_merged"] == 1
    assert [row["conformer"] for row in record.metadata["dropped"]] == [0]
    assert record.metadata["dropped"][0]["reason"] == "broken_connectivity"
    with pytest.raises(ChemistryError) as caught:
        optimise.compute(settings, subject, "second", with_geometries(parent, [apart]))
    assert caught.value.reason == "broken_connectivity"


def test_a_molecule_that_falls_apart_fails_as_broken():
    """A beta-bromo carbanion: ethene and bromide without a barrier."""
    with pytest.raises(ChemistryError, match="C2-Br3 broken") as caught:
        run(study(), molecule("[CH2-]CBr", charge=-1))
    assert caught.value.reason == "broken_connectivity"


def test_too_few_steps_fail_the_molecule():
    with pytest.raises(ConvergenceError) as caught:
        run(study(max_steps=1, convergence="tight"), molecule("OCCO"))
    assert caught.value.reason == "optimisation_not_converged"


def test_a_given_geometry_passes_through_untouched():
    graph = molecular_graph("C[C@H](N)C(=O)O")
    parent = conformers.compute(study(), molecule("C[C@H](N)C(=O)O"), "first", None)
    placed = with_geometry(graph, parent.arrays["geometry_bohr"][0] + 3.0)
    order = [int(i) for i in np.random.default_rng(3).permutation(graph.GetNumAtoms())]
    block = Chem.MolToMolBlock(Chem.RenumberAtoms(placed, order))
    first, record = run(study(), molecule("C[C@H](N)C(=O)O", molblock=block))
    raw = Chem.MolFromMolBlock(block, removeHs=False)
    assert first.metadata["source"] == record.metadata["source"] == "given"
    assert record.metadata["methods"] == []
    assert record.arrays["geometry_bohr"][0] * ANGSTROM_PER_BOHR == pytest.approx(raw.GetConformer().GetPositions())
    assert record.arrays["atomic_numbers"].tolist() == [atom.GetAtomicNum() for atom in raw.GetAtoms()]


@pytest.mark.parametrize("backend", ["pyscf", pytest.param("psi4", marks=pytest.mark.psi4)])
def test_dft_minimum_of_hydrogen_with_dispersion(backend):
    """Experiment: r_e = 0.7414 angstrom; B3LYP gives 0.743 in a large basis."""
    quantum = QuantumSettings(backend=backend, basis="6-31g*", method="b3lyp", convergence_hartree=1e-9)
    settings = study(methods=("gfn2-xtb", "dft"), quantum=quantum)
    _, record = run(settings, molecule("[H][H]"))
    geometry = record.arrays["geometry_bohr"][0]
    assert np.linalg.norm(geometry[1] - geometry[0]) * ANGSTROM_PER_BOHR == pytest.approx(0.743, abs=0.004)
    assert [step["method"] for step in record.metadata["steps"][0]] == ["gfn2-xtb", "dft"]
    assert record.arrays["energy_hartree"][0] == pytest.approx(-1.175, abs=0.005)
    assert record.provenance["engine"]["name"] == backend
    assert record.provenance["engine"]["versions"]


def test_dispersion_is_attractive_and_added_once():
    numbers, geometry = np.array([18, 18]), np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 7.2]])
    energy, gradient = d3bj("b3lyp", numbers, geometry)
    h = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 1e-3]])
    numeric = (d3bj("b3lyp", numbers, geometry + h)[0] - d3bj("b3lyp", numbers, geometry - h)[0]) / 2e-3
    assert -0.003 < energy < -0.0003
    assert gradient[1, 2] == pytest.approx(numeric, rel=1e-4)
    assert gradient[1, 2] > 0  # pulls the second atom back
    quantum = QuantumSettings(basis="6-31g*", method="b3lyp")
    graph = molecular_graph("[H][H]")
    hydrogen = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 1.4]])
    with_it = surface_of("dft", study(quantum=quantum), graph, hydrogen, 0, 1)(hydrogen)[0]
    without = surface_of("dft", study(quantum=quantum, dispersion=None), graph, hydrogen, 0, 1)(hydrogen)[0]
    assert with_it - without == pytest.approx(d3bj("b3lyp", np.array([1, 1]), hydrogen)[0], abs=1e-9)
