r"""The electrostatic potential and its gradient from exact integrals: slow, the measure of potential.py's error.

V(r) = sum_A Z_A / |r - R_A| - sum_mn P_mn <m| 1 / |r - r'| |n>
grad V(r) = -sum_A Z_A (r - R_A) / |r - R_A|^3 - 2 sum_mn P_mn <grad m| 1 / |r - r'| |n>
"""

import numpy as np
from numpy.typing import NDArray

from decar.quantum.pyscf_mole import to_pyscf_mole
from decar.quantum.wavefunction import Wavefunction

Floats = NDArray[np.float64]
CHUNK = 100  # points whose integrals are held at once


def exact_potential(wavefunction: Wavefunction, points: Floats) -> Floats:
    """Return V at points (n, 3) [bohr], (n,) [hartree/e], with libcint's integrals; infinite on a nucleus."""
    mole, density = to_pyscf_mole(wavefunction), wavefunction.density_matrix()
    electrons = [
        np.einsum("gij,ij->g", mole.intor("int1e_grids", grids=points[start : start + CHUNK]), density)
        for start in range(0, len(points), CHUNK)
    ]
    distances = np.linalg.norm(points[:, None] - wavefunction.geometry_bohr, axis=2)
    with np.errstate(divide="ignore"):
        nuclei = (wavefunction.nuclear_charges / distances).sum(axis=1)
    return np.asarray(nuclei - np.concatenate(electrons))


def exact_electric_field(wavefunction: Wavefunction, points: Floats) -> Floats:
    """Return -grad V at points (n, 3) [bohr], (3, n) [hartree/e/bohr], with libcint's integrals."""
    mole, density = to_pyscf_mole(wavefunction), wavefunction.density_matrix()
    electrons = [
        2 * np.einsum("xgij,ij->xg", mole.intor("int1e_grids_ip", grids=points[start : start + CHUNK]), density)
        for start in range(0, len(points), CHUNK)
    ]
    offsets = points[:, None] - wavefunction.geometry_bohr
    nuclei = np.einsum(
        "a,gax->xg", wavefunction.nuclear_charges, offsets / np.linalg.norm(offsets, axis=2)[..., None] ** 3
    )
    return np.asarray(nuclei + np.concatenate(electrons, axis=1))
