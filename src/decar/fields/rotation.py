r"""A molecule turned in space: its geometry and, shell by shell, its orbitals, so that psi'(r) = psi(R^T r).

The functions of a shell of angular momentum l turn among themselves: f_m(R^T r) = sum_n f_n(r) D_nm. D follows from
the functions' values at as many directions as determine it, to machine precision. A turned molecule is rendered
afresh: no voxel is interpolated.
"""

from dataclasses import replace
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from decar.fields.harmonics import cartesian_powers, solid_harmonics
from decar.fields.quadrature import lebedev, lebedev_degree
from decar.quantum.wavefunction import Wavefunction

Floats = NDArray[np.float64]
DEGREE = 29  # of the rule whose 302 directions determine D up to l = 14


def rotated(wavefunction: Wavefunction, rotation: Floats) -> Wavefunction:
    """Return the wavefunction turned about the origin by a proper rotation matrix (3, 3)."""
    basis = wavefunction.basis
    turns = {l: _turn(l, basis.is_cartesian, rotation) for l in np.unique(basis.angular_momentum).tolist()}
    momenta = basis.angular_momentum.tolist()
    beta = wavefunction.beta_coefficients
    return replace(
        wavefunction,
        geometry_bohr=wavefunction.geometry_bohr @ rotation.T,
        dipole_e_bohr=rotation @ wavefunction.dipole_e_bohr,
        alpha_coefficients=_turned(wavefunction.alpha_coefficients, momenta, turns),
        beta_coefficients=None if beta is None else _turned(beta, momenta, turns),
    )


def harmonics_turn(highest_l: int, rotation: Floats) -> Floats:
    """Return D, (component, component) by l: Y_lm(R^T r) = sum_m' D_m'm Y_lm'(r), by projection on a sphere."""
    directions, weights = lebedev(lebedev_degree(max(2 * highest_l, 3)))
    here, there = (
        solid_harmonics(torch.tensor(points), highest_l).numpy() for points in (directions, rotation.T @ directions)
    )
    turn = np.zeros((len(here), len(here)))
    for l in range(highest_l + 1):
        own = slice(l * l, (l + 1) ** 2)
        turn[own, own] = (here[own] * weights) @ there[own].T
    return turn


def random_rotation(random: np.random.Generator) -> Floats:
    """Return a rotation matrix (3, 3), all rotations being equally likely."""
    return np.asarray(Rotation.random(rng=random).as_matrix())


def _turned(coefficients: Floats, momenta: list[int], turns: dict[int, Floats]) -> Floats:
    rows, start = [], 0
    for l in momenta:
        rows.append(turns[l] @ coefficients[start : start + len(turns[l])])
        start += len(turns[l])
    return np.vstack(rows)


def _turn(l: int, is_cartesian: bool, rotation: Floats) -> Floats:
    """Return D of the record's functions of one shell, (function, function)."""
    directions = lebedev(DEGREE)[0]
    inverse = _inverse(l, is_cartesian)
    return np.asarray(inverse @ _shell(l, is_cartesian, rotation.T @ directions).T)


@cache
def _inverse(l: int, is_cartesian: bool) -> Floats:
    return np.asarray(np.linalg.pinv(_shell(l, is_cartesian, lebedev(DEGREE)[0]).T), dtype=np.float64)


def _shell(l: int, is_cartesian: bool, points: Floats) -> Floats:
    """Return the angular parts of a shell's functions at points (3, n), (function, n), in the record's order."""
    if l == 1:
        return points
    if is_cartesian:
        return np.array([points[0] ** a * points[1] ** b * points[2] ** c for a, b, c in cartesian_powers(l)])
    return np.asarray(solid_harmonics(torch.tensor(points), l)[l * l :].numpy())
