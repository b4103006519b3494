"""Checks of a wavefunction record from its own numbers, without the program that made it.

Two records of one molecule are compared by invariants: orbital coefficients are not unique (signs, degenerate
rotations), but energy, dipole, orbital energies and the density are.
"""

from dataclasses import dataclass

import numpy as np

from decar.errors import DataFormatError
from decar.quantum.wavefunction import Floats, Wavefunction

ORTHONORMALITY = 1e-6
ELECTRON_COUNT = 1e-3  # relative error of the quadrature's count; level 0 is better than that


def check_wavefunction(wavefunction: Wavefunction, where: object = None) -> None:
    """Raise DataFormatError at the first number of a record that cannot be right.

    Array shapes; finite values; electrons of orbitals, nuclei and charge; C^T S C = 1.
    """
    _check_shapes(wavefunction, where)
    for name, array in wavefunction.to_arrays("").items():
        if not np.isfinite(array).all():
            raise _wrong(f"{name} has a value that is not finite", where)
    expected = float(wavefunction.nuclear_charges.sum()) - wavefunction.charge
    if abs(wavefunction.num_electrons - expected) > 1e-9:
        raise _wrong("the orbitals hold the wrong number of electrons", where, wavefunction.num_electrons, expected)
    overlap = overlap_matrix(wavefunction)
    for orbitals in (wavefunction.alpha_coefficients, wavefunction.beta_coefficients):
        if orbitals is None:
            continue
        error = float(np.abs(orbitals.T @ overlap @ orbitals - np.eye(orbitals.shape[1])).max())
        if error > ORTHONORMALITY:
            raise _wrong("the orbitals are not orthonormal", where, f"{error:.1e}", f"at most {ORTHONORMALITY:.0e}")


def overlap_matrix(wavefunction: Wavefunction) -> Floats:
    """Return the overlap of the basis functions, (function, function)."""
    # PySCF is imported only where integrals are needed: reading a record does not need it.
    from decar.quantum.pyscf_mole import to_pyscf_mole  # noqa: PLC0415

    return np.asarray(to_pyscf_mole(wavefunction).intor("int1e_ovlp"), dtype=np.float64)


def _check_shapes(wavefunction: Wavefunction, where: object) -> None:
    basis, atoms = wavefunction.basis, len(wavefunction.atomic_numbers)
    if wavefunction.geometry_bohr.shape != (atoms, 3) or wavefunction.nuclear_charges.shape != (atoms,):
        raise _wrong("geometry or nuclear charges do not fit the atoms", where, wavefunction.geometry_bohr.shape)
    num_primitives = int(basis.num_primitives.sum())
    if len(basis.exponents) != num_primitives or len(basis.coefficients) != num_primitives:
        raise _wrong("the primitives do not fit the shells", where, len(basis.exponents), num_primitives)
    rows = wavefunction.alpha_coefficients.shape[0]
    if rows != basis.num_functions:
        raise _wrong("the orbitals do not fit the basis", where, rows, basis.num_functions)


def _wrong(what: str, where: object, seen: object = None, expected: object = None) -> DataFormatError:
    remedy = "delete the record and run the workflow again"
    return DataFormatError(what, where=where, seen=seen, expected=expected, remedy=remedy)


@dataclass(frozen=True)
class Difference:
    """How far two wavefunctions of one molecule in one frame are apart."""

    energy_hartree: float
    dipole_e_bohr: float  # length of the difference
    orbital_energy_hartree: float  # largest difference of an occupied one
    density_l1: float  # integral of |rho_1 - rho_2| over that of rho_1, on an atom-centred quadrature


def compare(first: Wavefunction, second: Wavefunction) -> Difference:
    """Return the differences of the invariants; raises DataFormatError when the molecules or frames differ."""
    if not np.array_equal(first.atomic_numbers, second.atomic_numbers) or not np.allclose(
        first.geometry_bohr, second.geometry_bohr, atol=1e-6
    ):
        raise _wrong("the records are of different molecules, geometries or frames", None)
    from decar.quantum.pyscf_mole import to_pyscf_mole  # noqa: PLC0415
    from decar.quantum.scf_quadrature import make_grids  # noqa: PLC0415

    moles = [to_pyscf_mole(first), to_pyscf_mole(second)]
    grids = make_grids(moles[0], 0).build()
    rho = []
    for mole, wavefunction in zip(moles, (first, second)):
        values = mole.eval_gto("GTOval", grids.coords)
        rho.append(np.einsum("gi,ij,gj->g", values, wavefunction.density_matrix(), values, optimize=True))
    return Difference(
        abs(first.energy_hartree - second.energy_hartree),
        float(np.linalg.norm(first.dipole_e_bohr - second.dipole_e_bohr)),
        _orbital_difference(first, second),
        float(grids.weights @ np.abs(rho[0] - rho[1]) / (grids.weights @ rho[0])),
    )


def _orbital_difference(first: Wavefunction, second: Wavefunction) -> float:
    def occupied(wavefunction: Wavefunction) -> Floats:
        energies = [wavefunction.alpha_energies[wavefunction.alpha_occupations > 0]]
        if wavefunction.beta_energies is not None and wavefunction.beta_occupations is not None:
            energies.append(wavefunction.beta_energies[wavefunction.beta_occupations > 0])
        return np.concatenate(energies)

    one, other = occupied(first), occupied(second)
    return float(np.abs(one - other).max()) if one.shape == other.shape else float("inf")
