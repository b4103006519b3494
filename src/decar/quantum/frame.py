"""The frame of a geometry: centre of mass at the origin, principal axes of inertia along x, y, z.

Moments ascend from x to z, so the longest extent lies along x. The sign of x and of y makes the third moment
sum_i m_i x_i^3 positive, and z = x cross y: the transformation is always a proper rotation, so enantiomers stay mirror
images. Where symmetry leaves an axis or a sign open (equal moments, vanishing third moment), the first atom off the
origin decides; the result does not depend on the orientation of the input.
"""

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

Floats = NDArray[np.float64]
Integers = NDArray[np.int32]

EQUAL_MOMENTS = 1e-3  # relative difference below which two moments of inertia are equal
ON_AXIS_BOHR = 1e-2  # length below which an atom says nothing about a direction


def principal_axes(atomic_numbers: Integers, geometry_bohr: Floats) -> Floats:
    """Return the geometry (atom, 3) [bohr] in the frame of its principal axes of inertia."""
    table = Chem.GetPeriodicTable()
    masses = np.array([table.GetAtomicWeight(int(number)) for number in atomic_numbers])
    centred = geometry_bohr - masses @ geometry_bohr / masses.sum()
    second = (centred * masses[:, None]).T @ centred
    # I = tr(S) 1 - S: axes of the second moments S in descending order are those of inertia in ascending order.
    spreads, vectors = np.linalg.eigh(second)
    spreads, axes = spreads[::-1], vectors[:, ::-1].T.copy()
    _settle_equal_moments(spreads, axes, centred)
    for k in (0, 1):
        axes[k] *= _sign(centred @ axes[k], masses)
    axes[2] = np.cross(axes[0], axes[1])
    rotated: Floats = centred @ axes.T
    return rotated


def _settle_equal_moments(spreads: Floats, axes: Floats, centred: Floats) -> None:
    """Turn axes (rows) of equal moments so that the first atom off the others lies along the first of them."""
    scale = max(float(spreads[0]), 1e-12)
    equal = [abs(float(spreads[k] - spreads[k + 1])) < EQUAL_MOMENTS * scale for k in (0, 1)]
    if all(equal):
        axes[0] = _first_direction(centred, axes) if len(centred) > 1 else np.array([1.0, 0.0, 0.0])
        axes[1:] = _complement(axes[0])
    if all(equal) or equal[1]:
        plane = axes[1:]
        axes[1] = _first_direction(centred, plane)
        axes[2] = np.cross(axes[0], axes[1])
    elif equal[0]:
        axes[0] = _first_direction(centred, axes[:2])
        axes[1] = np.cross(axes[2], axes[0])


def _first_direction(centred: Floats, space: Floats) -> Floats:
    """Return the direction of the first atom's projection onto the space spanned by orthonormal rows."""
    projections = centred @ space.T @ space
    lengths = np.linalg.norm(projections, axis=1)
    off = np.flatnonzero(lengths > ON_AXIS_BOHR)
    direction: Floats = projections[off[0]] / lengths[off[0]] if len(off) else space[0]
    return direction


def _complement(axis: Floats) -> Floats:
    """Return two orthonormal rows perpendicular to a unit vector."""
    helper = np.eye(3)[int(np.argmin(np.abs(axis)))]
    first = np.cross(axis, helper)
    first /= np.linalg.norm(first)
    return np.array([first, np.cross(axis, first)])


def _sign(coordinate: Floats, masses: Floats) -> float:
    """Return the sign that makes the third moment positive, or else the first coordinate off the origin."""
    third = float(masses @ coordinate**3)
    if abs(third) > 1e-3 * float(masses @ np.abs(coordinate) ** 3) and np.abs(coordinate).max() > ON_AXIS_BOHR:
        return float(np.sign(third))
    off = np.flatnonzero(np.abs(coordinate) > ON_AXIS_BOHR)
    return float(np.sign(coordinate[off[0]])) if len(off) else 1.0
