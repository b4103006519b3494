"""A record's basis in the terms of other programs: normalised primitives, and the norm of each function."""

import numpy as np
from scipy.special import factorial2, gamma

from decar.quantum.wavefunction import Basis, Floats


def cartesian_powers(momentum: int) -> list[tuple[int, int, int]]:
    """Return the powers (a, b, c) of a shell's Cartesian functions in the order of a record: lexical."""
    return [(a, b, momentum - a - b) for a in range(momentum, -1, -1) for b in range(momentum - a, -1, -1)]


def primitive_coefficients(basis: Basis) -> list[tuple[Floats, Floats]]:
    """Return exponents and coefficients of normalised primitives, shell by shell.

    The radial part r^l exp(-alpha r^2) has the norm N: N^-2 = Gamma(l + 3/2) / (2 (2 alpha)^(l + 3/2)).
    """
    shells, start = [], 0
    for momentum, length in zip(basis.angular_momentum, basis.num_primitives):
        exponents = basis.exponents[start : start + length]
        half = float(momentum) + 1.5
        norm = np.sqrt(2.0 * (2.0 * exponents) ** half / gamma(half))
        shells.append((exponents, basis.coefficients[start : start + length] / norm))
        start += int(length)
    return shells


def function_norms(basis: Basis) -> Floats:
    """Return the norm of each basis function, given a radial norm of one.

    Spherical functions and l < 2 have norm one; a Cartesian one of l >= 2 has
    sqrt(4 pi (2a-1)!! (2b-1)!! (2c-1)!! / (2l+1)!!).
    """
    norms: list[float] = []
    for momentum in basis.angular_momentum.tolist():
        if momentum < 2 or not basis.is_cartesian:
            norms.extend([1.0] * (2 * momentum + 1))
            continue
        for powers in cartesian_powers(momentum):
            product = np.prod([float(factorial2(2 * power - 1)) if power else 1.0 for power in powers])
            norms.append(float(np.sqrt(4.0 * np.pi * product / factorial2(2 * momentum + 1))))
    return np.array(norms)
