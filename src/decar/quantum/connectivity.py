"""Are the bonds of a geometry still those of the SMILES?

With the covalent radii r of Cordero et al. (doi 10.1039/b801115j), as RDKit tabulates them, and s = d / (r_i + r_j):
a bond of the graph is broken when s > 1.3; two atoms without a bond have formed one when s < 1.2. The gap between the
two keeps strained rings (1.24 across bicyclopentane) and hydrogen bonds out. Contacts of metals are never new bonds:
their shells take donors that no SMILES draws.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from decar.errors import ChemistryError
from decar.units import ANGSTROM_PER_BOHR

Floats = NDArray[np.float64]
Integers = NDArray[np.int32]
Bond = tuple[int, int]

BROKEN_ABOVE = 1.3
FORMED_BELOW = 1.2
# Elements whose neighbours a SMILES counts in full: nonmetals and the metalloids between boron and tellurium.
NONMETALS = frozenset({1, 2, 5, 6, 7, 8, 9, 10, 14, 15, 16, 17, 18, 32, 33, 34, 35, 36, 52, 53, 54, 86})


@dataclass(frozen=True)
class Changes:
    """What differs between a geometry and the graph; bonds as pairs of atom indices, lower first."""

    broken: tuple[Bond, ...]
    formed: tuple[Bond, ...]
    transferred: tuple[tuple[int, int, int], ...]  # (hydrogen, heavy atom that lost it, heavy atom that took it)

    @property
    def is_unchanged(self) -> bool:
        """Return whether every bond of the graph is there and no other."""
        return not (self.broken or self.formed or self.transferred)


def relative_distances(atomic_numbers: Integers, geometry_bohr: Floats) -> Floats:
    """Return d_ij / (r_i + r_j), (atom, atom), infinite on the diagonal; geometry (atom, 3) [bohr]."""
    table = Chem.GetPeriodicTable()
    radii = np.array([table.GetRcovalent(int(number)) for number in atomic_numbers]) / ANGSTROM_PER_BOHR
    difference = geometry_bohr[:, None, :] - geometry_bohr[None, :, :]
    distances = np.linalg.norm(difference, axis=-1)
    np.fill_diagonal(distances, np.inf)
    ratio: Floats = distances / (radii[:, None] + radii[None, :])
    return ratio


def compare_bonds(atomic_numbers: Integers, bonds: Integers, geometry_bohr: Floats) -> Changes:
    """Compare the distances of a geometry (atom, 3) [bohr] with the bonds (bond, 2) of the graph."""
    ratio = relative_distances(atomic_numbers, geometry_bohr)
    expected = {(int(min(pair)), int(max(pair))) for pair in bonds}
    broken = {pair for pair in expected if ratio[pair] > BROKEN_ABOVE}
    counted = np.isin(atomic_numbers, list(NONMETALS))
    near = (ratio < FORMED_BELOW) & counted[:, None] & counted[None, :]
    formed = {(int(i), int(j)) for i, j in np.argwhere(near) if i < j} - expected
    transferred = []
    for hydrogen, donor in sorted(_hydrogen_first(pair, atomic_numbers) for pair in broken):
        acceptor = _acceptor(hydrogen, donor, atomic_numbers, ratio)
        if acceptor is not None:
            transferred.append((hydrogen, donor, acceptor))
    moved = {tuple(sorted((hydrogen, donor))) for hydrogen, donor, _ in transferred}
    taken = {tuple(sorted((hydrogen, acceptor))) for hydrogen, _, acceptor in transferred}
    return Changes(tuple(sorted(broken - moved)), tuple(sorted(formed - taken)), tuple(transferred))


def check_connectivity(atomic_numbers: Integers, bonds: Integers, geometry_bohr: Floats) -> None:
    """Raise ChemistryError when the bonds of a geometry are not those of the graph.

    `proton_transfer` when all that happened is that hydrogens moved from one heavy atom to another;
    `broken_connectivity` otherwise. The message names the atoms, counted from 1.
    """
    changes = compare_bonds(atomic_numbers, bonds, geometry_bohr)
    if changes.is_unchanged:
        return
    ratio = relative_distances(atomic_numbers, geometry_bohr)

    def name(atom: int) -> str:
        return f"{Chem.GetPeriodicTable().GetElementSymbol(int(atomic_numbers[atom]))}{atom + 1}"

    moves = [f"{name(h)} from {name(donor)} to {name(acceptor)}" for h, donor, acceptor in changes.transferred]
    if not (changes.broken or changes.formed):
        raise ChemistryError(
            "a proton has moved to another atom",
            reason="proton_transfer",
            seen=", ".join(moves),
            expected="the hydrogens where the SMILES has them",
            remedy="set optimise.solvent (a zwitterion needs water), or give the tautomer that the geometry became",
        )
    broken = [f"{name(i)}-{name(j)} broken ({ratio[i, j]:.2f} of the covalent radii)" for i, j in changes.broken]
    formed = [f"{name(i)}-{name(j)} formed ({ratio[i, j]:.2f} of the covalent radii)" for i, j in changes.formed]
    raise ChemistryError(
        "the bonds of the geometry are not those of the SMILES",
        reason="broken_connectivity",
        seen=", ".join([*broken, *formed, *moves]),
        expected=f"bonds below {BROKEN_ABOVE} and no others below {FORMED_BELOW} of the sum of covalent radii",
    )


def _hydrogen_first(pair: Bond, atomic_numbers: Integers) -> Bond:
    return pair if atomic_numbers[pair[0]] == 1 else (pair[1], pair[0])


def _acceptor(hydrogen: int, donor: int, atomic_numbers: Integers, ratio: Floats) -> int | None:
    """Return the heavy atom that took a hydrogen from a heavy donor, or None when none did."""
    if atomic_numbers[hydrogen] != 1 or atomic_numbers[donor] == 1:
        return None
    candidates = [k for k in range(len(atomic_numbers)) if atomic_numbers[k] > 1 and k != donor]
    nearest = min(candidates, key=lambda k: ratio[hydrogen, k], default=None)
    return nearest if nearest is not None and ratio[hydrogen, nearest] <= BROKEN_ABOVE else None
