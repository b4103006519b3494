r"""Orbitals at any points, in float64: for quadratures, and to sample the error of a field on a grid.

    phi = x^a y^b z^c R(r),  R = sum_p c_p exp(-alpha_p r^2),   d phi/dx = a x^(a-1) y^b z^c R - 2 x^(a+1) y^b z^c R',
    R' = sum_p alpha_p c_p exp(-alpha_p r^2)

Points come in chunks that lie close together, so that the bound of each function over a chunk's bounding box screens.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from decar.fields.basis_blocks import GRADIENT, VALUE, Derivative
from decar.fields.density import Intermediates, intermediates_of
from decar.fields.orbitals import CartesianOrbitals, FunctionGroup
from decar.fields.screening import ACCURACY, function_bounds, needed_functions

Floats = NDArray[np.float64]
CHUNK = 512  # points of a chunk


def point_intermediates(orbitals: CartesianOrbitals, points: Floats, order: int = 0) -> Intermediates:
    """Return rho and, for order 1, its gradient at points (n, 3) [bohr]; neighbours in the array should be near."""
    chunks = torch.as_tensor(points, dtype=torch.float64, device=orbitals.coefficients.device).split(CHUNK)
    parts = [_chunk(orbitals, chunk, order) for chunk in chunks]
    gradients = [part.gradient for part in parts if part.gradient is not None]
    density = torch.cat([part.density for part in parts])
    return Intermediates(density, torch.cat(gradients, dim=1) if gradients else None)


def _chunk(orbitals: CartesianOrbitals, points: torch.Tensor, order: int) -> Intermediates:
    boxes = [(points[:, axis].amin()[None], points[:, axis].amax()[None]) for axis in range(3)]
    bounds = function_bounds(orbitals, boxes, order, "fpb,fpb,fpb->fb")
    needed = needed_functions(orbitals, bounds, ACCURACY[torch.float64].neglect)[:, 0]
    parts: list[dict[Derivative, torch.Tensor]] = []
    for group, members in zip(orbitals.groups, needed.split([len(group) for group in orbitals.groups])):
        parts.append(_functions(group, members.nonzero().flatten(), points, order))
    mixing = orbitals.coefficients[needed].T
    return intermediates_of({key: mixing @ torch.cat([part[key] for part in parts]) for key in parts[0]})


def _functions(
    group: FunctionGroup, members: torch.Tensor, points: torch.Tensor, order: int
) -> dict[Derivative, torch.Tensor]:
    """Return the functions named by `members` at the points, and for order 1 their gradients, (function, point)."""
    shells, owner = torch.unique(group.shell[members], return_inverse=True)
    offset = points.T[:, None, :] - group.centres[shells].T[:, :, None]  # (3, shell, point)
    exponents, contraction = group.exponents[shells], group.contraction[shells]
    gaussians = torch.exp(-exponents[:, :, None] * (offset * offset).sum(dim=0)[:, None])
    radial = torch.einsum("sp,spn->sn", contraction, gaussians)[owner]
    powers = group.powers[members].to(torch.int64)
    highest = int(powers.max()) + 1 if len(members) else 0
    ladder = [torch.ones_like(offset)]
    for _ in range(highest):
        ladder.append(ladder[-1] * offset)
    table = torch.stack(ladder)  # (power, 3, shell, point)

    def monomial(a: torch.Tensor) -> torch.Tensor:
        return table[a[:, 0], 0, owner] * table[a[:, 1], 1, owner] * table[a[:, 2], 2, owner]

    values = {VALUE: monomial(powers) * radial}
    if order:
        slope = torch.einsum("sp,spn->sn", contraction * exponents, gaussians)[owner]
        for axis, derivative in enumerate(GRADIENT):
            step = torch.tensor(derivative, device=powers.device)
            lower = powers[:, axis, None] * monomial((powers - step).clamp(min=0))
            values[derivative] = lower * radial - 2 * monomial(powers + step) * slope
    return values
