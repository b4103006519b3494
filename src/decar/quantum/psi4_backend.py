"""Psi4 as an engine, in a child process (doi 10.1063/5.0006002)."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from decar.errors import BackendUnavailableError, ChemistryError, ConfigError, ConvergenceError, DecarError
from decar.provenance import package_versions
from decar.quantum.backend import System
from decar.quantum.level import Level
from decar.quantum.psi4_program import find_program
from decar.quantum.wavefunction import Floats, Wavefunction
from decar.threads import limit_threads

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Psi4Backend:
    """An engine beside PySCF; a process a molecule, since Psi4 leaks memory.

    What Psi4 does not do itself, or differently in each version, is done outside: basis set data, stability analysis
    (it has none for density functionals), electron count of Hartree-Fock.
    """

    num_threads: int = 1
    max_memory_mb: int = 2000
    command: str | None = None  # None: the psi4 of PATH
    scratch: Path | None = None  # None: the system's temporary folder
    time_limit_minutes: float = 720.0
    name: str = "psi4"

    def availability(self) -> str | None:
        """Return None, or what is wrong and the line that installs Psi4."""
        try:
            find_program(self.command)
        except BackendUnavailableError as error:
            return str(error)
        return None

    def version(self) -> dict[str, str]:
        """Return the versions of Psi4 and of PySCF, whose library of basis sets both engines use."""
        return {"psi4": find_program(self.command).version, "pyscf": package_versions("pyscf")["pyscf"]}

    def energy_and_gradient(self, system: System, level: Level) -> tuple[float, Floats]:
        """See `Backend`."""
        with limit_threads(self.num_threads):
            solution, gradient = self._solve(system, level, wants_gradient=True)
        return float(solution.mf.e_tot), gradient

    def single_point(self, system: System, level: Level) -> Wavefunction:
        """See `Backend`."""
        from decar.quantum.pyscf_scf import wavefunction_of  # noqa: PLC0415 - loaded when an engine first runs

        with limit_threads(self.num_threads):
            solution, _ = self._solve(system, level, wants_gradient=False)
            return wavefunction_of(solution, system, level)

    def _solve(self, system: System, level: Level, *, wants_gradient: bool) -> tuple[Any, Floats]:
        """Return the converged orbitals in PySCF's mean-field object (`scf_rescue.Solution`), and the gradient."""
        from decar.quantum import psi4_job, psi4_orbitals  # noqa: PLC0415 - loaded when an engine first runs

        job, mole = psi4_job.make_job(system, level, self.num_threads, self.max_memory_mb, wants_gradient)

        def run(ladder: list[Any] | None = None, guess: Arrays | None = None) -> psi4_orbitals.Answer:
            changed = job if ladder is None else {**job, "ladder": [asdict(rung) for rung in ladder]}
            return psi4_orbitals.Answer(*self._answer(changed, guess))

        return psi4_orbitals.settle(run, mole, level)

    def _answer(self, job: dict[str, Any], guess: Arrays | None) -> tuple[dict[str, Any], Arrays]:
        """Return the worker's answer; a crash that repeats is the molecule's where helium works, else Psi4's."""
        from decar.quantum.psi4_process import WorkerCrashedError, run_worker  # noqa: PLC0415

        program = find_program(self.command)
        seconds = 60.0 * self.time_limit_minutes
        for _ in range(2):
            try:
                result, arrays = run_worker(program, job, guess, self.scratch, seconds)
                break
            except WorkerCrashedError as error:
                seen = error.seen
        else:
            raise self._blame(seen)
        if result["status"] == "unknown_functional":
            raise ConfigError(
                "the libxc of this Psi4 has no such functional", where="quantum.method", seen=result["message"],
                remedy="use a newer Psi4, or set quantum.backend to pyscf",
            )  # fmt: skip
        if result["status"] == "not_converged":
            attempts = result["attempts"]
            raise ConvergenceError(
                "the self-consistent field did not converge",
                reason="scf_not_converged",
                seen="; ".join(f"{a['method']}: {a['num_cycles']} cycles" for a in attempts)
                + f"\n{result['last_lines']}",
                remedy="check charge, multiplicity and geometry; raise quantum.max_cycles; a pure functional with a "
                "small gap may need a hybrid",
                attempts=attempts,
            )
        return result, arrays

    def _blame(self, seen: str) -> DecarError:
        """Return the error of a crash: the program's if it cannot even treat a helium atom, else the molecule's."""
        from decar.quantum.psi4_job import helium_job  # noqa: PLC0415
        from decar.quantum.psi4_process import WorkerCrashedError, run_worker  # noqa: PLC0415

        try:
            run_worker(find_program(self.command), helium_job(self.num_threads), None, self.scratch, 300.0)
        except WorkerCrashedError:
            return BackendUnavailableError("Psi4 crashes on every molecule", seen=seen, remedy="install it again")
        return ChemistryError(
            "Psi4 crashed twice on this molecule, and works on others", reason="engine_crashed", seen=seen,
            remedy="quantum.backend: pyscf computes the same level",
        )  # fmt: skip
