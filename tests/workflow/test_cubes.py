"""Cube files of a finished study: what the rule writes, read by another program (qc-iodata, doi 10.1002/jcc.26468)."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from iodata import load_one

from decar.config_file import load_study
from decar.planning.plan import load_plan, make_plan
from decar.quantum.wavefunction import Wavefunction
from decar.receipt import read_receipts
from decar.store import Store
from tests.fields.oracle import density

from .conftest import Workspace


def test_cubes_are_the_stored_voxels_and_the_density(
    copied: Callable[[], Workspace], monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = copied()
    study = workspace.study()
    workspace.write_study({**study, "fields": {**study["fields"], "write_cubes": True}})
    monkeypatch.chdir(workspace.folder)
    settings = load_study(Path("config.yaml"))
    plan = load_plan(make_plan(Path("config.yaml"), settings))
    folder = Path(plan.folder)
    batches = {name: read_receipts([folder / "fields" / f"{name}.parquet"]) for name in plan.parents["fields"]}
    sound, failed = (
        next(name for name, rows in batches.items() if rows["status"].iloc[0] == status) for status in ("ok", "failed")
    )
    written = [folder / "cubes" / f"{name}.txt" for name in (sound, failed)]
    workspace.run(*map(str, written))
    assert written[1].read_text() == ""

    (row,) = batches[sound].to_dict("records")
    store = Store(settings.store)
    record = store.load("fields", row["key"], row["recipe"])
    paths = {Path(line).stem.split("-")[2]: Path(line) for line in written[0].read_text().splitlines()}
    assert set(paths) == set(settings.fields.names)
    (parent,) = read_receipts([folder / "wavefunction" / f"{plan.parents['fields'][sound]}.parquet"])["recipe"]
    atoms = store.load("wavefunction", row["key"], parent)
    wavefunction = Wavefunction.from_record(atoms.arrays, atoms.metadata["conformers"][0], "0/")
    for name, path in paths.items():
        found = load_one(str(path))
        np.testing.assert_array_equal(found.atnums, wavefunction.atomic_numbers)
        np.testing.assert_allclose(found.atcoords, wavefunction.geometry_bohr, atol=1e-6)
        stored = record.arrays[f"0/{name}"][0]
        np.testing.assert_allclose(found.cube.data, stored, rtol=1e-5, err_msg=name)
        if name == "electron_density":
            # At places that the file states, summed primitive by primitive.
            voxels = np.random.default_rng(1).integers(0, found.cube.data.shape, (200, 3))
            points = found.cube.origin + voxels @ found.cube.axes
            exact = density(wavefunction, points)
            np.testing.assert_allclose(found.cube.data[tuple(voxels.T)], exact, rtol=1e-5, atol=1e-6)
