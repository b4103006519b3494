"""Which molecule has the geometry of a foreign file? Its SMILES is given and shown to fit, or read from distances."""

import itertools

import numpy as np
from rdkit import Chem, rdBase
from rdkit.Chem import rdDetermineBonds

from decar.errors import ChemistryError, InputMoleculeError
from decar.molecules.graph import atomic_numbers_of, bonds_of, molecular_graph, with_geometry
from decar.quantum.connectivity import BROKEN_ABOVE, relative_distances
from decar.quantum.optimise import check_geometry
from decar.quantum.wavefunction import Floats, Integers
from decar.units import ANGSTROM_PER_BOHR

MAX_MATCHES = 1000  # ways to lay a symmetric graph over a geometry, of which one has to have the stereochemistry


def smiles_of_geometry(atomic_numbers: Integers, geometry_bohr: Floats, charge: int) -> str:
    """Return the SMILES that the distances of a geometry (atom, 3) [bohr] and the charge allow.

    Bond orders as in doi 10.1186/s13321-024-00873-0. Raises InputMoleculeError (`bonds_not_determined`).
    """
    table = Chem.GetPeriodicTable()
    lines = [str(len(atomic_numbers)), ""]
    for number, place in zip(atomic_numbers.tolist(), (geometry_bohr * ANGSTROM_PER_BOHR).tolist()):
        lines.append(f"{table.GetElementSymbol(number)} {place[0]:.8f} {place[1]:.8f} {place[2]:.8f}")
    with rdBase.BlockLogs():
        molecule = Chem.MolFromXYZBlock("\n".join(lines) + "\n")
        try:
            rdDetermineBonds.DetermineBonds(molecule, charge=charge)
            Chem.AssignStereochemistryFrom3D(molecule)
            return str(Chem.MolToSmiles(Chem.RemoveHs(molecule)))
        except (ValueError, RuntimeError) as error:
            raise InputMoleculeError(
                "the bonds cannot be told from the distances", reason="bonds_not_determined", seen=str(error).strip(),
                remedy="give the SMILES with --smiles",
            ) from error  # fmt: skip


def check_molecule(smiles: str, atomic_numbers: Integers, geometry_bohr: Floats) -> tuple[int, ...]:
    """Return the atoms of a geometry (atom, 3) [bohr] in the order of the SMILES' graph.

    Bonds are told from distances, stereochemistry counts where the SMILES specifies it. Raises InputMoleculeError
    (`geometry_of_another_molecule`).
    """
    graph = molecular_graph(smiles)
    last: ChemistryError | None = None
    for order in _orders(graph, atomic_numbers, geometry_bohr):
        try:
            check_geometry(graph, geometry_bohr[np.array(order)])
        except ChemistryError as error:
            last = error
        else:
            return order
    raise InputMoleculeError(
        "the geometry is that of another molecule than the SMILES", reason="geometry_of_another_molecule",
        seen=str(last) if last else f"{len(atomic_numbers)} atoms with other bonds", expected=smiles,
        remedy="correct the SMILES: charges, hydrogens, stereochemistry",
    )  # fmt: skip


def sdf_entry(identifier: str, smiles: str, atomic_numbers: Integers, geometry_bohr: Floats) -> str:
    """Return the SDF entry with which a geometry (atom, 3) [bohr] comes into a study: structure, coordinates, `id`."""
    order = check_molecule(smiles, atomic_numbers, geometry_bohr)
    molecule = with_geometry(molecular_graph(smiles), geometry_bohr[np.array(order)])
    molecule.SetProp("_Name", identifier)
    return f"{Chem.MolToMolBlock(molecule)}> <id>\n{identifier}\n\n$$$$\n"


def _orders(graph: Chem.Mol, atomic_numbers: Integers, geometry_bohr: Floats) -> list[tuple[int, ...]]:
    """Return atom indices of the geometry in the order of the graph, for each way in which their skeletons agree."""
    near = np.argwhere(np.triu(relative_distances(atomic_numbers, geometry_bohr) <= BROKEN_ABOVE))
    expected = _skeleton(atomic_numbers_of(graph), bonds_of(graph))
    found = _skeleton(atomic_numbers, near.astype(np.int32))
    if found.GetNumAtoms() != expected.GetNumAtoms():
        return []
    # The skeleton of the distances may have too many bonds: `check_geometry` is exact about them.
    matches = found.GetSubstructMatches(expected, uniquify=False, maxMatches=MAX_MATCHES)
    return list(itertools.islice(matches, MAX_MATCHES))


def _skeleton(atomic_numbers: Integers, bonds: Integers) -> Chem.Mol:
    """Return the molecule with single bonds, no charges and no implicit hydrogens."""
    molecule = Chem.RWMol()
    for number in atomic_numbers.tolist():
        atom = Chem.Atom(int(number))
        atom.SetNoImplicit(True)
        molecule.AddAtom(atom)
    for first, second in bonds.tolist():
        molecule.AddBond(int(first), int(second), Chem.BondType.SINGLE)
    return molecule.GetMol()
