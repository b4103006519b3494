"""An engine without an SCF, for benchmarks of everything else: orbitals of the one-electron Hamiltonian, H C = S C e.

Real records (orthonormal orbitals, the right number of electrons, real shells) of a wrong wavefunction, in a hundredth
of a second. It is no part of decar: `install` writes a program `decar` that is put first in PATH, and that program
gives the wavefunction stage this engine before it runs the step that the workflow asked for.
"""

import sys
from pathlib import Path

import numpy as np
from scipy.linalg import eigh

from decar.quantum.backend import System
from decar.quantum.level import Level
from decar.quantum.pyscf_backend import PyscfBackend
from decar.quantum.pyscf_mole import build_mole, extract_basis
from decar.quantum.wavefunction import Wavefunction

PROGRAM = """\
#!{python}
import sys

sys.path.insert(0, {benchmarks!r})
from decar.cli import main

if sys.argv[1] == "wavefunction":
    import decar.quantum.single_point
    from instant_engine import InstantBackend

    decar.quantum.single_point.get_backend = lambda settings: InstantBackend()
main()
"""


def install(folder: Path) -> Path:
    """Write the program into a folder, which is to come first in PATH."""
    program = folder / "decar"
    folder.mkdir(parents=True, exist_ok=True)
    program.write_text(PROGRAM.format(python=sys.executable, benchmarks=str(Path(__file__).resolve().parent)))
    program.chmod(0o755)
    return folder


class InstantBackend(PyscfBackend):
    """Closed shells only: all that the benchmark has."""

    def single_point(self, system: System, level: Level) -> Wavefunction:
        mole = build_mole(system, level, self.max_memory_mb)
        core = mole.intor_symmetric("int1e_kin") + mole.intor_symmetric("int1e_nuc")
        energies, orbitals = eigh(core, mole.intor_symmetric("int1e_ovlp"))
        occupied = system.num_electrons // 2
        occupations = np.array([2.0] * occupied + [0.0])
        quality = {
            "num_electrons_quadrature": float(system.num_electrons), "s_squared": 0.0, "s_squared_exact": 0.0,
            "gap_hartree": float(energies[occupied] - energies[occupied - 1]), "num_cycles": 0, "is_converged": True,
            "is_stable": None, "is_stable_to_spin": None, "attempts": [{"engine": "instant: no SCF"}],
        }  # fmt: skip
        return Wavefunction(
            atomic_numbers=system.atomic_numbers,
            nuclear_charges=np.asarray(mole.atom_charges(), dtype=np.float64),
            geometry_bohr=system.geometry_bohr,
            basis=extract_basis(mole),
            alpha_coefficients=np.ascontiguousarray(orbitals[:, : occupied + 1]),
            alpha_occupations=occupations,
            alpha_energies=energies[: occupied + 1],
            beta_coefficients=None,
            beta_occupations=None,
            beta_energies=None,
            charge=system.charge,
            multiplicity=system.multiplicity,
            energy_hartree=float(2 * energies[:occupied].sum()),
            dipole_e_bohr=np.zeros(3),
            level=level.to_metadata(),
            quality=quality,
        )
