import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from decar.fields.free_atoms import free_atom_density
from decar.fields.grid import VoxelGrid
from decar.fields.promolecular import promolecular_at_points, promolecular_density

NUMBERS = np.array([8, 1, 1, 35], dtype=np.int32)
PLACES = np.array([[0.1, 0.2, 0.3], [1.55, 0.35, -0.75], [-0.9, 1.6, 0.9], [4.0, -3.0, 2.0]])


@given(st.tuples(*[st.sampled_from([8, 16, 40])] * 3), st.floats(0.2, 1.0))
@settings(max_examples=15, deadline=None)
def test_grid_is_the_sum_over_atoms(shape, spacing):
    grid = VoxelGrid((-4.1, -4.2, -3.9), spacing, shape)
    expected = promolecular_at_points(NUMBERS, PLACES, grid.points())
    single = promolecular_density(NUMBERS, PLACES, grid)[0].flatten().numpy()
    double = promolecular_density(NUMBERS, PLACES, grid, torch.float64)[0].flatten().numpy()
    assert np.allclose(double, expected, rtol=1e-11, atol=1e-16)
    assert (np.abs(single - expected) <= 1e-8 + 1e-5 * expected).all()


def test_one_atom_integrates_to_its_electrons():
    """A smooth atom on a fine grid: H has a cusp of slope 2 only, so that voxels sum well."""
    grid = VoxelGrid((-7.93, -7.93, -7.93), 0.2, (80, 80, 80))
    density = promolecular_density(np.array([1], dtype=np.int32), np.zeros((1, 3)), grid, torch.float64)
    assert abs(float(density.sum()) * grid.voxel_volume_bohr3 - 1) < 2e-3


def test_atoms_far_apart_keep_their_own_density():
    places = np.array([[0.0, 0.0, 0.0], [40.0, 0.0, 0.0]])
    found = promolecular_at_points(np.array([6, 7], dtype=np.int32), places, np.array([[1.0, 0, 0], [39.0, 0, 0]]))
    assert np.allclose(found, [free_atom_density(z).density(np.array(1.0)) for z in (6, 7)], rtol=1e-12)


def test_outside_the_box_of_all_atoms_it_is_zero():
    grid = VoxelGrid((100.0, 0.0, 0.0), 0.5, (8, 8, 8))
    assert not promolecular_density(NUMBERS, PLACES, grid).any()
