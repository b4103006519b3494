r"""Atom-centred quadrature: every molecular integral as a sum over atoms, radii and directions.

    integral of f = sum_A integral of w_A f,   w_A = rho_A / rho_pro

with the free-atom densities rho_A (Hirshfeld's partition, doi 10.1007/BF00549096), smooth and without parameters.
Radii: Treutler and Ahlrichs' map M4 of the Chebyshev points (doi 10.1063/1.469408); directions: Lebedev's rules
(doi 10.1016/0041-5553(76)90100-2).
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import lebedev_rule

from decar.fields.free_atoms import FreeAtom, free_atom_density

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class RadialRule:
    """Radii r(t) at t = 1..n, rising; the map is kept for integration between them."""

    num_radii: int
    scale_bohr: float

    def radius(self, t: Floats) -> Floats:
        """Return r(t) = scale / ln 2 (1 + x)^0.6 ln(2 / (1 - x)), x = cos(pi (n + 1 - t) / (n + 1)) [bohr]."""
        x = np.cos(np.pi * (self.num_radii + 1 - t) / (self.num_radii + 1))
        return np.asarray(self.scale_bohr / np.log(2) * (1 + x) ** 0.6 * np.log(2 / (1 - x)))

    def slope(self, t: Floats) -> Floats:
        """Return dr/dt [bohr]."""
        angle = np.pi * (self.num_radii + 1 - t) / (self.num_radii + 1)
        x = np.cos(angle)
        dr_dx = 0.6 * (1 + x) ** -0.4 * np.log(2 / (1 - x)) + (1 + x) ** 0.6 / (1 - x)
        return np.asarray(self.scale_bohr / np.log(2) * dr_dx * np.sin(angle) * np.pi / (self.num_radii + 1))

    @property
    def nodes(self) -> Floats:
        """Return t = 1, 2, ..., n."""
        return np.arange(1.0, self.num_radii + 1)


@dataclass(frozen=True)
class AtomQuadrature:
    """Points around one atom: radius by radius, direction by direction."""

    rule: RadialRule
    directions: Floats  # (3, direction) unit vectors
    direction_weights: Floats  # (direction,), sum 4 pi
    points: Floats  # (radius * direction, 3) [bohr]
    share: Floats  # (radius, direction) w_A

    @property
    def weights(self) -> Floats:
        """Return r^2 dr dOmega w_A of every point, (radius, direction)."""
        radii, slopes = self.rule.radius(self.rule.nodes), self.rule.slope(self.rule.nodes)
        return np.asarray((radii**2 * slopes)[:, None] * self.direction_weights * self.share)


@cache
def lebedev(degree: int) -> tuple[Floats, Floats]:
    """Return unit vectors (3, n) and weights (n,) that integrate spherical harmonics up to `degree` exactly."""
    directions, weights = lebedev_rule(degree)
    return directions, weights


def atom_quadrature(
    atom: int, atomic_numbers: NDArray[np.int32], geometry_bohr: Floats, num_radii: int, degree: int
) -> AtomQuadrature:
    """Return the points and the share of one atom of the molecule."""
    free = [free_atom_density(number) for number in atomic_numbers.tolist()]
    rule = RadialRule(num_radii, _size_bohr(free[atom]))
    directions, direction_weights = lebedev(degree)
    radii = rule.radius(rule.nodes)
    points = (geometry_bohr[atom] + radii[:, None, None] * directions.T).reshape(-1, 3)
    densities = np.zeros(len(points))
    for other, centre in zip(free, geometry_bohr):
        densities += other.density(np.linalg.norm(points - centre, axis=1))
    own = np.repeat(free[atom].density(radii), len(direction_weights))
    share = np.divide(own, densities, out=np.zeros_like(own), where=densities > 0)
    return AtomQuadrature(rule, directions, direction_weights, points, share.reshape(num_radii, -1))


def _size_bohr(atom: FreeAtom) -> float:
    """Return the scale of the radial map: half the radius beyond which the free density is below 1e-3."""
    radii = np.linspace(0.1, 8.0, 400)
    return float(radii[np.argmax(atom.density(radii) < 1e-3)]) / 3
