"""Five ways to falsify a wavefunction so that every simple check still passes: the orbitals stay orthonormal, the
electrons right, and the record goes on stating its level, energy and dipole."""

import dataclasses

import numpy as np

from decar.quantum.backend import System, get_backend
from decar.quantum.level import Level, exact_functional
from decar.quantum.physics_check import check_physics
from decar.quantum.pyscf_mole import build_mole
from decar.quantum.pyscf_scf import mean_field
from decar.quantum.record_checks import overlap_matrix
from decar.units import ANGSTROM_PER_BOHR

SPINS = ("alpha", "beta")


def orthonormal(wavefunction, orbitals):
    """The nearest orthonormal orbitals (Loewdin): what a careful forger writes."""
    values, vectors = np.linalg.eigh(orbitals.T @ overlap_matrix(wavefunction) @ orbitals)
    return orbitals @ (vectors / np.sqrt(values)) @ vectors.T


def _with_orbitals(wavefunction, change):
    changed = {}
    for spin in SPINS:
        orbitals = getattr(wavefunction, f"{spin}_coefficients")
        if orbitals is not None:
            changed[f"{spin}_coefficients"] = orthonormal(wavefunction, change(orbitals, spin))
    return dataclasses.replace(wavefunction, **changed)


def noisy(wavefunction, size=1e-4):
    rng = np.random.default_rng(0)
    return _with_orbitals(wavefunction, lambda orbitals, _: orbitals + size * rng.normal(size=orbitals.shape))


def with_moved_atom(wavefunction, atom=0, angstrom=0.01):
    moved = wavefunction.geometry_bohr.copy()
    moved[atom] += angstrom / ANGSTROM_PER_BOHR / np.sqrt(3.0)
    return _with_orbitals(dataclasses.replace(wavefunction, geometry_bohr=moved), lambda orbitals, _: orbitals)


def with_swapped_frontier(wavefunction):
    """The highest occupied and the lowest empty orbital of the first spin that has one change places."""

    def swap(orbitals, spin):
        number = int((getattr(wavefunction, f"{spin}_occupations") > 0).sum())
        swapped = orbitals.copy()
        if spin == "alpha" and number < orbitals.shape[1]:
            swapped[:, [number - 1, number]] = swapped[:, [number, number - 1]]
        return swapped

    return _with_orbitals(wavefunction, swap)


def with_guessed_orbitals(wavefunction):
    """Orbitals of the Fock matrix of PySCF's initial guess: one step, not converged."""
    level = Level.from_metadata(wavefunction.level)
    mf = mean_field(build_mole(_system(wavefunction), level, 4000), level)
    _, orbitals = mf.eig(mf.get_fock(dm=mf.get_init_guess()), mf.get_ovlp())
    found = dict(zip(SPINS, orbitals if np.ndim(orbitals) == 3 else [orbitals]))
    return _with_orbitals(wavefunction, lambda old, spin: found[spin][:, : old.shape[1]])


def _system(wavefunction):
    return System(
        wavefunction.atomic_numbers, wavefunction.geometry_bohr, wavefunction.charge, wavefunction.multiplicity
    )


def of_another_functional(wavefunction, settings, method):
    """A converged determinant of `method` that states the level and energy of the first."""
    level = Level.from_settings(settings.model_copy(update={"method": method}))
    assert level.functional == exact_functional(method)
    other = get_backend(settings).single_point(_system(wavefunction), level)
    return dataclasses.replace(
        other, level=wavefunction.level, energy_hartree=wavefunction.energy_hartree, quality=wavefunction.quality
    )


def with_consistent_figures(wavefunction):
    """The same orbitals with the energy and dipole that they have: what remains is that they are no solution."""
    found = check_physics(wavefunction)
    return dataclasses.replace(wavefunction, energy_hartree=found.energy_hartree, dipole_e_bohr=found.dipole_e_bohr)
