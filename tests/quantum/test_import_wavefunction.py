"""Wavefunctions of other programs come in unchanged, or are refused with the number that contradicts them."""

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from iodata import dump_one, load_one

from decar.config import ContributionSettings, QuantumSettings
from decar.errors import DataFormatError, InputMoleculeError
from decar.quantum.backend import get_backend
from decar.quantum.export import export_fchk, export_molden
from decar.quantum.import_determinant import import_determinant
from decar.quantum.import_file import read_foreign
from decar.quantum.import_level import stated_levels
from decar.quantum.import_molecule import check_molecule, smiles_of_geometry
from decar.quantum.import_record import import_alone
from decar.quantum.level import Level
from decar.quantum.record_checks import check_wavefunction, compare
from decar.quantum.wavefunction import Wavefunction
from tests.quantum.systems import CYANO, HYDROXIDE, WATER, level, system

IODIDE = system([53, 1], [[0, 0, 0], [0, 0, 3.04]])
CASES = {
    "water": (WATER, level(method="b3lyp", basis="6-31g*")),
    "anion": (HYDROXIDE, level(method="pbe", basis="def2-svp", fitting_basis=None)),
    "radical-spherical": (CYANO, level(basis="def2-tzvp", cartesian=False)),
    "core-potential": (IODIDE, level(basis="def2-svp", cartesian=False)),
}
WRITERS = {"fchk": export_fchk, "molden": export_molden}


@pytest.fixture(scope="module")
def made():
    """Wavefunctions of this project's own engine, by name."""
    return {name: get_backend(QuantumSettings()).single_point(*case) for name, case in CASES.items()}


def bring(path: Path, stated: Level, molecule):
    return import_determinant(read_foreign(path), path, stated, molecule.charge, molecule.multiplicity)


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize("name", CASES)
def test_what_goes_out_comes_back(made, name, suffix, tmp_path):
    path = tmp_path / f"file.{suffix}"
    WRITERS[suffix](made[name], path)
    found = bring(path, CASES[name][1], CASES[name][0])
    check_wavefunction(found.wavefunction)
    difference = compare(made[name], found.wavefunction)
    assert difference.density_l1 < 1e-6
    assert difference.energy_hartree < 1e-6  # molden has none: that of the Fock build
    assert difference.dipole_e_bohr < 1e-6
    assert difference.orbital_energy_hartree < 1e-7
    assert found.residual < 1e-9
    # Not only the density: functions, their order and the orbitals are those that the engine gives.
    assert np.allclose(found.wavefunction.basis.coefficients, made[name].basis.coefficients, rtol=1e-12)
    assert np.allclose(found.wavefunction.alpha_coefficients, made[name].alpha_coefficients, atol=1e-6)
    for figure in ("s_squared", "gap_hartree", "num_electrons"):
        assert found.wavefunction.quality[figure] == pytest.approx(made[name].quality[figure], abs=1e-6)


def write_wfx(wavefunction: Wavefunction, path: Path) -> None:
    """By way of fchk: iodata 1.0.1 writes wfx rightly only from the order of functions that this format has."""
    export_fchk(wavefunction, path.with_suffix(".fchk"))
    data = load_one(path.with_suffix(".fchk"))
    data.extra = {"keywords": "GTO", "num_perturbations": 0, "virial_ratio": 2.0}
    dump_one(data, str(path), fmt="wfx")


def test_primitives_of_a_wfx_file_are_contracted_again(made, tmp_path):
    path = tmp_path / "water.wfx"
    write_wfx(made["water"], path)
    file = read_foreign(path)
    assert file.basis.num_functions > made["water"].basis.num_functions
    with pytest.raises(DataFormatError, match="does not say its method"):
        levels_of(file, path)
    levels = levels_of(file, path, method="b3lyp", basis="6-31g(d)", fitting_basis="def2-universal-jkfit")
    assert [candidate.is_cartesian for candidate in levels] == [False, True]
    with pytest.raises(DataFormatError, match="no combinations of the functions of 6-31g"):
        import_determinant(file, path, levels[0], 0, 1)
    record = import_alone(file, path, levels, "O", 0, None, ContributionSettings(contributor="A. Chemist"))
    found = Wavefunction.from_record(record.arrays, record.metadata["conformers"][0], "0/")
    assert found.level["label"] == "B3LYP/6-31G*"
    assert found.level["is_cartesian"]
    assert compare(made["water"], found).density_l1 < 1e-6
    assert record.metadata["contributor"] == "A. Chemist"
    with pytest.raises(DataFormatError, match="its basis has to be named"):
        import_determinant(file, path, replace(levels[1], basis="my own"), 0, 1)


def levels_of(file, path, **stated):
    options = {
        "method": None, "basis": None, "fitting_basis": None, "cartesian": None, "quadrature_level": 3,
        "solvent_dielectric": None,
    }  # fmt: skip
    return stated_levels(file, path, **{**options, **stated})


def test_a_record_says_that_it_is_imported(made, tmp_path):
    path = tmp_path / "water.molden"
    export_molden(made["water"], path)
    file = read_foreign(path, program="Gaussian")
    levels = levels_of(file, path, method="b3lyp", basis="6-31g*", fitting_basis="def2-universal-jkfit")
    record = import_alone(file, path, levels, None, 0, None, ContributionSettings())
    assert record.metadata["source"] == "imported"
    assert record.metadata["smiles"] == "O"
    assert record.metadata["imported"]["program"] == record.provenance["engine"]["name"] == "Gaussian"
    assert record.metadata["imported"]["check"]["commutator_hartree"] < 1e-3
    assert record.provenance["imported_from"] == "water.molden"
    again = import_alone(file, path, levels, "[H]O[H]", 0, 1, ContributionSettings())
    assert (again.recipe, again.content_hash) == (record.recipe, record.content_hash)


@pytest.mark.parametrize(
    ("said", "expected"), [("rb3lyp", "b3lyp"), ("UPBE1PBE", "pbe0"), ("rohf", "hf"), ("r2scan", "r2scan")]
)
def test_spellings_of_methods(made, tmp_path, said, expected):
    path = tmp_path / "water.fchk"
    export_fchk(made["water"], path)
    file = replace(read_foreign(path, program="Gaussian"), method=said)
    (found,) = levels_of(file, path)
    assert found.method == expected
    assert found.basis == "6-31g*"


def test_a_basis_of_the_users_own_is_kept_as_it_is(made, tmp_path):
    path = tmp_path / "water.fchk"
    export_fchk(made["water"], path)
    found = bring(path, replace(CASES["water"][1], basis="home-made"), WATER)
    assert compare(made["water"], found.wavefunction).density_l1 < 1e-6
    assert found.wavefunction.level["basis"] == "home-made"


def changed(path: Path, change) -> Path:
    text = path.read_text()
    new = change(text)
    assert new != text
    path.write_text(new)
    return path


def half(text: str) -> str:
    return text[: len(text) // 2]


def without_an_occupied_orbital(text: str) -> str:
    without_the_empty_one = text[: text.rindex(" Ene=")]
    return text[: without_the_empty_one.rindex(" Ene=")]


def same(text: str) -> str:
    return text + "\n"


DAMAGE = {
    "truncated fchk": ("fchk", half, {}, "no whole fchk file"),
    "truncated molden": ("molden", half, {}, "no whole molden file"),
    "an orbital is cut off": ("molden", without_an_occupied_orbital, {}, "wrong number of electrons"),
    "not a molden file": ("molden", lambda _: "nonsense\n", {}, "no whole molden file"),
    "an atom moved": (
        "fchk", lambda t: re.sub(r"(Current cartesian.*\n) *\S+", r"\1  0.1000000000E+00", t), {}, "not orthonormal",
    ),
    "another energy": (
        "fchk", lambda t: re.sub(r"(Total Energy.*)-7\.\d", r"\1-7.7", t), {}, "the energy at B3LYP/6-31G. is -7",
    ),
    "fractions": ("molden", lambda t: t.replace("2.000000", "1.950000", 1), {}, "not one closed-shell"),
    "another functional": ("molden", same, {"method": "pbe0", "functional": "hyb_gga_xc_pbeh"}, "no solution"),
    "another basis": ("molden", same, {"basis": "6-31g"}, "another number of basis functions"),
    "spherical": ("molden", same, {"is_cartesian": False}, "no combinations of the functions of 6-31g"),
}  # fmt: skip


@pytest.mark.parametrize("kind", DAMAGE)
def test_what_is_wrong_is_named(made, kind, tmp_path):
    suffix, damage, stated, message = DAMAGE[kind]
    path = tmp_path / f"water.{suffix}"
    WRITERS[suffix](made["water"], path)
    changed(path, damage)
    with pytest.raises(DataFormatError, match=message):
        bring(path, replace(CASES["water"][1], **stated), WATER)


def test_another_basis_of_as_many_functions_is_noticed(made, tmp_path):
    path = tmp_path / "hydroxide.molden"
    export_molden(made["anion"], path)
    with pytest.raises(DataFormatError, match="no combinations of the functions of cc-pvdz"):
        bring(path, replace(CASES["anion"][1], basis="cc-pvdz"), HYDROXIDE)


def test_charge_and_multiplicity_must_be_those_of_the_orbitals(made, tmp_path):
    path = tmp_path / "water.fchk"
    export_fchk(made["water"], path)
    file, stated = read_foreign(path), CASES["water"][1]
    with pytest.raises(DataFormatError, match="wrong number of electrons"):
        import_determinant(file, path, stated, -2, 1)
    with pytest.raises(DataFormatError, match="another multiplicity"):
        import_determinant(file, path, stated, 0, 3)
    with pytest.raises(InputMoleculeError, match="cannot have this multiplicity"):
        import_determinant(file, path, stated, 1, 1)


def test_files_that_hold_no_wavefunction(tmp_path):
    path = tmp_path / "water.xyz"
    path.write_text("1\n\nHe 0 0 0\n")
    with pytest.raises(DataFormatError, match="format of the file is not known"):
        read_foreign(path)
    with pytest.raises(DataFormatError, match="holds no orbitals"):
        read_foreign(path, "xyz")
    with pytest.raises(DataFormatError, match="cannot be read"):
        read_foreign(tmp_path / "absent.fchk")


def test_the_molecule_is_told_from_distances_or_checked_against_them():
    numbers, geometry = np.array([6, 8, 1, 1], dtype=np.int32), np.array(
        [[0, 0, 0], [0, 0, 2.27], [0, 1.78, -1.1], [0, -1.78, -1.1]], dtype=float
    )  # fmt: skip
    assert smiles_of_geometry(numbers, geometry, 0) == "C=O"
    shuffled = [2, 1, 3, 0]
    check_molecule("C=O", numbers[shuffled], geometry[shuffled])
    for other in ("CO", "C#[O+]", "CN"):
        with pytest.raises(InputMoleculeError, match="another molecule"):
            check_molecule(other, numbers, geometry)


PSI4_INPUT = """
import psi4
psi4.core.set_output_file("psi4.out", False)
for name, atoms, reference, puream, basis in (
    ("formaldehyde", "0 1\\nO 0 0 1.2\\nC 0 0 0\\nH 0 0.94 -0.54\\nH 0 -0.94 -0.54", "rks", "false", "6-31g*"),
    ("cyano", "0 2\\nC 0 0 0\\nN 0 0 1.17", "uks", "true", "def2-svp"),
):
    molecule = psi4.geometry(atoms + "\\nno_com\\nno_reorient\\nsymmetry c1\\nunits angstrom")
    psi4.set_options({"basis": basis, "puream": puream, "reference": reference, "scf_type": "pk"})
    _, wavefunction = psi4.energy("b3lyp", return_wfn=True, molecule=molecule)
    psi4.molden(wavefunction, name + ".molden")
    psi4.fchk(wavefunction, name + ".fchk")
"""


@pytest.mark.psi4
def test_files_of_the_real_psi4(tmp_path, monkeypatch):
    monkeypatch.delenv("PYTHONPATH", raising=False)
    (tmp_path / "input.py").write_text(PSI4_INPUT)
    subprocess.run(
        ["psi4", "-n", "1", "input.py", "out.txt"], cwd=tmp_path, check=True, capture_output=True, timeout=300
    )
    for name, smiles, basis in (("formaldehyde", "C=O", "6-31g*"), ("cyano", "[C]#N", "def2-svp")):
        found = {}
        for suffix in WRITERS:
            path = tmp_path / f"{name}.{suffix}"
            file = read_foreign(path)
            levels = levels_of(file, path, method="b3lyp", basis=basis)
            record = import_alone(file, path, levels, smiles, 0, None, ContributionSettings())
            found[suffix] = Wavefunction.from_record(record.arrays, record.metadata["conformers"][0], "0/")
        assert compare(found["fchk"], found["molden"]).density_l1 < 1e-5
        # The energy in the file is Psi4's, that of the molden file PySCF's for Psi4's orbitals.
        assert found["fchk"].energy_hartree == pytest.approx(found["molden"].energy_hartree, abs=2e-5)
        where = system(found["fchk"].atomic_numbers, found["fchk"].geometry_bohr, 0, found["fchk"].multiplicity)
        own = get_backend(QuantumSettings()).single_point(where, Level.from_metadata(found["fchk"].level))
        assert compare(own, found["fchk"]).density_l1 < 1e-4
