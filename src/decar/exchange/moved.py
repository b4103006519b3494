r"""Compare two wavefunctions of one molecule whose frames differ: x_1 = R x_2 + t with a proper rotation R.

The frame is matched on the nuclei in their stored order (Kabsch, doi 10.1107/S0567739476001873); then

    energy    |E_1 - E_2|
    dipole    |mu_1 - (R mu_2 + q t)|, q the charge: about one origin
    density   int |rho_1(r) - rho_2(R^T (r - t))| dr / int rho_1 dr,  on an atom-centred quadrature.
"""

from dataclasses import dataclass

import numpy as np

from decar.quantum.wavefunction import Floats, Wavefunction

GEOMETRY_BOHR = 1e-4  # nuclei nearer than this after matching the frames are the same geometry
BLOCK = 4096  # points at which basis functions are evaluated together


@dataclass(frozen=True)
class MovedDifference:
    """How far two wavefunctions are apart once the second is in the frame of the first."""

    energy_hartree: float
    dipole_e_bohr: float
    density_l1: float
    density_l1_of_displacement: float  # what the remaining displacement d of the nuclei explains: d int |grad rho| / N


def displacement(first: Wavefunction, second: Wavefunction) -> float | None:
    """Return the largest distance [bohr] of two like nuclei after matching the frames; None for other atoms."""
    if not np.array_equal(first.atomic_numbers, second.atomic_numbers):
        return None
    rotation, shift = _motion(first.geometry_bohr, second.geometry_bohr)
    return _largest(first.geometry_bohr, second.geometry_bohr @ rotation.T + shift)


def moved_difference(first: Wavefunction, second: Wavefunction) -> MovedDifference:
    """Return the differences of energy, dipole and density; the atoms and their order must be the same."""
    # PySCF is imported only where basis functions are evaluated.
    from pyscf.dft import numint  # noqa: PLC0415

    from decar.quantum.pyscf_mole import to_pyscf_mole  # noqa: PLC0415
    from decar.quantum.scf_quadrature import make_grids  # noqa: PLC0415

    rotation, shift = _motion(first.geometry_bohr, second.geometry_bohr)
    moles = to_pyscf_mole(first), to_pyscf_mole(second)
    matrices = first.density_matrix(), second.density_matrix()
    grids = make_grids(moles[0], 0).build()
    number = difference = slope = 0.0
    for start in range(0, len(grids.coords), BLOCK):
        points, weights = grids.coords[start : start + BLOCK], grids.weights[start : start + BLOCK]
        value, *gradient = numint.eval_ao(moles[0], points, deriv=1)
        with_density = value @ matrices[0]
        rho = np.einsum("gi,gi->g", with_density, value)
        there = numint.eval_ao(moles[1], (points - shift) @ rotation)
        other = np.einsum("gi,gi->g", there @ matrices[1], there)
        number += float(weights @ rho)
        difference += float(weights @ np.abs(rho - other))
        slopes = [2 * np.einsum("gi,gi->g", with_density, along) for along in gradient]
        slope += float(weights @ np.linalg.norm(slopes, axis=0))
    distance = _largest(first.geometry_bohr, second.geometry_bohr @ rotation.T + shift)
    dipole = rotation @ second.dipole_e_bohr + second.charge * shift
    return MovedDifference(
        abs(first.energy_hartree - second.energy_hartree),
        float(np.linalg.norm(first.dipole_e_bohr - dipole)),
        difference / number,
        distance * slope / number,
    )


def _motion(first: Floats, second: Floats) -> tuple[Floats, Floats]:
    """Return R and t; the identity where the geometries agree as they are stored.

    The nuclei of a linear molecule do not fix the rotation about its axis, but those as stored do.
    """
    if _largest(first, second) <= GEOMETRY_BOHR:
        return np.eye(3), np.zeros(3)
    centres = first.mean(axis=0), second.mean(axis=0)
    left, _, right = np.linalg.svd((first - centres[0]).T @ (second - centres[1]))
    mirror = np.diag([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    rotation: Floats = left @ mirror @ right
    return rotation, centres[0] - rotation @ centres[1]


def _largest(first: Floats, second: Floats) -> float:
    return float(np.linalg.norm(first - second, axis=1).max())
