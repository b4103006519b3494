"""Small wavefunctions: from PySCF, from a single Gaussian, and from the shared data."""

from functools import cache
from pathlib import Path

import h5py
import numpy as np
from pyscf import gto, scf

from decar.quantum.pyscf_mole import extract_basis
from decar.quantum.wavefunction import Basis, Wavefunction

WATER = "O 0.1 0.2 0.3; H 1.55 0.35 -0.75; H -0.9 1.6 0.9"
BENT_RADICAL = "N 0 0 0; H 1.5 0.3 1.1; H -1.2 1.4 0.5"  # NH2, a doublet
HYDROXIDE = "O 0 0 0.1; H 0.2 0 1.9"
HYDROGEN_BROMIDE = "Br 0.3 -0.2 0; H 0.1 0.1 2.7"
THIOFORMAMIDE = "C 0 0.1 0; S 3.05 0.4 0.2; N -1.2 2.3 -0.3; H -1.1 -1.7 0.1; H -0.2 3.9 -0.2; H -3.1 2.3 0.4"


@cache
def molecule(
    atoms: str, basis: str, cartesian: bool = False, charge: int = 0, multiplicity: int = 1, core: str = ""
) -> Wavefunction:
    """Return the Hartree-Fock wavefunction; `core` is the element that has an effective core potential."""
    mole = gto.M(
        atom=atoms,
        basis=basis,
        ecp={core: basis} if core else {},
        unit="Bohr",
        cart=cartesian,
        charge=charge,
        spin=multiplicity - 1,
        verbose=0,
    )
    solver = scf.RHF(mole) if multiplicity == 1 else scf.UHF(mole)
    solver.conv_tol = 1e-10
    solver.run()
    orbitals, occupations, energies = (
        np.atleast_1d(part) for part in (solver.mo_coeff, solver.mo_occ, solver.mo_energy)
    )
    if multiplicity == 1:
        return build(mole, orbitals, occupations, None, None, charge, multiplicity, energies)
    return build(mole, orbitals[0], occupations[0], orbitals[1], occupations[1], charge, multiplicity, energies[0])


def build(mole, alpha, alpha_occupations, beta, beta_occupations, charge, multiplicity, energies) -> Wavefunction:
    return Wavefunction(
        np.array([gto.charge(mole.atom_symbol(i)) for i in range(mole.natm)], dtype=np.int32),
        mole.atom_charges().astype(float), mole.atom_coords(), extract_basis(mole), alpha, alpha_occupations, energies,
        beta, beta_occupations, None if beta is None else energies, charge, multiplicity, 0.0, np.zeros(3), {}, {},
    )  # fmt: skip


def gaussians(centres, exponents, charges, num_electrons: float = 1.0) -> Wavefunction:
    """Return a normalised s Gaussian (2 a / pi)^(3/4) exp(-a r^2) at each centre, each with `num_electrons`."""
    exponents = np.asarray(exponents, dtype=float)
    count = len(exponents)
    one = np.ones(count, dtype=np.int32)
    total = round(count * num_electrons)
    charge, multiplicity = sum(charges) - total, 1 + total % 2
    norms = (2 * exponents / np.pi) ** 0.75 * np.sqrt(4 * np.pi)
    basis = Basis(np.arange(count, dtype=np.int32), 0 * one, one, exponents, norms, True)
    return Wavefunction(
        np.asarray(charges, dtype=np.int32), np.asarray(charges, dtype=float), np.asarray(centres, dtype=float), basis,
        np.eye(count), np.full(count, num_electrons), np.zeros(count),
        None, None, None, charge, multiplicity, 0.0, np.zeros(3), {}, {},
    )  # fmt: skip


def shared_molecule(folder: Path, identifier: str) -> Wavefunction:
    """Return a wavefunction of the shared data: B3LYP/6-31G*, Cartesian, doubly occupied orbitals."""
    with h5py.File(folder / "wavefunctions-b3lyp-631gs.h5") as file:
        group = file[identifier]
        numbers, geometry = group["atomic_numbers"][()], group["geometry_bohr"][()]
        orbitals = group["mo_occupied"][()].astype(float)
        energies, charge = group["mo_energy"][()], int(group.attrs["charge"])
    atoms = [(int(number), place) for number, place in zip(numbers, geometry)]
    mole = gto.M(atom=atoms, basis="6-31g*", cart=True, unit="Bohr", charge=charge, verbose=0)
    count = orbitals.shape[1]
    return build(mole, orbitals, np.full(count, 2.0), None, None, charge, 1, energies[:count])
