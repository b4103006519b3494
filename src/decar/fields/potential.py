r"""Electrostatic potential  V(r) = sum_A Z_A / |r - R_A| - int rho(r') / |r - r'| d3r'  on a voxel grid.

    V = K * (-sum_i s_i^2 + sum_A g_A)  +  sum_A V[q_A - g_A]

The soft charge, with a soft image g_A of every nucleus and its hard density, is convolved with the Coulomb kernel on a
coarse lattice (coulomb.py) and interpolated; what is missing near nuclei ends at a ball (hard_atoms.py). Every
step converges to the exact integral: STANDARD is within 1e-4, TIGHT within 1e-6 hartree/e.

Voxels far from the molecule see the same charge on lattices of twice, four times, ... the spacing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log, pi, sqrt

import numpy as np
import torch
from numpy.typing import NDArray

from decar.fields.balls import add_compensation, add_hard_potential
from decar.fields.coulomb import Lattice, lattice_potential
from decar.fields.density import grid_intermediates
from decar.fields.gaussian_split import GaussianSplit, split_gaussians
from decar.fields.grid import VoxelGrid
from decar.fields.hard_atoms import Angular, BallRule, HardAtom, hard_atom
from decar.fields.interpolation import MARGIN, interpolation_matrix, transform
from decar.fields.orbitals import CartesianOrbitals
from decar.fields.sending import sent
from decar.quantum.wavefunction import Wavefunction

Floats = NDArray[np.float64]
SOFT_EXPONENT = 1.3  # the highest exponent of a soft primitive [bohr^-2]
NEAR_BOHR = 7.0  # nearer to a nucleus, only the finest lattice is good enough
LOWEST_GAMMA = 1.5  # of the soft charges that stand for nuclei [bohr^-2]
FIRST_ROW_EXPONENT = 5000.0  # of the tightest Gaussian [bohr^-2]; tighter ones need more radii


@dataclass(frozen=True)
class Expansion:
    """What the potential is truncated at."""

    sharpness: float  # exp(-sharpness^2): how much of the tightest soft product the lattice does not resolve
    soft_tail: float  # orbitals end where they are below it [bohr^-3/2]
    hard_tail: float
    num_radii: int
    heavy: Angular
    hydrogen: Angular
    more_l: int  # for each step of the angular momentum of an atom's functions above d
    dtype: torch.dtype  # of the orbitals on the lattice and around nuclei


STANDARD = Expansion(3.7, 1e-4, 1e-6, 32, Angular(23, 8), Angular(17, 6), 0, torch.float32)
TIGHT = Expansion(5.2, 1e-6, 1e-8, 60, Angular(41, 18), Angular(35, 15), 3, torch.float64)


@dataclass(frozen=True)
class ChargeParts:
    """What a potential is made from: soft orbitals, the lattice for their density, and hard atoms."""

    soft: CartesianOrbitals | None  # None where every primitive is hard
    lattice: VoxelGrid
    atoms: list[HardAtom]
    exponent: float  # of the soft charges that stand for nuclei [bohr^-2]
    margin_bohr: float  # how far beyond the lattice voxels are still too near for a coarser one
    dtype: torch.dtype  # of the charge on the lattice


def electrostatics(
    wavefunction: Wavefunction, grid: VoxelGrid, dtype: torch.dtype = torch.float32, order: int = 0,
    expansion: Expansion | None = None, atoms: Sequence[HardAtom] | None = None,
) -> torch.Tensor:  # fmt: skip
    """Return V [hartree/e], (1, x, y, z), and for order 1 grad V [hartree/e/bohr] behind it, (4, x, y, z).

    By default STANDARD for float32 and TIGHT for float64. `atoms`: those of `hard_atoms`, where they are known.
    """
    parts = charge_parts(wavefunction, expansion or expansion_of(dtype), atoms)
    charge = torch.zeros(parts.lattice.shape, dtype=parts.dtype)
    if parts.soft is not None:
        charge = -grid_intermediates(parts.soft, parts.lattice, 0, parts.dtype).density
    for atom in parts.atoms:
        add_compensation(charge, parts.lattice, atom, parts.exponent)
    values = soft_potential(parts, charge, grid, order, dtype)
    for atom in parts.atoms:
        add_hard_potential(values, grid, atom)
    return values


def expansion_of(dtype: torch.dtype) -> Expansion:
    """Return the truncation that a number format is worth."""
    return STANDARD if dtype == torch.float32 else TIGHT


def charge_parts(
    wavefunction: Wavefunction, expansion: Expansion, atoms: Sequence[HardAtom] | None = None
) -> ChargeParts:
    """Return the parts of a molecule's charge; `atoms`: those of `hard_atoms`, where they are known."""
    split = _split(wavefunction, expansion)
    exponent = _gamma(split)
    atoms = list(atoms) if atoms is not None else _hard_atoms(split, expansion)
    spacing = pi / (2 * expansion.sharpness * sqrt(exponent))
    reach = np.maximum(split.soft_reach_bohr, [atom.rule.reach_bohr for atom in atoms])[:, None]
    low, high = (wavefunction.geometry_bohr - reach).min(axis=0), (wavefunction.geometry_bohr + reach).max(axis=0)
    x, y, z = (ceil(length / spacing) + 1 for length in high - low)
    lattice = VoxelGrid((float(low[0]), float(low[1]), float(low[2])), spacing, (x, y, z))
    margin = max(0.0, NEAR_BOHR - float(reach.min()))
    return ChargeParts(split.soft, lattice, atoms, exponent, margin, expansion.dtype)


def hard_atoms(wavefunction: Wavefunction, expansion: Expansion) -> list[HardAtom]:
    """Return the hard atoms of a molecule: half of what a potential takes, and they turn with it (`turned`)."""
    return _hard_atoms(_split(wavefunction, expansion), expansion)


def _split(wavefunction: Wavefunction, expansion: Expansion) -> GaussianSplit:
    return split_gaussians(wavefunction, SOFT_EXPONENT, expansion.soft_tail, expansion.hard_tail)


def _gamma(split: GaussianSplit) -> float:
    """Return the exponent of the soft charges that stand for nuclei [bohr^-2]."""
    return max(split.highest_exponent, LOWEST_GAMMA)


def _hard_atoms(split: GaussianSplit, expansion: Expansion) -> list[HardAtom]:
    wavefunction, exponent = split.wavefunction, _gamma(split)
    owner = np.repeat(wavefunction.basis.atom, wavefunction.basis.num_primitives)
    least = 1.1 * sqrt(log(1 / expansion.hard_tail) / exponent)  # where a compensating charge has ended
    atoms = []
    for atom, number in enumerate(wavefunction.atomic_numbers.tolist()):
        reach = max(float(split.hard_reach_bohr[atom]), least)
        tightest = float(wavefunction.basis.exponents[owner == atom].max(initial=1.0))
        radii = ceil(expansion.num_radii * max(1.0, tightest / FIRST_ROW_EXPONENT) ** 0.2)
        angular = expansion.hydrogen if number == 1 else expansion.heavy
        highest = int(wavefunction.basis.angular_momentum[wavefunction.basis.atom == atom].max(initial=0))
        angular = angular.refined(expansion.more_l * max(0, highest - 2))
        centre, charge = wavefunction.geometry_bohr[atom], float(wavefunction.nuclear_charges[atom])
        rule, parts = BallRule(radii, reach), (split.hard[atom], split.partners[number])
        atoms.append(hard_atom(*parts, centre, charge, rule, angular, exponent, expansion.dtype))
    return atoms


def soft_potential(
    parts: ChargeParts, charge: torch.Tensor, grid: VoxelGrid, order: int, dtype: torch.dtype
) -> torch.Tensor:
    """Return the potential of the soft charge and for order 1 its gradient on the voxels, (1 or 4, x, y, z).

    `charge` (x, y, z) [e/bohr^3] is that on the lattice of the parts, with what stands for hard atoms.

    Lattice after lattice, each of twice the spacing and for voxels up to twice as far away; the charge is carried
    along by the transpose of interpolation, which keeps the potential of all that is far enough.
    """
    lattice = Lattice((0, 0, 0), parts.lattice.shape, parts.lattice.spacing_bohr)
    places = [(points - start) / lattice.spacing_bohr for points, start in zip(grid.axes(), parts.lattice.origin_bohr)]
    values = torch.zeros((3 * order + 1, *grid.shape), dtype=dtype, device=charge.device)
    done = tuple(slice(0, 0) for _ in range(3))
    margin = parts.margin_bohr / lattice.spacing_bohr  # how far beyond the charge voxels are looked after, in steps
    while True:
        here = tuple(
            _range(x, a - margin, a + n - 1 + margin) for x, a, n in zip(places, lattice.first, lattice.counts)
        )
        if here != done and all(part.stop > part.start for part in here):
            kept = values[(slice(None), *done)].clone()
            _interpolate(values[(slice(None), *here)], lattice, charge, [x[part] for x, part in zip(places, here)])
            values[(slice(None), *done)] = kept
            done = here
        if all(part == slice(0, n) for part, n in zip(here, grid.shape)):
            return values
        lattice, charge = _coarser(lattice, charge)
        places = [x / 2 for x in places]
        margin = margin / 2 + max(parts.lattice.shape) / 4


def _range(places: Floats, low: float, high: float) -> slice:
    """Return which voxels of one axis lie between two places."""
    inside = np.flatnonzero((places >= low) & (places <= high))
    return slice(int(inside[0]), int(inside[-1]) + 1) if len(inside) else slice(0, 0)


def _interpolate(values: torch.Tensor, lattice: Lattice, charge: torch.Tensor, places: list[Floats]) -> None:
    """Write the potential, and its gradient, of a charge at a product of places, in steps of the lattice."""
    ends = [(floor(x[0]) - MARGIN, ceil(x[-1]) + MARGIN) for x in places]
    first, counts = zip(*((low, high - low + 1) for low, high in ends))
    target = Lattice((first[0], first[1], first[2]), (counts[0], counts[1], counts[2]), lattice.spacing_bohr)
    potential = lattice_potential(charge, lattice, target)
    plain, *sloped = (
        [
            sent(interpolation_matrix(low, count, x, order) / lattice.spacing_bohr**order, potential)
            for low, count, x in zip(first, counts, places)
        ]
        for order in range(2 if len(values) > 1 else 1)
    )
    for channel, value in enumerate(values):
        value.copy_(transform(potential, [sloped[0][k] if k == channel - 1 else plain[k] for k in range(3)]))


def _coarser(lattice: Lattice, charge: torch.Tensor) -> tuple[Lattice, torch.Tensor]:
    """Return a charge density on the lattice of twice the spacing, with the same potential at a distance."""
    first, counts, matrices = [], [], []
    for low, count in zip(lattice.first, lattice.counts):
        start, stop = low // 2 - MARGIN, -((low + count - 1) // -2) + MARGIN
        first.append(start)
        counts.append(stop - start + 1)
        places = np.arange(low, low + count) / 2
        matrices.append(sent(interpolation_matrix(start, counts[-1], places).T / 2, charge))
    coarse = Lattice((first[0], first[1], first[2]), (counts[0], counts[1], counts[2]), 2 * lattice.spacing_bohr)
    return coarse, transform(charge, matrices)
