r"""The potential of a density given by its multipole components around one centre.

    rho(r) = sum_lm rho_lm(r) Y_lm,   U_lm(r) = 4 pi / (2l + 1) [ r^-(l+1) int_0^r s^(l+2) rho_lm ds
                                                              + r^l int_r^oo s^(1-l) rho_lm ds ]

solves Poisson's equation for each (l, m) (Becke and Dickson, doi 10.1063/1.455005). Both integrals are carried from
node to node multiplied by the powers in front of them, so that nothing overflows and nothing cancels at high l.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import make_interp_spline

Floats = NDArray[np.float64]
GAUSS_POINTS = 4  # of each interval between two radii


class RadialRule(Protocol):
    """Radii r(t) at t = 1..n, rising."""

    @property
    def nodes(self) -> Floats:
        """Return t = 1, 2, ..., n."""

    def radius(self, t: Floats) -> Floats:
        """Return r(t) [bohr]."""

    def slope(self, t: Floats) -> Floats:
        """Return dr/dt [bohr]."""


def angular_momenta(highest_l: int) -> NDArray[np.int64]:
    """Return l of each component, ordered by l, then m."""
    return np.repeat(np.arange(highest_l + 1), 2 * np.arange(highest_l + 1) + 1)


def radial_potentials(rule: RadialRule, components: Floats, highest_l: int) -> Floats:
    """Return U_lm at the radii of the rule, from rho_lm there; both (radius, component)."""
    l = angular_momenta(highest_l)
    t = rule.nodes
    radii = rule.radius(t)
    nodes, weights = np.polynomial.legendre.leggauss(GAUSS_POINTS)
    inner_t = t[:-1, None] + (1 + nodes) / 2  # (interval, point)
    s = rule.radius(inner_t)[:, :, None]
    mass = make_interp_spline(t, components, k=5)(inner_t) * (rule.slope(inner_t) * weights / 2)[:, :, None] * s
    low, high = radii[:-1, None, None], radii[1:, None, None]
    rising = (mass * (s / high) ** (l + 1)).sum(axis=1)
    falling = (mass * (low / s) ** l).sum(axis=1)
    inside, outside = np.zeros_like(components), np.zeros_like(components)
    inside[0] = components[0] * radii[0] ** 2 / (l + 3)  # rho_lm taken as constant within the first radius
    for k in range(len(radii) - 1):
        inside[k + 1] = inside[k] * (radii[k] / radii[k + 1]) ** (l + 1) + rising[k]
    for k in range(len(radii) - 2, -1, -1):
        outside[k] = outside[k + 1] * (radii[k] / radii[k + 1]) ** l + falling[k]
    return np.asarray(4 * np.pi / (2 * l + 1) * (inside + outside))
