r"""The hard part of the density around each atom, with the nucleus, as a potential that ends at a ball.

Around nucleus A the charge  q_A = Z_A delta - rho_A  (gaussian_split.py) is expanded in real spherical harmonics,
and a soft charge with the same multipoles is taken away,

    g_A(r) = sum_lm Q_lm N_l r^l exp(-gamma r^2) Y_lm,   N_l = 2 gamma^(l + 3/2) / Gamma(l + 3/2)

The potential of q_A - g_A vanishes beyond the ball in which both have ended: it is a table of radii and multipoles,
added to few voxels. g_A is as smooth as the soft density and goes with it onto the lattice.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from math import ceil, isqrt, sqrt

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import gamma as gamma_function

from decar.fields.harmonics import solid_harmonics
from decar.fields.orbitals import VALUE, CartesianOrbitals
from decar.fields.points import functions_at
from decar.fields.quadrature import lebedev, lebedev_degree
from decar.fields.radial_poisson import angular_momenta, radial_potentials
from decar.fields.rotation import harmonics_turn
from decar.fields.screening import function_bounds, needed_functions

Floats = NDArray[np.float64]
Y00 = 1 / sqrt(4 * np.pi)


@dataclass(frozen=True)
class BallRule:
    """Radii r(t) = reach ((t - 1/2) / (n - 1/2))^2 at t = 1..n: dense at the nucleus, the last one on the ball."""

    num_radii: int
    reach_bohr: float

    @property
    def nodes(self) -> Floats:
        """Return t = 1, 2, ..., n."""
        return np.arange(1.0, self.num_radii + 1)

    def radius(self, t: Floats) -> Floats:
        """Return r(t) [bohr]."""
        return np.asarray(self.reach_bohr * ((t - 0.5) / (self.num_radii - 0.5)) ** 2)

    def slope(self, t: Floats) -> Floats:
        """Return dr/dt [bohr]."""
        return np.asarray(2 * self.reach_bohr * (t - 0.5) / (self.num_radii - 0.5) ** 2)


@dataclass(frozen=True)
class Angular:
    """How finely a sphere is looked at: Lebedev's degree, and the highest l that is kept."""

    degree: int
    highest_l: int

    def refined(self, more: int) -> "Angular":
        """Return a rule that keeps so many more l, and integrates their products with what is smooth."""
        highest_l = self.highest_l + more
        return Angular(lebedev_degree(max(self.degree, 2 * highest_l + 5)), highest_l)


@dataclass(frozen=True)
class HardAtom:
    """The charge of one nucleus and its hard density, less the soft charge that replaces it far away."""

    centre: Floats  # (3,) [bohr]
    rule: BallRule
    potentials: Floats  # (radius, component): r V_00 Y_00 [e], V_lm for l > 0 [hartree/e]
    multipoles: Floats  # (component,) Q_lm of the charge [e bohr^l]

    @property
    def highest_l(self) -> int:
        """Return the highest l of the components."""
        return isqrt(len(self.multipoles)) - 1


def turned(atoms: Sequence[HardAtom], rotation: Floats) -> list[HardAtom]:
    """Return the atoms of a molecule that is turned about the origin by a rotation matrix (3, 3).

    V(R^T r) has the components sum_m' D_mm' V_lm': no quadrature is done again.
    """
    turn = harmonics_turn(max(atom.highest_l for atom in atoms), rotation)
    found = []
    for atom in atoms:
        own = turn[: len(atom.multipoles), : len(atom.multipoles)]
        found.append(replace(
            atom, centre=rotation @ atom.centre, potentials=atom.potentials @ own.T, multipoles=own @ atom.multipoles
        ))  # fmt: skip
    return found


def compensation_factors(exponent: float, highest_l: int) -> Floats:
    """Return N_l of each component: r^l exp(-exponent r^2) N_l has the multipole 1."""
    power = angular_momenta(highest_l) + 1.5
    return np.asarray(2 * exponent**power / gamma_function(power))


def hard_atom(
    hard: CartesianOrbitals | None, partner: CartesianOrbitals, centre: Floats, charge: float, rule: BallRule,
    angular: Angular, exponent: float, dtype: torch.dtype,
) -> HardAtom:  # fmt: skip
    """Return one atom from h_A and what it is multiplied with to give rho_A, both parts of a GaussianSplit.

    `exponent` is gamma [bohr^-2], `dtype` the number format of the orbitals at the quadrature.
    """
    highest_l, radii = angular.highest_l, rule.radius(rule.nodes)
    l = angular_momenta(highest_l)
    components = np.zeros((rule.num_radii, len(l)))
    if hard is not None:
        components = -_components(hard, partner, centre, radii, angular, dtype)
    edge = (2 * l + 1) / (4 * np.pi) * radii[-1] ** (l + 1.0)
    multipoles = radial_potentials(rule, components, highest_l)[-1] * edge
    multipoles[0] += charge * Y00
    soft = compensation_factors(exponent, highest_l) * multipoles * radii[:, None] ** l
    potentials = radial_potentials(rule, components - soft * np.exp(-exponent * radii[:, None] ** 2), highest_l)
    potentials[:, 0] = potentials[:, 0] * radii * Y00 + charge
    return HardAtom(centre, rule, potentials, multipoles)


def _components(
    hard: CartesianOrbitals, partner: CartesianOrbitals, centre: Floats, radii: Floats, angular: Angular,
    dtype: torch.dtype,
) -> Floats:  # fmt: skip
    """Return rho_A,lm at the radii, (radius, component) [e/bohr^3].

    Near the nucleus, where the density is nearly a sphere's, fewer directions and multipoles do.
    """
    needed = _needed(partner, centre, radii[-1])
    every = torch.ones(hard.num_functions, dtype=torch.bool)
    matrix = (hard.coefficients @ partner.coefficients[needed].T).to(dtype)
    components = np.zeros((len(radii), (angular.highest_l + 1) ** 2))
    for part, coarse in zip(np.array_split(np.arange(len(radii)), 3), _zones(angular)):
        directions, projection = _projection(coarse.degree, coarse.highest_l)
        points = torch.tensor((centre + radii[part, None, None] * directions.T).reshape(-1, 3))
        functions = functions_at(partner, needed, points, 0, dtype)[0]
        density = (matrix @ functions).mul_(functions_at(hard, every, points, 0, dtype)[0]).sum(dim=0)
        values = density.numpy().astype(np.float64).reshape(len(part), -1)
        components[part, : projection.shape[1]] = values @ projection
    return components


def _zones(angular: Angular) -> tuple[Angular, Angular, Angular]:
    """Return the rules of the inner, middle and outer third of the radii: a ninth, four ninths, all of the ball."""
    middle = lebedev_degree(2 * ceil(angular.degree / 3) + 1)
    inner = lebedev_degree(2 * ceil(angular.degree / 4) - 1)
    return (
        Angular(inner, min(angular.highest_l, inner // 2)),
        Angular(middle, min(angular.highest_l, middle // 2)),
        angular,
    )


@cache
def _projection(degree: int, highest_l: int) -> tuple[Floats, Floats]:
    """Return the directions (3, n) of a Lebedev rule and w_n Y_lm, (n, component)."""
    directions, weights = lebedev(degree)
    return directions, (solid_harmonics(torch.tensor(directions), highest_l).numpy() * weights).T


def _needed(orbitals: CartesianOrbitals, centre: Floats, reach: float) -> torch.Tensor:
    """Return which functions are not negligible in the ball, (function,) bool."""
    place = torch.as_tensor(centre)
    boxes = [(place[axis, None] - reach, place[axis, None] + reach) for axis in range(3)]
    return needed_functions(orbitals, function_bounds(orbitals, boxes, (VALUE,)), NEGLECT)[:, 0]


NEGLECT = 1e-6  # of the orbitals in a ball, where the density is above 1e-3 throughout
