"""Slow, plain evaluation of basis functions and densities, written from the formulas and sharing no code with decar."""

import math

import numpy as np
from scipy.special import gamma, sph_harm_y


def double_factorial(n):
    return math.prod(range(n, 0, -2)) if n > 0 else 1


def real_solid_harmonic(l, m, r):  # noqa: E741
    """S_lm(r) of norm one on the unit sphere; m < 0: sine, m > 0: cosine, without the Condon-Shortley phase."""
    length = np.linalg.norm(r, axis=1)
    theta = np.arccos(np.clip(r[:, 2] / np.where(length > 0, length, 1.0), -1, 1))
    phi = np.arctan2(r[:, 1], r[:, 0])
    y = sph_harm_y(l, abs(m), theta, phi)
    angular = y.real if m == 0 else math.sqrt(2) * (-1) ** m * (y.real if m > 0 else y.imag)
    return length**l * angular


def record_functions(wavefunction, points):
    """Values (point, function) of a record's basis functions, by the formula at the top of quantum/wavefunction.py."""
    basis, columns, start = wavefunction.basis, [], 0
    for atom, l, length in zip(basis.atom, basis.angular_momentum, basis.num_primitives):  # noqa: E741
        r = points - wavefunction.geometry_bohr[atom]
        some = slice(start, start + length)
        start += length
        radial = np.exp(-np.outer((r**2).sum(1), basis.exponents[some])) @ basis.coefficients[some]
        if l < 2 or basis.is_cartesian:
            norm = {0: math.sqrt(1 / (4 * math.pi)), 1: math.sqrt(3 / (4 * math.pi))}.get(int(l), 1.0)
            for a in range(l, -1, -1):
                for b in range(l - a, -1, -1):
                    columns.append(norm * r[:, 0] ** a * r[:, 1] ** b * r[:, 2] ** (l - a - b) * radial)
        else:
            columns += [real_solid_harmonic(l, m, r) * radial for m in range(-l, l + 1)]
    return np.stack(columns, axis=1)


def record_density(wavefunction, points):
    functions = record_functions(wavefunction, points)
    rho = ((functions @ wavefunction.alpha_coefficients) ** 2) @ wavefunction.alpha_occupations
    if wavefunction.beta_coefficients is not None:
        rho = rho + ((functions @ wavefunction.beta_coefficients) ** 2) @ wavefunction.beta_occupations
    return rho


def iodata_functions(data, points):
    """Values (point, function) of the basis that iodata read from a file, by iodata's documented conventions."""
    columns = []
    for shell in data.obasis.shells:
        r = points - data.atcoords[shell.icenter]
        l, kind = int(shell.angmoms[0]), str(shell.kinds[0])  # noqa: E741
        alpha, gaussians = shell.exponents, np.exp(-np.outer((r**2).sum(1), shell.exponents))
        for label in data.obasis.conventions[l, kind]:
            sign, name = (-1.0, label[1:]) if label.startswith("-") else (1.0, label)
            if kind == "c":
                a, b, c = (name.count(axis) for axis in "xyz")
                odd = math.prod(double_factorial(2 * n - 1) for n in (a, b, c))
                norm = (2 * alpha / math.pi) ** 0.75 * np.sqrt((4 * alpha) ** l / odd)
                angular = r[:, 0] ** a * r[:, 1] ** b * r[:, 2] ** c
            else:
                m = int(name[1:]) * (1 if name[0] == "c" else -1)
                norm = np.sqrt(2 * (2 * alpha) ** (l + 1.5) / gamma(l + 1.5))
                angular = real_solid_harmonic(l, m, r)
            columns.append(sign * angular * (gaussians @ (norm * shell.coeffs[:, 0])))
    return np.stack(columns, axis=1)


def iodata_density(data, points):
    return ((iodata_functions(data, points) @ data.mo.coeffs) ** 2) @ data.mo.occs


def points_around(geometry_bohr, number=200, seed=1):
    rng = np.random.default_rng(seed)
    return geometry_bohr[rng.integers(len(geometry_bohr), size=number)] + rng.normal(scale=1.2, size=(number, 3))
