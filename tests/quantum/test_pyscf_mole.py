"""The record's basis convention against PySCF and against the formula, for every kind of shell."""

import dataclasses

import numpy as np
import pytest

from decar.config import QuantumSettings
from decar.quantum.backend import get_backend
from decar.quantum.pyscf_mole import build_mole, extract_basis, to_pyscf_mole
from decar.quantum.wavefunction import Wavefunction
from tests.quantum.reference import points_around, record_density, record_functions
from tests.quantum.systems import CYANO, level, system

OXIDE = system([14, 8], [[0.1, -0.2, 0.3], [1.2, 1.9, 1.4]])


def bare(molecule, basis):
    """A record with this basis and one orbital, for tests of the functions only."""
    orbital = np.ones((basis.num_functions, 1))
    return Wavefunction(
        molecule.atomic_numbers, molecule.atomic_numbers.astype(float), molecule.geometry_bohr, basis,
        orbital, np.array([2.0]), np.array([-0.5]), None, None, None, 0, 1, 0.0, np.zeros(3), {}, {},
    )  # fmt: skip


@pytest.mark.parametrize("is_cartesian", [True, False], ids=["cartesian", "spherical"])
@pytest.mark.parametrize("name", ["sto-3g", "6-31g*", "cc-pvdz", "def2-tzvp", "cc-pvqz"])
def test_functions_follow_the_formula_and_survive_the_round_trip(name, is_cartesian):
    mole = build_mole(OXIDE, level(basis=name, cartesian=is_cartesian, fitting_basis=None), 1000)
    record = bare(OXIDE, extract_basis(mole))
    assert record.basis.num_functions == mole.nao
    points = points_around(OXIDE.geometry_bohr, 60)
    reference = mole.eval_gto("GTOval", points)
    scale = np.abs(reference).max()
    assert np.abs(record_functions(record, points) - reference).max() < 1e-12 * scale
    again = to_pyscf_mole(record)
    # Reordering a sum of primitives is all that may differ: PySCF keeps the zeros of general contractions.
    assert np.abs(again.eval_gto("GTOval", points) - reference).max() < 1e-13 * scale
    assert np.abs(again.intor("int1e_ovlp") - mole.intor("int1e_ovlp")).max() < 1e-12
    assert np.abs(again.intor("int1e_nuc") - mole.intor("int1e_nuc")).max() < 1e-10


def test_rebuilt_molecule_makes_fitted_integrals():
    from pyscf import df

    mole = build_mole(OXIDE, level(basis="6-31g*"), 1000)
    again = to_pyscf_mole(bare(OXIDE, extract_basis(mole)))
    first, second = (df.incore.cholesky_eri(one, auxbasis="def2-universal-jkfit") for one in (mole, again))
    assert np.allclose(first, second, atol=1e-10)


def test_record_round_trip_keeps_every_number():
    found = get_backend(QuantumSettings()).single_point(CYANO, level(basis="6-31g*"))
    again = Wavefunction.from_record(found.to_arrays("0/"), found.to_metadata(), "0/")
    for field in dataclasses.fields(Wavefunction):
        one, other = getattr(found, field.name), getattr(again, field.name)
        if field.name != "basis":
            assert np.array_equal(one, other), field.name
    points = points_around(found.geometry_bohr, 20)
    assert np.array_equal(record_density(found, points), record_density(again, points))


def test_orbitals_are_occupied_in_order_of_energy_and_one_more():
    found = get_backend(QuantumSettings()).single_point(CYANO, level(basis="6-31g*"))
    assert list(found.alpha_occupations) == [1.0] * 7 + [0.0]
    assert list(found.beta_occupations) == [1.0] * 6 + [0.0]
    assert (np.diff(found.alpha_energies) >= 0).all()
    assert found.alpha_coefficients.shape == (found.basis.num_functions, 8)
    assert found.alpha_coefficients.dtype == np.float64
