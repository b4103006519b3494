"""Rendering turned molecules, batches of them, and grids in slabs."""

from dataclasses import replace

import h5py
import numpy as np
import pytest
import torch

from decar.errors import ConfigError
from decar.fields.batch_rendering import centred_grid, render_batch
from decar.fields.registry import FIELDS, evaluate_fields
from decar.fields.rotation import random_rotation, rotated
from decar.fields.slabs import render_slabs
from tests.fields import oracle
from tests.fields.test_fields_accuracy import core_orbitals

QUARTER_TURN = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])  # (x, y, z) -> (-y, x, z)
LOCAL = [name for name, field in FIELDS.items() if field.formula is not None]


@pytest.mark.parametrize("name", ["g functions", "Cartesian g functions, radical cation", "zwitterion", "phosphorus"])
def test_the_turned_molecule_at_turned_points_is_the_molecule(name):
    wavefunction = core_orbitals(name)
    rotation = random_rotation(np.random.default_rng(5))
    assert np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-14)
    points = np.random.default_rng(6).normal(size=(60, 3)) * 2
    found = oracle.density(rotated(wavefunction, rotation), points @ rotation.T)
    assert np.allclose(found, oracle.density(wavefunction, points), rtol=1e-10, atol=1e-14)


def test_turning_the_molecule_turns_every_field():
    """A quarter turn maps the lattice onto itself; vectors turn with the molecule."""
    wavefunction = core_orbitals("radical")
    turned = rotated(wavefunction, QUARTER_TURN)
    grids = [centred_grid(one.geometry_bohr, (16, 16, 16), 0.6) for one in (wavefunction, turned)]
    first = evaluate_fields(FIELDS, wavefunction, grids[0])
    second = evaluate_fields(FIELDS, turned, grids[1])
    for name, field in FIELDS.items():
        expected = np.rot90(first[name].numpy(), axes=(1, 2))
        if field.channels == 3:
            expected = np.einsum("ij,jxyz->ixyz", QUARTER_TURN, expected)
        scale = 1e-4 if field.formula is None else 2e-5
        assert np.abs(expected - second[name].numpy()).max() < scale * np.abs(expected).max() + 1e-7, name


def test_inversion_shows_the_parity_of_every_field():
    """The inverted molecule, from functions that are even or odd themselves."""
    wavefunction = core_orbitals("radical")
    signs = [-1.0 if l % 2 else 1.0 for l in wavefunction.basis.angular_momentum for _ in range(2 * l + 1)]
    inverted = replace(
        wavefunction,
        geometry_bohr=-wavefunction.geometry_bohr,
        alpha_coefficients=wavefunction.alpha_coefficients * np.array(signs)[:, None],
        beta_coefficients=wavefunction.beta_coefficients * np.array(signs)[:, None],
    )
    grids = [centred_grid(one.geometry_bohr, (12, 12, 12), 0.8) for one in (wavefunction, inverted)]
    first, second = (evaluate_fields(FIELDS, one, grid) for one, grid in zip((wavefunction, inverted), grids))
    for name, field in FIELDS.items():
        expected = first[name].flip(1, 2, 3) * (1 if field.parity == "even" else -1)
        scale = 1e-4 if field.formula is None else 2e-5
        assert (expected - second[name]).abs().max() < scale * expected.abs().max() + 1e-7, name


def test_a_batch_holds_molecules_of_different_size():
    molecules = [core_orbitals(name) for name in ("hydrogen", "radical", "zwitterion")]
    names = ["electron_density", "density_gradient"]
    turns = [random_rotation(np.random.default_rng(seed)) for seed in range(3)]
    batch = render_batch(names, molecules, (16, 24, 16), 0.7, turns)
    assert batch.shape == (3, 4, 16, 24, 16)
    for sample, molecule, turn in zip(batch, molecules, turns):
        turned = rotated(molecule, turn)
        alone = evaluate_fields(names, turned, centred_grid(turned.geometry_bohr, (16, 24, 16), 0.7))
        assert torch.equal(sample, torch.cat([alone[name] for name in names]))
    plain = render_batch(["electron_density"], molecules, (16, 16, 16), 0.7)
    electrons = plain.sum(dim=(1, 2, 3, 4)) * 0.7**3
    assert electrons[0] == pytest.approx(2, rel=0.05)


def test_slabs_are_the_whole(tmp_path):
    wavefunction = core_orbitals("sulfur")
    grid = centred_grid(wavefunction.geometry_bohr, (40, 24, 32), 0.5)
    render_slabs(LOCAL, wavefunction, grid, tmp_path / "fields.h5", megabytes=0.5)
    whole = evaluate_fields(LOCAL, wavefunction, grid)
    with h5py.File(tmp_path / "fields.h5") as file:
        assert set(file) == set(LOCAL)
        assert file.attrs["spacing_bohr"] == 0.5
        assert file["electron_density"].attrs["unit"] == "e/bohr^3"
        for name, values in whole.items():
            kept = (whole["electron_density"] > 1.001e-5).expand_as(values) | ("density" in name)
            difference = np.abs(file[name][()] - values.numpy())[kept.numpy()]
            assert difference.max() < 1e-7 + 1e-4 * values.abs().max(), name
    with pytest.raises(ConfigError, match="not rendered in slabs"):
        render_slabs(["electrostatic_potential"], wavefunction, grid, tmp_path / "other.h5")
