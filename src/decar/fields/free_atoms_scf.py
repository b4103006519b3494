r"""Electron densities of free atoms, computed once and shipped as `data/free_atoms.npz`.

Level: non-relativistic Hartree-Fock averaged over all states of the ground configuration (Slater's average of
configuration, doi 10.1103/PhysRev.81.385): closed shells as usual, an open shell of q electrons in N = 4l + 2 spin
orbitals filled evenly, its electrons' repulsion scaled by f so that no electron repels itself:

    E = tr hD + 1/2 tr D G[D] + 1/2 sum_a (f_a - 1) tr D_a G[D_a],   G = J - K/2,   f = (q - 1) N / (q (N - 1))

Hydrogen is exact (f = 0), closed-shell atoms are those of restricted Hartree-Fock, and every density is a sphere.
Basis: uncontracted even-tempered Gaussians; He, Ne, Ar and Kr reach the numerical Hartree-Fock limit
within 4e-4 Eh, Xe within 3e-3 Eh (limits: doi 10.1006/adnd.1993.1003).

This module needs PySCF, and runs only to make the table anew: `python -m decar.fields.free_atoms_scf` (20 minutes).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyscf import gto, lib
from pyscf.data import elements
from pyscf.scf.hf import dot_eri_dm

from decar.errors import ConvergenceError
from decar.fields.free_atoms import RADII_BOHR, TABLE_PATH
from decar.provenance import package_versions

Floats = NDArray[np.float64]
RATIO = 2.1
# Lowest and highest exponent [bohr^-2] of s, p, d functions; the highest is factor Z^2: the cores of all Z are alike.
LOWEST = (0.01, 0.015, 0.025)
HIGHEST_FACTOR = (2e4, 60.0, 1.5)
LEVEL = "average-of-configuration Hartree-Fock, non-relativistic, even-tempered Gaussians of ratio 2.1"
SETTLED = 1e-6  # largest element of the orbital gradient at convergence [hartree]


@dataclass(frozen=True)
class Symmetry:
    """The functions of one angular momentum, its doubly filled shells and its open shell (0 or 1)."""

    l: int
    functions: NDArray[np.int64]  # (2l + 1, shell) indices of basis functions
    num_closed: int
    open_electrons: int

    @property
    def repulsion_factor(self) -> float:
        """Return f of the formula above."""
        q, width = self.open_electrons, 4 * self.l + 2
        return (q - 1) * width / (q * (width - 1))


def even_tempered_basis(atomic_number: int) -> list[list[Any]]:
    """Return the basis in PySCF's format: one primitive shell an exponent, for every occupied angular momentum."""
    shells: list[list[Any]] = []
    for l, electrons in enumerate(elements.CONFIGURATION[atomic_number][:3]):
        if electrons:
            highest = max(HIGHEST_FACTOR[l] * atomic_number**2, 10.0)
            count = int(np.ceil(np.log(highest / LOWEST[l]) / np.log(RATIO))) + 1
            shells += [[l, [LOWEST[l] * RATIO**k, 1.0]] for k in range(count)]
    return shells


def free_atom(atomic_number: int, radii_bohr: Floats = RADII_BOHR) -> tuple[float, Floats]:
    """Return the energy [hartree] and the density [e/bohr^3] at the radii; raises ConvergenceError."""
    symbol = elements.ELEMENTS[atomic_number]
    basis = {symbol: even_tempered_basis(atomic_number)}
    atom = [[symbol, (0.0, 0.0, 0.0)]]
    molecule = gto.M(atom=atom, basis=basis, spin=atomic_number % 2, verbose=0, cart=False)
    energy, densities, symmetries = _solve(molecule, atomic_number)
    exponents = np.array([molecule.bas_exp(shell)[0] for shell in range(molecule.nbas)])
    angular = np.array([molecule.bas_angular(shell) for shell in range(molecule.nbas)])
    radii = np.asarray(radii_bohr, dtype=float)[:, None]
    density = np.zeros(len(radii))
    for symmetry in symmetries:
        alpha = exponents[angular == symmetry.l]
        radial = gto.gto_norm(symmetry.l, alpha) * radii**symmetry.l * np.exp(-alpha * radii**2)
        row = symmetry.functions[0]
        block = densities[np.ix_(row, row)]
        density += (2 * symmetry.l + 1) / (4 * np.pi) * np.einsum("rs,st,rt->r", radial, block, radial)
    return energy, density


def _symmetries(molecule: Any, atomic_number: int) -> list[Symmetry]:
    start, found = molecule.ao_loc_nr(), []
    angular = np.array([molecule.bas_angular(shell) for shell in range(molecule.nbas)])
    for l in np.unique(angular).tolist():
        functions = start[:-1][angular == l] + np.arange(2 * l + 1)[:, None]
        closed, rest = divmod(elements.CONFIGURATION[atomic_number][l], 4 * l + 2)
        found.append(Symmetry(l, functions, closed, rest))
    return found


def _solve(molecule: Any, atomic_number: int) -> tuple[float, Floats, list[Symmetry]]:
    """Iterate to self-consistency; return energy, total density matrix and symmetries."""
    symmetries = _symmetries(molecule, atomic_number)
    overlap, core = molecule.intor("int1e_ovlp"), molecule.intor("int1e_kin") + molecule.intor("int1e_nuc")
    repulsion = molecule.intor("int2e", aosym="s8")
    fock, extrapolation = core, lib.diis.DIIS()
    extrapolation.space = 10
    for _ in range(300):
        orbitals = [_orbitals(fock, overlap, symmetry) for symmetry in symmetries]
        closed, opened = _densities(orbitals, symmetries, len(core))
        total = closed + sum(opened)
        coulomb, exchange = dot_eri_dm(repulsion, np.array([total, *opened]), hermi=1)
        field = coulomb - exchange / 2
        corrections = [
            (s.repulsion_factor - 1) * part if s.open_electrons else 0 * part for s, part in zip(symmetries, field[1:])
        ]
        common = core + field[0]
        energy = np.sum(total * (core + field[0] / 2)) + sum(
            np.sum(density * part) / 2 for density, part in zip(opened, corrections)
        )
        fock, gradient = np.zeros_like(core), []
        for symmetry, c, part in zip(symmetries, orbitals, corrections):
            block, steps = _effective_fock(common, common + part, overlap, c, symmetry)
            for row in symmetry.functions:
                fock[np.ix_(row, row)] = block
            gradient.append(steps)
        error = np.concatenate(gradient)
        if np.abs(error).max() < SETTLED:
            return float(energy), total, symmetries
        fock = extrapolation.update(fock, xerr=error)
    raise ConvergenceError(
        "the free atom did not converge", reason="scf_not_converged", where=atomic_number, seen=np.abs(error).max()
    )


def _orbitals(fock: Floats, overlap: Floats, symmetry: Symmetry) -> Floats:
    """Return the radial orbitals of one symmetry, (shell, orbital), in order of energy."""
    row = symmetry.functions[0]
    root = _orthogonal_functions(overlap[np.ix_(row, row)])
    orbitals: Floats = root @ np.linalg.eigh(root.T @ fock[np.ix_(row, row)] @ root)[1]
    return orbitals


def _orthogonal_functions(overlap: Floats) -> Floats:
    """Return orthonormal combinations of the shells: neighbours of an even-tempered series overlap by 0.9."""
    values, vectors = np.linalg.eigh(overlap)
    return np.asarray(vectors / np.sqrt(values))


def _densities(orbitals: list[Floats], symmetries: list[Symmetry], size: int) -> tuple[Floats, list[Floats]]:
    """Return the density matrix of all closed shells, and that of the open shell of each symmetry."""
    closed, opened = np.zeros((size, size)), []
    for symmetry, c in zip(symmetries, orbitals):
        inner, outer = c[:, : symmetry.num_closed], c[:, symmetry.num_closed]
        occupation = symmetry.open_electrons / (2 * symmetry.l + 1)
        part = np.zeros((size, size))
        for row in symmetry.functions:
            closed[np.ix_(row, row)] = 2 * inner @ inner.T
            part[np.ix_(row, row)] = occupation * np.outer(outer, outer)
        opened.append(part)
    return closed, opened


def _effective_fock(
    closed: Floats, opened: Floats, overlap: Floats, c: Floats, symmetry: Symmetry
) -> tuple[Floats, Floats]:
    """Join the Fock matrices of closed and open shells into one whose off-diagonal blocks are the energy's gradient.

    Between shells of occupation n and n', the block is (n F - n' F') / (n - n'). Returns the matrix in the basis of
    shells, averaged over m, and the gradient in fixed orthonormal functions (for DIIS).
    """
    rows = symmetry.functions
    common, other = (np.mean([matrix[np.ix_(row, row)] for row in rows], axis=0) for matrix in (closed, opened))
    metric = overlap[np.ix_(rows[0], rows[0])]
    matrix, f_open = c.T @ common @ c, c.T @ other @ c
    occupations = np.zeros(len(c))
    occupations[: symmetry.num_closed] = 2.0
    if symmetry.open_electrons:
        k, n = symmetry.num_closed, symmetry.open_electrons / (2 * symmetry.l + 1)
        occupations[k] = n
        closed_open = (2 * matrix[:k, k] - n * f_open[:k, k]) / (2 - n)
        matrix[k], matrix[:, k] = f_open[k], f_open[:, k]
        matrix[:k, k] = matrix[k, :k] = closed_open
    gradient = matrix * (occupations[:, None] - occupations)
    fixed = _orthogonal_functions(metric).T @ metric @ c
    dual = metric @ c
    return dual @ matrix @ dual.T, (fixed @ gradient @ fixed.T).ravel()


def make_table(atomic_numbers: Sequence[int], path: Path = TABLE_PATH) -> None:
    """Write ln rho of each element at RADII_BOHR, with energies, level and versions."""
    atoms = [free_atom(atomic_number) for atomic_number in atomic_numbers]
    np.savez_compressed(
        path,
        atomic_numbers=np.array(atomic_numbers, dtype=np.int32),
        energies_hartree=np.array([energy for energy, _ in atoms]),
        radii_bohr=RADII_BOHR,
        log_density=np.array([np.log(np.maximum(density, 1e-30)) for _, density in atoms], dtype=np.float32),
        level=np.array(LEVEL),
        versions=np.array(str(package_versions("pyscf", "numpy"))),
    )


if __name__ == "__main__":
    make_table(range(1, 55))
