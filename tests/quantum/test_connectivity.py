"""Bonds from distances against the graph: intact molecules of many kinds, and each way to differ."""

import numpy as np
import pytest
from rdkit.Chem import rdDistGeom, rdForceFieldHelpers

from decar.errors import ChemistryError
from decar.molecules.graph import atomic_numbers_of, bonds_of, geometry_of, molecular_graph
from decar.quantum.connectivity import check_connectivity, compare_bonds


def embedded(smiles):
    graph = molecular_graph(smiles)
    assert rdDistGeom.EmbedMolecule(graph, randomSeed=7) == 0
    if rdForceFieldHelpers.MMFFHasAllMoleculeParams(graph):
        rdForceFieldHelpers.MMFFOptimizeMolecule(graph)
    return atomic_numbers_of(graph), bonds_of(graph), geometry_of(graph)


INTACT = [
    "O", "C", "Cl", "[H][H]", "C#C", "OC[C@H]1O[C@@H](O)[C@H](O)[C@@H](O)[C@@H]1O", "CN1C=NC2=C1C(=O)N(C)C(=O)N2C",
    "O=C1NS(=O)(=O)c2ccccc12", "OP(O)(O)=O", "BrC(Br)(Br)Br", "ClC(Cl)(Cl)Cl", "IC(I)I", "C1C2CC1C2", "C1SC1",
    "C1CSC1", "C[Si](C)(C)C", "[O-][N+](=O)c1ccccc1", "[NH3+]CC([O-])=O", "OC(=O)/C=C\\C(O)=O", "CC(=O)O[Pb]OC(C)=O",
    "C12C3C4C1C5C2C3C45",
]  # fmt: skip


@pytest.mark.parametrize("smiles", INTACT)
def test_an_intact_geometry_has_the_bonds_of_its_graph(smiles):
    assert compare_bonds(*embedded(smiles)).is_unchanged


def test_a_pulled_bond_is_broken_and_named():
    numbers, bonds, geometry = embedded("CCO")
    moved = geometry.copy()
    hydroxyl = [2, *(int(j) for i, j in bonds if i == 2 and numbers[j] == 1)]  # O and its hydrogen
    moved[hydroxyl] += 3.0 * (geometry[2] - geometry[1]) / np.linalg.norm(geometry[2] - geometry[1])
    with pytest.raises(ChemistryError, match="C2-O3 broken") as caught:
        check_connectivity(numbers, bonds, moved)
    assert caught.value.reason == "broken_connectivity"


def test_a_lost_hydrogen_is_broken_connectivity_not_a_transfer():
    numbers, bonds, geometry = embedded("C")
    moved = geometry.copy()
    moved[4] *= 4.0
    with pytest.raises(ChemistryError) as caught:
        check_connectivity(numbers, bonds, moved)
    assert caught.value.reason == "broken_connectivity"


def test_a_hydrogen_on_another_heavy_atom_is_a_proton_transfer():
    numbers, bonds, geometry = embedded("[NH3+]CC([O-])=O")
    ammonium = [int(j) for i, j in bonds if i == 0 and numbers[j] == 1]
    outwards = geometry[3] - geometry[2]
    moved = geometry.copy()
    moved[ammonium[0]] = geometry[3] + 1.85 * outwards / np.linalg.norm(outwards)
    with pytest.raises(ChemistryError, match=f"H{ammonium[0] + 1} from N1 to O4") as caught:
        check_connectivity(numbers, bonds, moved)
    assert caught.value.reason == "proton_transfer"


def test_a_new_bond_is_found():
    numbers, bonds, geometry = embedded("C/C=C/C#N")
    other_numbers, other_bonds, other = embedded("N#N")
    far = np.array([0.0, 0.0, 30.0])
    all_numbers = np.concatenate([numbers, other_numbers])
    all_bonds = np.concatenate([bonds, other_bonds + len(numbers)])
    apart = np.concatenate([geometry, other + far])
    check_connectivity(all_numbers, all_bonds, apart)
    outermost = geometry[np.argmax(geometry[:, 2])]
    touching = np.concatenate([geometry, other - other[0] + outermost + np.array([0.0, 0.0, 1.9])])
    with pytest.raises(ChemistryError, match="formed") as caught:
        check_connectivity(all_numbers, all_bonds, touching)
    assert caught.value.reason == "broken_connectivity"


def test_a_hydrogen_bond_is_neither_broken_nor_formed():
    """A short, strong one: O...O 2.45 angstrom, the hydrogen in its middle."""
    bohr = 1.0 / 0.529177210903
    numbers = np.array([8, 1, 8])
    geometry = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 1.2], [0.0, 0.0, 2.45]]) * bohr
    assert compare_bonds(numbers, np.array([[0, 1]]), geometry).is_unchanged
