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

from decar.fields.orbitals import CartesianOrbitals, Derivative, FunctionGroup, largest_value

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


def function_bounds(
    orbitals: CartesianOrbitals, boxes: Sequence[Intervals], derivatives: Sequence[Derivative]
) -> torch.Tensor:
    """Return the largest of the derivatives of each function in each box, (function, *box).

    The intervals of x, y and z are broadcast against each other: three of shape (box,) give boxes one by one, those of
    shapes (nx, 1, 1), (1, ny, 1) and (1, 1, nz) all their products.
    """
    highest = max(max(derivative) for derivative in derivatives)
    bounds = []
    for group in orbitals.groups:
        factors = [_axis_bounds(group, axis, interval, highest) for axis, interval in enumerate(boxes)]
        products = [factors[0][i] * factors[1][j] * factors[2][k] for i, j, k in derivatives]
        weights = group.contraction[group.shell].abs()
        sums = [(weights.view(*weights.shape, *[1] * (p.ndim - 2)) * p).sum(dim=1) for p in products]
        bounds.append(torch.stack(sums).amax(dim=0))
    return torch.cat(bounds)


def _axis_bounds(group: FunctionGroup, axis: int, interval: Intervals, highest: int) -> list[torch.Tensor]:
    """Return the bounds of one axis's factor and its derivatives, each (function, primitive, *interval)."""
    low, high = interval
    ones = [1] * low.ndim
    centre = group.centres[group.shell, axis].view(-1, 1, *ones)
    power = group.powers[:, axis].view(-1, 1, *ones)
    exponent = group.exponents[group.shell].view(len(group), -1, *ones)
    return [largest_value(low - centre, high - centre, power, exponent, order) for order in range(highest + 1)]


def needed_functions(
    orbitals: CartesianOrbitals, bounds: torch.Tensor, neglect: float, has_frontier: bool = False
) -> torch.Tensor:
    """Return which functions each block needs, (function, block) bool, from the bounds of the functions there.

    The smallest contributions are left out as long as their sum stays below `neglect`, in the occupied orbitals and,
    where they are asked for, in the frontier orbitals too.
    """
    order, keep = by_contribution(orbitals, bounds, neglect, has_frontier)
    return torch.zeros_like(keep).scatter_(0, order, keep)


def by_contribution(
    orbitals: CartesianOrbitals, bounds: torch.Tensor, neglect: float, has_frontier: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the functions of each block by rising contribution, and which are needed of these, (place, block)."""
    columns = [orbitals.coefficients, orbitals.frontier] if has_frontier else [orbitals.coefficients]
    weighted = bounds * torch.cat(columns, dim=1).norm(dim=1)[:, None]
    ordered, order = weighted.sort(dim=0)
    return order, ordered.cumsum(dim=0) > neglect
