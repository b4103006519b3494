"""Fields of many molecules at a time: those of one after the other, in few operations, without waiting."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from decar.errors import ChemistryError
from decar.fields import basis_blocks, block_batches, many_balls
from decar.fields.batch_rendering import centred_grid, render_batch
from decar.fields.grid import VoxelGrid
from decar.fields.local_fields import DILUTE
from decar.fields.on_device import evaluate_prepared, prepare
from decar.fields.registry import FIELDS, evaluate_fields
from decar.quantum.wavefunction import Wavefunction
from tests.fields.systems import BENT_RADICAL, HYDROGEN_BROMIDE, HYDROXIDE, WATER, gaussians, molecule

ROOT = Path(__file__).parents[2]
# What a field may differ by from that of one block after the other, of its largest value there; of that of the density
# for differences.
BOUND = {torch.float32: 2e-6, torch.float64: 2e-13}
# It is made from tau less what tau is at least: in thin density most of it cancels, and its own error is 2e-5.
CANCELLING = {"electron_localisation": 50.0}


def placed_molecules() -> list[tuple[Wavefunction, VoxelGrid]]:
    """Return four molecules of different kinds on boxes of different shapes, the last one cut off."""
    found = [
        molecule(WATER, "cc-pvdz"), molecule(HYDROXIDE, "6-31+g*", charge=-1), molecule(HYDROGEN_BROMIDE, "def2-svp"),
        molecule(BENT_RADICAL, "6-31g*", cartesian=True, multiplicity=2),
    ]  # fmt: skip
    shapes = ((24, 20, 22), (30, 30, 17), (20, 20, 20), (9, 8, 10))
    return [(one, centred_grid(one.geometry_bohr, shape, 0.45)) for one, shape in zip(found, shapes)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_many_molecules_at_a_time_have_the_fields_of_each(dtype: torch.dtype) -> None:
    # The tight potential of an atom like bromine takes long.
    molecules = placed_molecules() if dtype == torch.float32 else placed_molecules()[1::2]
    found = evaluate_prepared(list(FIELDS), [prepare(list(FIELDS), *one, dtype) for one in molecules], "cpu")
    for (wavefunction, grid), fields in zip(molecules, found):
        for name, expected in evaluate_fields(FIELDS, wavefunction, grid, dtype).items():
            is_difference = name in ("spin_density", "deformation_density")
            scale = (fields["electron_density"] if is_difference else expected.abs()).max()
            assert fields[name].shape == expected.shape == (FIELDS[name].channels, *grid.shape)
            assert fields[name].dtype == dtype
            # Quotients end where the density is thinner than 1e-5: which voxel is the first may be another one.
            settled = (fields["electron_density"] / DILUTE - 1).abs() > 1e-2
            difference = (fields[name] - expected).abs() * settled
            assert difference.max() <= BOUND[dtype] * CANCELLING.get(name, 1.0) * scale, name


@pytest.mark.parametrize(("values", "worth"), [(1, 2e9), (20_000, 0.0), (2**27, 0.0)])
def test_any_number_of_batches_gives_the_same(values: int, worth: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """One block, one atom at a time; some; all that need equally many functions."""
    names = ["electron_density", "spin_density", "electrostatic_potential"]
    prepared = [prepare(names, *one) for one in placed_molecules()]
    expected = evaluate_prepared(names, prepared, "cpu")
    monkeypatch.setattr(block_batches, "MOST_VALUES", values)
    monkeypatch.setattr(many_balls, "MOST_VALUES", values)
    monkeypatch.setattr(block_batches, "WORTH_A_BATCH", worth)
    monkeypatch.setattr(basis_blocks, "MOST_MATRICES", 7)
    assert len(list(block_batches._batches([5, 5, 2], 64, 3))) > 1
    for one, other in zip(expected, evaluate_prepared(names, prepared, "cpu"), strict=True):
        for name in names:
            assert torch.allclose(one[name], other[name], rtol=2e-6, atol=1e-6)


def test_a_molecule_has_the_same_fields_in_any_company() -> None:
    """To rounding: which functions are negligible where is its own matter."""
    prepared = [prepare(["electron_density", "electrostatic_potential"], *one) for one in placed_molecules()]
    together = evaluate_prepared(["electron_density", "electrostatic_potential"], prepared, "cpu")
    for one, fields in zip(prepared, together):
        (alone,) = evaluate_prepared(["electron_density", "electrostatic_potential"], [one], "cpu")
        for name, values in alone.items():
            assert torch.allclose(fields[name], values, rtol=2e-6, atol=1e-7)


@pytest.mark.parametrize("company", [1, 4])
def test_closed_shells_have_no_spin_density(company: int) -> None:
    """Nor beside a radical, which is the last one."""
    prepared = [prepare(["spin_density"], *one) for one in placed_molecules()[:company]]
    found = [fields["spin_density"] for fields in evaluate_prepared(["spin_density"], prepared, "cpu")]
    assert [bool(field.any()) for field in found] == [False, False, False, True][:company]


def test_boxes_without_density_are_empty() -> None:
    far = VoxelGrid((300.0, 0.0, 0.0), 0.45, (6, 5, 4))
    names = ["electron_density", "electrostatic_potential"]
    one = gaussians(np.zeros((1, 3)), [0.5], [1])
    (fields,) = evaluate_prepared(names, [prepare(names, one, far)], "cpu")
    assert not fields["electron_density"].any()
    # A neutral ball: no potential either, but for rounding.
    assert fields["electrostatic_potential"].abs().max() < 1e-6


def test_nothing_is_nothing() -> None:
    assert evaluate_prepared(["electron_density"], [], "cpu") == []


def test_other_spacings_are_refused() -> None:
    wavefunction, grid = placed_molecules()[0]
    finer = VoxelGrid(grid.origin_bohr, 0.2, grid.shape)
    with pytest.raises(ValueError, match="grids of one spacing"):
        evaluate_prepared(
            ["electron_density"], [prepare(["electron_density"], wavefunction, one) for one in (grid, finer)], "cpu"
        )


def test_a_missing_orbital_is_named_beforehand() -> None:
    with pytest.raises(ChemistryError, match="no empty orbital"):
        prepare(["lowest_empty_density"], gaussians(np.zeros((1, 3)), [0.5], [1]), placed_molecules()[0][1])


def elsewhere(*names: str) -> dict[str, object]:
    command = [sys.executable, "-m", "tests.fields.fields_elsewhere", *names]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


def test_fields_are_evaluated_where_they_are_asked_for() -> None:
    """No operation mixes tensors of a device with those of the processor; the arithmetic is the same."""
    found = elsewhere()
    assert found["devices"] == ["elsewhere:0"]
    assert found["equal"] == dict.fromkeys(FIELDS, True)


@pytest.mark.parametrize(("name", "most"), [("electron_density", 100), ("electrostatic_potential", 1500)])
def test_few_operations_are_sent_and_none_is_waited_for(name: str, most: int) -> None:
    """Of four molecules together: block by block and atom by atom there would be 5000 and 27 000."""
    found = elsewhere(name)
    assert 30 < int(str(found["operations"])) <= most
    assert "waits" not in found


def test_a_batch_on_the_processor_is_rendered_there() -> None:
    molecules = [one for one, _ in placed_molecules()]
    batch = render_batch(["electron_density"], molecules, (12, 12, 12), 0.6)
    for sample, one in zip(batch, molecules, strict=True):
        expected = evaluate_fields(["electron_density"], one, centred_grid(one.geometry_bohr, (12, 12, 12), 0.6))
        assert torch.equal(sample, expected["electron_density"])
