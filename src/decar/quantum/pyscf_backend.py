"""PySCF as an engine, in process (doi 10.1063/5.0006074)."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np

from decar.errors import ResourceError
from decar.provenance import package_versions
from decar.quantum.backend import System
from decar.quantum.level import Level
from decar.quantum.wavefunction import Floats, Wavefunction
from decar.threads import limit_threads


@dataclass(frozen=True)
class PyscfBackend:
    """The engine that comes with decar; one thread by default, since molecules run beside each other."""

    num_threads: int = 1
    max_memory_mb: int = 4000
    device: str = "cpu"  # or "cuda": the cycles of the SCF run there (pyscf_gpu.py)
    name: str = "pyscf"

    def availability(self) -> str | None:
        """Return None, or the line that installs PySCF, or what its device lacks."""
        if not find_spec("pyscf"):
            return "PySCF is not installed: pip install pyscf"
        if self.device == "cuda":
            from decar.quantum import pyscf_gpu  # noqa: PLC0415 - an engine is imported when first used

            return pyscf_gpu.availability()
        return None

    def version(self) -> dict[str, str]:
        """Return the versions of PySCF and libxc."""
        from decar.quantum.pyscf_library import dft  # noqa: PLC0415 - an engine is imported when first used

        versions = {"pyscf": package_versions("pyscf")["pyscf"], "libxc": str(dft.libxc.__version__)}
        if self.device == "cuda":
            import gpu4pyscf  # noqa: PLC0415 - only where it is asked for

            versions["gpu4pyscf"] = str(gpu4pyscf.__version__)
        return versions

    def energy_and_gradient(self, system: System, level: Level) -> tuple[float, Floats]:
        """See `Backend`."""
        with self._running() as engine:
            mf = engine.solve(system, level, self.max_memory_mb, self.device).mf
            gradient = mf.nuc_grad_method().kernel()
            return float(mf.e_tot), np.asarray(gradient, dtype=np.float64)

    def single_point(self, system: System, level: Level) -> Wavefunction:
        """See `Backend`."""
        with self._running() as engine:
            wavefunction: Wavefunction = engine.wavefunction(system, level, self.max_memory_mb, self.device)
            return wavefunction

    @contextmanager
    def _running(self) -> Iterator[Any]:
        """Yield the module that uses PySCF, threads set; errors of the machine become ResourceError."""
        from decar.quantum import pyscf_scf  # noqa: PLC0415 - an engine is imported when first used

        try:
            with limit_threads(self.num_threads):
                yield pyscf_scf
        except MemoryError as error:
            raise ResourceError(
                "the memory is used up", seen=str(error) or None, remedy="give the job more memory"
            ) from error
        except OSError as error:
            if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
                raise
            raise ResourceError("the disk is full", where=error.filename, remedy="free space, run again") from error
