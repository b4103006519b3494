"""Scripts that documents name: run where they take seconds; those that take minutes read their arguments."""

import json
import runpy
import shutil
import subprocess
import sys
import time
from argparse import ArgumentParser
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any, NoReturn

import h5py
import numpy as np
import pytest
import torch
from torch.nn import functional

from decar.config import ModelSettings, QuantumSettings
from decar.config_file import load_study
from decar.dataset.samples import Draw
from decar.dataset.statistics import load_normalisation
from decar.dataset.torch_dataset import ShardDataset
from decar.models.build import build_network
from decar.models.network import Network
from decar.quantum.backend import System, get_backend
from decar.quantum.level import Level
from decar.receipt import read_table
from decar.store import Store
from decar.units import BOHR_PER_ANGSTROM
from decar.verify import verify_file
from tests.dataset.synthetic_study import SPACING, make_dataset, make_study
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


@pytest.fixture(scope="module")
def wavefunctions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("shared") / "wavefunctions.h5"
    write_wavefunctions(path)
    return path


def test_a_file_of_wavefunctions_becomes_a_study(
    documented: list[Line], wavefunctions: Path, tmp_path: Path
) -> None:  # fmt: skip
    """Every molecule is imported after a Fock build, and the benchmark of the study can be planned."""
    (line,) = documented
    folder = tmp_path / "shared"
    _, *words = line.filled({"wavefunctions-b3lyp-631gs.h5": wavefunctions, "FOLDER": folder})
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


def test_while_the_input_pipeline_is_timed_as_much_is_read_as_consumed(
    wavefunctions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The script as a whole on boxes of 16^3.

    Steps are slow here, so that the workers are always as far ahead as they can be, but for the batch that each reads.
    """
    script = import_module("benchmarks.input_pipeline")
    small = {
        "CASES": ((16, 2),),
        "WORKERS": (0, 2),
        "NUM_TIMED": 8,
        "NUM_RENDERED": len(MOLECULES),
        "SMILES": ("O", "C=O"),
    }
    for name, value in small.items():
        monkeypatch.setattr(script, name, value)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    step = script.Trainee.step
    monkeypatch.setattr(script.Trainee, "step", lambda self, batch: (step(self, batch), time.sleep(0.05)))
    page, output = tmp_path / "training.md", tmp_path / "input_pipeline.json"
    page.write_text("before\n<!-- input_pipeline -->\n<!-- input_pipeline -->\nafter\n", encoding="utf-8")
    script.main(output, page, wavefunctions)
    result = json.loads(output.read_text())
    cases = [(row["input"], row["device"], row["workers"]) for row in result["rows"]]
    assert cases == [("shards", "cpu", 0), ("shards", "cpu", 2), ("rendered", "cpu", 0)]
    alone, beside, rendered = result["rows"]
    assert alone["read"] == rendered["read"] == 1
    assert abs(beside["read"] - 1) <= 2 / 8
    assert rendered["ratio_of_processor_time"] > 1  # a step renders its batch, too
    (row,) = result["rendering"]
    assert 0 < row["reading_seconds"] < row["rendering_seconds"]
    text = page.read_text(encoding="utf-8")
    assert text.count(script.NOT_MEASURED) == 3  # shards and rendered on a GPU, molecules a second there
    assert text.startswith("before")
    assert text.endswith("after\n")
    monkeypatch.setattr(script, "measure", None)  # what is known is not measured again
    script.main(output, page, wavefunctions)
    assert page.read_text(encoding="utf-8") == text


def test_samples_of_the_input_pipeline_lie_in_several_shards_and_none_twice(tmp_path: Path) -> None:
    script = import_module("benchmarks.input_pipeline")
    data = script.stored(tmp_path, 16, 24)
    assert len(set(data.rows["shard"])) > 1
    assert (
        len({data.fetch(Draw(number)).content["promolecular_density"].numpy().tobytes() for number in range(24)}) == 24
    )


@pytest.mark.parametrize("fields", [("electron_density",), ("electron_density", "electrostatic_potential")])
def test_untrained_features_are_those_of_the_fold_s_own_normalisation(
    fields: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = import_module("benchmarks.untrained_features")
    monkeypatch.setattr(script, "MEMBERS", 1)
    study = make_study(tmp_path)
    dataset, shards = make_dataset(tmp_path, study, 9)
    settings = ModelSettings(architecture="steerable", fields=fields, channels=(2, 2), kernel_size=5, readout="all")
    tables = script.tables_of(study, dataset, shards, "random", settings)
    network = build_network(settings, SPACING, len(fields)).eval()
    network.initialise(study.seed)
    first = tables[0][0].features
    for fold, (table,) in enumerate(tables):
        normalisation = load_normalisation(dataset, "random", fold, fields)
        data = ShardDataset(dataset, shards, "random", fold, None, fields, ("sweet",), normalisation=normalisation)
        own = script.features_of(network, data)
        assert (table.subset == data.rows["subset"]).all()
        # The first layer divides a common factor out, but for 1e-6 that it adds to mean squares.
        assert np.abs(table.features - own).max() < 1e-4
        assert (np.abs(first - own).max() > 1e-3) == (fold > 0 and len(fields) > 1)


def test_contiguous_networks_have_no_channels_last(monkeypatch: pytest.MonkeyPatch) -> None:
    script = import_module("benchmarks.networks")
    # As it is again after the test.
    monkeypatch.setattr(torch, "channels_last_3d", torch.channels_last_3d)
    assert {layouts(script.network(name, 0.5), monkeypatch) for name in script.MAIN} == {False}
    script.ask_for_no_layout()
    assert {layouts(script.network(name, 0.5), monkeypatch) for name in script.MAIN} == {True}


def layouts(network: Network, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Return whether all kernels of a network's convolutions are contiguous; otherwise none is."""
    seen, real = set(), functional.conv3d

    def convolution(x: torch.Tensor, kernel: torch.Tensor, *arguments: Any, **options: Any) -> torch.Tensor:
        if kernel.shape[1] > 1:  # with a single channel both layouts are the same
            seen.add((x.is_contiguous(), kernel.is_contiguous()))
        return real(x, kernel, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(functional, "conv3d", convolution)
        network(torch.rand(1, 1, 16, 16, 16), torch.ones(1, 1, 16, 16, 16))
    assert seen in ({(True, True)}, {(False, False)})
    return seen == {(True, True)}


def test_memory_of_a_job_is_that_of_a_whole_training(tmp_path: Path) -> None:
    script = import_module("benchmarks.networks")
    script.write_boxes(tmp_path, 16)
    assert script.job("published", "checkpointing", tmp_path) > 0
    (found,) = tmp_path.glob("published*/predictions.parquet")
    assert len(read_table(found)) == script.NUM_SAMPLES
    config = json.loads((found.parent / "model" / "config.json").read_text(encoding="utf-8"))
    assert config["training"]["batch_size"] == 1
    assert len(read_table(tmp_path / "dataset" / "manifest.parquet")["shape_x"].unique()) == 1
