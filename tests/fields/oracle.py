"""The same fields by the plainest route: function by function, primitive by primitive, exponential by exponential.

No tables, no blocks, no screening, no Cartesian rewriting: spherical functions through SciPy's spherical harmonics. It
is meant to be read, and is a hundred times slower than what it checks.
"""

import numpy as np
from scipy.special import sph_harm_y

from decar.quantum.wavefunction import Wavefunction


def density(wavefunction: Wavefunction, points: np.ndarray) -> np.ndarray:
    """Return rho at points (n, 3), (n,)."""
    functions = basis_functions(wavefunction, points)
    total = np.zeros(len(points))
    spins = [(wavefunction.alpha_coefficients, wavefunction.alpha_occupations)]
    if wavefunction.beta_coefficients is not None:
        spins.append((wavefunction.beta_coefficients, wavefunction.beta_occupations))
    for coefficients, occupations in spins:
        for orbital, occupation in zip(coefficients.T, occupations):
            total += occupation * (orbital @ functions) ** 2
    return total


def density_gradient(wavefunction: Wavefunction, points: np.ndarray, step: float = 1e-3) -> np.ndarray:
    """Return grad rho by central differences of fourth order, (n, 3)."""
    columns = []
    for axis in range(3):
        shift = step * np.eye(3)[axis]
        far = density(wavefunction, points + 2 * shift) - density(wavefunction, points - 2 * shift)
        near = density(wavefunction, points + shift) - density(wavefunction, points - shift)
        columns.append((8 * near - far) / (12 * step))
    return np.stack(columns, axis=1)


def basis_functions(wavefunction: Wavefunction, points: np.ndarray) -> np.ndarray:
    basis, rows, first = wavefunction.basis, [], 0
    for atom, l, count in zip(basis.atom, basis.angular_momentum, basis.num_primitives):
        offset = points - wavefunction.geometry_bohr[atom]
        square = (offset**2).sum(axis=1)
        radial = np.zeros(len(points))
        for exponent, coefficient in zip(basis.exponents[first:], basis.coefficients[first : first + count]):
            radial += coefficient * np.exp(-exponent * square)
        first += count
        rows += [angular * radial for angular in angular_parts(offset, int(l), basis.is_cartesian)]
    return np.array(rows)


def angular_parts(offset: np.ndarray, l: int, is_cartesian: bool) -> list[np.ndarray]:
    if l == 0:
        return [np.full(len(offset), np.sqrt(1 / (4 * np.pi)))]
    if l == 1:
        return list(np.sqrt(3 / (4 * np.pi)) * offset.T)
    x, y, z = offset.T
    if is_cartesian:
        return [x**a * y**b * z ** (l - a - b) for a in range(l, -1, -1) for b in range(l - a, -1, -1)]
    distance = np.linalg.norm(offset, axis=1)
    theta, phi = np.arccos(np.divide(z, distance, out=np.ones_like(z), where=distance > 0)), np.arctan2(y, x)
    parts = []
    for m in range(-l, l + 1):
        harmonic = sph_harm_y(l, abs(m), theta, phi) * distance**l
        sign = np.sqrt(2) * (-1) ** m
        parts.append(harmonic.real if m == 0 else sign * (harmonic.real if m > 0 else harmonic.imag))
    return parts
