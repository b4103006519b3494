"""The rescue ladder: what is tried, in order, before a self-consistent field counts as not converged.

A converged determinant need not be a minimum. Where that is likely (open shells, a small gap) its stability is analysed
(doi 10.1063/1.434318), and an unstable one is followed downhill.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from decar.errors import ConvergenceError
from decar.quantum.scf_quadrature import COARSE_LEVEL, converge, make_grids

SMALL_GAP_HARTREE = 0.08  # 2.2 eV; closed-shell organic molecules have 0.1 to 0.4 at the B3LYP level
MAX_DESCENTS = 3


@dataclass(frozen=True)
class Rung:
    """One way to run an SCF: initial guess, and aids against oscillation."""

    name: str
    guess: str  # PySCF's name of an initial guess; "previous": the density where the attempt before gave up
    damping: float = 0.0  # share of the former Fock matrix in the first cycles
    level_shift_hartree: float = 0.0  # by which empty orbitals are raised
    is_second_order: bool = False  # augmented Hessian steps (doi 10.1016/j.cplett.2017.03.004)


LADDER = (
    Rung("diis", "minao"),
    Rung("other guess", "atom"),
    Rung("damping", "minao", damping=0.6),
    Rung("level shift", "minao", damping=0.3, level_shift_hartree=0.3),
    Rung("second order", "previous", is_second_order=True),
)
DAMPED_CYCLES = 10
# Runs an SCF from a density on a quadrature level; returns cycles and, where it was taken, the electron count.
Converge = Callable[[Any, Any, int], tuple[int, float | None]]
STATE = ("converged", "e_tot", "mo_energy", "mo_coeff", "mo_occ")  # of a mean-field object


@dataclass
class Solution:
    """A converged mean-field object of PySCF, and how it was reached."""

    mf: Any
    attempts: list[dict[str, Any]]
    num_electrons: float | None = None  # on the final quadrature, where the SCF counted them
    is_stable: bool | None = None  # against rotations of its own kind; None: not analysed
    is_stable_to_spin: bool | None = None  # a restricted one, against becoming unrestricted; None: not analysed


def solve(make: Callable[[], Any], quadrature_level: int, converge: Converge = converge) -> Solution:
    """Climb the ladder until an SCF converges; `make` returns a fresh mean-field object, `converge` runs it.

    Raises ConvergenceError (`scf_not_converged`) after the last rung.
    """
    attempts: list[dict[str, Any]] = []
    mf: Any = None
    for rung in LADDER:
        density = mf.make_rdm1() if rung.guess == "previous" and _has_orbitals(mf) else None
        mf = make()
        attempt, count = _climb(mf, rung, density, quadrature_level, converge)
        attempts.append(attempt)
        if mf.converged:
            solution = Solution(mf, attempts, count)
            if needs_analysis(mf):
                _descend(solution, quadrature_level)
            return solution
    raise ConvergenceError(
        "the self-consistent field did not converge",
        reason="scf_not_converged",
        seen="; ".join(f"{a['method']}: {a['num_cycles']} cycles" for a in attempts),
        remedy="check charge, multiplicity and geometry; raise quantum.max_cycles; a pure functional with a small gap "
        "may need a hybrid",
        attempts=attempts,
    )


def _has_orbitals(mf: Any) -> bool:
    return mf is not None and mf.mo_coeff is not None and bool(np.isfinite(mf.mo_coeff).all())


def _climb(
    mf: Any, rung: Rung, density: Any, quadrature_level: int, converge: Converge = converge
) -> tuple[dict[str, Any], float | None]:
    """Run one attempt and describe it; return also the electron count where it was taken."""
    if rung.guess != "previous":
        mf.init_guess = rung.guess
    if rung.damping:
        mf.damp = rung.damping
        mf.diis_start_cycle = DAMPED_CYCLES
    mf.level_shift = rung.level_shift_hartree
    attempt: dict[str, Any] = {"method": rung.name, "guess": rung.guess}
    count: float | None = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # PySCF's atomic guess calls what PySCF deprecates
            if rung.is_second_order:
                cycles = _second_order(mf, density, quadrature_level)
            else:
                cycles, count = converge(mf, density, quadrature_level)
    except np.linalg.LinAlgError as error:
        mf.converged = False
        failed = {"is_converged": False, "num_cycles": 0, "energy_hartree": None, "error": str(error)}
        return {**attempt, **failed}, None
    mf.converged = bool(mf.converged and np.isfinite(mf.e_tot))
    energy = float(mf.e_tot) if np.isfinite(mf.e_tot) else None
    return {**attempt, "is_converged": mf.converged, "num_cycles": cycles, "energy_hartree": energy}, count


def _second_order(mf: Any, density: Any, quadrature_level: int) -> int:
    """Converge on the final grid by augmented Hessian steps, and bring the solution back into `mf`."""
    if hasattr(mf, "xc"):
        mf.grids = make_grids(mf.mol, quadrature_level)
    newton = mf.newton()
    newton.max_cycle = mf.max_cycle
    steps: list[int] = []
    newton.callback = lambda _: steps.append(1)  # called after each step, and once more at the end
    newton.kernel(dm0=density)
    for name in STATE:
        setattr(mf, name, getattr(newton, name))
    return len(steps) - 1


def gap_hartree(mf: Any) -> float | None:
    """Return the lowest empty minus the highest occupied orbital energy, over both spins; None without either."""
    energies, occupations = np.ravel(mf.mo_energy), np.ravel(mf.mo_occ)
    if not (occupations > 0).any() or not (occupations == 0).any():
        return None
    return float(energies[occupations == 0].min() - energies[occupations > 0].max())


def needs_analysis(mf: Any) -> bool:
    """Return whether a determinant may well be a saddle point: open shells, or a small gap."""
    occupations = np.atleast_2d(mf.mo_occ)
    num_rotations = sum(int((spin > 0).sum()) * int((spin == 0).sum()) for spin in occupations)
    gap = gap_hartree(mf)
    is_open = len(occupations) == 2
    return num_rotations > 0 and gap is not None and (is_open or gap < SMALL_GAP_HARTREE)


def _descend(solution: Solution, quadrature_level: int) -> None:
    """Follow internal instabilities downhill, each a recorded attempt, and note whether the last solution is stable."""
    mf = solution.mf
    for _ in range(MAX_DESCENTS):
        orbitals = analyse(solution)
        if solution.is_stable:
            return
        before = {name: getattr(mf, name) for name in STATE}
        rung = Rung("stability", "previous", is_second_order=True)
        attempt, count = _climb(mf, rung, mf.make_rdm1(orbitals, mf.mo_occ), quadrature_level)
        solution.attempts.append(attempt)
        if not mf.converged or mf.e_tot > before["e_tot"]:
            for name, value in before.items():
                setattr(mf, name, value)
            return
        solution.num_electrons = count
    analyse(solution)


def analyse(solution: Solution) -> Any:
    """Note the stability of a solution; return orbitals turned along the lowest rotation of its own kind.

    The sign of an eigenvalue of the Hessian needs no fine quadrature.
    """
    mf = solution.mf
    is_restricted = np.ndim(mf.mo_occ) == 1
    fine = getattr(mf, "grids", None)
    if fine is not None:
        mf.grids = make_grids(mf.mol, min(COARSE_LEVEL + 1, fine.level))
    try:
        orbitals, _, is_stable, is_stable_to_spin = mf.stability(external=is_restricted, return_status=True)
    finally:
        if fine is not None:
            mf.grids = fine
    solution.is_stable = bool(is_stable)
    solution.is_stable_to_spin = bool(is_stable_to_spin) if is_restricted else None
    return orbitals
