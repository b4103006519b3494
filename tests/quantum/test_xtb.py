"""GFN2-xTB through tblite: a literal energy, the gradient, solvent, spin, and every error."""

import numpy as np
import pytest

from decar.errors import ConfigError, ConvergenceError, InputMoleculeError
from decar.xtb import Gfn2

WATER_NUMBERS = np.array([8, 1, 1], dtype=np.int32)
WATER = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 1.8], [1.7, 0.0, -0.5]])
# Made with tblite's own program (Python wheel 0.8.0), accuracy 0.01:
#   Calculator("GFN2-xTB", [8, 1, 1], [[0, 0, 0], [0, 0, 1.8], [1.7, 0, -0.5]]).singlepoint()["energy"]
WATER_HARTREE = -5.070047332498752


def test_energy_of_water():
    energy, gradient = Gfn2(WATER_NUMBERS, 0, 1)(WATER)
    assert energy == pytest.approx(WATER_HARTREE, abs=1e-8)
    assert gradient.shape == (3, 3)
    assert gradient.sum(axis=0) == pytest.approx(np.zeros(3), abs=1e-8)


def test_bond_energy_of_hydrogen_is_physical():
    """H2 -> 2 H: exact 0.1745 hartree at the minimum; GFN2 overbinds a little."""
    molecule, _ = Gfn2(np.array([1, 1]), 0, 1)(np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 1.45]]))
    atom, _ = Gfn2(np.array([1]), 0, 2)(np.zeros((1, 3)))
    assert 2 * atom - molecule == pytest.approx(0.1745, abs=0.03)


@pytest.mark.parametrize(("charge", "multiplicity", "solvent"), [(0, 1, None), (1, 2, None), (0, 1, "water")])
def test_gradient_is_the_derivative_of_the_energy(charge, multiplicity, solvent):
    surface = Gfn2(WATER_NUMBERS, charge, multiplicity, solvent)
    _, gradient = surface(WATER)
    numeric = np.zeros((3, 3))
    h = 1e-3
    for atom, axis in np.ndindex(3, 3):
        step = np.zeros((3, 3))
        step[atom, axis] = h
        numeric[atom, axis] = (surface(WATER + step)[0] - surface(WATER - step)[0]) / (2 * h)
    assert gradient == pytest.approx(numeric, abs=2e-6)


def test_water_solvent_stabilises_and_charge_and_spin_matter():
    neutral, _ = Gfn2(WATER_NUMBERS, 0, 1)(WATER)
    solvated, _ = Gfn2(WATER_NUMBERS, 0, 1, "water")(WATER)
    cation, _ = Gfn2(WATER_NUMBERS, 1, 2)(WATER)
    triplet, _ = Gfn2(WATER_NUMBERS, 0, 3)(WATER)
    assert -0.03 < solvated - neutral < -0.005  # experiment: -6.3 kcal/mol = -0.010 hartree
    assert cation > neutral + 0.3
    assert triplet > neutral + 0.1


def test_restarted_energy_equals_a_fresh_one():
    surface = Gfn2(WATER_NUMBERS, 0, 1)
    surface(WATER + 0.1)
    surface(WATER * 1.05)
    assert surface(WATER)[0] == pytest.approx(WATER_HARTREE, abs=1e-7)


def test_is_silent(capfd):
    Gfn2(WATER_NUMBERS, 0, 1)(WATER)
    assert capfd.readouterr() == ("", "")


def test_element_without_parameters():
    with pytest.raises(InputMoleculeError) as caught:
        Gfn2(np.array([92]), 0, 1)
    assert caught.value.reason == "element_without_parameters"
    assert "92" in str(caught.value)


@pytest.mark.parametrize(("charge", "multiplicity"), [(0, 2), (1, 1), (0, 13), (0, 0)])
def test_impossible_multiplicity(charge, multiplicity):
    with pytest.raises(InputMoleculeError) as caught:
        Gfn2(WATER_NUMBERS, charge, multiplicity)
    assert caught.value.reason == "impossible_multiplicity"


def test_unknown_solvent_is_an_error_of_the_study():
    with pytest.raises(ConfigError, match="unobtainium"):
        Gfn2(WATER_NUMBERS, 0, 1, "unobtainium")(WATER)


def test_no_convergence_is_an_error_that_says_what_was_tried():
    with pytest.raises(ConvergenceError) as caught:
        Gfn2(WATER_NUMBERS, 0, 1)(np.zeros((3, 3)))  # coinciding nuclei
    assert caught.value.reason == "xtb_not_converged"
    assert len(caught.value.attempts) == 2
