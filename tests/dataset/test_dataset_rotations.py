"""Rotations of the cube: a group of 24 proper ones, exact, and blind to no handedness."""

import numpy as np
import pytest

from decar.dataset.pose import draw_pose
from decar.dataset.rotations import ALL, IDENTITY, SIX, Rotation, draw_rotation
from tests.dataset.synthetic_study import gaussians

UP = np.array([0, 0, 1])


def test_24_rotations_form_a_group_of_determinant_one() -> None:
    matrices = {rotation.matrix.tobytes() for rotation in ALL}
    assert len(ALL) == len(matrices) == 24
    assert ALL[0] == IDENTITY
    for one in ALL:
        assert round(np.linalg.det(one.matrix)) == 1
        assert one.matrix.T.copy().tobytes() in matrices
        for other in ALL:
            assert (one.matrix @ other.matrix).tobytes() in matrices


def test_six_bring_each_face_up_once() -> None:
    assert len(set(SIX)) == 6
    assert set(SIX) <= set(ALL)
    faces = {tuple((rotation.matrix.T @ UP).tolist()) for rotation in SIX}
    assert faces == {tuple((sign * axis).tolist()) for axis in np.eye(3, dtype=int) for sign in (1, -1)}


def test_voxels_follow_the_matrix_and_compose() -> None:
    rng = np.random.default_rng(0)
    voxels = rng.normal(size=(2, 3, 4, 5))
    for one in ALL:
        turned = one.apply(voxels)
        assert turned.shape[1:] == tuple(voxels.shape[1:][axis] for axis in one.axes)
        for other in ALL[::5]:
            both = Rotation.from_matrix(other.matrix @ one.matrix)
            np.testing.assert_array_equal(other.apply(turned), both.apply(voxels))


def test_rotated_density_is_the_density_of_rotated_centres() -> None:
    centres = np.array([[1.2, 0.1, -0.4], [-1.0, 0.9, 0.3], [0.2, -1.1, 1.5]])
    charges = np.array([1.0, 2.0, 0.5])
    shape = (12, 16, 20)
    rho = gaussians(shape, centres, charges)
    for rotation in ALL:
        turned = tuple(shape[axis] for axis in rotation.axes)
        np.testing.assert_allclose(
            rotation.apply(rho), gaussians(turned, centres @ rotation.matrix.T, charges), atol=1e-14
        )


def test_mirror_image_is_no_rotation() -> None:
    """Four different charges on a skew tetrahedron: no rotation turns it into its mirror image."""
    centres = np.array([[1.0, 1.0, 1.0], [-1.0, -1.0, 1.0], [-1.0, 1.0, -1.0], [1.0, -1.0, -1.0]])
    charges = np.array([1.0, 2.0, 3.0, 4.0])
    rho = gaussians((12, 12, 12), centres, charges)
    mirror = gaussians((12, 12, 12), centres * [-1, 1, 1], charges)
    for rotation in ALL:
        assert np.abs(rotation.apply(rho) - mirror).max() > 0.05
    achiral = gaussians((12, 12, 12), centres, np.array([1.0, 2.0, 3.0, 3.0]))
    mirror = gaussians((12, 12, 12), centres * [-1, 1, 1], np.array([1.0, 2.0, 3.0, 3.0]))
    assert min(np.abs(rotation.apply(achiral) - mirror).max() for rotation in ALL) < 1e-12


@pytest.mark.parametrize("varied", ["seed", "epoch", "key", "conformer"])
def test_draws_depend_on_their_names_only(varied: str) -> None:
    """On each of them, and on nothing else; every rotation is drawn."""
    fixed = {"seed": 1, "epoch": 2, "key": "3", "conformer": 0}
    names = [{**fixed, varied: str(value) if varied == "key" else value} for value in range(400)]
    drawn = [draw_rotation("rotations_24", **one) for one in names]
    assert drawn == [draw_rotation("rotations_24", **one) for one in names]
    assert set(drawn) == set(ALL)
    assert {draw_rotation("none", **one) for one in names[:9]} == {IDENTITY}
    poses = [draw_pose("continuous", **one) for one in names]
    assert len({pose.rotation.tobytes() for pose in poses}) == len({pose.shift.tobytes() for pose in poses}) == 400
