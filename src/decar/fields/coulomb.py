r"""The potential of a charge density on a lattice, in free space: V(x_m) = h^3 sum_n K(x_m - x_n) q(x_n).

The kernel is 1 / r for every charge without wavelengths below 2 h: its long-ranged part erf(eta r) / r is smooth and
taken in real space, where nothing is periodic; the rest, 4 pi / k^2 (1 - exp(-k^2 / 4 eta^2)) in Fourier space, is
short-ranged (Martyna and Tuckerman, doi 10.1063/1.477923). The lattice of the sum is as long as charge and potential
together, so that no image is seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import pi, sqrt

import torch
from scipy.fft import next_fast_len

from decar.fields.sending import sent

# exp(-(k_max / 2 eta)^2) = 1e-8: what erf(eta r) / r holds beyond the shortest wavelength of the lattice.
SHARPNESS = 4.3


@dataclass(frozen=True)
class Lattice:
    """Points spacing * (first + 0, 1, ..., count - 1) along each axis, from a common origin."""

    first: tuple[int, int, int]
    counts: tuple[int, int, int]
    spacing_bohr: float


def lattice_potential(charge: torch.Tensor, source: Lattice, target: Lattice) -> torch.Tensor:
    """Return V on the target [hartree/e] of a charge density (x, y, z) on the source [e/bohr^3]; one spacing."""
    pairs = list(zip(source.first, source.counts, target.first, target.counts))
    counts = [next_fast_len(n + m - 1, real=True) for _, n, _, m in pairs]
    kernel = _kernel(counts, [b - (a + n - 1) for a, n, b, _ in pairs], source.spacing_bohr, charge)
    padded = charge.new_zeros(counts)
    # The target begins at the first point of the periodic lattice.
    i, j, k = (_periodic(a - b, n, count, charge) for (a, n, b, _), count in zip(pairs, counts))
    padded[i[:, None, None], j[:, None], k] = charge
    spectrum = torch.fft.rfftn(padded)
    del padded
    spectrum.mul_(kernel)
    del kernel
    potential = torch.fft.irfftn(spectrum, s=counts)
    x, y, z = target.counts
    result: torch.Tensor = potential[:x, :y, :z].contiguous()
    return result


def _periodic(first: int, number: int, count: int, like: torch.Tensor) -> torch.Tensor:
    """Return the places of points first, first + 1, ... on an axis of a periodic lattice."""
    return torch.arange(first, first + number, device=like.device) % count


def _kernel(counts: Sequence[int], lowest: Sequence[int], spacing: float, like: torch.Tensor) -> torch.Tensor:
    """Return the kernel's spectrum (rfft) for displacements lowest, ..., lowest + count - 1 along each axis, in steps.

    Where source and target are far apart, lowest may exclude zero: then the short-ranged part is an image's and absent.
    """
    eta = pi / spacing / (2 * SHARPNESS)
    squares, waves = [], []
    for axis, (count, low) in enumerate(zip(counts, lowest)):
        steps = (torch.arange(count, dtype=torch.float64) - low) % count + low
        squares.append(sent((spacing * steps) ** 2, like))
        frequencies = torch.fft.rfftfreq if axis == 2 else torch.fft.fftfreq
        waves.append(sent((2 * pi * frequencies(count, spacing, dtype=torch.float64)) ** 2, like))
    distance = (squares[0][:, None, None] + squares[1][:, None] + squares[2]).sqrt_()
    is_zero = distance == 0
    distance.masked_fill_(is_zero, 1.0)
    smooth = (eta * distance).erf_().div_(distance)
    smooth.masked_fill_(is_zero, 2 * eta / sqrt(pi))
    del distance, is_zero
    spectrum: torch.Tensor = torch.fft.rfftn(smooth).mul_(spacing**3)
    if any(low > 0 or low + count <= 0 for low, count in zip(lowest, counts)):
        return spectrum
    square = waves[0][:, None, None] + waves[1][:, None] + waves[2]
    square.view(-1)[:1].fill_(1.0)
    short = torch.expm1(square / (-4 * eta**2)).div_(square).mul_(-4 * pi)
    short.view(-1)[:1].fill_(pi / eta**2)
    spectrum.add_(short)
    return spectrum
