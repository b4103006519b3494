r"""The wavefunction: what is computed once and kept for ever, independent of the program that computed it.

A basis function of shell s (centre A, angular momentum l) is, with r measured from A,

    cartesian:  phi_abc(r) = N_l  x^a y^b z^c  sum_p c_p exp(-alpha_p r^2),   a + b + c = l
    spherical:  phi_m(r)   = S_lm(r)           sum_p c_p exp(-alpha_p r^2),   S_lm real solid harmonic

N_0 = sqrt(1/4pi), N_1 = sqrt(3/4pi), N_l = 1 for l >= 2; S_lm is normalised to one on the unit sphere. The coefficients
c_p contain the normalisation of each primitive and of the contraction, so that the radial part has norm one. Order of
functions: shell by shell; cartesian components as xx, xy, xz, yy, yz, zz (lexical); spherical ones from m = -l to +l,
except l = 1, which is x, y, z. This is the convention of libcint (doi 10.1002/jcc.23981) and PySCF.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int32]


def kept_orbitals(occupations: Floats, energies: Floats) -> list[int]:
    """Return the places of the orbitals that a record keeps: the occupied ones and the lowest empty one, by energy."""
    occupied, empty = np.flatnonzero(occupations > 0), np.flatnonzero(occupations == 0)
    return [*occupied[np.argsort(energies[occupied])], *empty[np.argsort(energies[empty])][:1]]


@dataclass(frozen=True)
class Basis:
    """Contracted Gaussian shells; general contractions are stored as separate shells."""

    atom: Integers  # (shell,) index of the atom that carries the shell
    angular_momentum: Integers  # (shell,)
    num_primitives: Integers  # (shell,)
    exponents: Floats  # (sum of num_primitives,) [bohr^-2]
    coefficients: Floats  # (sum of num_primitives,) c_p of the formula above
    is_cartesian: bool

    @property
    def num_functions(self) -> int:
        """Return the number of basis functions."""
        l = self.angular_momentum.astype(int)  # noqa: E741
        return int(((l + 1) * (l + 2) // 2).sum() if self.is_cartesian else (2 * l + 1).sum())


@dataclass(frozen=True)
class Wavefunction:
    """One Slater determinant. Restricted: `beta_*` is None and alpha occupations are 2; unrestricted: both are 1 or 0.

    Occupied orbitals and, where it exists, the lowest unoccupied one (of occupation 0), in order of energy.
    """

    atomic_numbers: Integers  # (atom,)
    nuclear_charges: Floats  # (atom,) less the electrons of an effective core potential
    geometry_bohr: Floats  # (atom, 3), the input frame
    basis: Basis
    alpha_coefficients: Floats  # (function, orbital)
    alpha_occupations: Floats  # (orbital,)
    alpha_energies: Floats  # (orbital,) [hartree]
    beta_coefficients: Floats | None
    beta_occupations: Floats | None
    beta_energies: Floats | None
    charge: int
    multiplicity: int
    energy_hartree: float
    dipole_e_bohr: Floats  # (3,) about the origin
    level: Mapping[str, Any]  # level of theory, as stated by the level module
    quality: Mapping[str, Any]  # electron count on the quadrature, <S^2>, gap, cycles, attempts of the rescue ladder

    @property
    def num_electrons(self) -> float:
        """Return the number of electrons that the orbitals hold."""
        beta = 0.0 if self.beta_occupations is None else float(self.beta_occupations.sum())
        return float(self.alpha_occupations.sum()) + beta

    def density_matrix(self) -> Floats:
        """Return the one-particle density matrix P = sum_i n_i C_i C_i^T over both spins, (function, function)."""
        matrix = (self.alpha_coefficients * self.alpha_occupations) @ self.alpha_coefficients.T
        if self.beta_coefficients is not None and self.beta_occupations is not None:
            matrix = matrix + (self.beta_coefficients * self.beta_occupations) @ self.beta_coefficients.T
        return matrix

    def to_arrays(self, prefix: str) -> dict[str, NDArray[Any]]:
        """Return the arrays of a record, each name beginning with `prefix`."""
        arrays: dict[str, NDArray[Any]] = {
            "atomic_numbers": self.atomic_numbers,
            "nuclear_charges": self.nuclear_charges,
            "geometry_bohr": self.geometry_bohr,
            "basis/atom": self.basis.atom,
            "basis/angular_momentum": self.basis.angular_momentum,
            "basis/num_primitives": self.basis.num_primitives,
            "basis/exponents": self.basis.exponents,
            "basis/coefficients": self.basis.coefficients,
            "dipole_e_bohr": self.dipole_e_bohr,
        }
        for spin in ("alpha", "beta"):
            for name in ("coefficients", "occupations", "energies"):
                value = getattr(self, f"{spin}_{name}")
                if value is not None:
                    arrays[f"{spin}/{name}"] = value
        return {prefix + name: array for name, array in arrays.items()}

    def to_metadata(self) -> dict[str, Any]:
        """Return the JSON-able part of a record."""
        return {
            "charge": self.charge,
            "multiplicity": self.multiplicity,
            "energy_hartree": self.energy_hartree,
            "is_cartesian": self.basis.is_cartesian,
            "level": dict(self.level),
            "quality": dict(self.quality),
        }

    @classmethod
    def from_record(
        cls, arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, Any], prefix: str
    ) -> "Wavefunction":
        """Build from the arrays named `prefix...` and the metadata of one conformer."""
        get = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
        basis = Basis(
            get["basis/atom"], get["basis/angular_momentum"], get["basis/num_primitives"],
            get["basis/exponents"], get["basis/coefficients"], bool(metadata["is_cartesian"]),
        )  # fmt: skip
        return cls(
            get["atomic_numbers"], get["nuclear_charges"], get["geometry_bohr"], basis,
            get["alpha/coefficients"], get["alpha/occupations"], get["alpha/energies"],
            get.get("beta/coefficients"), get.get("beta/occupations"), get.get("beta/energies"),
            int(metadata["charge"]), int(metadata["multiplicity"]), float(metadata["energy_hartree"]),
            get["dipole_e_bohr"], metadata["level"], metadata["quality"],
        )  # fmt: skip
