"""Orbitals at any points, in float64: for quadratures and for sampling the error of a field on a grid.

Points come in chunks that lie close together, so that the bound of each function over a chunk's bounding box screens.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from decar.fields.basis_blocks import Derivative
from decar.fields.density import Intermediates, derivatives_needed, intermediates_of
from decar.fields.orbitals import CartesianOrbitals, monomial_gaussian
from decar.fields.screening import ACCURACY, function_bounds, needed_functions

Floats = NDArray[np.float64]
CHUNK = 1024  # points of a chunk


def point_intermediates(orbitals: CartesianOrbitals, points: Floats, order: int = 0) -> Intermediates:
    """Return rho and, for order 1, its gradient at points (n, 3) [bohr]; neighbours in the array should be near."""
    chunks = torch.as_tensor(points, dtype=torch.float64, device=orbitals.coefficients.device).split(CHUNK)
    parts = [_chunk(orbitals, chunk, derivatives_needed(order)) for chunk in chunks]
    gradients = [part.gradient for part in parts if part.gradient is not None]
    density = torch.cat([part.density for part in parts])
    return Intermediates(density, torch.cat(gradients, dim=1) if gradients else None)


def _chunk(orbitals: CartesianOrbitals, points: torch.Tensor, derivatives: tuple[Derivative, ...]) -> Intermediates:
    order = max(max(derivative) for derivative in derivatives)
    boxes = [(points[:, axis].amin()[None], points[:, axis].amax()[None]) for axis in range(3)]
    bounds = torch.cat(
        [
            torch.einsum("fp,fpb,fpb,fpb->fb", group.contraction.abs(), *axes)
            for group, axes in zip(orbitals.groups, function_bounds(orbitals, boxes, order))
        ]
    )
    needed = needed_functions(orbitals, bounds, ACCURACY[torch.float64].neglect)[:, 0]
    values = {key: torch.zeros((0, len(points)), dtype=torch.float64, device=points.device) for key in derivatives}
    first, parts = 0, {key: [value] for key, value in values.items()}
    for group in orbitals.groups:
        members = needed[first : first + len(group.centres)].nonzero().flatten()
        first += len(group.centres)
        offset = points.T[:, None, None, :] - group.centres[members].T[:, :, None, None]
        power, exponent = group.powers[members].T[:, :, None, None], group.exponents[members][:, :, None]
        tables = [[monomial_gaussian(offset[a], power[a], exponent, k) for k in range(order + 1)] for a in range(3)]
        for key in derivatives:
            product = tables[0][key[0]] * tables[1][key[1]] * tables[2][key[2]]
            parts[key].append((group.contraction[members][:, :, None] * product).sum(dim=1))
    mixing = orbitals.coefficients[needed].T
    return intermediates_of({key: mixing @ torch.cat(part) for key, part in parts.items()})
