"""Free atoms against the Hartree-Fock limit, the cusp, the tail, and the self-consistent field that made the table."""

import numpy as np
import pytest

from decar.errors import InputMoleculeError
from decar.fields.free_atoms import RADII_BOHR, free_atom_density, free_atom_energy, valence_density
from decar.fields.free_atoms_scf import free_atom

ELEMENTS = range(1, 55)
# Numerical Hartree-Fock energies of closed-shell atoms [hartree], doi 10.1006/adnd.1993.1003, table I.
LIMITS = {2: -2.861679993, 4: -14.57302313, 10: -128.5470980, 18: -526.8175122, 36: -2752.054969, 54: -7232.138349}


def electrons(atomic_number: int) -> float:
    radii = np.geomspace(RADII_BOHR[0], RADII_BOHR[-1], 20000)
    shells = 4 * np.pi * radii**3 * free_atom_density(atomic_number).density(radii)
    return float(np.trapezoid(shells, np.log(radii)))


@pytest.mark.parametrize("atomic_number", ELEMENTS)
def test_holds_its_electrons(atomic_number):
    assert electrons(atomic_number) == pytest.approx(atomic_number, rel=2e-5)


@pytest.mark.parametrize("atomic_number", LIMITS)
def test_energy_is_that_of_the_hartree_fock_limit(atomic_number):
    error = free_atom_energy(atomic_number) - LIMITS[atomic_number]
    assert 0 < error < 5e-7 * abs(LIMITS[atomic_number])  # variational: from above


def test_hydrogen_is_exact():
    radii = np.geomspace(0.02, 6.0, 50)
    assert np.allclose(free_atom_density(1).density(radii), np.exp(-2 * radii) / np.pi, rtol=3e-3)
    assert free_atom_energy(1) == pytest.approx(-0.5, abs=1e-6)


@pytest.mark.parametrize("atomic_number", ELEMENTS)
def test_cusp(atomic_number):
    """d ln rho / dr = -2 Z at the nucleus (Kato, doi 10.1002/cpa.3160100201)."""
    radii = np.array([0.05, 0.07]) / atomic_number
    low, high = np.log(free_atom_density(atomic_number).density(radii))
    assert (high - low) / (radii[1] - radii[0]) == pytest.approx(-2 * atomic_number, rel=0.02)


@pytest.mark.parametrize("atomic_number", ELEMENTS)
def test_falls_from_the_nucleus_to_the_cut_off(atomic_number):
    atom = free_atom_density(atomic_number)
    radii = np.linspace(0.001, atom.cutoff_bohr * 0.999, 3000)
    assert (np.diff(atom.density(radii)) < 0).all()
    assert atom.density(np.array([atom.cutoff_bohr * 1.001])) == 0
    assert 1e-11 < atom.density(np.array([atom.cutoff_bohr * 0.999])) < 1e-9


def test_tail_decays_as_the_ionisation_energy_says():
    """rho ~ exp(-2 sqrt(2 I) r); I of helium in Hartree-Fock is 0.91796 Eh (Koopmans)."""
    low, high = np.log(free_atom_density(2).density(np.array([5.0, 6.0])))
    # The prefactor r^(2 / sqrt(2 I) - 2) adds to the slope.
    decay = np.sqrt(2 * 0.91796)
    assert high - low == pytest.approx(-2 * decay + (2 / decay - 2) * np.log(6 / 5), abs=0.05)


@pytest.mark.parametrize("atomic_number", [1, 6, 8, 16])
def test_table_is_what_the_self_consistent_field_gives(atomic_number):
    radii = np.geomspace(0.003, 7.0, 333)
    energy, expected = free_atom(atomic_number, radii)
    atom = free_atom_density(atomic_number)
    assert energy == pytest.approx(free_atom_energy(atomic_number), abs=1e-8)
    assert np.allclose(atom.density(radii), expected, rtol=1e-5)


def test_a_damped_core_leaves_the_valence_shells():
    radii = np.geomspace(RADII_BOHR[0], RADII_BOHR[-1], 20000)
    density = valence_density(53, 25.0).density(radii)
    assert np.trapezoid(4 * np.pi * radii**3 * density, np.log(radii)) == pytest.approx(25, rel=2e-5)
    outer = (radii > 1.5) & (radii < 10)
    assert np.allclose(density[outer], free_atom_density(53).density(radii[outer]), rtol=1e-3)
    assert valence_density(8, 8.0) is free_atom_density(8)


def test_elements_beyond_the_table_are_refused():
    with pytest.raises(InputMoleculeError, match="H to Xe") as caught:
        free_atom_density(79)
    assert caught.value.reason == "element_without_free_atom"
