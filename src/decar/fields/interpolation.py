"""From lattice to voxels and back, by cardinal splines of degree 9 along each axis in turn.

A wave of phase theta a step is reproduced within (theta / (2 pi - theta))^10: 1e-5 at five points a wavelength
(Unser, doi 10.1109/79.799930). On a product grid interpolation is one matrix product an axis.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.interpolate import make_interp_spline

Floats = NDArray[np.float64]
DEGREE = 9
MARGIN = 6  # points of the lattice beyond the voxels: the ends of a spline are less accurate


def interpolation_matrix(first: int, count: int, places: Floats, order: int = 0) -> Floats:
    """Return the matrix (place, point) from values at first, ..., first + count - 1 to places, in steps; or d/dx."""
    nodes = np.arange(first, first + count, dtype=np.float64)
    return np.asarray(make_interp_spline(nodes, np.eye(count), k=DEGREE)(places, nu=order))


def transform(values: torch.Tensor, matrices: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return sum over a, b, c of X_ia Y_jb Z_kc values_abc, (i, j, k)."""
    x, y, z = matrices
    planes = y @ (values @ z.T)
    return (x @ planes.flatten(1)).view(len(x), len(y), len(z))
