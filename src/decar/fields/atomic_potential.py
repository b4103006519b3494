r"""The electrostatic potential of a molecule as a sum over atoms and multipoles, each a radial table.

The density is parted into free atoms and a small rest, which is shared out among the atoms (w_A: quadrature.py):

    rho = sum_A rho_A + sum_A w_A delta,   delta = rho - sum_A rho_A
    V(r) = sum_A [ F_A(r_A) / r_A - sum_lm U_A,lm(r_A) Y_lm(r_A / |r_A|) ]
    F_A(r) = Z_A - int_0^r 4 pi s^2 rho_A ds - r int_r^oo 4 pi s rho_A ds

U_A,lm solves Poisson's equation for the components of w_A delta (Becke and Dickson, doi 10.1063/1.455005; Delley,
doi 10.1063/1.458452). An atom with an effective core potential takes a free atom whose core is damped away;
beyond Xe there is none.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from decar.fields.free_atoms import RADII_BOHR, FreeAtom, has_free_atom, valence_density
from decar.fields.harmonics import solid_harmonics
from decar.fields.orbitals import CartesianOrbitals
from decar.fields.points import point_intermediates
from decar.fields.quadrature import AtomQuadrature, atom_quadrature
from decar.fields.radial_poisson import angular_momenta, radial_potentials
from decar.quantum.wavefunction import Wavefunction

Floats = NDArray[np.float64]
NODES_BOHR = np.geomspace(1e-3, 1e3, 2560)  # beyond them nothing but the charge is left


@dataclass(frozen=True)
class Expansion:
    """How far the expansion goes: highest l, degree of Lebedev's rule, radii of an atom."""

    highest_l: int
    degree: int
    num_radii: int


STANDARD = Expansion(highest_l=10, degree=29, num_radii=40)  # 302 directions


@dataclass(frozen=True)
class AtomicPotential:
    """What one atom contributes to V, as tables over NODES_BOHR."""

    centre: Floats  # (3,) [bohr]
    monopole: Floats  # (node,) r times the spherical part of V [e]
    multipoles: Floats  # (node, component) of l >= 1, ordered by l, then m [hartree/e]


def atomic_potentials(
    wavefunction: Wavefunction, orbitals: CartesianOrbitals, expansion: Expansion = STANDARD
) -> list[AtomicPotential]:
    """Return the contribution of every atom, computed in float64."""
    numbers, geometry = wavefunction.atomic_numbers, wavefunction.geometry_bohr
    references = _reference_atoms(wavefunction)
    # Where the reference is not the atom itself, the shells near the nucleus need a finer radial rule.
    exact = [ref is not None and ref.num_electrons == number for ref, number in zip(references, numbers)]
    radii = [expansion.num_radii * (1 if is_exact else 2) for is_exact in exact]
    quadratures = [
        atom_quadrature(atom, numbers, geometry, radii[atom], expansion.degree) for atom in range(len(numbers))
    ]
    points = np.concatenate([quadrature.points for quadrature in quadratures])
    ends = np.cumsum([len(quadrature.points) for quadrature in quadratures])[:-1]
    delta = point_intermediates(orbitals, points).density.cpu().numpy()
    for reference, centre in zip(references, geometry):
        if reference is not None:
            delta -= reference.density(np.linalg.norm(points - centre, axis=1))
    return [
        _atomic_potential(wavefunction, atom, references[atom], quadrature, part, expansion.highest_l)
        for atom, (quadrature, part) in enumerate(zip(quadratures, np.split(delta, ends)))
    ]


def _reference_atoms(wavefunction: Wavefunction) -> list[FreeAtom | None]:
    numbers, charges = wavefunction.atomic_numbers.tolist(), wavefunction.nuclear_charges.tolist()
    return [
        valence_density(number, charge) if has_free_atom(number) else None for number, charge in zip(numbers, charges)
    ]


def _atomic_potential(
    wavefunction: Wavefunction, atom: int, reference: FreeAtom | None, quadrature: AtomQuadrature, delta: Floats,
    highest_l: int,
) -> AtomicPotential:  # fmt: skip
    """Return the tables of one atom from delta at its quadrature points, (radius * direction,)."""
    shared = delta.reshape(quadrature.share.shape) * quadrature.share
    harmonics = solid_harmonics(torch.tensor(quadrature.directions), highest_l).numpy()
    components = (shared * quadrature.direction_weights) @ harmonics.T
    potentials = radial_potentials(quadrature.rule, components, highest_l)
    table = _on_nodes(quadrature.rule.radius(quadrature.rule.nodes), potentials, highest_l)
    y00 = 1 / np.sqrt(4 * np.pi)
    monopole = float(wavefunction.nuclear_charges[atom]) - NODES_BOHR * table[:, 0] * y00
    if reference is not None:
        monopole -= free_atom_screening(reference)
    return AtomicPotential(wavefunction.geometry_bohr[atom], monopole, -table[:, 1:])


def _on_nodes(radii: Floats, potentials: Floats, highest_l: int) -> Floats:
    """Return U_lm on NODES_BOHR: splines in ln r, r^l towards the nucleus, r^-(l+1) beyond the last radius."""
    l = angular_momenta(highest_l)
    inner = np.minimum(NODES_BOHR / radii[0], 1.0)[:, None] ** l
    outer = np.minimum(radii[-1] / NODES_BOHR, 1.0)[:, None] ** (l + 1)
    spline = CubicSpline(np.log(radii), potentials)
    return np.asarray(spline(np.log(np.clip(NODES_BOHR, radii[0], radii[-1]))) * inner * outer)


def free_atom_screening(atom: FreeAtom) -> Floats:
    """Return r times the potential of a free atom's electrons, with positive sign, on NODES_BOHR [e].

    int_0^r 4 pi s^2 rho ds + r int_r^oo 4 pi s rho ds, by splines in ln s.
    """
    log_radii = np.log(RADII_BOHR)
    shells = 4 * np.pi * RADII_BOHR**3 * atom.density(RADII_BOHR)  # electrons per unit of ln s
    charge = CubicSpline(log_radii, shells).antiderivative()
    shielding = CubicSpline(log_radii, shells / RADII_BOHR).antiderivative()
    nodes = np.log(np.clip(NODES_BOHR, RADII_BOHR[0], RADII_BOHR[-1]))
    # The table's electron count is exact to 1e-5: scaled, so that a free atom is neutral.
    scale = atom.num_electrons / charge(log_radii[-1])
    return np.asarray(scale * (charge(nodes) + NODES_BOHR * (shielding(log_radii[-1]) - shielding(nodes))))
