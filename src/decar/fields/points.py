r"""Orbitals at any points, in float64: for quadratures, and to sample the error of a field on a grid.

    phi = x^a y^b z^c R(r),  R = sum_p c_p exp(-alpha_p r^2),   d phi/dx = a x^(a-1) y^b z^c R - 2 x^(a+1) y^b z^c R',
    R' = sum_p alpha_p c_p exp(-alpha_p r^2)

Points come in chunks that lie close together, so that the bound of each function over a chunk's bounding box screens.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from decar.fields.density import Intermediates, derivatives_needed, intermediates_of
from decar.fields.orbitals import GRADIENT, VALUE, CartesianOrbitals, Derivative, FunctionGroup
from decar.fields.screening import ACCURACY, function_bounds, needed_functions

Floats = NDArray[np.float64]
CHUNK = 512  # points of a chunk
CELL_BOHR = 0.5


def point_intermediates(orbitals: CartesianOrbitals, points: Floats, order: int = 0) -> Intermediates:
    """Return rho and, for order 1, its gradient at points (n, 3) [bohr] in any order, on the orbitals' device."""
    device = orbitals.coefficients.device
    path = _space_filling_order(points)
    sorted_points = torch.as_tensor(points[path], dtype=torch.float64, device=device)
    chunks = [sorted_points[start : start + CHUNK] for start in range(0, len(points), CHUNK)]
    ends = torch.stack([torch.stack([chunk.amin(dim=0), chunk.amax(dim=0)]) for chunk in chunks])
    boxes = [(ends[:, 0, axis], ends[:, 1, axis]) for axis in range(3)]
    bounds = function_bounds(orbitals, boxes, derivatives_needed(order))
    needed = needed_functions(orbitals, bounds, ACCURACY[torch.float64].neglect)
    parts = [_chunk(orbitals, chunk, members, order) for chunk, members in zip(chunks, needed.T)]
    back = torch.as_tensor(np.argsort(path), device=device)
    gradients = [part.gradient for part in parts if part.gradient is not None]
    density = torch.cat([part.density for part in parts])[back]
    return Intermediates(density, torch.cat(gradients, dim=1)[:, back] if gradients else None)


def _space_filling_order(points: Floats) -> NDArray[np.intp]:
    """Return the order of points along a Z-shaped curve through cells of CELL_BOHR (Morton's order)."""
    cells = ((points - points.min(axis=0)) / CELL_BOHR).astype(np.int64)
    code = np.zeros(len(points), dtype=np.int64)
    for bit in range(int(cells.max(initial=0)).bit_length()):
        for axis in range(3):
            code |= ((cells[:, axis] >> bit) & 1) << (3 * bit + axis)
    return np.argsort(code, kind="stable")


def _chunk(orbitals: CartesianOrbitals, points: torch.Tensor, needed: torch.Tensor, order: int) -> Intermediates:
    """Return the sums over orbitals at the points of one chunk, from the functions that it needs."""
    parts: list[dict[Derivative, torch.Tensor]] = []
    first = 0
    for group in orbitals.groups:
        members = needed[first : first + len(group)].nonzero().flatten()
        parts.append(_functions(group, members, points, order))
        first += len(group)
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
    radial = (contraction[:, :, None] * gaussians).sum(dim=1)[owner]
    powers = group.powers[members].to(torch.int64)
    highest = int(powers.max()) + 1 if len(members) else 0
    ladder = [torch.ones_like(offset)]
    for _ in range(highest):
        ladder.append(ladder[-1] * offset)
    table = torch.stack(ladder)  # (power, 3, shell, point)

    def monomial(a: torch.Tensor) -> torch.Tensor:
        return table[a[:, 0], 0, owner] * table[a[:, 1], 1, owner] * table[a[:, 2], 2, owner]

    values = {VALUE: monomial(powers).mul_(radial)}
    if order:
        slope = ((contraction * exponents)[:, :, None] * gaussians).sum(dim=1)[owner]
        for axis, derivative in enumerate(GRADIENT):
            step = torch.tensor(derivative, device=powers.device)
            lower = powers[:, axis, None] * monomial((powers - step).clamp(min=0))
            values[derivative] = lower * radial - 2 * monomial(powers + step) * slope
    return values
