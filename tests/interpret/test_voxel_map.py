"""The voxel map of an attribution: written, read back and verified; a damaged one is named."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from decar.errors import DataFormatError
from decar.fields.grid import VoxelGrid
from decar.interpret.voxel_map import read_map, write_map
from decar.verify import verify_file

GRID = VoxelGrid(np.array([-1.0, 0.5, 2.0]), 0.4, (3, 4, 5))


def _values() -> np.ndarray:
    return np.random.default_rng(2).normal(size=GRID.shape)


def test_a_map_is_read_back_and_verified(tmp_path: Path) -> None:
    write_map(tmp_path / "example.h5", "a key", _values(), GRID)
    found = read_map(tmp_path / "example.h5")
    assert (found.key, found.spacing_bohr) == ("a key", 0.4)
    np.testing.assert_array_equal(found.origin_bohr, GRID.origin_bohr)
    np.testing.assert_allclose(found.values, _values(), rtol=1e-6)
    assert verify_file(tmp_path / "example.h5") == []


def test_changed_values_and_values_that_are_not_finite_are_found(tmp_path: Path) -> None:
    path = tmp_path / "example.h5"
    write_map(path, "a key", _values(), GRID)
    with h5py.File(path, "r+") as file:
        file["attribution"][0, 0, 0] += 1
    assert "do not match their checksum" in verify_file(path)[0]
    values = _values()
    values[1, 2, 3] = np.nan
    write_map(path, "a key", values, GRID)
    assert verify_file(path) == ["1 values are not finite"]


def test_another_file_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file.attrs["format"] = "something else"
    with pytest.raises(DataFormatError, match="not an attribution map"):
        read_map(tmp_path / "other.h5")
