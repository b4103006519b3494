"""Sizes counted from formulas are those of the molecules that PySCF builds and of the boxes that are rendered."""

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import rdMolDescriptors

from decar.config import FieldsSettings, QuantumSettings
from decar.fields.grid import molecule_grid
from decar.planning.cost_model import constants
from decar.planning.cost_sizes import box_voxels, element_counts, molecule_sizes, num_functions

EXTENTS = ((2.0, 0.5), (1.8, 0.4), (1.5, 0.3))


def test_formulas_are_counted_element_by_element() -> None:
    counts, symbols = element_counts(["C6H12O6", "CHCl3", "", "H2", "C2H4NO2-", "C4H6O4Pb"])
    table = dict(zip(symbols, counts.T.tolist()))
    assert table["C"] == [6, 1, 0, 0, 2, 4]
    assert table["H"] == [12, 1, 0, 2, 4, 6]
    assert table["Cl"] == [0, 3, 0, 0, 0, 0]
    assert table["Pb"] == [0, 0, 0, 0, 0, 1]
    assert counts.sum() == 24 + 5 + 2 + 9 + 15


@pytest.mark.parametrize(("basis", "is_cartesian"), [("6-31g*", True), ("def2-tzvp", False), ("cc-pvdz", False)])
def test_basis_functions_are_those_that_pyscf_builds(basis: str, is_cartesian: bool) -> None:
    """No integral and no molecule: a sum over elements equals PySCF's own count for a built molecule."""
    from pyscf import gto

    formula, atoms = "CH2ClNOS", "C 0 0 0; H 0 0 1; H 0 1 0; Cl 3 0 0; N 0 3 0; O 0 0 3; S 3 3 0"
    built = gto.M(atom=atoms, basis=basis, cart=is_cartesian, spin=None)
    settings = QuantumSettings(basis=basis, cartesian=is_cartesian)
    sizes = molecule_sizes([formula], settings, FieldsSettings(), EXTENTS)
    assert sizes.functions[0] == built.nao
    assert sizes.electrons[0] == built.nelectron
    fitting = gto.M(atom=atoms, basis="def2-universal-jkfit", cart=is_cartesian, spin=None)
    assert sizes.fitting[0] == fitting.nao


def test_an_element_without_functions_counts_none() -> None:
    assert num_functions("6-31g*", "I", True) == 0
    assert num_functions("6-31g*", "H", True) == 2


def test_a_fixed_box_is_exact_and_a_growing_one_grows() -> None:
    atoms = np.array([3.0, 10.0, 50.0])
    fixed = FieldsSettings(box=(56, 48, 40))
    assert box_voxels(atoms, fixed, EXTENTS).tolist() == [56 * 48 * 40] * 3
    boxes = box_voxels(atoms, FieldsSettings(), EXTENTS)
    assert (np.diff(boxes) > 0).all()
    finer = box_voxels(atoms, FieldsSettings(spacing_angstrom=0.175), EXTENTS)
    assert (finer > 6 * boxes).all()


def test_the_estimated_box_is_near_the_true_one() -> None:
    """Of molecules that were not in the fit, with force-field geometries in their principal axes."""
    from rdkit.Chem import rdDistGeom

    ratios = []
    for smiles in ("CCCCCCO", "c1ccc2ccccc2c1", "OC(=O)CC(O)(CC(O)=O)C(O)=O", "CC(C)(C)C", "Clc1ccccc1Cl"):
        molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
        rdDistGeom.EmbedMolecule(molecule, 7)
        positions = molecule.GetConformer().GetPositions()
        centred = positions - positions.mean(axis=0)
        turned = centred @ np.linalg.svd(centred, full_matrices=False)[2].T
        true = molecule_grid(turned / 0.529177210903, FieldsSettings()).num_voxels
        formula = rdMolDescriptors.CalcMolFormula(molecule)
        sizes = molecule_sizes([formula], QuantumSettings(), FieldsSettings(), constants()["extents_angstrom"])
        ratios.append(sizes.voxels[0] / true)
    assert 0.7 < np.median(ratios) < 1.4
    assert max(ratios) < 2
    assert min(ratios) > 0.5
