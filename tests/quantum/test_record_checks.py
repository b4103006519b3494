"""A damaged record is recognised by its physics."""

import dataclasses

import numpy as np
import pytest

from decar.config import QuantumSettings
from decar.errors import DataFormatError
from decar.quantum.backend import get_backend
from decar.quantum.record_checks import check_wavefunction, compare
from tests.quantum.systems import WATER, level


@pytest.fixture(scope="module")
def water():
    return get_backend(QuantumSettings()).single_point(WATER, level(basis="6-31g*"))


def test_a_whole_record_passes(water):
    check_wavefunction(water)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: {"alpha_coefficients": w.alpha_coefficients * 1.001}, "not orthonormal"),
        (lambda w: {"alpha_coefficients": w.alpha_coefficients[:-1]}, "do not fit the basis"),
        (lambda w: {"alpha_energies": w.alpha_energies * np.nan}, "alpha/energies has a value that is not finite"),
        (lambda _: {"charge": 1}, "wrong number of electrons"),
        (lambda w: {"geometry_bohr": w.geometry_bohr[:2]}, "do not fit the atoms"),
        (lambda w: {"geometry_bohr": w.geometry_bohr * 1.1}, "not orthonormal"),
    ],
)
def test_damage_is_named(water, change, message):
    with pytest.raises(DataFormatError, match=message):
        check_wavefunction(dataclasses.replace(water, **change(water)), where="water")


def test_comparison_sees_the_density_not_the_signs_of_orbitals(water):
    flipped = dataclasses.replace(water, alpha_coefficients=-water.alpha_coefficients)
    assert compare(water, flipped).density_l1 < 1e-14
    shaken = np.linalg.qr(np.random.default_rng(0).normal(size=(5, 5)))[0]
    mixed = water.alpha_coefficients.copy()
    mixed[:, :5] = mixed[:, :5] @ shaken  # any rotation of the occupied orbitals is the same determinant
    assert compare(water, dataclasses.replace(water, alpha_coefficients=mixed)).density_l1 < 1e-12
    mixed[:, [4, 5]] = mixed[:, [5, 4]]  # an excitation is not
    assert compare(water, dataclasses.replace(water, alpha_coefficients=mixed)).density_l1 > 0.01
    with pytest.raises(DataFormatError, match="different molecules"):
        compare(water, dataclasses.replace(water, geometry_bohr=water.geometry_bohr + 1.0))
