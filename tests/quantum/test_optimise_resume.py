"""A DFT optimisation that is killed goes on from its last step, and ends in the same minimum under the same recipe."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from decar.batch import Molecule, run_batch
from decar.config_file import load_study
from decar.errors import ChemistryError, ResourceError
from decar.molecules import conformers
from decar.quantum import optimise
from decar.quantum.optimise_progress import Progress, ProgressFile, progress_files
from decar.receipt import read_receipts, write_receipt
from decar.stages import molecule_recipes
from decar.store import Store

KEY = "0" * 64
GAU_DISPLACEMENT_BOHR = 3.4e-3  # the displacement at which geomeTRIC stops: either end may be that far from the minimum
SETTINGS = {
    "study": "resume",
    "molecules": {"table": "table.csv", "labels": {"sweet": {"column": "sweet"}}},
    "conformers": {"num_embeddings": 1, "ranking": "mmff"},
    "optimise": {"methods": ["mmff", "dft"], "dispersion": None},
    "quantum": {"method": "b3lyp", "basis": "sto-3g", "fitting_basis": None, "quadrature_level": 0},
    "training": {"property": "sweet", "models": {"net": {}}},
    "interpret": {"model": "net"},
    "figures": {"example": "1"},
}


def prepare(folder: Path):
    """A study of formaldehyde up to its conformer, whose bonds are stretched by a sixth."""
    settings = {**SETTINGS, "results": str(folder / "results"), "store": str(folder / "store")}
    (folder / "study.yaml").write_text(yaml.safe_dump(settings))
    study = load_study(folder / "study.yaml")
    recipes = molecule_recipes(study, KEY)
    row = {"key": KEY, "smiles": "C=O", "charge": 0, "multiplicity": 1, "molblock": None, "recipe": "", "status": "ok"}
    record = conformers.compute(study, Molecule(KEY, "C=O", 0, 1, None), recipes["conformers"], None)
    stretched = {**record.arrays, "geometry_bohr": record.arrays["geometry_bohr"] * 7 / 6}
    Store(study.store).save("conformers", replace(record, arrays=stretched))
    write_receipt(folder / "before.parquet", [{**row, "recipe": recipes["conformers"]}])
    return study, recipes["optimise"]


def result(study, recipe):
    return Store(study.store).load("optimise", KEY, recipe)


def dft_step(record):
    methods = record.metadata["steps"][0]
    assert [step["method"] for step in methods] == ["mmff", "dft"]
    return methods[1]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    study, recipe = prepare(folder)
    run_batch("optimise", "conformers", study, folder / "before.parquet", folder / "after.parquet", optimise.compute)
    return result(study, recipe)


def test_killed_job_goes_on_from_its_last_step(undisturbed, tmp_path):
    study, recipe = prepare(tmp_path)
    command = [
        sys.executable, "-m", "decar.cli", "optimise", "--study", str(tmp_path / "study.yaml"),
        "--batch", str(tmp_path / "before.parquet"), "--output", str(tmp_path / "after.parquet"),
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    (file,) = progress_files(study.store, recipe, ("dft",), 1)
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and process.poll() is None:
        progress = file.load()
        if progress is not None and len(progress.trajectory_hartree) >= 3:
            os.kill(process.pid, signal.SIGKILL)
            break
        time.sleep(0.005)
    assert process.wait(timeout=60) == -signal.SIGKILL
    left = file.load()
    assert left is not None
    known = left.trajectory_hartree
    assert 3 <= len(known) < len(dft_step(undisturbed)["trajectory_hartree"])
    assert undisturbed.provenance["engine"]["name"] == "pyscf"
    assert not Store(study.store).has("optimise", KEY, recipe)

    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=300)
    record = result(study, recipe)
    step = dft_step(record)
    assert step["resumed_at"] == [len(known)]
    assert step["trajectory_hartree"][: len(known)] == known
    assert step["trajectory_hartree"][len(known)] == pytest.approx(min(known), abs=1e-7)  # not at step 0 again
    assert record.recipe == undisturbed.recipe
    assert record.arrays["energy_hartree"][0] == pytest.approx(undisturbed.arrays["energy_hartree"][0], abs=1e-6)
    distances = [np.linalg.norm(r[0][:, None] - r[0][None], axis=-1) for r in (
        record.arrays["geometry_bohr"], undisturbed.arrays["geometry_bohr"])]  # fmt: skip
    assert np.abs(distances[0] - distances[1]).max() < 2 * GAU_DISPLACEMENT_BOHR
    assert "resumed_at" not in dft_step(undisturbed)
    assert list((study.store / "optimise" / "partial").iterdir()) == []
    (row,) = read_receipts([tmp_path / "after.parquet"]).to_dict("records")
    assert (row["status"], row["recipe"]) == ("ok", recipe)


def compute(study, recipe):
    store = Store(study.store)
    parent = store.load("conformers", KEY, molecule_recipes(study, KEY)["conformers"])
    return optimise.compute(study, Molecule(KEY, "C=O", 0, 1, None), recipe, parent)


def test_an_error_of_the_machine_keeps_the_progress_and_one_of_chemistry_does_not(tmp_path, monkeypatch):
    study, recipe = prepare(tmp_path)
    (file,) = progress_files(study.store, recipe, ("dft",), 1)
    errors = [ResourceError("the time is over"), ChemistryError("no", reason="scf_not_converged")]

    def surface_of(method, *_):
        def surface(geometry):
            if method == "dft" and file.load().trajectory_hartree:
                raise errors[0]
            return -1.0, np.zeros_like(geometry) + 0.1

        return surface if method == "dft" else lambda geometry: (0.0, np.zeros_like(geometry))

    monkeypatch.setattr(optimise, "surface_of", surface_of)
    with pytest.raises(ResourceError):
        compute(study, recipe)
    assert file.load().trajectory_hartree == [-1.0]
    errors.pop(0)
    with pytest.raises(ChemistryError, match="no"):
        compute(study, recipe)
    assert file.load() is None


def test_a_conformer_that_is_done_is_not_computed_again(undisturbed, tmp_path, monkeypatch):
    study, recipe = prepare(tmp_path)
    (file,) = progress_files(study.store, recipe, ("dft",), 1)
    geometry = undisturbed.arrays["geometry_bohr"][0]
    file.save(Progress(geometry, -1.5, undisturbed.metadata["steps"][0]))
    monkeypatch.setattr(optimise, "surface_of", None)
    record = compute(study, recipe)
    assert record.arrays["energy_hartree"][0] == -1.5
    assert np.allclose(record.arrays["geometry_bohr"][0], geometry, atol=1e-9)


def test_progress_is_exact_whole_or_not_at_all(tmp_path):
    file = ProgressFile(tmp_path / "partial" / "recipe-0.json")
    assert file.load() is None
    geometry = np.random.default_rng(0).normal(size=(4, 3))
    file.save(Progress(geometry, -114.123456789012345, [], [-114.0, -114.1], [1]))
    back = file.load()
    assert back is not None
    assert np.array_equal(back.geometry_bohr, geometry)
    assert (back.energy_hartree, back.trajectory_hartree, back.resumed_at) == (
        -114.123456789012345,
        [-114.0, -114.1],
        [1],
    )
    text = file.path.read_text()
    for damaged in (text[:50], json.dumps({**json.loads(text), "format_version": 2}), "[]"):
        file.path.write_text(damaged)
        assert file.load() is None
    assert progress_files(tmp_path, "recipe", ("mmff", "gfn2-xtb"), 2) == [ProgressFile(None)] * 2
