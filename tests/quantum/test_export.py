"""Exported files read back by iodata, a program of its own, give the density of the record."""

import json

import numpy as np
import pytest
from iodata import load_one

from decar.config import QuantumSettings
from decar.quantum.backend import get_backend
from decar.quantum.export import export_fchk, export_molden, export_qcschema
from tests.quantum.reference import iodata_density, points_around, real_solid_harmonic, record_density
from tests.quantum.systems import CYANO, HYDROGEN, WATER, level, system

HYDROXYL = system([8, 1], [[0, 0, 0], [0.3, 0.2, 1.8]], multiplicity=2)
CASES = {
    "restricted-cartesian": (WATER, {"basis": "6-31g*"}),
    "restricted-spherical": (WATER, {"basis": "def2-tzvp", "cartesian": False}),
    "unrestricted-cartesian": (CYANO, {"basis": "def2-tzvp"}),
    "unrestricted-spherical": (HYDROXYL, {"basis": "cc-pvqz", "cartesian": False, "fitting_basis": None}),
    "one-electron": (HYDROGEN, {"basis": "sto-3g"}),
    "core-potential": (system([53, 1], [[0, 0, 0], [0, 0, 3.04]]), {"basis": "def2-svp", "cartesian": False}),
}


@pytest.fixture(scope="module", params=list(CASES))
def wavefunction(request):
    molecule, settings = CASES[request.param]
    return get_backend(QuantumSettings()).single_point(molecule, level(**settings))


@pytest.mark.parametrize(("write", "suffix"), [(export_molden, "molden"), (export_fchk, "fchk")])
def test_density_survives(wavefunction, write, suffix, tmp_path):
    path = tmp_path / f"file.{suffix}"
    write(wavefunction, path)
    data = load_one(path)
    points = points_around(wavefunction.geometry_bohr)
    expected = record_density(wavefunction, points)
    assert np.abs(iodata_density(data, points) - expected).max() < 1e-6 * expected.max()
    assert list(data.atnums) == list(wavefunction.atomic_numbers)
    assert np.allclose(data.atcoords, wavefunction.geometry_bohr, atol=1e-7)
    assert list(data.atcorenums) == list(wavefunction.nuclear_charges)
    assert data.charge == wavefunction.charge
    number = len(wavefunction.alpha_energies)
    assert np.allclose(data.mo.energiesa[:number], wavefunction.alpha_energies, atol=1e-7)
    if suffix == "fchk":
        assert data.energy == pytest.approx(wavefunction.energy_hartree, abs=1e-7)


def qcschema_density(result, points):
    """Density from the JSON alone, by the CCA standard."""
    centres = np.reshape(result["molecule"]["geometry"], (-1, 3))
    stored, columns = result["wavefunction"], []
    for atom, centre in enumerate(stored["basis"]["atom_map"]):
        r = points - centres[atom]
        for shell in stored["basis"]["center_data"][centre]["electron_shells"]:
            (l,), alpha = shell["angular_momentum"], np.array(shell["exponents"])  # noqa: E741
            odd = np.prod(np.arange(2 * l - 1, 0, -2))
            norm = (2 * alpha / np.pi) ** 0.75 * np.sqrt((4.0 * alpha) ** l / odd)  # of x^l
            radial = np.exp(-np.outer((r**2).sum(1), alpha)) @ (norm * np.array(shell["coefficients"][0]))
            if shell["harmonic_type"] == "cartesian":
                for a in range(l, -1, -1):
                    for b in range(l - a, -1, -1):
                        columns.append(r[:, 0] ** a * r[:, 1] ** b * r[:, 2] ** (l - a - b) * radial)
            else:
                # x^l and S_lm differ in their norms on the unit sphere: 4 pi / (2l + 1) and one.
                factor = np.sqrt(4 * np.pi / (2 * l + 1))
                columns += [factor * real_solid_harmonic(l, m, r) * radial for m in range(-l, l + 1)]
    functions = np.stack(columns, axis=1)
    rho = 0.0
    for spin in ("a",) if stored["restricted"] else ("a", "b"):
        orbitals = np.reshape(stored[f"scf_orbitals_{spin}"], (functions.shape[1], -1))
        occupations = np.array(stored[f"scf_occupations_{spin}"]) * (2 if stored["restricted"] else 1)
        rho = rho + (functions @ orbitals) ** 2 @ occupations
    return rho


def test_qcschema_is_complete(wavefunction, tmp_path):
    path = tmp_path / "result.json"
    export_qcschema(wavefunction, path)
    points = points_around(wavefunction.geometry_bohr)
    expected = record_density(wavefunction, points)
    result = json.loads(path.read_text())
    assert np.abs(qcschema_density(result, points) - expected).max() < 1e-10 * expected.max()
    assert result["molecule"]["molecular_multiplicity"] == wavefunction.multiplicity
    assert result["properties"]["calcinfo_nbasis"] == result["wavefunction"]["basis"]["nbf"]
    data = load_one(path, fmt="json_qcschema")
    assert data.energy == wavefunction.energy_hartree
    assert list(data.atnums) == list(wavefunction.atomic_numbers)


def test_fchk_states_what_it_holds(tmp_path):
    found = get_backend(QuantumSettings()).single_point(CYANO, level(basis="6-31g*"))
    export_fchk(found, tmp_path / "file.fchk")
    lines = (tmp_path / "file.fchk").read_text().splitlines()
    scalars = {line[:40].strip(): line.split()[-1] for line in lines if line[43:44] == "I" and "N=" not in line}
    assert scalars["Number of basis functions"] == "30"
    assert scalars["Number of independent functions"] == "8"
    assert scalars["Pure/Cartesian d shells"] == "1"
    assert scalars["Multiplicity"] == "2"
