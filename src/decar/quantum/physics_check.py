r"""Is a wavefunction what it says it is? One Fock build tells, at a fraction of the price of the SCF that made it.

At convergence the Fock matrix F[P] of a determinant's own density commutes with it. The figure is the spectral norm

    g = || S^-1/2 (F P S - S P F) S^-1/2 ||_2   [hartree],

P the density matrix of one spin (a projector in any orthonormal basis), the larger g of both spins. It is the largest
coupling F_ov between occupied and empty orbitals; unlike the largest element it is the same in every orthonormal basis
and stays small for a large molecule. Energy, dipole and the electron count on the quadrature follow from the same
build. Nothing is taken from the record but its level, geometry, shells and occupied orbitals, so a record from anywhere
can be checked. How the thresholds were measured: docs/physics-check.md.
"""

import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.linalg import LinAlgWarning

from decar.errors import DataFormatError
from decar.quantum.backend import System
from decar.quantum.level import Level
from decar.quantum.pyscf_library import dft, gto, lib
from decar.quantum.pyscf_mole import build_mole, covers, to_pyscf_mole
from decar.quantum.pyscf_scf import mean_field
from decar.quantum.record_checks import ELECTRON_COUNT
from decar.quantum.scf_quadrature import make_grids, num_electrons
from decar.quantum.wavefunction import Floats, Wavefunction

# The largest g of an honest record. At the default criterion PySCF's and Psi4's records reach 9e-5, those that another
# collection rounded to float32 4e-4; an atom moved by 0.01 angstrom gives 1.6e-3 or more.
COMMUTATOR_HARTREE = 6e-4
ENERGY_HARTREE = 3e-5  # absolute part of the energy's tolerance
ENERGY_PER_ELECTRON = 1e-6  # and the part that grows with the molecule: two programs integrate on different points
DIPOLE_E_BOHR = 1e-4
SAME_FUNCTION = 1e-6  # squared norm of what the named basis lacks of a function: two libraries round exponents


@dataclass(frozen=True)
class PhysicsCheck:
    """What one Fock build says of a wavefunction, beside what is stated; atomic units."""

    commutator_hartree: float
    num_electrons: float  # on the quadrature of the level
    energy_hartree: float
    dipole_e_bohr: Floats  # (3,) about the origin
    problems: tuple[str, ...]  # what contradicts the record; empty for a sound one

    def to_metadata(self) -> dict[str, Any]:
        """Return the figures as JSON-able values."""
        return {
            "commutator_hartree": self.commutator_hartree,
            "num_electrons_quadrature": self.num_electrons,
            "energy_hartree": self.energy_hartree,
            "dipole_e_bohr": self.dipole_e_bohr.tolist(),
        }


def check_physics(wavefunction: Wavefunction, max_memory_mb: int = 4000) -> PhysicsCheck:
    """Build the Fock matrix of a wavefunction's density at its stated level and compare.

    Raises DataFormatError for a level that is not stated whole, ConfigError for a functional that libxc lacks.
    """
    level = Level.from_metadata(wavefunction.level)
    mole = _mole(wavefunction, level, max_memory_mb)
    mf = mean_field(mole, level, is_restricted=wavefunction.beta_coefficients is None)
    density = spin_densities(wavefunction)
    overlap = mole.intor_symmetric("int1e_ovlp")
    fock, energy, count = _build_fock(mf, level, _tagged(density, _occupied(wavefunction)), overlap)
    g = spectral_norm(commutators(fock, density, overlap))
    found = PhysicsCheck(g, count, energy, _dipole(mole, density), ())
    return replace(found, problems=contradictions(wavefunction, found))


def spin_densities(wavefunction: Wavefunction) -> Floats:
    """Return the density matrix of each spin, (spin, function, function); one for a restricted determinant."""
    return np.array([orbitals @ orbitals.T for orbitals in _occupied(wavefunction)])


def _occupied(wavefunction: Wavefunction) -> list[Floats]:
    """Return the occupied orbitals (function, orbital) of each spin; one for a restricted determinant."""
    found = []
    for spin in ("alpha", "beta"):
        coefficients = getattr(wavefunction, f"{spin}_coefficients")
        if coefficients is not None:
            found.append(coefficients[:, getattr(wavefunction, f"{spin}_occupations") > 0])
    return found


def commutators(fock: Floats, density: Floats, overlap: Floats) -> Floats:
    """Return S^-1/2 (F P S - S P F) S^-1/2, with all arguments but the overlap (spin, function, function)."""
    values, vectors = np.linalg.eigh(overlap)
    inverse_root = (vectors / np.sqrt(values)) @ vectors.T
    product = fock @ density @ overlap
    return np.asarray(inverse_root @ (product - product.transpose(0, 2, 1)) @ inverse_root)


def spectral_norm(matrices: Floats) -> float:
    """Return the largest singular value of any of the antisymmetric matrices (spin, function, function)."""
    return max(float(np.sqrt(np.linalg.eigvalsh(matrix.T @ matrix)[-1])) for matrix in matrices)


def _mole(wavefunction: Wavefunction, level: Level, max_memory_mb: int) -> Any:
    """Return the PySCF molecule of a record, with the core potentials that its level names."""
    mole = to_pyscf_mole(wavefunction)
    mole.max_memory = max_memory_mb
    cores = wavefunction.atomic_numbers - wavefunction.nuclear_charges
    if not cores.any():
        return mole
    symbols = {gto.mole._symbol(int(number)) for number in wavefunction.atomic_numbers[cores > 0]}
    if not all(covers(level.basis, gto.charge(symbol)) for symbol in symbols):
        raise DataFormatError("the core potentials of this basis are not known", seen=level.basis)
    mole._ecp = {symbol: gto.basis.load_ecp(level.basis, symbol) for symbol in symbols}
    mole._atm, mole._ecpbas, mole._env = mole.make_ecp_env(mole._atm, mole._ecp, mole._env)
    return mole


class _CountingQuadrature(dft.numint.NumInt):  # type: ignore[misc] # PySCF has no type information
    """PySCF's quadrature that remembers the number of electrons of the last density."""

    count = float("nan")

    def nr_rks(self, *arguments: Any, **options: Any) -> Any:
        result = super().nr_rks(*arguments, **options)
        self.count = float(np.sum(result[0]))
        return result

    def nr_uks(self, *arguments: Any, **options: Any) -> Any:
        result = super().nr_uks(*arguments, **options)
        self.count = float(np.sum(result[0]))
        return result


def _tagged(density: Floats, occupied: list[Floats]) -> Any:
    """Return the density in PySCF's form, with the occupied orbitals that make density fitting cheap."""
    if len(occupied) == 1:
        return lib.tag_array(2.0 * density[0], mo_coeff=occupied[0], mo_occ=np.full(occupied[0].shape[1], 2.0))
    number = max(orbitals.shape[1] for orbitals in occupied)  # PySCF wants as many for both spins
    filled = np.array([np.pad(orbitals, [(0, 0), (0, number - orbitals.shape[1])]) for orbitals in occupied])
    occupations = np.array([np.arange(number) < orbitals.shape[1] for orbitals in occupied], dtype=np.float64)
    return lib.tag_array(density, mo_coeff=filled, mo_occ=occupations)


def _build_fock(mf: Any, level: Level, density: Any, overlap: Floats) -> tuple[Floats, float, float]:
    """Return the Fock matrices (spin, function, function), the energy and the electron count of a density."""
    quadrature = _CountingQuadrature()
    if level.functional is not None:
        mf.grids, mf._numint = make_grids(mf.mol, level.quadrature_level), quadrature
    core = mf.get_hcore()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LinAlgWarning)  # Cartesian fitting functions are nearly dependent: they may be
        field = mf.get_veff(mf.mol, density)
    energy = float(mf.energy_tot(density, core, field))
    fock = np.asarray(mf.get_fock(core, overlap, field, density))
    if level.functional is None:
        quadrature.count = num_electrons(mf.mol, np.asarray(density), level.quadrature_level)
    return (fock if fock.ndim == 3 else fock[None]), energy, quadrature.count


def _dipole(mole: Any, density: Floats) -> Floats:
    """Return sum_A Z_A R_A - tr P r [e bohr], (3,)."""
    total = density[0] * 2.0 if len(density) == 1 else density.sum(axis=0)
    with mole.with_common_origin((0.0, 0.0, 0.0)):
        electrons = np.einsum("xij,ji->x", mole.intor("int1e_r"), total)
    return np.asarray(mole.atom_charges() @ mole.atom_coords() - electrons, dtype=np.float64)


def contradictions(wavefunction: Wavefunction, found: PhysicsCheck) -> tuple[str, ...]:
    """Return what the figures of a Fock build say against a wavefunction, in words."""
    level = Level.from_metadata(wavefunction.level)
    problems = [] if _has_named_basis(wavefunction, level) else [f"the functions are not those of {level.basis}"]
    count, expected = found.num_electrons, wavefunction.num_electrons
    if not abs(count - expected) <= ELECTRON_COUNT * max(expected, 1.0):
        problems.append(f"the quadrature finds {count:.4f} electrons, the orbitals hold {expected:.0f}")
    g = found.commutator_hartree
    if not g <= COMMUTATOR_HARTREE:
        problems.append(
            f"the orbitals are no solution at {level.label}: ||FPS - SPF|| is {g:.1e} hartree, "
            f"an honest record has at most {COMMUTATOR_HARTREE:.1e}"
        )
    allowed = ENERGY_HARTREE + ENERGY_PER_ELECTRON * expected
    if not abs(found.energy_hartree - wavefunction.energy_hartree) <= allowed:
        problems.append(
            f"the energy at {level.label} is {found.energy_hartree:.6f} hartree, the record says "
            f"{wavefunction.energy_hartree:.6f} (allowed difference {allowed:.1e})"
        )
    distance = float(np.linalg.norm(found.dipole_e_bohr - wavefunction.dipole_e_bohr))
    if not distance <= DIPOLE_E_BOHR:
        problems.append(f"the stated dipole is {distance:.1e} e bohr off that of the orbitals")
    return tuple(problems)


def _has_named_basis(wavefunction: Wavefunction, level: Level) -> bool:
    """Return whether the shells span the basis that the level names; a name that PySCF does not know is not judged."""
    numbers = wavefunction.atomic_numbers
    if not all(covers(level.basis, int(number)) for number in set(numbers.tolist())):
        return True
    system = System(numbers, wavefunction.geometry_bohr, wavefunction.charge, wavefunction.multiplicity)
    named, stated = build_mole(system, level, 4000), to_pyscf_mole(wavefunction)
    if named.nao != stated.nao:
        return False
    cross = gto.intor_cross("int1e_ovlp", named, stated)
    overlap = np.linalg.solve(named.intor_symmetric("int1e_ovlp"), cross)
    missing = 1.0 - np.einsum("gf,gf->f", cross, overlap) / np.diag(stated.intor_symmetric("int1e_ovlp"))
    return bool(np.abs(missing).max() < SAME_FUNCTION)
