"""One Fock build tells an honest record from five kinds of falsified ones, whatever engine or level made it."""

import dataclasses

import numpy as np
import pytest

from decar.config import ContributionSettings, QuantumSettings
from decar.errors import ConfigError, DataFormatError
from decar.quantum.backend import get_backend
from decar.quantum.level import Level
from decar.quantum.physics_check import COMMUTATOR_HARTREE, check_physics
from decar.quantum.pyscf_scf import dipole, solve
from decar.quantum.record_checks import check_wavefunction
from decar.quantum.single_point import publication
from decar.record import Record, write_record
from decar.verify import verify_file
from tests.quantum import falsify
from tests.quantum.systems import CYANO, HYDROXIDE, OXYGEN, WATER, level, system

SETTINGS = QuantumSettings(quadrature_level=1)
MOLECULES = {"closed shell": WATER, "radical": CYANO, "anion": HYDROXIDE}
FALSIFIED = {
    "another functional": lambda record: falsify.of_another_functional(record, SETTINGS, "pbe0"),
    "noise": falsify.noisy,
    "an atom moved by 0.01 angstrom": falsify.with_moved_atom,
    "initial guess": falsify.with_guessed_orbitals,
    "swapped frontier orbitals": falsify.with_swapped_frontier,
}


@pytest.fixture(scope="module")
def honest():
    backend = get_backend(SETTINGS)
    return {name: backend.single_point(molecule, Level.from_settings(SETTINGS)) for name, molecule in MOLECULES.items()}


@pytest.mark.parametrize("name", MOLECULES)
def test_an_honest_record_passes_with_room_to_spare(honest, name):
    record = honest[name]
    found = check_physics(record)
    assert found.problems == ()
    assert found.commutator_hartree < 0.3 * COMMUTATOR_HARTREE
    assert found.energy_hartree == pytest.approx(record.energy_hartree, abs=1e-8)
    assert found.num_electrons == pytest.approx(record.quality["num_electrons_quadrature"], abs=1e-8)
    assert np.allclose(found.dipole_e_bohr, record.dipole_e_bohr, atol=1e-10)


@pytest.mark.parametrize("name", MOLECULES)
@pytest.mark.parametrize("kind", FALSIFIED)
def test_a_falsified_record_is_caught_by_the_commutator_alone(honest, name, kind):
    """The forger keeps the orbitals orthonormal and states the energy and dipole that they have."""
    forged = falsify.with_consistent_figures(FALSIFIED[kind](honest[name]))
    check_wavefunction(forged)  # every simple check passes
    problems = check_physics(forged).problems
    assert len(problems) == 1
    assert "no solution at B3LYP/6-31G*" in problems[0]


@pytest.mark.psi4
def test_a_record_of_psi4_passes_and_is_caught_when_it_is_falsified():
    settings = SETTINGS.model_copy(update={"backend": "psi4"})
    record = get_backend(settings).single_point(HYDROXIDE, Level.from_settings(settings))
    assert check_physics(record).problems == ()
    for change in FALSIFIED.values():
        (problem,) = check_physics(falsify.with_consistent_figures(change(record))).problems
        assert "no solution at B3LYP/6-31G*" in problem


@pytest.mark.parametrize("name", MOLECULES)
def test_a_wrong_number_of_electrons_is_caught(honest, name):
    """Orbitals that hold too much charge, and one that is left out: by the quadrature, and by counting."""
    record = honest[name]
    swollen = dataclasses.replace(record, alpha_coefficients=1.002 * record.alpha_coefficients)
    assert any("the quadrature finds" in problem for problem in check_physics(swollen).problems)
    fewer = record.alpha_occupations.copy()
    fewer[np.flatnonzero(fewer)[-1]] = 0
    with pytest.raises(DataFormatError, match="wrong number of electrons"):
        check_wavefunction(dataclasses.replace(record, alpha_occupations=fewer))


def test_wrong_figures_are_named(honest):
    record = honest["closed shell"]
    stated = dataclasses.replace(
        record, energy_hartree=record.energy_hartree - 1e-3, dipole_e_bohr=-record.dipole_e_bohr
    )
    energy, moment = check_physics(stated).problems
    assert "the energy at B3LYP/6-31G* is -76." in energy
    assert "the stated dipole is 1." in moment


LEVELS = {
    "hartree-fock": (WATER, {"method": "hf", "basis": "6-31g*"}),
    "exact integrals": (WATER, {"method": "pbe0", "fitting_basis": None}),
    "meta-gga, triplet": (OXYGEN, {"method": "r2scan", "basis": "6-31g", "cartesian": False}),
    "range-separated": (WATER, {"method": "cam-b3lyp", "basis": "6-31g*"}),
    "core potential": (system([53, 1], [[0, 0, 0], [0, 0, 3.04]]), {"method": "pbe", "basis": "def2-svp"}),
    "continuum": (HYDROXIDE, {"method": "b3lyp", "basis": "sto-3g", "solvent_dielectric": 78.4}),
    "one electron": (system([1], [[0, 0, 0]], multiplicity=2), {"method": "hf", "basis": "6-31g*"}),
}


@pytest.mark.parametrize("name", LEVELS)
def test_every_kind_of_level_is_rebuilt_from_the_record_alone(name):
    molecule, settings = LEVELS[name]
    record = get_backend(SETTINGS).single_point(molecule, level(convergence_hartree=1e-7, **settings))
    found = check_physics(record)
    assert found.problems == ()
    assert found.energy_hartree == pytest.approx(record.energy_hartree, abs=1e-8)


def test_a_level_that_is_not_whole_or_not_known_is_said(honest):
    record = honest["closed shell"]
    stated = {name: value for name, value in record.level.items() if name != "fitting_basis"}
    with pytest.raises(DataFormatError, match="not stated whole"):
        check_physics(dataclasses.replace(record, level=stated))
    for name, value in (("quadrature_level", 99), ("convergence_hartree", -1.0), ("basis", 5), ("solvent", 1)):
        with pytest.raises(DataFormatError, match="not stated whole"):
            check_physics(dataclasses.replace(record, level={**record.level, name: value}))
    nonsense = {"method": "gga_x_nonsense", "functional": "gga_x_nonsense"}
    with pytest.raises(ConfigError, match="libxc has no such functional"):
        check_physics(dataclasses.replace(record, level={**record.level, **nonsense}))
    with pytest.raises(DataFormatError, match="the method b3lyp is another functional"):
        check_physics(dataclasses.replace(record, level={**record.level, "functional": "gga_x_pbe,gga_c_pbe"}))
    (problem,) = check_physics(dataclasses.replace(record, level={**record.level, "basis": "6-311g*"})).problems
    assert problem == "the functions are not those of 6-311g*"


def test_verify_builds_the_fock_matrix_on_demand_only(honest, tmp_path):
    forged = falsify.noisy(honest["radical"])
    metadata = {
        "key": "0" * 64,
        "smiles": "[C]#N",
        "charge": 0,
        "multiplicity": 2,
        "num_conformers": 1,
        "conformers": [{**forged.to_metadata(), "geometry_conformer": 0, "annotations": []}],
        "failed_conformers": [],
        **publication(ContributionSettings()),
    }
    record = Record("wavefunction", "ab" * 32, metadata, forged.to_arrays("0/"))
    path = tmp_path / f"{record.recipe}.h5"
    write_record(path, record)
    assert verify_file(path) == []
    lines: list[str] = []
    problems = verify_file(path, physics=True, report=lines.append)
    assert any("conformer 0: the orbitals are no solution" in problem for problem in problems)
    assert lines[0].startswith("abababababababab conformer 0: B3LYP/6-31G*, ||FPS - SPF|| ")


def test_the_figure_is_the_largest_coupling_of_occupied_and_empty_orbitals():
    """Against PySCF's own orbital gradient, in the basis of all its orbitals."""
    stated = level(method="pbe", basis="6-31g*")
    mf = solve(WATER, stated, 2000).mf
    turned = mf.mo_coeff.copy()
    angle = 1e-3  # turns the highest occupied into the lowest empty orbital
    turned[:, 4] = np.cos(angle) * mf.mo_coeff[:, 4] + np.sin(angle) * mf.mo_coeff[:, 5]
    turned[:, 5] = np.cos(angle) * mf.mo_coeff[:, 5] - np.sin(angle) * mf.mo_coeff[:, 4]
    density = mf.make_rdm1(turned, mf.mo_occ)
    couplings = turned[:, 5:].T @ mf.get_fock(dm=density) @ turned[:, :5]
    record = get_backend(SETTINGS).single_point(WATER, stated)
    mixed = dataclasses.replace(record, alpha_coefficients=turned[:, :6])
    expected = float(np.linalg.svd(couplings, compute_uv=False)[0])
    assert expected > 1e-4
    assert check_physics(mixed).commutator_hartree == pytest.approx(expected, rel=1e-6)
    assert np.allclose(dipole(mf), record.dipole_e_bohr, atol=1e-5)
