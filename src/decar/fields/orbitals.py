r"""Occupied orbitals over Cartesian Gaussians: the form in which every field is evaluated.

A basis function is  phi(r) = x^a y^b z^c sum_p c_p exp(-alpha_p r^2)  with r = (x, y, z) measured from its centre, so
each primitive is a product of three functions of one coordinate. Spherical functions are written in monomials once,
in the orbital coefficients; occupations n_i are folded in as sqrt(n_i), and both spins stand side by side, so that

    rho(r) = sum_i psi_i(r)^2,   psi_i = sum_mu C_mu,i phi_mu
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from decar.fields.harmonics import cartesian_coefficients, cartesian_powers
from decar.quantum.wavefunction import Basis, Wavefunction

Floats = NDArray[np.float64]
Derivative = tuple[int, int, int]  # how often along x, y, z
VALUE: Derivative = (0, 0, 0)
GRADIENT: tuple[Derivative, ...] = ((1, 0, 0), (0, 1, 0), (0, 0, 1))
CURVATURE: tuple[Derivative, ...] = ((2, 0, 0), (0, 2, 0), (0, 0, 2))


@dataclass(frozen=True)
class FunctionGroup:
    """Functions of shells with equally many primitives, so that their tables are one tensor."""

    centres: torch.Tensor  # (shell, 3) [bohr]
    exponents: torch.Tensor  # (shell, primitive) [bohr^-2]
    contraction: torch.Tensor  # (shell, primitive)
    shell: torch.Tensor  # (function,) which shell a function belongs to
    powers: torch.Tensor  # (function, 3) a, b, c

    def __len__(self) -> int:
        """Return the number of functions."""
        return len(self.shell)


@dataclass(frozen=True)
class CartesianOrbitals:
    """Groups of functions, and the orbitals over all of them in the order of the groups, float64."""

    groups: tuple[FunctionGroup, ...]
    coefficients: torch.Tensor  # (function, orbital), columns scaled by the square root of the occupation
    energies: torch.Tensor  # (orbital,) [hartree]
    spins: torch.Tensor  # (orbital,) 1 for alpha, -1 for beta, 0 for an orbital that holds both
    frontier: torch.Tensor  # (function, 2): highest occupied and lowest empty orbital, with norm one
    has_empty: bool  # whether the wavefunction states an empty orbital; else the second column is zero

    @property
    def num_functions(self) -> int:
        """Return the number of Cartesian functions."""
        return int(self.coefficients.shape[0])


def cartesian_orbitals(wavefunction: Wavefunction) -> CartesianOrbitals:
    """Return the occupied orbitals of both spins in Cartesian functions."""
    basis = wavefunction.basis
    columns = _columns(wavefunction)
    coefficients = _cartesian_rows(basis, columns.coefficients)
    sizes = [len(cartesian_powers(l)) for l in basis.angular_momentum.tolist()]
    stops = np.cumsum(sizes)
    groups, rows = [], []
    for length in np.unique(basis.num_primitives).tolist():
        shells = np.flatnonzero(basis.num_primitives == length)
        groups.append(_group(wavefunction, shells, length))
        rows += [row for shell in shells for row in range(stops[shell] - sizes[shell], stops[shell])]
    matrix = torch.tensor(coefficients[rows])
    return CartesianOrbitals(
        tuple(groups), matrix[:, :-2].contiguous(), torch.tensor(columns.energies), torch.tensor(columns.spins),
        matrix[:, -2:].contiguous(), columns.has_empty,
    )  # fmt: skip


def _group(wavefunction: Wavefunction, shells: NDArray[np.intp], length: int) -> FunctionGroup:
    basis = wavefunction.basis
    primitives = (np.cumsum(basis.num_primitives)[shells] - length)[:, None] + np.arange(length)
    momenta = basis.angular_momentum[shells].tolist()
    owners = [index for index, l in enumerate(momenta) for _ in cartesian_powers(l)]
    powers = [powers for l in momenta for powers in cartesian_powers(l)]
    return FunctionGroup(
        torch.tensor(wavefunction.geometry_bohr[basis.atom[shells]], dtype=torch.float64),
        torch.tensor(basis.exponents[primitives], dtype=torch.float64),
        torch.tensor(basis.coefficients[primitives], dtype=torch.float64),
        torch.tensor(owners),
        torch.tensor(powers, dtype=torch.float64),
    )


@dataclass(frozen=True)
class _Columns:
    coefficients: Floats  # (basis function, orbital + 2): the occupied ones, the highest of them, the lowest empty one
    energies: Floats
    spins: Floats
    has_empty: bool


def _columns(wavefunction: Wavefunction) -> _Columns:
    """Return sqrt(n_i) C_i of the occupied orbitals of both spins, and the frontier orbitals of either spin."""
    alpha = (wavefunction.alpha_coefficients, wavefunction.alpha_occupations, wavefunction.alpha_energies)
    parts = [(*alpha, 0.0 if wavefunction.beta_coefficients is None else 1.0)]
    if wavefunction.beta_coefficients is not None and wavefunction.beta_occupations is not None:
        assert wavefunction.beta_energies is not None  # stated together with the orbitals
        parts.append((wavefunction.beta_coefficients, wavefunction.beta_occupations, wavefunction.beta_energies, -1.0))
    orbitals = np.hstack([c for c, _, _, _ in parts]).astype(np.float64)
    occupations, energies = np.concatenate([n for _, n, _, _ in parts]), np.concatenate([e for _, _, e, _ in parts])
    spins = np.concatenate([np.full(len(n), spin) for _, n, _, spin in parts])
    filled = occupations > 0
    highest = np.flatnonzero(filled)[np.argmax(energies[filled])]
    empty = np.flatnonzero(~filled)
    lowest = orbitals[:, empty[np.argmin(energies[empty])]] if len(empty) else np.zeros(len(orbitals))
    scaled = orbitals[:, filled] * np.sqrt(occupations[filled])
    return _Columns(
        np.column_stack([scaled, orbitals[:, highest], lowest]), energies[filled], spins[filled], bool(len(empty))
    )


def _transformation(l: int, is_cartesian: bool) -> Floats:
    """Return the record's functions of one shell in monomials, (monomial, function)."""
    if l <= 1 or not is_cartesian:
        matrix = cartesian_coefficients(l)
        # Columns m = -1, 0, 1 of S_1m are y, z, x; the record's p functions are x, y, z.
        return matrix[:, [2, 0, 1]] if l == 1 else matrix
    return np.eye(len(cartesian_powers(l)))


def _cartesian_rows(basis: Basis, coefficients: Floats) -> Floats:
    rows, start = [], 0
    for l in basis.angular_momentum.tolist():
        matrix = _transformation(l, basis.is_cartesian)
        rows.append(matrix @ coefficients[start : start + matrix.shape[1]])
        start += matrix.shape[1]
    return np.vstack(rows)


def monomial_gaussian(
    offset: torch.Tensor, power: torch.Tensor, exponent: torch.Tensor, order: int = 0
) -> torch.Tensor:
    """Return the derivative of given order of u^a exp(-alpha u^2) at u = offset; the arguments broadcast."""
    if order == 0:
        return offset**power * torch.exp(-exponent * offset**2)
    lower = power * monomial_gaussian(offset, (power - 1).clamp(min=0), exponent, order - 1)
    return lower - 2 * exponent * monomial_gaussian(offset, power + 1, exponent, order - 1)


def largest_value(
    low: torch.Tensor, high: torch.Tensor, power: torch.Tensor, exponent: torch.Tensor, order: int = 0
) -> torch.Tensor:
    """Return an upper bound of |d^order/du^order u^a exp(-alpha u^2)| on low <= u <= high, exact for order 0.

    |u|^a exp(-alpha u^2) rises to its maximum at sqrt(a / 2 alpha) and falls beyond it.
    """
    if order:
        lower = power * largest_value(low, high, (power - 1).clamp(min=0), exponent, order - 1)
        return lower + 2 * exponent * largest_value(low, high, power + 1, exponent, order - 1)
    farthest = torch.maximum(low.abs(), high.abs())
    nearest = torch.where((low <= 0) & (high >= 0), torch.zeros_like(low), torch.minimum(low.abs(), high.abs()))
    peak = torch.minimum(torch.maximum(torch.sqrt(power / (2 * exponent)), nearest), farthest)
    return peak**power * torch.exp(-exponent * peak**2)
