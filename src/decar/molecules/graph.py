"""The molecular graph with all hydrogens: atom order, bonds, stereochemistry, and geometries on it.

The atom order of the project is that of `Chem.AddHs(Chem.MolFromSmiles(smiles))`. Lengths are bohr outside this file
and angstrom inside RDKit.
"""

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from decar.errors import InputMoleculeError
from decar.units import ANGSTROM_PER_BOHR, BOHR_PER_ANGSTROM

Floats = NDArray[np.float64]
Integers = NDArray[np.int32]

# (kind, atom or bond, controlling atoms) -> descriptor; comparable between geometries of one graph only
StereoLabels = dict[tuple[str, int, tuple[int, ...]], str]

# Stereochemistry that is followed: tetrahedral centres and double bonds.
STEREO_KINDS = {Chem.StereoType.Atom_Tetrahedral: "centre", Chem.StereoType.Bond_Double: "double bond"}
TETRAHEDRAL = frozenset(
    {
        Chem.ChiralType.CHI_UNSPECIFIED,
        Chem.ChiralType.CHI_OTHER,
        Chem.ChiralType.CHI_TETRAHEDRAL_CW,
        Chem.ChiralType.CHI_TETRAHEDRAL_CCW,
    }
)


def molecular_graph(smiles: str) -> Chem.Mol:
    """Return the molecule with explicit hydrogens; raises InputMoleculeError (`unparsable_smiles`)."""
    molecule = Chem.MolFromSmiles(smiles)
    if molecule is None or molecule.GetNumAtoms() == 0:
        raise InputMoleculeError("the SMILES cannot be read", reason="unparsable_smiles", seen=smiles)
    return Chem.AddHs(molecule)


def atomic_numbers_of(molecule: Chem.Mol) -> Integers:
    """Return the atomic numbers, (atom,)."""
    return np.array([atom.GetAtomicNum() for atom in molecule.GetAtoms()], dtype=np.int32)


def bonds_of(molecule: Chem.Mol) -> Integers:
    """Return the bonds as sorted pairs of atom indices, (bond, 2), lower index first."""
    pairs = sorted(sorted((bond.GetBeginAtomIdx(), bond.GetEndAtomIdx())) for bond in molecule.GetBonds())
    return np.array(pairs, dtype=np.int32).reshape(-1, 2)


def geometry_of(molecule: Chem.Mol, conformer: int = -1) -> Floats:
    """Return the geometry of a conformer, (atom, 3) [bohr]."""
    return np.array(molecule.GetConformer(conformer).GetPositions(), dtype=float) * BOHR_PER_ANGSTROM


def with_geometry(molecule: Chem.Mol, geometry_bohr: Floats) -> Chem.Mol:
    """Return a copy of the molecule whose only conformer has this geometry, (atom, 3) [bohr]."""
    copy = Chem.Mol(molecule)
    copy.RemoveAllConformers()
    conformer = Chem.Conformer(copy.GetNumAtoms())
    conformer.Set3D(True)
    for index, position in enumerate(geometry_bohr * ANGSTROM_PER_BOHR):
        conformer.SetAtomPosition(index, [float(x) for x in position])
    copy.AddConformer(conformer, assignId=True)
    return copy


def specified_stereo(molecule: Chem.Mol) -> StereoLabels:
    """Return the stereo elements that the SMILES specifies (tetrahedral centres and double bonds)."""
    return _labels(Chem.Mol(molecule))


def stereo_of_geometry(molecule: Chem.Mol, geometry_bohr: Floats) -> StereoLabels:
    """Return every stereo element of the graph as found in a geometry, (atom, 3) [bohr]."""
    return _labels(_perceived(molecule, geometry_bohr))


def stereoisomer_smiles(molecule: Chem.Mol, geometry_bohr: Floats) -> str:
    """Return the isomeric SMILES of the stereoisomer that a geometry is, unspecified elements included."""
    return str(Chem.MolToSmiles(Chem.RemoveHs(_perceived(molecule, geometry_bohr))))


def contradicted_stereo(expected: StereoLabels, found: StereoLabels) -> list[str]:
    """Return the stereo elements of `expected` that `found` has otherwise or lacks, in words."""
    return [
        f"{kind} {index}: {found.get((kind, index, atoms), 'absent')} instead of {label}"
        for (kind, index, atoms), label in sorted(expected.items())
        if found.get((kind, index, atoms)) != label
    ]


def num_unspecified_stereo(molecule: Chem.Mol) -> int:
    """Return the number of stereo elements of the graph that the SMILES leaves open."""
    return sum(
        element.type in STEREO_KINDS and element.specified != Chem.StereoSpecified.Specified
        for element in Chem.FindPotentialStereo(Chem.Mol(molecule))
    )


def _perceived(molecule: Chem.Mol, geometry_bohr: Floats) -> Chem.Mol:
    copy = with_geometry(molecule, geometry_bohr)
    Chem.AssignStereochemistryFrom3D(copy)
    for atom in copy.GetAtoms():
        if atom.GetChiralTag() not in TETRAHEDRAL:  # octahedra and their kin: RDKit labels SF6 as one of 30 isomers
            atom.SetChiralTag(Chem.ChiralType.CHI_UNSPECIFIED)
    return copy


def _labels(molecule: Chem.Mol) -> StereoLabels:
    labels: StereoLabels = {}
    for element in Chem.FindPotentialStereo(molecule):
        kind = STEREO_KINDS.get(element.type)
        if kind is not None and element.specified == Chem.StereoSpecified.Specified:
            labels[kind, int(element.centeredOn), tuple(element.controllingAtoms)] = str(element.descriptor)
    return labels
