"""Functional groups: every atom of a molecule in exactly one, so that attributions summed to groups stay complete.

Patterns are tried in this order, and an atom stays with the first that matches it; hydrogens go with the atom that
carries them. What no pattern matches is carbon skeleton: an aromatic ring, else a chain or saturated ring.
"""

from collections.abc import Mapping

from rdkit import Chem

from decar.molecules.graph import molecular_graph

# In order of priority. Atoms of a match that are in `[...]` with a map number belong to the group.
SMARTS: Mapping[str, str] = {
    "sulfonyl imide, sulfonamide": "[SX4:1](=[O:2])(=[O:3])[N:4]",
    "sulfonyl": "[SX4:1](=[O:2])=[O:3]",
    "nitro": "[N+:1](=[O:2])[O-:3]",
    "nitrile": "[C:1]#[N:2]",
    "carboxylic acid, carboxylate": "[CX3:1](=[O:2])[OX2H1,OX1-:3]",
    "amide, urea, imide": "[CX3:1](=[O:2])[#7:3]",
    "ester, lactone": "[CX3:1](=[O:2])[OX2H0:3]",
    "aldehyde, ketone": "[CX3,c:1]=[O:2]",
    "phenol": "c[OX2H1:1]",
    "hydroxyl": "[CX4][OX2H1:1]",
    "ether, acetal": "[#6][OX2H0:1][#6]",
    "aromatic heteroatom": "[n,o,s:1]",
    "aromatic amine": "c[NX3;!$(N=*):1]",
    "amine, ammonium": "[NX3,NX4+;!$(N=*):1]",
    "thiol, sulfide": "[SX2:1]",
    "halogen": "[F,Cl,Br,I:1]",
    "other heteroatom": "[!#6;!#1:1]",
    "aromatic carbon": "[c:1]",
    "alkene, alkyne": "[CX3,CX2:1]",
    "saturated ring carbon": "[CX4;R:1]",
    "aliphatic chain": "[C:1]",
    "hydrogen": "[#1:1]",  # of H2 alone: every other hydrogen has a neighbour
}
_PATTERNS = {name: Chem.MolFromSmarts(text) for name, text in SMARTS.items()}


def group_of_atoms(smiles: str) -> list[str]:
    """Return the group of every atom, hydrogens included, in the project's atom order."""
    molecule = molecular_graph(smiles)
    found: dict[int, str] = {}
    for name, pattern in _PATTERNS.items():
        chosen = [atom.GetIdx() for atom in pattern.GetAtoms() if atom.GetAtomMapNum()]
        for match in molecule.GetSubstructMatches(pattern, maxMatches=10000):
            for place in chosen:
                found.setdefault(match[place], name)
    carriers = {atom.GetIdx(): carrier_of(atom) for atom in molecule.GetAtoms()}
    return [found[carriers[index]] for index in range(molecule.GetNumAtoms())]


def heavy_atom_of(smiles: str) -> list[int]:
    """Return for every atom the heavy atom that it is counted with: itself, or for a hydrogen the one that bears it."""
    return [carrier_of(atom) for atom in molecular_graph(smiles).GetAtoms()]


def carrier_of(atom: Chem.Atom) -> int:
    """Return the index of the heavy atom that a hydrogen is bound to, or of the atom itself."""
    if atom.GetAtomicNum() == 1:
        heavy = [neighbour.GetIdx() for neighbour in atom.GetNeighbors() if neighbour.GetAtomicNum() > 1]
        if heavy:
            return int(min(heavy))
    return int(atom.GetIdx())
