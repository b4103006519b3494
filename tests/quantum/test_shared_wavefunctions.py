"""The project's own records against wavefunctions that were computed independently of it (where they are at hand)."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from decar.config import QuantumSettings
from decar.quantum.backend import get_backend
from decar.quantum.level import Level
from tests.quantum.reference import points_around, record_functions
from tests.quantum.systems import system

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "wavefunctions-b3lyp-631gs.h5"


@pytest.mark.skipif(not SHARED.exists(), reason="the shared wavefunctions are not beside this repository")
@pytest.mark.parametrize("name", ["2363", "2037", "0564"])  # HCN, SO2, CHCl3
def test_energy_density_and_dipole_agree(name):
    with h5py.File(SHARED) as file:
        numbers, geometry = file[name]["atomic_numbers"][()], file[name]["geometry_bohr"][()]
        orbitals, attributes = file[name]["mo_occupied"][()].astype(float), dict(file[name].attrs)
    settings = QuantumSettings(quadrature_level=int(attributes["grid_level"]))
    found = get_backend(settings).single_point(system(numbers, geometry), Level.from_settings(settings))
    assert found.energy_hartree == pytest.approx(attributes["energy_hartree"], abs=1e-6)
    points = points_around(found.geometry_bohr, 2000)
    functions = record_functions(found, points)
    expected = 2 * ((functions @ orbitals) ** 2).sum(axis=1)
    rho = np.einsum("gi,ij,gj->g", functions, found.density_matrix(), functions, optimize=True)
    assert np.abs(rho - expected).max() < 1e-4
    assert np.abs(rho - expected).sum() < 1e-4 * expected.sum()
    assert np.allclose(found.dipole_e_bohr * 2.541746473, attributes["dipole_debye"], atol=2e-3)
