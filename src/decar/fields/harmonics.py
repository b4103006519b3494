r"""Real solid harmonics, as polynomials (for basis functions) and as numbers (for multipole expansions).

    S_lm(r) = r^l Y_lm,   integral of S_lm S_l'm' over the unit sphere = delta,   m = -l..l: sine for m < 0

Helgaker, Jorgensen, Olsen, Molecular Electronic-Structure Theory (doi 10.1002/9781119019572), eqs 6.4.47 and 6.4.70 ff.
"""

from functools import cache
from math import comb, factorial, pi, sqrt

import numpy as np
import torch
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def cartesian_powers(l: int) -> list[tuple[int, int, int]]:
    """Return the powers (a, b, c) of x^a y^b z^c with a + b + c = l, in lexical order (xx, xy, xz, yy, yz, zz)."""
    return [(a, b, l - a - b) for a in range(l, -1, -1) for b in range(l - a, -1, -1)]


@cache
def cartesian_coefficients(l: int) -> Floats:
    """Return S_lm in monomials, (monomial, 2l + 1): rows as `cartesian_powers`, columns m = -l..l."""
    row = {powers: index for index, powers in enumerate(cartesian_powers(l))}
    matrix = np.zeros((len(row), 2 * l + 1))
    for m in range(-l, l + 1):
        k, is_sine = abs(m), int(m < 0)
        norm = sqrt((2 * l + 1) / (4 * pi))
        norm *= sqrt(2 * factorial(l + k) * factorial(l - k) / (2 if m == 0 else 1)) / (2**k * factorial(l))
        for t in range((l - k) // 2 + 1):
            for u in range(t + 1):
                for twice_v in range(is_sine, k + 1, 2):  # 2v of the book: odd for the sine
                    sign = (-1) ** (t + (twice_v - is_sine) // 2)
                    factor = comb(l, t) * comb(l - t, k + t) * comb(t, u) * comb(k, twice_v) / 4**t
                    y_power = 2 * u + twice_v
                    matrix[row[2 * t + k - y_power, y_power, l - 2 * t - k], l + m] += sign * factor * norm
    return matrix


def solid_harmonics(xyz: torch.Tensor, highest_l: int) -> torch.Tensor:
    """Return S_lm at points (3, n) for l = 0..highest_l, ((highest_l + 1)^2, n), ordered by l, then m = -l..l.

    For points on the unit sphere these are the real spherical harmonics Y_lm.
    """
    x, y, z = xyz
    square = x * x + y * y + z * z
    values = xyz.new_empty(((highest_l + 1) ** 2, xyz.shape[1]))
    cosine, sine = torch.ones_like(x), torch.zeros_like(x)  # r^m sin^m(theta) cos(m phi), and with the sine
    for m in range(highest_l + 1):
        for part, sign in ((cosine, 1), (sine, -1))[: 2 if m else 1]:
            before, here = torch.zeros_like(x), part
            for l in range(m, highest_l + 1):
                # Legendre: (l - m + 1) P_(l+1) = (2l + 1) z P_l - (l + m) r^2 P_(l-1)
                torch.mul(here, _norm(l, m), out=values[l * l + l + sign * m])
                if l < highest_l:
                    before, here = here, ((2 * l + 1) * z * here - (l + m) * square * before) / (l - m + 1)
        factor = 2 * m + 1
        cosine, sine = factor * (x * cosine - y * sine), factor * (y * cosine + x * sine)
    return values


def _norm(l: int, m: int) -> float:
    return sqrt((2 * l + 1) / (4 * pi) * (2 if m else 1) * factorial(l - m) / factorial(l + m))
