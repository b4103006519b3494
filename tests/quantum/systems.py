"""Small molecules and levels that the tests of this folder share; lengths in bohr."""

import numpy as np

from decar.config import QuantumSettings
from decar.quantum.backend import System
from decar.quantum.level import Level


def system(numbers, geometry, charge=0, multiplicity=1):
    return System(np.array(numbers, dtype=np.int32), np.array(geometry, dtype=float), charge, multiplicity)


def level(**settings):
    """A cheap level; settings of the study file override it."""
    cheap = {"method": "hf", "basis": "sto-3g", "quadrature_level": 1, "convergence_hartree": 1e-8}
    return Level.from_settings(QuantumSettings(**{**cheap, **settings}))


HELIUM = system([2], [[0, 0, 0]])
HYDROGEN = system([1], [[0, 0, 0]], multiplicity=2)
WATER = system([8, 1, 1], [[0, 0, 0.2217], [0, 1.4309, -0.8867], [0, -1.4309, -0.8867]])
HYDROXIDE = system([8, 1], [[0, 0, 0], [0, 0, 1.83]], charge=-1)
OXYGEN = system([8, 8], [[0, 0, 0], [0, 0, 2.282]], multiplicity=3)
CYANO = system([6, 7], [[0, 0, 0], [0, 0, 2.214]], multiplicity=2)
BOHR = 1 / 0.529177210903
HYDROGEN_CHLORIDE = system([17, 1], [[0, 0, 0], [0, 0, 1.2662 * BOHR]])
HYDROGEN_SULFIDE = system([16, 1, 1], [[0, 0, 0], [0, 1.82, 1.75], [0, -1.82, 1.75]])
AMMONIUM = system(
    [7, 1, 1, 1, 1],
    1.0102 * BOHR / 3**0.5 * np.array([[0, 0, 0], [1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]),
    charge=1,
)
