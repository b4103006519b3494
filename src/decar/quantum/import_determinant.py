"""From a foreign file to a wavefunction at a level of theory: everything that is claimed is shown by numbers.

The orbitals C over the file's functions f are written over the functions g of the named basis,

    C' = S_gg^-1 S_gf C,     residual_i = 1 - (C'^T S_gg C')_ii,

which is exact (residual 0) if and only if the orbitals lie in that basis: the name of the basis, the contraction (wfx
has none), order, signs and normalisation are all checked by it, and the record has the functions that an engine of this
project would give it. One Fock build at the level then shows that they solve it (`decar.quantum.physics_check`).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from decar.errors import DataFormatError
from decar.quantum.backend import System
from decar.quantum.import_file import UNCONTRACTED, ForeignFile, Orbitals
from decar.quantum.level import Level
from decar.quantum.physics_check import PhysicsCheck, check_physics, contradictions
from decar.quantum.pyscf_library import gto
from decar.quantum.pyscf_mole import build_mole, covers, extract_basis, to_pyscf_mole
from decar.quantum.record_checks import check_wavefunction, overlap_matrix
from decar.quantum.wavefunction import Basis, Floats, Wavefunction, kept_orbitals

RESIDUAL = 1e-7  # squared norm of what the named basis cannot express; files carry 8 digits or more
ORTHONORMALITY = 1e-4  # of the orbitals as the file rounds them
MEMORY_MB = 4000


@dataclass(frozen=True)
class Imported:
    """A wavefunction at its level, and what was found on the way."""

    wavefunction: Wavefunction
    file: ForeignFile
    check: PhysicsCheck
    residual: float  # largest of the occupied orbitals; 0 where the file's own functions were kept
    orthonormality: float  # largest deviation of C^T S C from 1 before it was put right

    def to_metadata(self) -> dict[str, Any]:
        """Return what a record keeps of its origin."""
        return {
            **self.file.to_metadata(),
            "basis_residual": self.residual,
            "orthonormality": self.orthonormality,
            "check": self.check.to_metadata(),
        }


def import_determinant(file: ForeignFile, path: Path, level: Level, charge: int, multiplicity: int) -> Imported:
    """Return the wavefunction of a file at a stated level, charge and multiplicity.

    Raises DataFormatError where electrons, multiplicity, basis, orthonormality, energy or orbitals contradict them;
    InputMoleculeError for a charge and multiplicity that cannot be, or nuclei that coincide.
    """
    system = System(file.atomic_numbers, file.geometry_bohr, charge, multiplicity)
    if file.multiplicity != multiplicity:
        raise DataFormatError(
            "the occupations are of another multiplicity", where=path, seen=file.multiplicity, expected=multiplicity
        )
    basis, charges, expand, residual = _basis(file, system, level, path)
    expected = round(float(charges.sum())) - charge
    if file.num_electrons != expected:
        raise DataFormatError(
            "the orbitals hold the wrong number of electrons", where=path, seen=file.num_electrons, expected=expected,
            remedy="state the charge; or the file is cut off, or of a calculation with (or without) core potentials",
        )  # fmt: skip
    wavefunction, error = _orthonormal(_determinant(file, level, charge, multiplicity, basis, charges, expand), path)
    check_wavefunction(wavefunction, where=path)
    check = check_physics(wavefunction, MEMORY_MB)
    energy = check.energy_hartree if file.energy_hartree is None else file.energy_hartree
    wavefunction = replace(
        wavefunction, energy_hartree=energy, dipole_e_bohr=check.dipole_e_bohr, quality=_quality(wavefunction, check)
    )
    problems = contradictions(wavefunction, check)
    if problems:
        said = f" (the file says {file.method}/{file.basis_name})" if file.method else ""
        raise DataFormatError(
            "the wavefunction is not what it is said to be", where=path, seen="; ".join(problems),
            expected=f"a converged determinant at {level.label}{said}",
            remedy="state the method and basis that its program really used: ORCA's and Turbomole's b3lyp is b3lyp5 "
            "here, ORCA's B3LYP/G is b3lyp; without density fitting leave the fitting basis out",
        )  # fmt: skip
    return Imported(wavefunction, file, check, residual, error)


def _basis(
    file: ForeignFile, system: System, level: Level, path: Path
) -> tuple[Basis, Floats, Callable[[Floats], Floats], float]:
    """Return basis, nuclear charges, what turns the file's coefficients into the basis, and the largest residual."""
    known = all(covers(level.basis, int(number)) for number in set(file.atomic_numbers.tolist()))
    if not known and file.format in UNCONTRACTED:
        raise DataFormatError(
            f"a {file.format} file lists primitives: its basis has to be named", where=path, seen=level.basis,
            expected="a basis that PySCF knows, such as 6-31g*, def2-svp, cc-pvtz", remedy="name it with --basis",
        )  # fmt: skip
    if not known:  # a basis of the user's own: the file's functions are kept
        return file.basis, file.core_charges, lambda coefficients: coefficients, 0.0
    target = build_mole(system, level, MEMORY_MB)
    source = to_pyscf_mole(_bare(file, system, level))
    _check_kind(file, level, target, path)
    overlap = target.intor_symmetric("int1e_ovlp")
    cross = gto.intor_cross("int1e_ovlp", target, source)

    def expand(coefficients: Floats) -> Floats:
        return np.asarray(np.linalg.solve(overlap, cross @ coefficients), dtype=np.float64)

    residual = 0.0
    for orbitals in filter(None, (file.alpha, file.beta)):
        occupied = orbitals.coefficients[:, orbitals.occupations > 0]
        found = expand(occupied)
        norms = np.einsum("fi,fg,gi->i", occupied, source.intor_symmetric("int1e_ovlp"), occupied)
        norms -= np.einsum("fi,fg,gi->i", found, overlap, found)
        residual = max(residual, float(np.abs(norms).max(initial=0.0)))
    if residual > RESIDUAL:
        raise DataFormatError(
            f"the orbitals are no combinations of the functions of {level.basis}", where=path,
            seen=f"a share of {residual:.1e} is left over", expected=f"at most {RESIDUAL:.0e}",
            remedy=f"name the basis that was used (the file says {file.basis_name or 'none'}), Cartesian or spherical",
        )  # fmt: skip
    return extract_basis(target), np.asarray(target.atom_charges(), dtype=np.float64), expand, residual


def _check_kind(file: ForeignFile, level: Level, target: gto.Mole, path: Path) -> None:
    """Refuse spherical functions where Cartesian ones are stated: they would be expressed in them without residual.

    The other way round the residual tells: Turbomole writes spherical functions as combinations of Cartesian ones.
    """
    found, expected = file.basis.num_functions, int(target.nao)
    is_written_cartesian = file.basis.is_cartesian and found == int(target.nao_cart())
    if file.format in UNCONTRACTED or found == expected or is_written_cartesian:
        return
    raise DataFormatError(
        f"the file has another number of basis functions than {level.basis}", where=path,
        seen=f"{found}, {'Cartesian' if file.basis.is_cartesian else 'spherical'}",
        expected=f"{expected}, {'Cartesian' if level.is_cartesian else 'spherical'}",
        remedy=f"name the basis that was used (the file says {file.basis_name or 'none'}), Cartesian or spherical",
    )  # fmt: skip


def _bare(file: ForeignFile, system: System, level: Level) -> Wavefunction:
    """Return the file's geometry and basis in the form of a wavefunction, for its overlap."""
    return _determinant(
        file,
        level,
        system.charge,
        system.multiplicity,
        file.basis,
        file.core_charges,
        lambda coefficients: coefficients,
    )


def _determinant(
    file: ForeignFile, level: Level, charge: int, multiplicity: int, basis: Basis, charges: Floats,
    expand: Callable[[Floats], Floats],
) -> Wavefunction:  # fmt: skip
    alpha = _occupied_and_lowest_empty(file.alpha, expand)
    beta = (None, None, None) if file.beta is None else _occupied_and_lowest_empty(file.beta, expand)
    return Wavefunction(
        atomic_numbers=file.atomic_numbers,
        nuclear_charges=charges,
        geometry_bohr=file.geometry_bohr,
        basis=basis,
        alpha_coefficients=alpha[0],
        alpha_occupations=alpha[1],
        alpha_energies=alpha[2],
        beta_coefficients=beta[0],
        beta_occupations=beta[1],
        beta_energies=beta[2],
        charge=charge,
        multiplicity=multiplicity,
        energy_hartree=0.0 if file.energy_hartree is None else file.energy_hartree,
        dipole_e_bohr=np.zeros(3),
        level=level.to_metadata(),
        quality={},
    )


def _occupied_and_lowest_empty(orbitals: Orbitals, expand: Callable[[Floats], Floats]) -> tuple[Floats, Floats, Floats]:
    """Return coefficients, occupations and energies of the occupied orbitals and the lowest empty one, by energy."""
    chosen = kept_orbitals(orbitals.occupations, orbitals.energies)
    coefficients = np.ascontiguousarray(expand(orbitals.coefficients[:, chosen]))
    return coefficients, orbitals.occupations[chosen], orbitals.energies[chosen]


def _orthonormal(wavefunction: Wavefunction, path: Path) -> tuple[Wavefunction, float]:
    """Return the wavefunction with its rounding errors removed (symmetric orthonormalisation), and their size."""
    overlap, largest, changed = overlap_matrix(wavefunction), 0.0, {}
    for name in ("alpha_coefficients", "beta_coefficients"):
        orbitals: Floats | None = getattr(wavefunction, name)
        if orbitals is None:
            continue
        product = orbitals.T @ overlap @ orbitals
        largest = max(largest, float(np.abs(product - np.eye(len(product))).max(initial=0.0)))
        if largest > ORTHONORMALITY:
            raise DataFormatError(
                "the orbitals are not orthonormal", where=path, seen=f"{largest:.1e}",
                expected=f"at most {ORTHONORMALITY:.0e}", remedy="the file is damaged, or its program misnormalises",
            )  # fmt: skip
        values, vectors = np.linalg.eigh(product)
        changed[name] = orbitals @ (vectors / np.sqrt(values)) @ vectors.T
    return replace(wavefunction, **changed), largest


def _quality(wavefunction: Wavefunction, check: PhysicsCheck) -> dict[str, Any]:
    """Return the figures that a record of an engine has; what only the other program knows is None."""
    spin = (wavefunction.multiplicity - 1) / 2
    return {
        "num_electrons": round(wavefunction.num_electrons),
        "num_electrons_quadrature": check.num_electrons,
        "s_squared": _s_squared(wavefunction),
        "s_squared_exact": spin * (spin + 1),
        "gap_hartree": _gap_hartree(wavefunction),
        "num_cycles": None,
        "is_converged": True,
        "is_stable": None,
        "is_stable_to_spin": None,
        "attempts": [],
    }


def _s_squared(wavefunction: Wavefunction) -> float:
    """Return <S^2> = M (M + 1) + N_beta - sum_ij |<alpha_i|beta_j>|^2, M = (N_alpha - N_beta) / 2."""
    if wavefunction.beta_coefficients is None or wavefunction.beta_occupations is None:
        return 0.0
    alpha = wavefunction.alpha_coefficients[:, wavefunction.alpha_occupations > 0]
    beta = wavefunction.beta_coefficients[:, wavefunction.beta_occupations > 0]
    half = (alpha.shape[1] - beta.shape[1]) / 2
    between = alpha.T @ overlap_matrix(wavefunction) @ beta
    return float(half * (half + 1) + beta.shape[1] - (between**2).sum())


def _gap_hartree(wavefunction: Wavefunction) -> float | None:
    """Return the lowest empty minus the highest occupied orbital energy; None where the file has no empty orbital."""
    occupied, empty = [], []
    for spin in ("alpha", "beta"):
        energies = getattr(wavefunction, f"{spin}_energies")
        if energies is not None:
            is_occupied = getattr(wavefunction, f"{spin}_occupations") > 0
            occupied += energies[is_occupied].tolist()
            empty += energies[~is_occupied].tolist()
    return min(empty) - max(occupied) if empty and occupied else None
