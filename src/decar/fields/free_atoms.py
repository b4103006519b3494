r"""Spherical densities of free neutral atoms, H to Xe, from a table that `free_atoms_scf.py` made.

ln rho is tabulated at radii in geometric progression and interpolated by a spline of fifth order in ln r: within 1e-5
relative of the self-consistent densities wherever rho exceeds 1e-10 e/bohr^3.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline, make_interp_spline
from scipy.optimize import brentq

from decar.errors import InputMoleculeError

Floats = NDArray[np.float64]
RADII_BOHR = np.geomspace(1e-5, 25.0, 256)
TABLE_PATH = Path(__file__).parent / "data" / "free_atoms.npz"
NUM_INTERVALS = 1020  # of the cubic pieces that evaluation works with, four in each step of the table
NEGLIGIBLE = 1e-10  # density that counts as zero [e/bohr^3]; Gaussian tails are not physical much below it


@dataclass(frozen=True)
class FreeAtom:
    """Density of one atom: ln rho = cubic polynomial in (ln r - ln r_k) on each interval k."""

    atomic_number: int
    num_electrons: float
    polynomials: Floats  # (interval, 4), the constant term last
    cutoff_bohr: float  # beyond it the density is negligible

    def density(self, radii_bohr: Floats) -> Floats:
        """Return rho(r) [e/bohr^3] at radii of any shape."""
        start, step = log_lattice()
        log_radius = np.log(np.maximum(radii_bohr, RADII_BOHR[0]))
        interval = np.clip(((log_radius - start) / step).astype(int), 0, len(self.polynomials) - 1)
        u = log_radius - start - step * interval
        a, b, c, d = np.moveaxis(self.polynomials[interval], -1, 0)
        return np.where(radii_bohr < self.cutoff_bohr, np.exp(((a * u + b) * u + c) * u + d), 0.0)


def log_lattice() -> tuple[float, float]:
    """Return the first ln r of the cubic pieces and their length."""
    return float(np.log(RADII_BOHR[0])), float(np.log(RADII_BOHR[-1] / RADII_BOHR[0])) / NUM_INTERVALS


@cache
def _table() -> dict[str, NDArray[np.generic]]:
    with np.load(TABLE_PATH) as file:
        return {name: file[name] for name in file.files}


def level() -> str:
    """Return the level of theory of the table."""
    return str(_table()["level"])


@cache
def free_atom_density(atomic_number: int) -> FreeAtom:
    """Return the density of an element; raises InputMoleculeError (`element_without_free_atom`) beyond Xe."""
    return _atom(atomic_number, float(atomic_number), _log_density(atomic_number))


@cache
def valence_density(atomic_number: int, num_electrons: float) -> FreeAtom:
    """Return the density of a free atom with its core damped away, such that `num_electrons` are left.

    rho(r) (1 - exp(-(r / c)^4)), c chosen for the count: the outer shells as they are, something smooth within.
    """
    if num_electrons == atomic_number:
        return free_atom_density(atomic_number)
    log_density, log_radii = _log_density(atomic_number), np.log(RADII_BOHR)
    shells = 4 * np.pi * RADII_BOHR**3 * np.exp(log_density)

    def surplus(log_core: float) -> float:
        damping = -np.expm1(-((RADII_BOHR / np.exp(log_core)) ** 4))
        return float(CubicSpline(log_radii, shells * damping).integrate(log_radii[0], log_radii[-1]) - num_electrons)

    core = np.exp(brentq(surplus, np.log(1e-3), np.log(10.0)))
    return _atom(atomic_number, num_electrons, log_density + np.log(-np.expm1(-((RADII_BOHR / core) ** 4))))


def _log_density(atomic_number: int) -> Floats:
    table = _table()
    rows = np.flatnonzero(table["atomic_numbers"] == atomic_number)
    if not len(rows):
        raise InputMoleculeError(
            "there is no free-atom density of this element", reason="element_without_free_atom",
            seen=f"atomic number {atomic_number}", expected="H to Xe",
            remedy="leave promolecular_density out of fields.names",
        )  # fmt: skip
    return np.asarray(table["log_density"][rows[0]], dtype=np.float64)


def _atom(atomic_number: int, num_electrons: float, log_density: Floats) -> FreeAtom:
    start, step = log_lattice()
    nodes = start + step * np.arange(NUM_INTERVALS + 1)
    spline = CubicSpline(nodes, make_interp_spline(np.log(RADII_BOHR), log_density, k=5)(nodes))
    last = int(np.flatnonzero(log_density > np.log(NEGLIGIBLE))[-1])
    cutoff = float(RADII_BOHR[min(last + 1, len(RADII_BOHR) - 1)])
    return FreeAtom(atomic_number, num_electrons, np.ascontiguousarray(spline.c.T), cutoff)


def free_atom_energy(atomic_number: int) -> float:
    """Return the energy of a free atom at the table's level [hartree]."""
    table = _table()
    return float(table["energies_hartree"][table["atomic_numbers"] == atomic_number][0])
