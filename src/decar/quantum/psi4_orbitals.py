"""From Psi4's answer to orbitals in PySCF's terms, followed downhill where they are no minimum.

Psi4 analyses the stability of Hartree-Fock determinants only, and differently in each version. So decar's own analysis
(`scf_rescue`, PySCF's) is made on Psi4's orbitals under the same rule as for the other engine, and an unstable
determinant is handed back to Psi4, turned along its lowest rotation.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from decar.errors import ConvergenceError
from decar.quantum.level import Level
from decar.quantum.psi4_convention import Translation
from decar.quantum.pyscf_scf import mean_field
from decar.quantum.scf_rescue import MAX_DESCENTS, Rung, Solution, analyse, needs_analysis
from decar.quantum.wavefunction import Floats

Arrays = dict[str, NDArray[Any]]


# A level shift keeps the first steps small, so that they go downhill; Psi4's second-order steps often do not.
DOWNHILL = (
    Rung("stability", "previous", level_shift_hartree=0.3),
    Rung("stability", "previous"),
    Rung("stability", "previous", is_second_order=True),
)


@dataclass(frozen=True)
class Answer:
    """What the worker found, in Psi4's basis functions."""

    result: dict[str, Any]
    arrays: Arrays

    @property
    def gradient(self) -> Floats:
        """Return dE/dR (atom, 3) [hartree/bohr]; (0, 3) where it was not asked for."""
        return np.asarray(self.arrays.get("gradient", np.zeros((0, 3))), dtype=np.float64)


class Run(Protocol):
    """Run Psi4: the usual ladder, or the rungs given from the orbitals given (occupied ones, over Psi4's functions)."""

    def __call__(self, ladder: list[Rung] | None = None, guess: Arrays | None = None) -> Answer:
        """Return what the worker found; raises ConvergenceError."""
        ...


def settle(run: Run, mole: Any, level: Level) -> tuple[Solution, Floats]:
    """Return a determinant that is a minimum where it was analysed, and its gradient."""
    answer = run()
    solution, translation = to_solution(answer, mole, level)
    if not needs_analysis(solution.mf):
        return solution, answer.gradient
    for _ in range(MAX_DESCENTS):
        turned = analyse(solution)
        if solution.is_stable:
            break
        below = _descend(run, solution, translation, turned)
        if below is None:
            break
        lower, _ = to_solution(below, mole, level)
        lower.attempts = solution.attempts
        answer, solution = below, lower
    else:
        analyse(solution)
    return solution, answer.gradient


def _descend(run: Run, solution: Solution, translation: Translation, turned: Any) -> Answer | None:
    """Converge from turned orbitals; note the attempt, and return its answer if that is lower."""
    spins = turned if np.ndim(solution.mf.mo_occ) == 2 else (turned, turned)
    num_alpha, num_beta = solution.mf.mol.nelec
    guess = {
        name: translation.to_psi4(np.asarray(orbitals)[:, :number])
        for name, orbitals, number in zip(("alpha", "beta"), spins, (num_alpha, num_beta))
    }
    try:
        answer = run(list(DOWNHILL), guess)
    except ConvergenceError as error:
        solution.attempts += error.attempts
        return None
    solution.attempts += answer.result["attempts"]
    return answer if answer.result["energy_hartree"] < solution.mf.e_tot else None


def to_solution(answer: Answer, mole: Any, level: Level) -> tuple[Solution, Translation]:
    """Return PySCF's mean-field object with Psi4's energy and orbitals."""
    arrays, result = answer.arrays, answer.result
    translation = Translation(mole, arrays, bool(result["is_cartesian"]))
    mf = mean_field(mole, level)
    orbitals = [translation.from_psi4(arrays[f"{spin}_coefficients"]) for spin in ("alpha", "beta")]
    energies = [np.asarray(arrays[f"{spin}_energies"], dtype=np.float64) for spin in ("alpha", "beta")]
    occupations = [(np.arange(len(some)) < number).astype(np.float64) for some, number in zip(energies, mole.nelec)]
    if mole.spin == 0:
        mf.mo_coeff, mf.mo_energy, mf.mo_occ = orbitals[0], energies[0], 2.0 * occupations[0]
    else:
        mf.mo_coeff, mf.mo_energy, mf.mo_occ = np.array(orbitals), np.array(energies), np.array(occupations)
    mf.e_tot, mf.converged = float(result["energy_hartree"]), True
    return Solution(mf, list(result["attempts"]), result["num_electrons_quadrature"]), translation
