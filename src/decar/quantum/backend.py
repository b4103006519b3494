"""The seam between decar and a quantum-chemistry engine.

An engine turns a system and a level of theory into an energy with its gradient, or into a wavefunction. Everything else
(which geometry, dispersion, optimisation, records, fields) is decided outside and is the same for all engines.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from decar.config import QuantumSettings
from decar.errors import BackendUnavailableError, ConfigError, InputMoleculeError
from decar.quantum.level import Level
from decar.quantum.wavefunction import Floats, Integers, Wavefunction

LEAST_DISTANCE_BOHR = 0.5  # nuclei closer than this (H2: 1.4) are an error of the input, not a molecule


@dataclass(frozen=True)
class System:
    """Nuclei, charge and multiplicity; raises InputMoleculeError where they contradict each other."""

    atomic_numbers: Integers  # (atom,)
    geometry_bohr: Floats  # (atom, 3)
    charge: int
    multiplicity: int  # 2S + 1

    def __post_init__(self) -> None:
        unpaired = self.multiplicity - 1
        if self.multiplicity < 1 or unpaired > self.num_electrons or (self.num_electrons - unpaired) % 2:
            raise InputMoleculeError(
                "this number of electrons cannot have this multiplicity",
                reason="impossible_multiplicity",
                seen=f"{self.num_electrons} electrons, multiplicity {self.multiplicity}",
                expected="an odd multiplicity for an even number of electrons, an even one for an odd number",
                remedy="correct the charge or the multiplicity of this row",
            )
        if not np.isfinite(self.geometry_bohr).all():
            raise InputMoleculeError("a coordinate is not a number", reason="bad_geometry")
        distance = np.linalg.norm(self.geometry_bohr[:, None] - self.geometry_bohr[None], axis=-1)
        distance[np.diag_indices_from(distance)] = np.inf
        if distance.min() < LEAST_DISTANCE_BOHR:
            raise InputMoleculeError(
                "two nuclei coincide",
                reason="bad_geometry",
                seen=f"{distance.min():.3f} bohr",
                expected=f"at least {LEAST_DISTANCE_BOHR} bohr",
            )

    @property
    def num_electrons(self) -> int:
        """Return the number of electrons, those of effective core potentials included."""
        return int(self.atomic_numbers.sum()) - self.charge


class Backend(Protocol):
    """The contract of an engine; `tests/quantum/contract` holds each one to it.

    - Atomic units in and out: bohr, hartree, hartree/bohr, e bohr.
    - The input frame is kept: no engine moves or turns the molecule, and atoms keep their order.
    - The level is obeyed to the letter (functional, fitting basis, kind of d functions) or refused with ConfigError.
    - An SCF that does not converge raises ConvergenceError (reason `scf_not_converged`) with what was attempted; an
      unconverged energy is never returned. An element that a basis lacks is InputMoleculeError
      (`element_without_basis`). A machine that runs out of memory or disk is ResourceError.
    - Nothing is printed, and nothing is left on disk.
    - Equal arguments give equal numbers, whatever was computed before.
    """

    @property
    def name(self) -> str:
        """Return the name that a study file gives this engine."""
        ...

    def availability(self) -> str | None:
        """Return None when the engine can run, else the reason and the line that installs it."""
        ...

    def version(self) -> dict[str, str]:
        """Return the versions of the engine and of the libraries that decide its numbers."""
        ...

    def energy_and_gradient(self, system: System, level: Level) -> tuple[float, Floats]:
        """Return E [hartree] and dE/dR [hartree/bohr], (atom, 3); no dispersion correction is added."""
        ...

    def single_point(self, system: System, level: Level) -> Wavefunction:
        """Return the wavefunction with its quality figures.

        `quality` holds num_electrons_quadrature, s_squared (and s_squared_exact), gap_hartree, num_cycles,
        is_converged, is_stable and is_stable_to_spin (None where not analysed), and attempts: an entry a thing tried.
        """
        ...


def check_quantum(settings: QuantumSettings) -> None:
    """Raise ConfigError where the level of a study does not exist, or its engine cannot obey it; runs no engine."""
    level = Level.from_settings(settings)
    if settings.backend == "psi4":
        if settings.device == "cuda":
            raise ConfigError(
                "Psi4 runs on the processor only", where="quantum.device", seen="cuda", expected="cpu",
                remedy="set quantum.device: cpu, or quantum.backend: pyscf",
            )  # fmt: skip
        from decar.quantum.psi4_job import check_level  # noqa: PLC0415 - an engine is imported only when asked for

        check_level(level)


def get_backend(settings: QuantumSettings, num_threads: int = 1) -> Backend:
    """Return the engine of a study, ready to run; raises BackendUnavailableError with the install line."""
    backend: Backend
    # An engine is imported only when it is asked for: the others need not be installed.
    if settings.backend == "psi4":
        from decar.quantum.psi4_backend import Psi4Backend  # noqa: PLC0415

        backend = Psi4Backend(
            num_threads, command=settings.psi4_command, scratch=settings.scratch,
            time_limit_minutes=settings.time_limit_minutes,
        )  # fmt: skip
    else:
        from decar.quantum.pyscf_backend import PyscfBackend  # noqa: PLC0415

        backend = PyscfBackend(num_threads, device=settings.device)
    reason = backend.availability()
    if reason is not None:
        raise BackendUnavailableError(f"{backend.name} cannot run", seen=reason)
    return backend
