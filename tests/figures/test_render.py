"""The renderer and the iso-surface against geometry that is known."""

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import AllChem

from decar.errors import DataFormatError
from decar.figures.render import Layer, Window, compose, rasterise, shade, shrink
from decar.figures.scene import ball, enclosed_volume, isosurface, molecule_mesh, stick, viewing_axes

WINDOW = Window(-2.0, 2.0, -1.5, 1.5, 40.0)


def exponential_density(decay: float, spacing: float, half: float) -> tuple[np.ndarray, np.ndarray]:
    """Density decay^3 / (8 pi) exp(-decay r) of one electron about (0.3, -0.2, 0.1), and the grid's origin."""
    axis = np.arange(-half, half + spacing / 2, spacing)
    x, y, z = np.meshgrid(axis - 0.3, axis + 0.2, axis - 0.1, indexing="ij")
    radius = np.sqrt(x**2 + y**2 + z**2)
    return decay**3 / (8 * np.pi) * np.exp(-decay * radius), np.full(3, -half)


def test_isosurface_of_an_exponential_density_is_the_sphere_of_its_radius() -> None:
    decay, isovalue = 2.0, 0.002
    density, origin = exponential_density(decay, 0.35, 5.0)
    radius = np.log(decay**3 / (8 * np.pi) / isovalue) / decay
    mesh = isosurface(density, origin, 0.35, isovalue, "#56B4E9")
    distance = np.linalg.norm(mesh.vertices - [0.3, -0.2, 0.1], axis=1)
    assert np.abs(distance - radius).max() < 0.02 * radius
    assert enclosed_volume(mesh) == pytest.approx(4 / 3 * np.pi * radius**3, rel=0.01)
    outwards = ((mesh.vertices - [0.3, -0.2, 0.1]) * mesh.normals).sum(axis=1) / distance
    assert outwards.min() > 0.98


def test_isovalue_outside_the_field_is_refused_with_its_range() -> None:
    density, origin = exponential_density(2.0, 0.5, 4.0)
    with pytest.raises(DataFormatError, match=r"figures\.isovalue"):
        isosurface(density, origin, 0.5, 5.0, "#56B4E9")


def test_a_ball_covers_the_area_of_its_disc() -> None:
    layer = rasterise(ball(np.array([0.2, -0.3, 0.0]), 0.8, "#FF0000", steps=40), WINDOW)
    assert layer.hit.sum() / 40.0**2 == pytest.approx(np.pi * 0.8**2, rel=0.01)
    assert layer.depth[layer.hit].max() == pytest.approx(0.8, rel=0.01)
    rows, columns = np.nonzero(layer.hit)
    assert columns.mean() / 40 - 2.0 == pytest.approx(0.2, abs=0.03)
    assert 1.5 - rows.mean() / 40 == pytest.approx(-0.3, abs=0.03)


def test_the_nearer_object_hides_the_farther_one_in_any_order() -> None:
    near, far = ball(np.array([0, 0, 1.0]), 0.3, "#FF0000"), ball(np.array([0, 0, -1.0]), 0.6, "#0000FF")
    from decar.figures.render import join

    for meshes in ([near, far], [far, near]):
        colour = rasterise(join(meshes), WINDOW).colours
        assert colour[60, 80] == pytest.approx([1, 0, 0])
        assert colour[60, 80 + 18] == pytest.approx([0, 0, 1])


def test_a_stick_has_its_length_and_width() -> None:
    layer = rasterise(stick(np.array([-1.0, 0, 0]), np.array([1.0, 0, 0]), 0.25, "#888888", sides=40), WINDOW)
    assert layer.hit.sum() / 40.0**2 == pytest.approx(2.0 * 0.5, rel=0.03)


def test_light_comes_from_the_upper_left() -> None:
    lit = shade(rasterise(ball(np.zeros(3), 1.0, "#808080", steps=30), WINDOW), specular=0).sum(axis=2)
    assert lit[60 - 20, 80 - 20] > lit[60 + 20, 80 + 20] > 0


def test_composition_keeps_the_background_clear_and_the_skin_translucent() -> None:
    inner, outer = ball(np.zeros(3), 0.3, "#FF0000"), ball(np.zeros(3), 1.2, "#0000FF")
    image = compose(rasterise(inner, WINDOW), rasterise(outer, WINDOW))
    assert image[0, 0, 3] == 0
    assert image[60, 80, 3] == pytest.approx(1)
    assert 0 < image[60, 80 + 30, 3] < 1
    assert image[60, 80, 0] > image[60, 80, 2]
    small = shrink(image, 2)
    assert small.shape == (60, 80, 4)
    assert small[..., 3].mean() == pytest.approx(image[..., 3].mean())


def test_nothing_gives_an_empty_layer() -> None:
    layer: Layer = rasterise(ball(np.array([9.0, 9.0, 0]), 0.3, "#FF0000"), WINDOW)
    assert not layer.hit.any()
    assert shade(layer).sum() == 0


@pytest.mark.parametrize(
    "smiles", ["OC[C@H]1OC(O)[C@H](O)[C@@H](O)[C@@H]1O", "C[C@H](N)C(=O)O", "C#C", "c1ccccc1", "O"]
)
def test_the_view_is_a_rotation_so_that_handedness_is_kept(smiles: str) -> None:
    molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
    AllChem.EmbedMolecule(molecule, randomSeed=1)
    rotation = viewing_axes(molecule.GetConformer().GetPositions())
    assert rotation @ rotation.T == pytest.approx(np.eye(3), abs=1e-9)
    assert np.linalg.det(rotation) == pytest.approx(1.0)


def test_a_molecule_is_seen_the_same_from_any_orientation_of_its_frame() -> None:
    molecule = Chem.AddHs(Chem.MolFromSmiles("C[C@H](N)C(=O)O"))
    AllChem.EmbedMolecule(molecule, randomSeed=1)
    positions = molecule.GetConformer().GetPositions()
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    views = [(p - p.mean(axis=0)) @ viewing_axes(p).T for p in (positions, positions @ turn.T)]
    assert views[0] == pytest.approx(views[1], abs=1e-6)


def test_molecule_mesh_spans_the_atoms() -> None:
    positions = np.array([[0.0, 0, 0], [1.2, 0, 0]])
    mesh = molecule_mesh(np.array([6, 8]), positions, np.array([[0, 1]]))
    assert mesh.vertices[:, 0].min() == pytest.approx(-0.32, abs=0.01)
    assert mesh.vertices[:, 0].max() == pytest.approx(1.52, abs=0.01)
    assert np.linalg.norm(mesh.normals, axis=1) == pytest.approx(1.0)
