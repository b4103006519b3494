"""geomeTRIC as a library: minima of known surfaces, failures, silence, nothing left behind."""

import logging

import numpy as np
import pytest

from decar.errors import ConvergenceError
from decar.quantum.geometric_driver import Step, optimise_geometry
from decar.xtb import Gfn2

WATER_NUMBERS = np.array([8, 1, 1], dtype=np.int32)
WATER = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 2.1], [1.9, 0.0, -0.2]])


def spring(length, constant=0.5):
    """E = k/2 (|r1 - r0| - length)^2 for a diatomic."""

    def surface(geometry):
        difference = geometry[1] - geometry[0]
        distance = np.linalg.norm(difference)
        force = constant * (distance - length) * difference / distance
        return 0.5 * constant * (distance - length) ** 2, np.array([-force, force])

    return surface


def test_harmonic_diatomic_finds_its_length():
    result = optimise_geometry(
        spring(2.3), np.array([1, 17]), np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 2.8]]), convergence="tight", max_steps=50
    )
    assert np.linalg.norm(result.geometry_bohr[1] - result.geometry_bohr[0]) == pytest.approx(2.3, abs=1e-4)
    assert result.energy_hartree == pytest.approx(0.0, abs=1e-8)
    assert result.coordinates == "tric"


@pytest.mark.parametrize(("convergence", "largest"), [("loose", 2.5e-3), ("normal", 4.5e-4), ("tight", 1.5e-5)])
def test_criteria_are_obeyed_and_energy_falls(convergence, largest):
    result = optimise_geometry(Gfn2(WATER_NUMBERS, 0, 1), WATER_NUMBERS, WATER, convergence=convergence, max_steps=100)
    assert np.linalg.norm(result.gradient, axis=1).max() <= largest
    assert result.energy_hartree == min(result.trajectory_hartree) < result.trajectory_hartree[0]
    energy, _ = Gfn2(WATER_NUMBERS, 0, 1)(result.geometry_bohr)
    assert energy == pytest.approx(result.energy_hartree, abs=1e-7)


def test_single_atom_needs_one_evaluation():
    result = optimise_geometry(
        Gfn2(np.array([2]), 0, 1), np.array([2]), np.ones((1, 3)), convergence="normal", max_steps=5
    )
    assert (result.num_steps, result.coordinates) == (0, "none")
    assert result.geometry_bohr == pytest.approx(np.ones((1, 3)))


def test_each_evaluation_is_reported_and_the_last_step_is_a_restart():
    steps: list[Step] = []
    result = optimise_geometry(
        Gfn2(WATER_NUMBERS, 0, 1), WATER_NUMBERS, WATER, convergence="normal", max_steps=100, on_step=steps.append
    )
    assert [step.index for step in steps] == list(range(result.num_steps + 1))
    assert tuple(step.energy_hartree for step in steps) == result.trajectory_hartree
    middle = steps[len(steps) // 2].geometry_bohr
    again = optimise_geometry(Gfn2(WATER_NUMBERS, 0, 1), WATER_NUMBERS, middle, convergence="normal", max_steps=100)
    assert again.energy_hartree == pytest.approx(result.energy_hartree, abs=1e-6)
    assert again.num_steps < result.num_steps


def test_too_few_steps_are_a_convergence_error():
    with pytest.raises(ConvergenceError) as caught:
        optimise_geometry(Gfn2(WATER_NUMBERS, 0, 1), WATER_NUMBERS, WATER, convergence="tight", max_steps=1)
    assert caught.value.reason == "optimisation_not_converged"
    assert caught.value.attempts[0]["coordinates"] == "tric"


def test_an_error_of_the_surface_comes_through_unchanged():
    def broken(geometry):
        raise ValueError("from the surface")

    with pytest.raises(ValueError, match="from the surface"):
        optimise_geometry(broken, WATER_NUMBERS, WATER, convergence="normal", max_steps=5)


def test_silent_and_nothing_left_on_disk(tmp_path, monkeypatch, capfd, caplog):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with caplog.at_level(logging.DEBUG):
        optimise_geometry(Gfn2(WATER_NUMBERS, 0, 1), WATER_NUMBERS, WATER, convergence="normal", max_steps=50)
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []
    assert list(tmp_path.iterdir()) == []
    assert logging.getLogger("geometric.nifty").disabled is False
