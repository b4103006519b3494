"""MMFF94s and UFF through RDKit: relaxation of many conformers, and the MMFF surface in atomic units.

MMFF94s: doi 10.1002/(SICI)1096-987X(199905)20:7<720::AID-JCC7>3.0.CO;2-X; UFF: doi 10.1021/ja00051a040.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem, rdBase
from rdkit.Chem import rdForceFieldHelpers

from decar.errors import InputMoleculeError
from decar.units import ANGSTROM_PER_BOHR, KCAL_PER_MOL_PER_HARTREE

Floats = NDArray[np.float64]
ForceField = Literal["mmff94s", "uff", "none"]

MAX_ITERATIONS = 2000


def available_force_field(molecule: Chem.Mol) -> ForceField:
    """Return `mmff94s`, `uff` where MMFF lacks an atom type, or `none` where both do."""
    with rdBase.BlockLogs():
        if rdForceFieldHelpers.MMFFHasAllMoleculeParams(molecule):
            return "mmff94s"
        return "uff" if rdForceFieldHelpers.UFFHasAllMoleculeParams(molecule) else "none"


def relax_conformers(molecule: Chem.Mol, force_field: ForceField) -> Floats:
    """Relax every conformer in place and return the energies, (conformer,) [hartree]; zeros without a force field.

    A conformer that is not converged after MAX_ITERATIONS is kept as it is: the stages after this one refine it.
    """
    with rdBase.BlockLogs():
        if force_field == "mmff94s":
            results = rdForceFieldHelpers.MMFFOptimizeMoleculeConfs(
                molecule, numThreads=1, maxIters=MAX_ITERATIONS, mmffVariant="MMFF94s"
            )
        elif force_field == "uff":
            results = rdForceFieldHelpers.UFFOptimizeMoleculeConfs(molecule, numThreads=1, maxIters=MAX_ITERATIONS)
        else:
            results = [(0, 0.0)] * molecule.GetNumConformers()
    return np.array([energy for _, energy in results], dtype=float) / KCAL_PER_MOL_PER_HARTREE


class Mmff:
    """The MMFF94s surface of one molecule: call it with a geometry."""

    def __init__(self, molecule: Chem.Mol) -> None:
        """Take a molecule with explicit hydrogens and at least one conformer.

        Raises InputMoleculeError (`element_without_parameters`) when MMFF lacks an atom type.
        """
        with rdBase.BlockLogs():
            properties = rdForceFieldHelpers.MMFFGetMoleculeProperties(molecule, mmffVariant="MMFF94s")
        if properties is None:
            raise InputMoleculeError(
                "MMFF94s has no parameters for an atom of this molecule",
                reason="element_without_parameters",
                seen=Chem.MolToSmiles(Chem.RemoveHs(molecule)),
                remedy="use gfn2-xtb for it",
            )
        self._molecule = molecule  # the force field refers to its conformer
        self._field = rdForceFieldHelpers.MMFFGetMoleculeForceField(molecule, properties)
        self._field.Initialize()

    def __call__(self, geometry_bohr: Floats) -> tuple[float, Floats]:
        """Return the energy [hartree] and its gradient (atom, 3) [hartree/bohr] at a geometry (atom, 3) [bohr]."""
        positions = [float(x) for x in (geometry_bohr * ANGSTROM_PER_BOHR).ravel()]
        energy = self._field.CalcEnergy(positions) / KCAL_PER_MOL_PER_HARTREE
        gradient = np.array(self._field.CalcGrad(positions), dtype=float).reshape(-1, 3)
        return float(energy), gradient * (ANGSTROM_PER_BOHR / KCAL_PER_MOL_PER_HARTREE)
