"""Heavy-atom RMSD: proper rotations only, graph symmetries, and the guard against their explosion."""

import numpy as np
import pytest
from rdkit.Chem import rdDistGeom, rdMolAlign
from scipy.spatial.transform import Rotation

from decar.molecules.graph import geometry_of, molecular_graph
from decar.molecules.rmsd import MAX_SYMMETRIES, distinct, heavy_atom_symmetries, rmsd_bohr
from decar.units import ANGSTROM_PER_BOHR


@pytest.mark.parametrize(
    ("smiles", "number"),
    [("O", 1), ("CC", 2), ("c1ccccc1", 12), ("CC(=O)[O-]", 2), ("C[N+](=O)[O-]", 2), ("CC(C)(C)C", 24), ("CC=C", 1)],
)
def test_number_of_symmetries(smiles, number):
    symmetries, is_complete = heavy_atom_symmetries(molecular_graph(smiles))
    assert (len(symmetries), is_complete) == (number, True)


def test_too_many_symmetries_leave_the_identity():
    symmetries, is_complete = heavy_atom_symmetries(molecular_graph("C(C(C)(C)C)(C(C)(C)C)C(C)(C)C"))  # 6^3 * 6
    assert MAX_SYMMETRIES < 6**4
    assert (len(symmetries), is_complete) == (1, False)


def test_agrees_with_rdkit_on_random_conformers():
    smiles = "OC(=O)CCc1ccc(C)cc1"
    graph = molecular_graph(smiles)
    rdDistGeom.EmbedMultipleConfs(graph, 4, randomSeed=5)
    symmetries, _ = heavy_atom_symmetries(graph)
    for i in range(1, 4):
        ours = rmsd_bohr(geometry_of(graph, 0), geometry_of(graph, i), symmetries) * ANGSTROM_PER_BOHR
        mapping = [[(int(b), int(a)) for a, b in zip(symmetries[0], row)] for row in symmetries]
        theirs = rdMolAlign.GetBestRMS(graph, graph, i, 0, mapping)
        assert ours == pytest.approx(theirs, abs=1e-4)


def test_rotation_and_relabelling_cost_nothing_but_a_mirror_does():
    graph = molecular_graph("CC(F)(Cl)Br")
    rdDistGeom.EmbedMolecule(graph, randomSeed=5)
    symmetries, _ = heavy_atom_symmetries(graph)
    geometry = geometry_of(graph)
    turned = geometry @ Rotation.random(rng=np.random.default_rng(1)).as_matrix().T + 4.0
    assert rmsd_bohr(geometry, turned, symmetries) == pytest.approx(0.0, abs=1e-6)
    assert rmsd_bohr(geometry, geometry * [1, 1, -1], symmetries) > 0.5


def test_equal_geometries_are_kept_once_and_stereoisomers_apart():
    graph = molecular_graph("CCO")
    rdDistGeom.EmbedMolecule(graph, randomSeed=5)
    symmetries, _ = heavy_atom_symmetries(graph)
    geometry = geometry_of(graph)
    assert distinct([geometry, geometry + 1.0], ["a", "a"], symmetries, 0.5) == [0]
    assert distinct([geometry, geometry + 1.0], ["a", "b"], symmetries, 0.5) == [0, 1]
