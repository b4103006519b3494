"""The command line as a user meets it: help, errors, records."""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from decar.batch import Molecule
from decar.cli import app
from decar.config_file import load_study
from decar.molecules.conformers import compute as conformers
from decar.quantum.optimise import compute as optimise
from decar.quantum.single_point import compute as single_point
from decar.quantum.wavefunction import Wavefunction
from decar.record import read_record, write_record


def decar(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "decar.cli", *map(str, arguments)], cwd=cwd, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def water(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real wavefunction record of water, made by the stages themselves."""
    root = Path(__file__).resolve().parents[2]
    study = load_study(root / "config.yaml")
    study = study.model_copy(update={"quantum": study.quantum.model_copy(update={"basis": "sto-3g"})})
    molecule = Molecule("0" * 64, "O", 0, 1, None)
    record = conformers(study, molecule, "1" * 64, None)
    record = optimise(study, molecule, "2" * 64, record)
    record = single_point(study, molecule, "3" * 64, record)
    path = tmp_path_factory.mktemp("records") / f"{'3' * 64}.h5"
    write_record(path, record)
    return path


def test_help_names_every_command() -> None:
    text = decar("--help").stdout
    shown = [command for command in app.registered_commands if not command.hidden]
    names = [command.name or command.callback.__name__.replace("_", "-") for command in shown]
    assert len(names) > 30
    for name in names:
        assert re.search(rf"^│ {name} ", text, re.MULTILINE), name


def test_doctor_finds_what_is_installed_and_says_how_to_get_the_rest() -> None:
    done = decar("doctor")
    assert done.returncode == 0, done.stderr
    for word in ("pyscf", "tblite", "snakemake", "psi4", "sbatch", "electron_density", "e/bohr"):
        assert word in done.stdout


def test_show_prints_level_energy_and_hash(water: Path) -> None:
    text = decar("show", water).stdout
    assert "content hash" in text
    assert "sto-3g" in text
    assert "energy_hartree" in text


def test_export_writes_files_that_other_programs_read(water: Path, tmp_path: Path) -> None:
    from iodata import load_one
    from pyscf.dft import numint

    from decar.quantum.pyscf_mole import to_pyscf_mole

    done = decar(
        "export", water, "--cube", "electron_density", "--molden", "w.molden", "--fchk", "w.fchk",
        "--qcschema", "w.json", "--spacing", "0.3", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for name in ("w.molden", "w.fchk"):
        np.testing.assert_array_equal(np.sort(load_one(str(tmp_path / name)).atnums), [1, 1, 8])
    cube = load_one(str(tmp_path / "electron_density.cube")).cube
    np.testing.assert_allclose(cube.axes, np.eye(3) * 0.3 / 0.529177210903, atol=1e-5)
    # The oracle is PySCF's evaluation of the same orbitals at a hundred of the voxels.
    voxels = np.stack(np.unravel_index(np.arange(0, cube.data.size, cube.data.size // 100), cube.shape), axis=1)
    record = read_record(water)
    wavefunction = Wavefunction.from_record(record.arrays, record.metadata["conformers"][0], "0/")
    functions = numint.eval_ao(to_pyscf_mole(wavefunction), cube.origin + voxels @ cube.axes)
    density = np.einsum("pm,mn,pn->p", functions, wavefunction.density_matrix(), functions)
    np.testing.assert_allclose(cube.data[tuple(voxels.T)], density, rtol=1e-4, atol=1e-6)
    assert (tmp_path / "w.json").stat().st_size > 500


def test_verify_accepts_sound_records_and_names_damaged_ones(water: Path, tmp_path: Path) -> None:
    (tmp_path / water.name).write_bytes(water.read_bytes())
    assert decar("verify", tmp_path).returncode == 0
    (tmp_path / "half.h5").write_bytes(water.read_bytes()[:3000])
    done = decar("verify", tmp_path)
    assert done.returncode == 1
    assert "half.h5" in done.stdout
    assert "1 problems in 2 files" in done.stderr


def test_errors_are_messages_not_tracebacks(tmp_path: Path) -> None:
    done = decar("plan", "--study", "absent.yaml", cwd=tmp_path)
    assert done.returncode == 2
    assert "the study file does not exist" in done.stderr
    assert "Traceback" not in done.stderr


def test_verify_finds_orbitals_that_are_not_orthonormal(water: Path, tmp_path: Path) -> None:
    record = read_record(water)
    scaled = {**record.arrays, "0/alpha/coefficients": 1.001 * record.arrays["0/alpha/coefficients"]}
    write_record(tmp_path / water.name, replace(record, arrays=scaled))
    done = decar("verify", tmp_path)
    assert done.returncode == 1
    assert "orthonormal" in done.stdout
