"""Self-consistent field with PySCF: from a system and a level to a converged determinant and its wavefunction."""

from typing import Any

import numpy as np

from decar.errors import ConfigError
from decar.quantum import pyscf_gpu
from decar.quantum.backend import System
from decar.quantum.level import Level
from decar.quantum.pyscf_library import dft, scf
from decar.quantum.pyscf_mole import build_mole, extract_basis
from decar.quantum.scf_quadrature import num_electrons
from decar.quantum.scf_rescue import Solution, gap_hartree
from decar.quantum.scf_rescue import solve as climb
from decar.quantum.wavefunction import Floats, Wavefunction, kept_orbitals


def solve(system: System, level: Level, max_memory_mb: int, device: str = "cpu") -> Solution:
    """Return the converged PySCF mean-field object and how it was reached."""
    mole = build_mole(system, level, max_memory_mb)
    fitting = mean_field(mole, level)  # its fitted integrals serve every attempt

    def make() -> Any:
        mf = mean_field(mole, level)
        if level.fitting_basis is not None:
            mf.with_df = fitting.with_df
        return mf

    if device == "cuda":
        return climb(make, level.quadrature_level, pyscf_gpu.converge)
    return climb(make, level.quadrature_level)


def mean_field(mole: Any, level: Level, is_restricted: bool | None = None) -> Any:
    """Return PySCF's object of a level, not yet run: the one place where a level becomes settings of PySCF.

    Singlets are restricted unless `is_restricted` says otherwise.
    """
    if is_restricted is None:
        is_restricted = mole.spin == 0
    if level.functional is None:
        mf = scf.RHF(mole) if is_restricted else scf.UHF(mole)
    else:
        mf = dft.RKS(mole) if is_restricted else dft.UKS(mole)
        mf.xc = known_functional(level.functional)
    mf.verbose = 0
    mf.chkfile = None
    mf._chkfile = None  # the last reference to PySCF's temporary file: it is removed here
    mf.conv_tol = level.convergence_hartree
    mf.max_cycle = level.max_cycles
    if level.fitting_basis is not None:
        mf = mf.density_fit(auxbasis=level.fitting_basis)
    if level.solvent_dielectric is not None:
        mf = mf.PCM()  # PySCF's ddCOSMO refuses Cartesian d functions
        mf.with_solvent.method = "C-PCM"
        mf.with_solvent.eps = level.solvent_dielectric
    return mf


def known_functional(functional: str) -> str:
    """Return the functional; raises ConfigError where libxc has no such name."""
    try:
        dft.libxc.parse_xc(functional)
    except (KeyError, ValueError) as error:
        raise ConfigError(
            "libxc has no such functional", where="quantum.method", seen=functional, remedy="see libxc's list of names"
        ) from error
    return functional


def wavefunction(system: System, level: Level, max_memory_mb: int, device: str = "cpu") -> Wavefunction:
    """Return the wavefunction of a single point with its quality figures."""
    return wavefunction_of(solve(system, level, max_memory_mb, device), system, level)


def wavefunction_of(solution: Solution, system: System, level: Level) -> Wavefunction:
    """Return the wavefunction of a converged mean-field object, whichever program found its orbitals."""
    mf = solution.mf
    spins = [(mf.mo_coeff, mf.mo_occ, mf.mo_energy)]
    if np.ndim(mf.mo_occ) == 2:
        spins = [(mf.mo_coeff[s], mf.mo_occ[s], mf.mo_energy[s]) for s in (0, 1)]
    orbitals = [_occupied_and_lowest_empty(*spin) for spin in spins]
    alpha, beta = orbitals[0], orbitals[1] if len(orbitals) == 2 else (None, None, None)
    return Wavefunction(
        atomic_numbers=np.asarray(system.atomic_numbers, dtype=np.int32),
        nuclear_charges=np.asarray(mf.mol.atom_charges(), dtype=np.float64),
        geometry_bohr=np.asarray(system.geometry_bohr, dtype=np.float64),
        basis=extract_basis(mf.mol),
        alpha_coefficients=alpha[0],
        alpha_occupations=alpha[1],
        alpha_energies=alpha[2],
        beta_coefficients=beta[0],
        beta_occupations=beta[1],
        beta_energies=beta[2],
        charge=system.charge,
        multiplicity=system.multiplicity,
        energy_hartree=float(mf.e_tot),
        dipole_e_bohr=dipole(mf),
        level=level.to_metadata(),
        quality=_quality(solution, level, system),
    )


def _occupied_and_lowest_empty(
    coefficients: Floats, occupations: Floats, energies: Floats
) -> tuple[Floats, Floats, Floats]:
    """Return coefficients, occupations and energies of the occupied orbitals and the lowest empty one, by energy."""
    chosen = kept_orbitals(occupations, energies)
    return (
        np.ascontiguousarray(coefficients[:, chosen], dtype=np.float64),
        np.asarray(occupations[chosen], dtype=np.float64),
        np.asarray(energies[chosen], dtype=np.float64),
    )


def _total_density(mf: Any) -> Floats:
    density = np.asarray(mf.make_rdm1())
    return density if density.ndim == 2 else np.asarray(density[0] + density[1])


def dipole(mf: Any) -> Floats:
    """Return the dipole moment, sum_A Z_A R_A - tr P r, about the origin of the input frame [e bohr], (3,)."""
    mole = mf.mol
    with mole.with_common_origin((0.0, 0.0, 0.0)):
        position = mole.intor("int1e_r")
    electrons = np.einsum("xij,ji->x", position, _total_density(mf))
    return np.asarray(mole.atom_charges() @ mole.atom_coords() - electrons, dtype=np.float64)


def _quality(solution: Solution, level: Level, system: System) -> dict[str, Any]:
    mf, spin = solution.mf, (system.multiplicity - 1) / 2
    count = solution.num_electrons
    if count is None:
        count = num_electrons(mf.mol, mf.make_rdm1(), level.quadrature_level)
    is_restricted = np.ndim(mf.mo_occ) == 1
    return {
        "num_electrons": int(mf.mol.nelectron),
        "num_electrons_quadrature": count,
        "s_squared": 0.0 if is_restricted else float(mf.spin_square()[0]),
        "s_squared_exact": spin * (spin + 1),
        "gap_hartree": gap_hartree(mf),
        "num_cycles": sum(int(attempt["num_cycles"]) for attempt in solution.attempts),
        "is_converged": True,
        "is_stable": solution.is_stable,
        "is_stable_to_spin": solution.is_stable_to_spin,
        "attempts": solution.attempts,
    }
