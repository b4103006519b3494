import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decar.config import FieldsSettings
from decar.errors import ConfigError, InputMoleculeError
from decar.fields.grid import VoxelGrid, molecule_grid
from decar.units import BOHR_PER_ANGSTROM

places = st.lists(st.tuples(*[st.floats(-15, 15)] * 3), min_size=1, max_size=6).map(np.array)


@given(places, st.floats(0.1, 1.0), st.floats(0.0, 6.0))
@settings(max_examples=60, deadline=None)
def test_molecule_box_is_exact_padded_centred_and_smallest(geometry, spacing_angstrom, padding_angstrom):
    grid = molecule_grid(geometry, FieldsSettings(spacing_angstrom=spacing_angstrom, padding_angstrom=padding_angstrom))
    spacing, padding = spacing_angstrom * BOHR_PER_ANGSTROM, padding_angstrom * BOHR_PER_ANGSTROM
    assert grid.spacing_bohr == spacing
    assert all(n > 0 and n % 8 == 0 for n in grid.shape)
    low = np.array(grid.origin_bohr) - spacing / 2
    high = low + spacing * np.array(grid.shape)
    assert (geometry.min(axis=0) - low > padding - 1e-6).all()
    assert (high - geometry.max(axis=0) > padding - 1e-6).all()
    assert np.allclose((low + high) / 2, (geometry.min(axis=0) + geometry.max(axis=0)) / 2)
    excess = spacing * np.array(grid.shape) - (np.ptp(geometry, axis=0) + 2 * padding)
    assert (excess < 8 * spacing + 1e-6).all()


@given(st.tuples(*[st.integers(1, 5)] * 3), st.floats(0.1, 2.0))
@settings(max_examples=25, deadline=None)
def test_points_run_z_fastest(shape, spacing):
    grid = VoxelGrid((1.0, -2.0, 0.5), spacing, shape)
    x, y, z = grid.axes()
    points = grid.points().reshape(*shape, 3)
    assert np.array_equal(points[:, 0, 0, 0], x)
    assert np.array_equal(points[0, :, 0, 1], y)
    assert np.array_equal(points[0, 0, :, 2], z)
    assert np.allclose(grid.point(np.arange(grid.num_voxels)), grid.points())
    assert grid.contains(grid.points()).all()
    assert grid.volume_bohr3 == pytest.approx(np.prod(shape) * spacing**3)
    assert VoxelGrid.from_metadata(grid.to_metadata()) == grid


def test_fixed_box_is_centred_on_the_molecule():
    geometry = np.array([[0.0, 0.0, 0.0], [3.0, 0.0, 2.0]])
    grid = molecule_grid(geometry, FieldsSettings(box=(48, 40, 56), spacing_angstrom=0.35))
    assert grid.shape == (48, 40, 56)
    middle = np.array(grid.origin_bohr) + grid.spacing_bohr * (np.array(grid.shape) - 1) / 2
    assert np.allclose(middle, [1.5, 0.0, 1.0])


def test_a_molecule_larger_than_the_box_is_a_failure_of_that_molecule():
    geometry = np.array([[0.0, 0.0, 0.0], [20.0, 0.0, 0.0]])
    with pytest.raises(InputMoleculeError, match="fixed box") as caught:
        molecule_grid(geometry, FieldsSettings(box=(32, 32, 32), spacing_angstrom=0.35))
    assert caught.value.reason == "molecule_larger_than_box"


def test_a_fixed_box_must_be_made_of_whole_strides():
    with pytest.raises(ConfigError, match=r"\[104, 96, 56\]"):
        molecule_grid(np.zeros((1, 3)), FieldsSettings(box=(100, 96, 50)))
