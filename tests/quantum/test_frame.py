"""The principal-axes frame: a proper rotation, independent of the input's orientation, that keeps handedness."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit.Chem import rdDistGeom
from scipy.spatial.transform import Rotation

from decar.molecules.graph import atomic_numbers_of, geometry_of, molecular_graph
from decar.quantum.frame import principal_axes

MASSES = {1: 1.008, 6: 12.011, 7: 14.007, 8: 15.999, 9: 18.998, 16: 32.06, 17: 35.45}
SMILES = ["O", "C", "Cl", "C#C", "c1ccccc1", "C[C@H](N)C(=O)O", "FS(F)(F)(F)(F)F", "[H][H]", "O=C=O", "N", "C1CC1"]


def embedded(smiles):
    graph = molecular_graph(smiles)
    assert rdDistGeom.EmbedMolecule(graph, randomSeed=3) == 0
    return atomic_numbers_of(graph), geometry_of(graph)


@pytest.mark.parametrize("smiles", SMILES)
def test_inertia_is_diagonal_ascending_and_centred(smiles):
    numbers, geometry = embedded(smiles)
    framed = principal_axes(numbers, geometry)
    masses = np.array([MASSES[int(z)] for z in numbers])
    assert masses @ framed == pytest.approx(np.zeros(3), abs=1e-2)
    second = (framed * masses[:, None]).T @ framed
    scale = second.max()
    off_diagonal = second - np.diag(np.diag(second))
    assert np.abs(off_diagonal).max() < 2e-3 * scale
    assert second[0, 0] >= second[1, 1] - 2e-3 * scale >= second[2, 2] - 4e-3 * scale


@pytest.mark.filterwarnings("ignore:Optimal rotation is not uniquely")  # a linear molecule
@pytest.mark.parametrize("smiles", SMILES)
def test_it_is_a_proper_rotation(smiles):
    numbers, geometry = embedded(smiles)
    framed = principal_axes(numbers, geometry)
    rotation, distance = Rotation.align_vectors(framed - framed.mean(axis=0), geometry - geometry.mean(axis=0))
    assert distance < 1e-6
    assert np.linalg.det(rotation.as_matrix()) == pytest.approx(1.0)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(["C[C@H](N)C(=O)O", "C#C", "O=C=O", "Cl", "O", "CCO"]), st.integers(0, 2**31 - 1))
def test_the_orientation_of_the_input_does_not_matter(smiles, seed):
    numbers, geometry = embedded(smiles)
    rotation = Rotation.random(rng=np.random.default_rng(seed)).as_matrix()
    turned = geometry @ rotation.T + np.array([3.0, -2.0, 1.0])
    first, second = principal_axes(numbers, geometry), principal_axes(numbers, turned)
    if smiles in {"C#C", "O=C=O", "Cl"}:  # round about its axis, and embedded straight only to a degree or so
        assert np.abs(first[:, 0] - second[:, 0]).max() < 1e-6
    else:
        assert first == pytest.approx(second, abs=1e-6)


@pytest.mark.parametrize(("tetrahedron"), [np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) * 1.19])
def test_a_spherical_top_has_one_frame(tetrahedron):
    numbers = np.array([6, 1, 1, 1, 1])
    methane = np.concatenate([np.zeros((1, 3)), tetrahedron])
    expected = principal_axes(numbers, methane)
    for seed in range(5):
        rotation = Rotation.random(rng=np.random.default_rng(seed)).as_matrix()
        assert principal_axes(numbers, methane @ rotation.T) == pytest.approx(expected, abs=1e-9)
    assert expected[1] == pytest.approx([np.linalg.norm(tetrahedron[0]), 0, 0], abs=1e-9)


@pytest.mark.parametrize("smiles", ["C[C@H](N)C(=O)O", "F[C@](Cl)(O)C", "O=C1C=C[C@H](C)C1"])
def test_enantiomers_stay_mirror_images(smiles):
    numbers, geometry = embedded(smiles)
    mirrored = geometry * np.array([1.0, 1.0, -1.0])
    first, second = principal_axes(numbers, geometry), principal_axes(numbers, mirrored)
    assert second == pytest.approx(first * np.array([1.0, 1.0, -1.0]), abs=1e-8)
    assert np.abs(second - first).max() > 0.5


def test_a_single_atom_goes_to_the_origin():
    assert principal_axes(np.array([17]), np.array([[1.0, 2.0, 3.0]])) == pytest.approx(np.zeros((1, 3)))
