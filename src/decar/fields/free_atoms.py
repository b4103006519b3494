r"""Spherical densities of free neutral atoms, H to Xe, from a table that `free_atoms_scf.py` made.

ln rho is tabulated at radii in geometric progression and interpolated by a cubic spline in ln r: within 1e-5 relative
of the self-consistent densities wherever rho exceeds 1e-10 e/bohr^3.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from decar.errors import InputMoleculeError

Floats = NDArray[np.float64]
RADII_BOHR = np.geomspace(1e-5, 25.0, 256)
TABLE_PATH = Path(__file__).parent / "data" / "free_atoms.npz"
NEGLIGIBLE = 1e-10  # density that counts as zero [e/bohr^3]; Gaussian tails are not physical much below it


@dataclass(frozen=True)
class FreeAtom:
    """Density of one element: ln rho = cubic polynomial in (ln r - ln r_k) on each interval k."""

    atomic_number: int
    energy_hartree: float
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
    """Return the first ln r of the table and its step."""
    return float(np.log(RADII_BOHR[0])), float(np.log(RADII_BOHR[-1] / RADII_BOHR[0])) / (len(RADII_BOHR) - 1)


@cache
def _table() -> dict[str, NDArray[np.generic]]:
    with np.load(TABLE_PATH) as file:
        return {name: file[name] for name in file.files}


def has_free_atom(atomic_number: int) -> bool:
    """Return whether the table has this element."""
    return atomic_number in _table()["atomic_numbers"]


def level() -> str:
    """Return the level of theory of the table."""
    return str(_table()["level"])


@cache
def free_atom_density(atomic_number: int) -> FreeAtom:
    """Return the density of an element; raises InputMoleculeError (`element_without_free_atom`) beyond Xe."""
    table = _table()
    rows = np.flatnonzero(table["atomic_numbers"] == atomic_number)
    if not len(rows):
        raise InputMoleculeError(
            "there is no free-atom density of this element", reason="element_without_free_atom",
            seen=f"atomic number {atomic_number}", expected="H to Xe",
            remedy="leave promolecular_density out of fields.names",
        )  # fmt: skip
    logarithms = table["log_density"][rows[0]].astype(np.float64)
    spline = CubicSpline(np.log(RADII_BOHR), logarithms)
    first_small = int(np.argmax(logarithms < np.log(NEGLIGIBLE)))
    energy = float(table["energies_hartree"][rows[0]])
    return FreeAtom(atomic_number, energy, np.ascontiguousarray(spline.c.T), float(RADII_BOHR[first_small]))
