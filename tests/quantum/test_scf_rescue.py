"""The rescue ladder and the stability analysis on molecules that need them."""

import itertools

import numpy as np
import pytest

from decar.config import QuantumSettings
from decar.quantum.backend import get_backend
from decar.quantum.level import Level
from decar.quantum.pyscf_mole import build_mole
from decar.quantum.scf_quadrature import converge
from tests.quantum.systems import OXYGEN, WATER, level, system

BACKEND = get_backend(QuantumSettings())


def test_a_difficult_molecule_climbs_the_ladder_and_every_attempt_is_recorded():
    chromium = system([24, 24], [[0, 0, 0], [0, 0, 4.2]])  # sixfold bond, near-degenerate d shells
    found = BACKEND.single_point(chromium, level(max_cycles=15, convergence_hartree=1e-6))
    attempts = found.quality["attempts"]
    assert attempts[0]["method"] == "diis"
    assert not attempts[0]["is_converged"]
    assert attempts[0]["num_cycles"] == 15
    assert attempts[-1]["is_converged"]
    assert found.energy_hartree == attempts[-1]["energy_hartree"]
    assert found.energy_hartree < attempts[0]["energy_hartree"]
    assert found.quality["num_cycles"] == sum(attempt["num_cycles"] for attempt in attempts)


def test_second_order_steps_rescue_what_too_few_diis_cycles_cannot():
    few = level(method="b3lyp", basis="6-31g", max_cycles=5, quadrature_level=1)
    enough = level(method="b3lyp", basis="6-31g", max_cycles=60, quadrature_level=1)
    found, reference = BACKEND.single_point(WATER, few), BACKEND.single_point(WATER, enough)
    assert [attempt["is_converged"] for attempt in found.quality["attempts"]] == [False] * 4 + [True]
    assert found.quality["attempts"][-1]["method"] == "second order"
    assert found.energy_hartree == pytest.approx(reference.energy_hartree, abs=1e-6)
    assert found.quality["num_electrons_quadrature"] == pytest.approx(10, abs=2e-3)


def test_a_saddle_point_is_left_downhill():
    nickel_oxide = system(
        [28, 8], [[0, 0, 0], [0, 0, 3.06]], multiplicity=3
    )  # DIIS converges to an excited determinant
    found = BACKEND.single_point(nickel_oxide, level(convergence_hartree=1e-6))
    methods = [attempt["method"] for attempt in found.quality["attempts"]]
    energies = [attempt["energy_hartree"] for attempt in found.quality["attempts"]]
    assert methods[0] == "diis"
    assert set(methods[1:]) == {"stability"}
    assert all(later < earlier for earlier, later in itertools.pairwise(energies))
    assert energies[0] - found.energy_hartree > 0.01
    assert found.quality["is_stable"] is True


def test_stretched_bond_is_known_to_prefer_open_shells():
    found = BACKEND.single_point(system([1, 1], [[0, 0, 0], [0, 0, 6.0]]), level(method="pbe", basis="6-31g"))
    assert found.quality["gap_hartree"] < 0.08
    assert found.quality["is_stable"] is True
    assert found.quality["is_stable_to_spin"] is False  # dissociation, the textbook case (doi 10.1063/1.434318)


@pytest.mark.parametrize(("molecule", "method"), [(WATER, "b3lyp"), (OXYGEN, "pbe"), (WATER, "r2scan")])
def test_two_grids_give_the_result_of_the_fine_one(molecule, method):
    from pyscf import dft

    wanted: Level = level(method=method, basis="6-31g*", quadrature_level=2, convergence_hartree=1e-7)
    results = []
    for is_direct in (True, False):
        mole = build_mole(molecule, wanted, 1000)
        mf = (dft.UKS if mole.spin else dft.RKS)(mole, xc=wanted.functional).density_fit(
            auxbasis="def2-universal-jkfit"
        )
        mf.conv_tol, mf.max_cycle = wanted.convergence_hartree, 60
        if is_direct:
            mf.grids.level = 2
            mf.kernel()
        else:
            _, count = converge(mf, None, 2)
            assert count == pytest.approx(mole.nelectron, abs=1e-3)
        assert mf.converged
        results.append((mf.e_tot, np.asarray(mf.make_rdm1()), np.asarray(mf.mo_energy)))
    assert results[0][0] == pytest.approx(results[1][0], abs=2e-7)
    assert np.abs(results[0][1] - results[1][1]).max() < 5e-4
    occupied = mole.nelec[0]
    assert np.abs(results[0][2] - results[1][2])[..., : occupied - 1].max() < 1e-4
