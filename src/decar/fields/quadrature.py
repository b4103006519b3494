r"""Atom-centred quadrature: a molecular integral as a sum over atoms, radii and directions.

    integral of f = sum_A integral of w_A f,   w_A = g_A / sum_B g_B,   g_A = eta_A exp(-2 r_A) / r_A^3

with eta = 0.3 for hydrogen and 1 else (Franchini et al., doi 10.1002/jcc.23323): smooth, one at the atom's own nucleus,
zero at the others, and linear in the number of atoms. Radii: Treutler and Ahlrichs' map M4 of the Chebyshev points
(doi 10.1063/1.469408); directions: Lebedev's rules (doi 10.1016/0041-5553(76)90100-2).
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import lebedev_rule
from scipy.spatial.distance import cdist

Floats = NDArray[np.float64]
HYDROGEN_SHARE = 0.3
LEBEDEV_DEGREES: tuple[int, ...] = (*range(3, 33, 2), *range(35, 132, 6))  # the rules that there are
NEAREST_BOHR = 1e-6  # keeps 1 / r^3 finite on a nucleus


@dataclass(frozen=True)
class RadialRule:
    """Radii r(t) at t = 1..n, rising; the map is kept for integration between them."""

    num_radii: int
    scale_bohr: float

    @property
    def nodes(self) -> Floats:
        """Return t = 1, 2, ..., n."""
        return np.arange(1.0, self.num_radii + 1)

    def radius(self, t: Floats) -> Floats:
        """Return r(t) = scale / ln 2 (1 + x)^0.6 ln(2 / (1 - x)), x = cos(pi (n + 1 - t) / (n + 1)) [bohr]."""
        x = np.cos(self._angle(t))
        return np.asarray(self.scale_bohr / np.log(2) * (1 + x) ** 0.6 * np.log(2 / (1 - x)))

    def slope(self, t: Floats) -> Floats:
        """Return dr/dt [bohr]."""
        x = np.cos(self._angle(t))
        dr_dx = 0.6 * (1 + x) ** -0.4 * np.log(2 / (1 - x)) + (1 + x) ** 0.6 / (1 - x)
        dx_dt = np.sin(self._angle(t)) * np.pi / (self.num_radii + 1)
        return np.asarray(self.scale_bohr / np.log(2) * dr_dx * dx_dt)

    def _angle(self, t: Floats) -> Floats:
        return np.asarray(np.pi * (self.num_radii + 1 - t) / (self.num_radii + 1))


@dataclass(frozen=True)
class AtomQuadrature:
    """Points around one atom, radius by radius, direction by direction."""

    rule: RadialRule
    directions: Floats  # (3, direction) unit vectors
    direction_weights: Floats  # (direction,), sum 4 pi
    points: Floats  # (radius * direction, 3) [bohr]
    share: Floats  # (radius, direction) w_A

    @property
    def weights(self) -> Floats:
        """Return r^2 dr dOmega w_A of every point, (radius * direction,) [bohr^3]."""
        radii, slopes = self.rule.radius(self.rule.nodes), self.rule.slope(self.rule.nodes)
        return np.asarray((radii**2 * slopes)[:, None] * self.direction_weights * self.share).ravel()


def lebedev_degree(least: int) -> int:
    """Return the degree of the smallest Lebedev rule of at least this degree."""
    return next(degree for degree in LEBEDEV_DEGREES if degree >= least)


@cache
def lebedev(degree: int) -> tuple[Floats, Floats]:
    """Return unit vectors (3, n) and weights (n,) that integrate spherical harmonics up to `degree` exactly."""
    directions, weights = lebedev_rule(degree)
    return directions, weights


def atom_quadrature(
    atom: int, atomic_numbers: NDArray[np.int32], geometry_bohr: Floats, num_radii: int, degree: int
) -> AtomQuadrature:
    """Return the points and the share of one atom of the molecule."""
    rule = RadialRule(num_radii, _scale_bohr(int(atomic_numbers[atom])))
    directions, direction_weights = lebedev(degree)
    radii = rule.radius(rule.nodes)
    points = (geometry_bohr[atom] + radii[:, None, None] * directions.T).reshape(-1, 3)
    share = atom_shares(atomic_numbers, geometry_bohr, points)[atom]
    return AtomQuadrature(rule, directions, direction_weights, points, share.reshape(num_radii, -1))


def atom_shares(atomic_numbers: NDArray[np.int32], geometry_bohr: Floats, points: Floats) -> Floats:
    """Return w_A at points (n, 3), (atom, n); the shares of a point sum to one."""
    distances = np.maximum(cdist(geometry_bohr, points), NEAREST_BOHR)
    eta = np.where(atomic_numbers == 1, HYDROGEN_SHARE, 1.0)
    # The common factor exp(2 r_min) keeps far points from underflowing.
    shares = eta[:, None] * np.exp(-2 * (distances - distances.min(axis=0))) / distances**3
    return np.asarray(shares / shares.sum(axis=0))


def _scale_bohr(atomic_number: int) -> float:
    """Return the scale of the radial map, after Treutler and Ahlrichs' table: 0.8 for H, about one for the others."""
    return 0.8 if atomic_number == 1 else 1.0
