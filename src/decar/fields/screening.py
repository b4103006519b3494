r"""Which basis functions a block of points needs, with a proven bound on what is neglected.

Leaving functions out of a block changes psi by at most  d = sum over them of |C_mu| max|phi_mu|  (|C_mu| the norm of
the row over all orbitals), and the density by at most 2 sqrt(rho) d. The error asked for is a + b rho, which is at
least 2 sqrt(a b) sqrt(rho): so d <= sqrt(a b) suffices at every density. Of that budget screening takes a tenth, and
leaves the rest to rounding. Derivatives are bounded in the same way by the bound of the function's derivative.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import torch

from decar.fields.orbitals import CartesianOrbitals, largest_value

SHARE = 0.1


@dataclass(frozen=True)
class Accuracy:
    """|difference| <= absolute + relative |reference| for the density."""

    absolute: float
    relative: float

    @property
    def neglect(self) -> float:
        """Return how much of the orbitals may be left out at a point."""
        return SHARE * sqrt(self.absolute * self.relative)


ACCURACY = {torch.float32: Accuracy(1e-8, 1e-5), torch.float64: Accuracy(1e-12, 1e-10)}

# An interval a block and axis: (low, high), each (block,) [bohr].
Intervals = tuple[torch.Tensor, torch.Tensor]


def function_bounds(orbitals: CartesianOrbitals, boxes: Sequence[Intervals], order: int) -> torch.Tensor:
    """Return the largest |phi| (with derivatives up to `order` along each axis) in each box, (function, *box).

    The intervals of x, y and z are broadcast against each other: three of shape (box,) give boxes one by one, those of
    shapes (nx, 1, 1), (1, ny, 1) and (1, 1, nz) all their products.
    """
    bounds = []
    for group in orbitals.groups:
        product: torch.Tensor | float = 1.0
        for axis, (low, high) in enumerate(boxes):
            shape = (-1, group.exponents.shape[1], *[1] * low.ndim)
            centre = group.centres[group.shell, axis].view(-1, *shape[2:], 1)
            power = group.powers[:, axis].view(-1, *shape[2:], 1)
            exponent = group.exponents[group.shell].view(shape)
            orders = [largest_value(low - centre, high - centre, power, exponent, k) for k in range(order + 1)]
            product = product * torch.stack(orders).amax(dim=0)
        weights = group.contraction[group.shell].abs().view(shape)
        bounds.append((weights * product).sum(dim=1))
    return torch.cat(bounds)


def needed_functions(orbitals: CartesianOrbitals, bounds: torch.Tensor, neglect: float) -> torch.Tensor:
    """Return which functions each block needs, (function, block) bool, from the bounds of the functions there.

    The smallest contributions are left out as long as their sum stays below `neglect`.
    """
    weighted = bounds * orbitals.coefficients.norm(dim=1)[:, None]
    ordered, order = weighted.sort(dim=0)
    keep = ordered.cumsum(dim=0) > neglect
    return torch.zeros_like(keep).scatter_(0, order, keep)
