"""Run one self-consistent field with Psi4 (doi 10.1063/5.0006002); a program of its own, not a module of decar.

Psi4's own Python runs this file: `python -I psi4_worker.py FOLDER LIBRARY`. It needs Psi4 (1.3.2 or later) and NumPy.
FOLDER holds `job.json` (written by `psi4_job`) and, for a restart, `guess.npz`; it is also Psi4's scratch. The answer
is `result.npz` and then `result.json`, whose `status` is `done`, `not_converged`, `unknown_functional` or `error`. The
folder goes when the parent closes standard input: a parent that was killed leaves neither a process nor files.

Basis functions and orbitals are handed over as Psi4 has them; `psi4_convention` translates.
"""

from __future__ import annotations  # for the Python of an older Psi4

import errno
import json
import os
import re
import shutil
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

DAMPING_STOPS = 1e-3  # orbital gradient below which damping and level shift are in the way
MACHINE = re.compile("PSIO|memory|No space|alloc", re.IGNORECASE)  # errors that no other attempt would mend
EXIT_DISK_FULL = 74  # EX_IOERR
SECOND_ORDER_STARTS = 1.0  # orbital gradient below which augmented Hessian steps are taken


def leave_with_parent(folder: Path) -> None:
    """Remove the folder and stop when standard input closes."""

    def wait() -> None:
        while os.read(0, 1):  # not sys.stdin, whose lock would be held when this program ends
            pass
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


class Worker:
    """The job of one process; `psi4` is the imported program."""

    def __init__(self, psi4: Any, numpy: Any, folder: Path, job: dict[str, Any]) -> None:
        from psi4.driver.p4util.exceptions import SCFConvergenceError  # type: ignore[import-not-found]  # noqa: PLC0415
        from psi4.driver.procrouting import proc  # type: ignore[import-not-found]  # noqa: PLC0415

        self.not_converged = SCFConvergenceError
        self.psi4, self.core, self.proc, self.np = psi4, psi4.core, proc, numpy
        self.folder, self.job = folder, job
        self.is_restricted = job["multiplicity"] == 1
        self.functional = job["functional"]
        self.prepare()

    def prepare(self) -> None:
        """Set everything that decides the numbers: Psi4's own defaults are used for none of it."""
        core, job = self.core, self.job
        core.set_output_file(str(self.folder / "psi4.out"), False)
        core.set_num_threads(job["num_threads"], quiet=True)
        core.set_memory_bytes(job["memory_mb"] * 1000**2, True)
        core.IOManager.shared_object().set_default_path(str(self.folder))
        self.molecule = core.Molecule.from_arrays(
            geom=job["geometry_bohr"], elez=job["atomic_numbers"], units="Bohr", fix_com=True, fix_orientation=True,
            fix_symmetry="c1", molecular_charge=job["charge"], molecular_multiplicity=job["multiplicity"],
        )  # fmt: skip
        self.molecule.update_geometry()
        core.set_active_molecule(self.molecule)
        self.psi4.basis_helper(job["basis"], name="decar_orbital", key="BASIS")
        if job["fitting_basis"] is not None:
            self.psi4.basis_helper(job["fitting_basis"], name="decar_fitting", key="DF_BASIS_SCF")
        reference = ("R" if self.is_restricted else "U") + ("HF" if self.functional is None else "KS")
        self.psi4.set_options({"PUREAM": not job["is_cartesian"], "REFERENCE": reference, **job["options"]})
        try:
            core.set_global_option("DFT_PRUNING_SCHEME", "NONE")
        except RuntimeError:
            core.set_global_option("DFT_PRUNING_SCHEME", "FLAT")  # the word for it before 1.4
        self.reference = reference

    def new_wavefunction(self) -> Any:
        """Return a fresh mean field; raises UnknownFunctionalError where Psi4's libxc lacks the functional."""
        core = self.core
        empty = core.Wavefunction.build(self.molecule, core.get_global_option("BASIS"))
        name = "HF" if self.functional is None else self.functional
        return self.proc.scf_wavefunction_factory(name, empty, self.reference)

    def attempt(self, rung: dict[str, Any], guess: Any) -> tuple[Any, dict[str, Any]]:
        """Run one attempt of the rescue ladder; return the mean field and its description."""
        self.psi4.set_options({
            "GUESS": "SAD" if rung["guess"] == "previous" else rung["guess"].upper(),
            "MAXITER": self.job["max_cycles"],
            "DAMPING_PERCENTAGE": 100.0 * rung["damping"],
            "DAMPING_CONVERGENCE": DAMPING_STOPS,
            "SOSCF": rung["is_second_order"],
            "SOSCF_START_CONVERGENCE": SECOND_ORDER_STARTS,
        })  # fmt: skip
        described = {"method": rung["name"], "guess": rung["guess"], "is_converged": False}
        mean_field = self.new_wavefunction()
        if guess is not None:
            mean_field.guess_Ca(self.core.Matrix.from_array(guess[0]))
            mean_field.guess_Cb(self.core.Matrix.from_array(guess[1]))
        energy, cycles, shifted = None, 0, 0
        try:
            mean_field.initialize()
            if rung["level_shift_hartree"]:
                shifted = self.shifted_cycles(mean_field, rung["level_shift_hartree"])
            mean_field.iterations()
            described["is_converged"] = True
        except self.not_converged:
            pass
        except (RuntimeError, self.np.linalg.LinAlgError) as error:
            if MACHINE.search(str(error)):
                raise
            described["error"] = str(error).strip()[:300]
        cycles = max(int(mean_field.iteration_), shifted, 0)
        value = float(mean_field.get_energies("Total Energy"))
        energy = value if self.np.isfinite(value) and cycles > 0 else None
        described["is_converged"] = described["is_converged"] and energy is not None
        described.update(num_cycles=cycles, energy_hartree=energy)
        return mean_field, described

    def shifted_cycles(self, mean_field: Any, shift: float) -> int:
        """Cycle with empty orbitals raised, F + shift (S - S D S), until the orbital gradient is small.

        The term commutes with the density, so Psi4's convergence criterion does not see it. Psi4 before 1.4 has no
        level shift, and later ones switch it off by other rules.
        """
        plain = mean_field.form_F

        def form_F() -> None:  # noqa: N802 - Psi4's name
            plain()
            overlap = self.np.asarray(mean_field.S())
            pairs = [(mean_field.Fa(), mean_field.Da())]
            if not self.is_restricted:
                pairs.append((mean_field.Fb(), mean_field.Db()))
            for fock, density in pairs:
                filled = overlap @ self.np.asarray(density) @ overlap
                self.np.asarray(fock)[:] += shift * (overlap - filled)

        mean_field.form_F = form_F
        try:
            mean_field.iterations(e_conv=1.0, d_conv=DAMPING_STOPS)
        finally:
            del mean_field.form_F
            if mean_field.initialized_diis_manager_:
                # An attribute since 1.5, a method before.
                manager = getattr(mean_field, "diis_manager_", None) or mean_field.diis_manager()
                manager.reset_subspace()
        return int(mean_field.iteration_)

    def occupied(self, mean_field: Any) -> tuple[Any, Any]:
        """Return the occupied orbitals of both spins."""
        alpha, beta = self.np.asarray(mean_field.Ca()), self.np.asarray(mean_field.Cb())
        return alpha[:, : mean_field.nalpha()].copy(), beta[:, : mean_field.nbeta()].copy()

    def solve(self) -> tuple[Any, list[dict[str, Any]]]:
        """Climb the ladder until an SCF converges; return the mean field (or None) and the attempts."""
        attempts, previous = [], None
        path = self.folder / "guess.npz"
        if path.exists():
            given = self.np.load(path)
            previous = (given["alpha"], given["beta"])
        for rung in self.job["ladder"]:
            guess = previous if rung["guess"] == "previous" else None
            mean_field, described = self.attempt(rung, guess)
            attempts.append(described)
            if described["is_converged"]:
                return mean_field, attempts
            if described["energy_hartree"] is not None:
                previous = self.occupied(mean_field)
            self.core.clean()
        if all("error" in described for described in attempts):
            raise RuntimeError(attempts[0]["error"])
        return None, attempts

    def describe(self, mean_field: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the scalars and the arrays of a converged mean field."""
        np, basis = self.np, mean_field.basisset()
        counted = None
        if self.functional is not None:
            values = mean_field.V_potential().quadrature_values()
            counted = float(values["RHO_A"] + values["RHO_B"])
            if counted > 1.5 * (mean_field.nalpha() + mean_field.nbeta()):  # 1.3.2, restricted: both are the total
                counted /= 2
        energy = float(mean_field.finalize_energy())
        integrals = self.core.MintsHelper(basis)
        shells = [basis.shell(index) for index in range(basis.nshell())]
        lengths = [shell.nprimitive for shell in shells]
        primitives = [(shell.exp(p), shell.coef(p)) for shell in shells for p in range(shell.nprimitive)]
        arrays = {
            "shell_atom": [basis.shell_to_center(index) for index in range(len(shells))],
            "shell_momentum": [shell.am for shell in shells],
            "shell_first": [shell.function_index for shell in shells],
            "shell_length": lengths,
            "exponents": [pair[0] for pair in primitives],
            "coefficients": [pair[1] for pair in primitives],
            "overlap": np.asarray(integrals.ao_overlap()),
            "dipole_integrals": [np.asarray(matrix) for matrix in integrals.ao_dipole()],
            "alpha_coefficients": np.asarray(mean_field.Ca()),
            "alpha_energies": np.asarray(mean_field.epsilon_a()),
            "beta_coefficients": np.asarray(mean_field.Cb()),
            "beta_energies": np.asarray(mean_field.epsilon_b()),
            "nuclear_charges": [self.molecule.Z(atom) for atom in range(self.molecule.natom())],
        }
        scalars = {
            "energy_hartree": energy, "num_electrons_quadrature": counted, "num_alpha": int(mean_field.nalpha()),
            "num_beta": int(mean_field.nbeta()), "is_cartesian": not basis.has_puream(),
        }  # fmt: skip
        return scalars, {name: np.array(value) for name, value in arrays.items()}

    def gradient(self, mean_field: Any) -> Any:
        """Return dE/dR (atom, 3) [hartree/bohr]."""
        kwargs = {"molecule": self.molecule, "ref_wfn": mean_field}
        if self.functional is not None:
            kwargs["dft_functional"] = self.functional
        after = self.proc.run_scf_gradient("scf", **kwargs)
        return self.np.asarray(after.gradient()).copy()


def unknown_functional(psi4: Any, job: dict[str, Any]) -> str | None:
    """Return what Psi4's libxc says of the first part of the functional that it lacks, or None."""
    functional = job["functional"] or {}
    for group in ("xc_functionals", "x_functionals", "c_functionals"):
        for name in functional.get(group, {}):
            try:
                psi4.core.LibXCFunctional("XC_" + name, True)
            except Exception as error:
                return f"{name}: {str(error).strip()[-200:]}"
    return None


def run(folder: Path) -> dict[str, Any]:
    """Do the job of a folder; return its result."""
    job = json.loads((folder / "job.json").read_text())
    import psi4  # type: ignore[import-not-found]  # noqa: PLC0415, I001 - after the environment is set
    import numpy  # noqa: PLC0415

    lacking = unknown_functional(psi4, job)
    if lacking is not None:
        return {"status": "unknown_functional", "message": lacking, "version": psi4.__version__}
    worker = Worker(psi4, numpy, folder, job)
    mean_field, attempts = worker.solve()
    if mean_field is None:
        return {"status": "not_converged", "attempts": attempts, "version": psi4.__version__}
    scalars, arrays = worker.describe(mean_field)
    if job["wants_gradient"]:
        arrays["gradient"] = worker.gradient(mean_field)
    numpy.savez(folder / "result.npz", **arrays)
    return {"status": "done", "attempts": attempts, "version": psi4.__version__, **scalars}


def failure(error: Exception) -> dict[str, Any]:
    """Return the answer that says what was raised."""
    return {"status": "error", "message": type(error).__name__ + ": " + str(error), "trace": traceback.format_exc()}


def main() -> None:
    """Run the job of the folder named first, with the library in the folder named second."""
    folder, library = Path(sys.argv[1]), sys.argv[2]
    leave_with_parent(folder)
    os.environ.update(PSI_SCRATCH=str(folder), OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")
    os.chdir(folder)  # Psi4 writes timer.dat where it stands
    if library:
        sys.path.insert(0, library)
    try:
        try:
            result = run(folder)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            result = failure(error)
        except Exception as error:
            result = failure(error)
        partial = folder / "result.json.partial"
        partial.write_text(json.dumps(result))
        partial.replace(folder / "result.json")
    except OSError as error:
        print(error, flush=True)
        os._exit(EXIT_DISK_FULL)


if __name__ == "__main__":
    main()
