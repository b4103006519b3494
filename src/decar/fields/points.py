r"""Orbitals at any points, in float64: for quadratures, and to sample the error of a field on a grid.

    phi = m R_0,   m = x^a y^b z^c,   R_k = sum_p c_p alpha_p^k exp(-alpha_p r^2),   l = a + b + c
    d phi/dx = a x^(a-1) y^b z^c R_0 - 2 x^(a+1) y^b z^c R_1
    laplacian phi = (a (a-1) x^(a-2) y^b z^c + ...) R_0 - 2 (2l + 3) m R_1 + 4 r^2 m R_2

Points come in chunks that lie close together, so that the bound of each function over a chunk's bounding box screens.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from decar.fields.basis_blocks import NUM_VALUES, derivatives_needed
from decar.fields.density import Intermediates, Weight, mixing, sums_of, weighted_orbitals
from decar.fields.orbitals import GRADIENT, CartesianOrbitals, FunctionGroup
from decar.fields.screening import ACCURACY, function_bounds, needed_functions

Floats = NDArray[np.float64]
CHUNK = 512  # points of a chunk
CELL_BOHR = 0.5


def point_intermediates(
    orbitals: CartesianOrbitals, points: Floats, order: int = 0, weights: Sequence[Weight] = ()
) -> Intermediates:
    """Return the sums over orbitals at points (n, 3) [bohr] in any order."""
    path = _space_filling_order(points)
    sorted_points = torch.as_tensor(points[path], dtype=torch.float64)
    chunks = [sorted_points[start : start + CHUNK] for start in range(0, len(points), CHUNK)]
    ends = torch.stack([torch.stack([chunk.amin(dim=0), chunk.amax(dim=0)]) for chunk in chunks])
    boxes = [(ends[:, 0, axis], ends[:, 1, axis]) for axis in range(3)]
    bounds = function_bounds(orbitals, boxes, derivatives_needed(order))
    needed = needed_functions(orbitals, bounds, ACCURACY[torch.float64].neglect, has_frontier=bool(weights))
    weighted, parts = weighted_orbitals(orbitals, weights), []
    for chunk, members in zip(chunks, needed.T):
        matrices = mixing(orbitals, weighted, members.nonzero().flatten(), torch.float64)
        functions = functions_at(orbitals, members, chunk, order)
        parts.append(sums_of(functions, order, len(chunk), matrices))
    back = torch.as_tensor(np.argsort(path))
    found = {name: torch.cat([part.weighted[name] for part in parts])[back] for name in weights}
    return Intermediates(torch.cat([part.sums for part in parts], dim=1)[:, back], found)


def _space_filling_order(points: Floats) -> NDArray[np.intp]:
    """Return the order of points along a Z-shaped curve through cells of CELL_BOHR (Morton's order)."""
    cells = ((points - points.min(axis=0)) / CELL_BOHR).astype(np.int64)
    code = np.zeros(len(points), dtype=np.int64)
    for bit in range(int(cells.max(initial=0)).bit_length()):
        for axis in range(3):
            code |= ((cells[:, axis] >> bit) & 1) << (3 * bit + axis)
    return np.argsort(code, kind="stable")


def functions_at(
    orbitals: CartesianOrbitals, needed: torch.Tensor, points: torch.Tensor, order: int = 0,
    dtype: torch.dtype = torch.float64,
) -> torch.Tensor:  # fmt: skip
    """Return the needed functions, (function,) bool, at points (n, 3) float64: (value, function, point).

    Values: phi; for order 1 its gradient too; for order 2 its Laplacian.
    """
    parts, first = [], 0
    for group in orbitals.groups:
        members = needed[first : first + len(group)].nonzero().flatten()
        first += len(group)
        if len(members):
            parts.append(_functions(group, members, points, order, dtype))
    return torch.cat(parts, dim=1) if parts else points.new_zeros(NUM_VALUES[order], 0, len(points), dtype=dtype)


def _functions(
    group: FunctionGroup, members: torch.Tensor, points: torch.Tensor, order: int, dtype: torch.dtype
) -> torch.Tensor:
    """Return the functions named by `members` and their derivatives at the points, (value, function, point)."""
    shells, owner = torch.unique(group.shell[members], return_inverse=True)
    offset = (points.T[:, None, :] - group.centres[shells].T[:, :, None]).to(dtype)  # (3, shell, point)
    exponents, contraction = group.exponents[shells].to(dtype), group.contraction[shells].to(dtype)
    square = (offset * offset).sum(dim=0)
    gaussians = torch.exp(-exponents[:, :, None] * square[:, None])
    radial = [
        torch.bmm((contraction * exponents**k)[:, None], gaussians)[:, 0].index_select(0, owner)
        for k in range(order + 1)
    ]
    powers = group.powers[members].to(torch.int64)
    ladder = [torch.ones_like(offset), offset]
    for _ in range(int(powers.max()) + 1):
        ladder.append(ladder[-1] * offset)
    table = torch.stack(ladder)  # (power, 3, shell, point)

    def monomial(a: torch.Tensor) -> torch.Tensor:
        return table[a[:, 0], 0, owner] * table[a[:, 1], 1, owner] * table[a[:, 2], 2, owner]

    own = monomial(powers)
    values = [own * radial[0]]
    for axis in range(3 if order else 0):
        step = torch.tensor(GRADIENT[axis])
        lower = powers[:, axis, None] * monomial((powers - step).clamp(min=0))
        values.append(lower * radial[0] - 2 * monomial(powers + step) * radial[1])
    if order > 1:
        momentum = powers.sum(dim=1)[:, None]
        curved = 4 * square.index_select(0, owner) * own * radial[2] - 2 * (2 * momentum + 3) * own * radial[1]
        for axis in range(3):
            power, step = powers[:, axis, None], 2 * torch.tensor(GRADIENT[axis])
            curved += power * (power - 1) * monomial((powers - step).clamp(min=0)) * radial[0]
        values.append(curved)
    return torch.stack(values)
