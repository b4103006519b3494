"""Scripts that documents name: run where they take seconds; those that take minutes read their arguments."""

import runpy
import shutil
import subprocess
import sys
from argparse import ArgumentParser
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any, NoReturn

import h5py
import numpy as np
import pytest

from decar.config import QuantumSettings
from decar.config_file import load_study
from decar.quantum.backend import System, get_backend
from decar.quantum.level import Level
from decar.store import Store
from decar.units import BOHR_PER_ANGSTROM
from decar.verify import verify_file
from tests.workflow.conftest import jobs_in, make_workspace

from .commands import ROOT, Line
from .run_by import MEASURES, commands_like

# Atomic numbers, places near those of the molecule [angstrom], and label, by SMILES. Five folds need six molecules.
MOLECULES = {
    "O": ([8, 1, 1], [[0, 0, 0.12], [0, 0.76, -0.47], [0, -0.76, -0.47]], 0),
    "C=O": ([6, 8, 1, 1], [[0, 0, -0.53], [0, 0, 0.67], [0, 0.94, -1.12], [0, -0.94, -1.12]], 1),
    "F": ([9, 1], [[0, 0, 0], [0, 0, 0.93]], 0),
    "N#N": ([7, 7], [[0, 0, 0], [0, 0, 1.11]], 1),
    "C#N": ([6, 7, 1], [[0, 0, 0], [0, 0, 1.16], [0, 0, -1.07]], 0),
    "C#C": ([6, 6, 1, 1], [[0, 0, 0], [0, 0, 1.21], [0, 0, -1.07], [0, 0, 2.28]], 1),
}
DEBYE = 2.541746473


class Read(Exception):  # noqa: N818  it is no error
    """Raised where a script has read its arguments."""


@pytest.mark.parametrize("line", commands_like(MEASURES), ids=lambda line: line.command.partition("python ")[2])
def test_scripts_that_measure_for_minutes_take_their_arguments(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """A script with a parser runs to the point where it has read them; those of the others fit its `main`."""
    _, *words = line.filled({})
    is_module = words[0] == "-m"
    name, *arguments = words[is_module:]
    run, place = (runpy.run_module, name) if is_module else (runpy.run_path, str(ROOT / name))
    monkeypatch.setattr(sys, "path", [*([] if is_module else [str(Path(place).parent)]), str(ROOT), *sys.path])
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    content: dict[str, Any] = run(place, run_name="read")  # type: ignore[operator]
    if not has_parser(content):
        signature(content["main"]).bind(*arguments)
        return
    real = ArgumentParser.parse_args

    def read(self: ArgumentParser) -> NoReturn:
        real(self)
        raise Read

    monkeypatch.setattr(ArgumentParser, "parse_args", read)
    with pytest.raises(Read):
        run(place, run_name="__main__")  # type: ignore[operator]


def has_parser(content: dict[str, Any]) -> bool:
    return "argparse" in content or "ArgumentParser" in content


def test_constants_of_the_cost_model_follow_from_what_was_measured(
    documented: list[Line], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file in the repository, byte for byte. Without the folder of records, extents of molecules are taken over."""
    (line,) = documented
    kept = ROOT / "src/decar/planning/cost_constants.json"
    constants, page = tmp_path / kept.name, tmp_path / "estimate.md"
    shutil.copy(kept, constants)
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    script = import_module("costs_fit")
    text = script.DOCUMENT.read_text(encoding="utf-8")
    page.write_text(text.replace(" | ", " | 0 | "), encoding="utf-8")  # the table is written anew
    monkeypatch.setattr(script, "DOCUMENT", page)
    _, _, *arguments = line.filled({str(kept.relative_to(ROOT)): constants, "FOLDER": []})
    monkeypatch.chdir(ROOT)
    script.main(*map(Path, arguments))
    assert constants.read_bytes() == kept.read_bytes()
    table = slice(text.index("<!-- errors: begin"), text.index("<!-- errors: end"))
    assert text[table] in page.read_text(encoding="utf-8")


def write_wavefunctions(path: Path) -> None:
    """Write molecules in the form of the file of 308 tastants (benchmarks/tastants.py)."""
    settings = QuantumSettings()
    with h5py.File(path, "w") as file:
        for smiles, (numbers, places, label) in MOLECULES.items():
            system = System(np.array(numbers, dtype=np.int32), np.array(places) * BOHR_PER_ANGSTROM, 0, 1)
            found = get_backend(settings).single_point(system, Level.from_settings(settings))
            kept = found.alpha_occupations > 0
            group = file.create_group(smiles)
            group.attrs.update(
                name=smiles, smiles=smiles, sweet=label, charge=0, num_heavy=sum(number > 1 for number in numbers),
                grid_level=settings.quadrature_level, conv_tol=settings.convergence_hartree,
                energy_hartree=found.energy_hartree, dipole_debye=found.dipole_e_bohr * DEBYE,
            )  # fmt: skip
            for key, values in {
                "atomic_numbers": found.atomic_numbers, "geometry_bohr": found.geometry_bohr,
                "mo_occupied": found.alpha_coefficients[:, kept], "mo_energy": found.alpha_energies[kept],
            }.items():  # fmt: skip
                group[key] = values


def test_a_file_of_wavefunctions_becomes_a_study(documented: list[Line], tmp_path: Path) -> None:
    """Every molecule is imported after a Fock build, and the benchmark of the study can be planned."""
    (line,) = documented
    source, folder = tmp_path / "wavefunctions.h5", tmp_path / "shared"
    write_wavefunctions(source)
    _, *words = line.filled({"wavefunctions-b3lyp-631gs.h5": source, "FOLDER": folder})
    done = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert f"{len(MOLECULES)} wavefunctions imported of {len(MOLECULES)}" in done.stdout
    store = Store(load_study(folder / "study.yaml").store)
    files = [place.file for _, place in store.places("wavefunction")]
    assert len(files) == len(MOLECULES)
    assert [problem for file in files for problem in verify_file(file)] == []
    (asked,) = commands_like(r"snakemake benchmark .* FOLDER/study\.yaml")
    workspace = make_workspace(tmp_path / "here")
    command = [*asked.filled({"FOLDER/study.yaml": folder / "study.yaml"}), "-n", "--quiet", "rules"]
    counts = jobs_in(workspace.typed(command))
    assert {rule: counts[rule] for rule in ("wavefunction", "assemble", "benchmark")} == dict.fromkeys(
        ("wavefunction", "assemble", "benchmark"), 1
    )
    assert counts["benchmark_part"] % (5 * 3) == 0  # folds and shares of each contender
