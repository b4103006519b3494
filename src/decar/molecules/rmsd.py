"""Root-mean-square distance of conformers over heavy atoms, least over proper rotations and graph symmetries.

RMSD(a, b) = min over R in SO(3), t, symmetry s of sqrt(sum_i |a_i - (R b_s(i) + t)|^2 / N)
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from decar.units import ANGSTROM_PER_BOHR

Floats = NDArray[np.float64]
Mappings = NDArray[np.intp]

MAX_SYMMETRIES = 1000  # the symmetries of a graph multiply (six for each CF3, 120 for C60): beyond this, none is used
TERMINAL_HETEROATOMS = (7, 8, 16)


def heavy_atom_symmetries(molecule: Chem.Mol) -> tuple[Mappings, bool]:
    """Return the permutations of the heavy atoms that keep the graph, (symmetry, heavy atom), and whether all are in.

    The values are atom indices of `molecule`; the first row is the identity. Bond orders and charges of terminal
    atoms that share a neighbour (carboxylate, nitro) count as equal. When there are more than MAX_SYMMETRIES, only the
    identity is returned, which can keep two equal conformers apart but never merges different ones.
    """
    heavy = [atom.GetIdx() for atom in molecule.GetAtoms() if atom.GetAtomicNum() > 1]
    if len(heavy) < 2:
        return np.array([heavy], dtype=np.intp).reshape(1, -1), True
    skeleton = _skeleton(molecule, heavy)
    matches = skeleton.GetSubstructMatches(skeleton, uniquify=False, useChirality=False, maxMatches=MAX_SYMMETRIES + 1)
    indices = np.array(heavy, dtype=np.intp)
    identity = indices[None, :]
    if len(matches) > MAX_SYMMETRIES:
        return identity, False
    others = [indices[list(match)] for match in matches if list(match) != list(range(len(heavy)))]
    return np.concatenate([identity, *(row[None, :] for row in others)]), True


def rmsd_bohr(first: Floats, second: Floats, symmetries: Mappings) -> float:
    """Return the least heavy-atom RMSD [bohr] of two geometries (atom, 3) [bohr]; zero below two heavy atoms.

    The optimal rotation of each mapping is found for all of them at once (Kabsch, doi 10.1107/S0567739476001873):
    with H = a^T b and its singular values s, RMSD^2 = (|a|^2 + |b|^2 - 2 (s1 + s2 + sign(det H) s3)) / N.
    """
    num_atoms = symmetries.shape[1]
    if num_atoms < 2:
        return 0.0
    a, b = first[symmetries[0]], second[symmetries]
    a = a - a.mean(axis=0)
    b = b - b.mean(axis=1, keepdims=True)
    covariance = np.einsum("ni,snj->sij", a, b)
    values = np.linalg.svd(covariance, compute_uv=False)
    overlap = values[:, 0] + values[:, 1] + np.sign(np.linalg.det(covariance)) * values[:, 2]
    squared = ((a**2).sum() + (b**2).sum(axis=(1, 2)) - 2 * overlap) / num_atoms
    return float(np.sqrt(max(float(squared.min()), 0.0)))


def distinct(
    geometries: Sequence[Floats], labels: Sequence[str], symmetries: Mappings, threshold_angstrom: float
) -> list[int]:
    """Return the indices of geometries that lie at least the threshold from every one kept before them.

    Geometries (atom, 3) [bohr] come in order of preference; only those of equal label (stereoisomer) are compared.
    """
    kept: list[int] = []
    for index, geometry in enumerate(geometries):
        twins = (k for k in kept if labels[k] == labels[index])
        if all(rmsd_bohr(geometries[k], geometry, symmetries) * ANGSTROM_PER_BOHR >= threshold_angstrom for k in twins):
            kept.append(index)
    return kept


def _skeleton(molecule: Chem.Mol, heavy: list[int]) -> Chem.Mol:
    """Return the heavy atoms alone, every bond single, charges dropped, hydrogens counted as isotope labels."""
    skeleton = Chem.RWMol()
    for index in heavy:
        atom = molecule.GetAtomWithIdx(index)
        copy = Chem.Atom(atom.GetAtomicNum())
        copy.SetNoImplicit(True)
        # Atoms that carry different numbers of hydrogens must not be exchanged, except terminal heteroatoms:
        # the oxygens of a carboxylate are equal however the SMILES draws them, those of an acid nearly so.
        num_hydrogens = sum(neighbour.GetAtomicNum() == 1 for neighbour in atom.GetNeighbors())
        if not (atom.GetAtomicNum() in TERMINAL_HETEROATOMS and atom.GetDegree() - num_hydrogens == 1):
            copy.SetIsotope(num_hydrogens + 1)
        skeleton.AddAtom(copy)
    position = {index: k for k, index in enumerate(heavy)}
    for bond in molecule.GetBonds():
        i, j = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        if i in position and j in position:
            skeleton.AddBond(position[i], position[j], Chem.BondType.SINGLE)
    return skeleton.GetMol()
