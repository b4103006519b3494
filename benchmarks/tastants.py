"""The file of 308 tastants (B3LYP/6-31G*, computed independently of decar) as wavefunctions of decar."""

from typing import Any

import numpy as np

from decar.config import QuantumSettings
from decar.quantum.backend import System
from decar.quantum.level import Level
from decar.quantum.pyscf_mole import build_mole, extract_basis
from decar.quantum.wavefunction import Wavefunction

DEBYE = 2.541746473  # an e bohr


def tastant(group: Any) -> Wavefunction:
    """Return one group of the file; it states occupied orbitals only."""
    stated, numbers = group.attrs, group["atomic_numbers"][()].astype(np.int32)
    level = Level.from_settings(
        QuantumSettings(quadrature_level=int(stated["grid_level"]), convergence_hartree=float(stated["conv_tol"]))
    )
    system = System(numbers, group["geometry_bohr"][()].astype(np.float64), int(stated["charge"]), 1)
    orbitals = group["mo_occupied"][()].astype(np.float64)
    number = orbitals.shape[1]
    return Wavefunction(
        numbers, numbers.astype(np.float64), system.geometry_bohr, extract_basis(build_mole(system, level, 4000)),
        orbitals, np.full(number, 2.0), group["mo_energy"][()][:number].astype(np.float64), None, None, None,
        system.charge, 1, float(stated["energy_hartree"]), np.asarray(stated["dipole_debye"]) / DEBYE,
        level.to_metadata(), {},
    )  # fmt: skip
