r"""A wavefunction parted into soft and hard Gaussians, and with it the electron density.

Primitives with exponents up to a limit are soft. Each orbital is psi = s + sum_A h_A: s from the soft primitives of
all atoms, h_A from the hard ones of atom A. Then

    rho = sum_i psi_i^2 = sum_i s_i^2 + sum_A rho_A,   rho_A = sum_i h_A,i (2 s_i + sum_B f_AB h_B,i)

without remainder: the first term has no wavelength shorter than its exponents allow, each rho_A ends where the hard
functions of its atom end. The product of hard functions of two atoms goes to the heavier one (f_AB = 2 or 0), near
whose nucleus the other's function is smooth; f_AB = 1 between equal atoms and for A = B. (The same split carries the
Gaussian and augmented-plane-wave method, doi 10.1007/s002140050523, and the Fourier-transform Coulomb method, doi
10.1063/1.1510121.)
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from decar.fields.orbitals import CartesianOrbitals, cartesian_orbitals
from decar.quantum.wavefunction import Basis, Wavefunction

Floats = NDArray[np.float64]
Kept = NDArray[np.bool_]
MESH_BOHR = np.linspace(0.05, 60.0, 2400)  # radii at which functions are followed outwards


@dataclass(frozen=True)
class GaussianSplit:
    """The parts of one wavefunction, as orbitals over Cartesian Gaussians with the same columns."""

    wavefunction: Wavefunction
    is_soft: Kept  # of each primitive
    soft_tail: float  # value of an orbital where it ends [bohr^-3/2]
    hard_tail: float

    @cached_property
    def soft(self) -> CartesianOrbitals | None:
        """Return s_i; None where every primitive is hard."""
        return _part(self.wavefunction, self.is_soft)

    @cached_property
    def partners(self) -> dict[int, CartesianOrbitals]:
        """Return 2 s_i + sum_B f_AB h_B,i for each element A."""
        numbers = self.wavefunction.atomic_numbers
        return {
            number: _partner(
                self.wavefunction, np.where(self.is_soft, 2.0, 1.0 + np.sign(number - numbers[self._owner]))
            )
            for number in np.unique(numbers).tolist()
        }

    @cached_property
    def hard(self) -> list[CartesianOrbitals | None]:
        """Return h_A,i of each atom."""
        num = len(self.wavefunction.atomic_numbers)
        return [_part(self.wavefunction, ~self.is_soft & (self._owner == atom)) for atom in range(num)]

    @cached_property
    def soft_reach_bohr(self) -> Floats:
        """Return, of each atom, beyond what its soft functions are below the tail."""
        return _reaches(self.wavefunction, self.is_soft, self.soft_tail)

    @cached_property
    def hard_reach_bohr(self) -> Floats:
        """Return the same of its hard functions."""
        return _reaches(self.wavefunction, ~self.is_soft, self.hard_tail)

    @property
    def highest_exponent(self) -> float:
        """Return that of the products of soft primitives; 0 where there are none."""
        return float(2 * self.wavefunction.basis.exponents[self.is_soft].max(initial=0.0))

    @property
    def _owner(self) -> NDArray[np.int32]:
        """Return the atom of each primitive."""
        return np.repeat(self.wavefunction.basis.atom, self.wavefunction.basis.num_primitives)


def split_gaussians(wavefunction: Wavefunction, limit: float, soft_tail: float, hard_tail: float) -> GaussianSplit:
    """Return the parts; `limit` [bohr^-2] is the highest soft exponent, tails are values of orbitals [bohr^-3/2]."""
    return GaussianSplit(wavefunction, wavefunction.basis.exponents <= limit, soft_tail, hard_tail)


def _part(wavefunction: Wavefunction, kept: Kept) -> CartesianOrbitals | None:
    return cartesian_orbitals(keep_primitives(wavefunction, kept)) if kept.any() else None


def _partner(wavefunction: Wavefunction, factors: Floats) -> CartesianOrbitals:
    basis = replace(wavefunction.basis, coefficients=factors * wavefunction.basis.coefficients)
    return cartesian_orbitals(keep_primitives(replace(wavefunction, basis=basis), factors > 0))


def keep_primitives(wavefunction: Wavefunction, kept: Kept) -> Wavefunction:
    """Return the wavefunction with some of its primitives, (primitive,) bool; shells without any are dropped."""
    basis = wavefunction.basis
    counts = np.add.reduceat(kept, np.cumsum(basis.num_primitives) - basis.num_primitives).astype(np.int32)
    shells = counts > 0
    part = Basis(
        basis.atom[shells], basis.angular_momentum[shells], counts[shells], basis.exponents[kept],
        basis.coefficients[kept], basis.is_cartesian,
    )  # fmt: skip
    rows = np.repeat(shells, _shell_sizes(basis))
    beta = wavefunction.beta_coefficients
    return replace(
        wavefunction, basis=part, alpha_coefficients=wavefunction.alpha_coefficients[rows],
        beta_coefficients=None if beta is None else beta[rows],
    )  # fmt: skip


def _shell_sizes(basis: Basis) -> NDArray[np.int64]:
    momenta = basis.angular_momentum.astype(np.int64)
    return (momenta + 1) * (momenta + 2) // 2 if basis.is_cartesian else 2 * momenta + 1


def _reaches(wavefunction: Wavefunction, kept: Kept, tail: float) -> Floats:
    """Return the distance from each atom beyond which sum over its shells of |C| r^l |R(r)| is below `tail`."""
    basis = wavefunction.basis
    weights = (wavefunction.alpha_coefficients**2) @ wavefunction.alpha_occupations
    if wavefunction.beta_coefficients is not None and wavefunction.beta_occupations is not None:
        weights = weights + (wavefunction.beta_coefficients**2) @ wavefunction.beta_occupations
    sizes = _shell_sizes(basis)
    norms = np.sqrt(np.add.reduceat(weights, np.cumsum(sizes) - sizes))
    amplitudes = np.zeros((len(wavefunction.atomic_numbers), len(MESH_BOHR)))
    first = 0
    for shell, count in enumerate(basis.num_primitives.tolist()):
        here = np.flatnonzero(kept[first : first + count]) + first
        first += count
        radial = np.abs(basis.coefficients[here]) @ np.exp(-np.outer(basis.exponents[here], MESH_BOHR**2))
        amplitudes[basis.atom[shell]] += norms[shell] * MESH_BOHR ** float(basis.angular_momentum[shell]) * radial
    last = [np.flatnonzero(amplitude > tail) for amplitude in amplitudes]
    return np.array([MESH_BOHR[index[-1]] if len(index) else 0.0 for index in last])
