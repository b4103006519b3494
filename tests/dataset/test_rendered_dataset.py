"""Rendered and stored voxels are the same in the same pose; other poses are exact, drawn from names, and fit."""

import shutil
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import pytest
import torch

from decar.config import FieldsSettings, ModelSettings, Study
from decar.dataset import rendered_dataset
from decar.dataset.pose import Pose, draw_pose, posed_grid
from decar.dataset.rendered_dataset import RenderedDataset, wavefunction_recipes
from decar.dataset.samples import FIELDS_ALONE, Draw, Sample, collate
from decar.dataset.statistics import load_normalisation
from decar.dataset.torch_dataset import ShardDataset
from decar.errors import DataFormatError
from decar.fields.rotation import random_rotation
from decar.models.build import build_network
from decar.stages import digest, molecule_recipes
from decar.training.train import train
from decar.units import BOHR_PER_ANGSTROM
from tests.dataset.rendered_study import FIELDS, make_rendered_dataset, make_rendered_study
from tests.dataset.synthetic_study import key_of
from tests.fields import oracle

Made = tuple[Study, Path, Path]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("rendered")
    study = make_rendered_study(folder)
    return study, *make_rendered_dataset(folder, study, 8)


def both(made: Made, **options: object) -> tuple[ShardDataset, RenderedDataset]:
    study, dataset, shards = made
    normalisation = load_normalisation(dataset, "random", 0, FIELDS)
    place = ("random", 0, None, FIELDS, ("sweet",))
    options = {"normalisation": normalisation, "seed": 7, **options}
    return ShardDataset(dataset, shards, *place, **options), RenderedDataset(dataset, study, *place, **options)


def test_without_augmentation_the_stored_voxels_are_rendered_to_the_bit(made: Made) -> None:
    stored, rendered = both(made)
    assert stored.num_channels == rendered.num_channels == 5
    for number in range(len(stored)):
        one, other = stored[number], rendered[number]
        assert torch.equal(one.pop("voxels"), other.pop("voxels"))
        assert one == other


def test_fields_alone_are_rendered_of_molecules_without_a_label(made: Made, tmp_path: Path) -> None:
    study, dataset, shards = made
    copied = tmp_path / "dataset"
    shutil.copytree(dataset, copied)
    labels = pd.read_parquet(dataset / "labels.parquet").assign(value=lambda rows: rows["value"].mask(rows.index < 3))
    labels.to_parquet(copied / "labels.parquet")
    place = ("random", 0, FIELDS_ALONE, FIELDS, ("sweet",))
    stored, rendered = ShardDataset(copied, shards, *place), RenderedDataset(copied, study, *place)
    pd.testing.assert_frame_equal(stored.rows, rendered.rows)
    without = set(labels["key"][:3])
    assert set(rendered.rows["key"]) == without | set(
        ShardDataset(copied, shards, "random", 0, "train", *place[3:]).rows["key"]
    )
    for number, key in enumerate(rendered.rows["key"]):
        if key in without:
            assert rendered[number]["label"].isnan().all()
            assert torch.equal(rendered[number]["voxels"], stored[number]["voxels"])


def test_hard_atoms_are_worked_out_once_as_long_as_there_is_room(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    worked_out = []
    known = rendered_dataset.hard_atoms
    monkeypatch.setattr(rendered_dataset, "hard_atoms", lambda *given: worked_out.append(1) or known(*given))
    monkeypatch.setattr(rendered_dataset, "HARD_ATOMS", rendered_dataset.HardAtoms())
    _, rendered = both(made, augmentation="continuous")
    first = [rendered[0]["voxels"], rendered[1]["voxels"], rendered[Draw(0, 1)]["voxels"]]
    assert len(worked_out) == 2
    monkeypatch.setattr(rendered_dataset, "HARD_ATOMS", rendered_dataset.HardAtoms(most_bytes=1))
    again = [rendered[0]["voxels"], rendered[1]["voxels"], rendered[Draw(0, 1)]["voxels"]]
    assert len(worked_out) == 5
    assert all(torch.equal(*pair) for pair in zip(first, again, strict=True))


def test_fields_without_a_potential_have_no_hard_atoms(made: Made) -> None:
    study, dataset, _ = made
    rendered = RenderedDataset(dataset, study, "random", 0, None, FIELDS[:1], ("sweet",))
    assert rendered.fetch(Draw(0)).content.atoms is None


@pytest.mark.parametrize("augmentation", ["rotations_6", "rotations_24"])
def test_turns_of_the_cube_are_those_of_the_stored_voxels(made: Made, augmentation: str) -> None:
    """Vectors too; the draws differ between epochs and conformers."""
    stored, rendered = both(made, augmentation=augmentation)
    turns = set()
    for number in range(0, len(stored), 3):
        for epoch in range(3):
            draw = Draw(number, epoch)
            one, other = stored[draw]["voxels"], rendered[draw]["voxels"]
            assert one.shape == other.shape
            for channel, (a, b) in enumerate(zip(one, other)):
                assert (a - b).abs().max() < 1e-4 * a.abs().max() + 1e-6, channel
            turns.add(draw_pose(augmentation, 7, epoch, *stored.name(draw)).rotation.tobytes())
    assert len(turns) > 3


def test_poses_are_drawn_from_names_and_keep_the_padding(made: Made) -> None:
    study = made[0]
    rendered = both(made, augmentation="continuous")[1]
    first, again, later = (rendered[Draw(0, epoch)]["voxels"] for epoch in (1, 1, 2))
    assert torch.equal(first, again)
    assert first.shape != later.shape or not torch.allclose(first, later)
    padding = study.fields.padding_angstrom / study.fields.spacing_angstrom  # in voxels
    shifts = []
    for number in range(len(rendered)):
        wavefunction, grid, _ = rendered.fetch(Draw(number, 5)).content
        places = (wavefunction.geometry_bohr - np.array(grid.origin_bohr)) / grid.spacing_bohr
        faces = np.array(grid.shape) - 0.5
        assert places.min() + 0.5 >= padding - 1e-9
        assert (faces - places.max(axis=0)).min() >= padding - 1e-9
        assert all(size % 8 == 0 for size in grid.shape)
        shifts.append(draw_pose("continuous", 7, 5, *rendered.name(Draw(number))).shift)
    assert np.abs(shifts).max() <= 0.5
    assert np.abs(shifts).max() > 0.3


@pytest.mark.parametrize("box", ["molecule", (24, 32, 40)])
def test_voxels_of_a_pose_are_the_molecule_at_points_shifted_and_turned_back(
    made: Made, box: str | tuple[int, int, int]
) -> None:
    """By the oracle, of the wavefunction that nobody turned, on a lattice that is laid here."""
    study, dataset, _ = made
    study = study.model_copy(update={"fields": study.fields.model_copy(update={"box": box})})
    place = ("random", 0, None, FIELDS[:1], ("sweet",))
    still, moved = (RenderedDataset(dataset, study, *place, augmentation=one, seed=7) for one in ("none", "continuous"))
    draw = Draw(0, 3)
    wavefunction = still.fetch(draw).content[0]
    pose = draw_pose("continuous", 7, 3, *moved.name(draw))
    voxels = moved[draw]["voxels"][0].numpy()
    turned = wavefunction.geometry_bohr @ pose.rotation.T
    spacing = study.fields.spacing_angstrom * BOHR_PER_ANGSTROM
    # Of voxel (0, 0, 0) and so on, from the middle of the box: that of the nuclei, and the shift.
    places = np.indices(voxels.shape).reshape(3, -1).T - (np.array(voxels.shape) - 1) / 2 + pose.shift
    points = (turned.min(axis=0) + turned.max(axis=0)) / 2 + spacing * places
    expected = oracle.density(wavefunction, points @ pose.rotation)
    np.testing.assert_allclose(voxels.ravel(), expected, rtol=1e-5, atol=1e-7 * expected.max())
    grids = [posed_grid(turned, one, study.fields) for one in (Pose(pose.rotation, np.zeros(3)), pose)]
    centred, shifted = (grid.origin_bohr + spacing * (np.array(grid.shape) - 1) / 2 for grid in grids)
    assert shifted - centred == pytest.approx(spacing * pose.shift, abs=1e-12)


def test_a_fixed_box_turns_with_the_molecule_and_grows_where_it_must() -> None:
    settings = FieldsSettings(spacing_angstrom=0.529177, padding_angstrom=1.0, box=(8, 16, 24))
    ends = np.array([[0.0, 0.0, -9.0], [0.0, 0.0, 9.0]])
    quarter = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])
    still = np.zeros(3)
    assert posed_grid(ends, Pose(np.eye(3), still), settings).shape == (8, 16, 24)
    assert posed_grid(ends @ quarter.T, Pose(quarter, still), settings).shape == (24, 16, 8)
    rotation = random_rotation(np.random.default_rng(2))
    grid = posed_grid(ends @ rotation.T, Pose(rotation, still), settings)
    assert grid.contains(ends @ rotation.T).all()
    assert np.prod(grid.shape) > 8 * 16 * 24


def test_rendered_from_the_records_of_the_study(made: Made, tmp_path: Path) -> None:
    study, dataset, _ = made
    names = [(key_of(0), None), (key_of(1), digest("a block"))]
    found = wavefunction_recipes(study, names)
    for key, geometry in names:
        expected = molecule_recipes(study, key, geometry or "")["wavefunction"]
        assert found[key] == expected
    elsewhere = study.model_copy(update={"store": tmp_path})
    lost = RenderedDataset(dataset, elsewhere, "random", 0, None, FIELDS, ("sweet",))
    with pytest.raises(DataFormatError, match="not in the store"):
        lost[0]


def test_a_network_is_trained_on_rendered_voxels(made: Made, tmp_path: Path) -> None:
    """No shard is read: the folder of shards does not exist."""
    study, dataset, _ = made
    content = study.model_dump(mode="json")
    content["training"]["models"]["density"] |= {"input": "rendered", "augmentation": "continuous", "fields": FIELDS}
    content["training"]["max_epochs"] = 2
    train(Study.model_validate(content), dataset, tmp_path / "none", "density", "random", 0, tmp_path / "job")
    predictions = pd.read_parquet(tmp_path / "job" / "predictions.parquet")
    assert len(predictions) == 8
    assert predictions["prediction"].between(0, 1).all()
    content["training"]["models"]["density"]["input"] = "shards"
    with pytest.raises(ValueError, match="stored voxels cannot turn by any angle"):
        Study.model_validate(content)


@pytest.mark.parametrize("architecture", get_args(ModelSettings.model_fields["architecture"].annotation))
def test_the_prediction_does_not_depend_on_the_padding(made: Made, architecture: str) -> None:
    """Neither for a neutral molecule nor for an ion, whose potential does not vanish at the faces of its box."""
    rendered = both(made)[1]
    scalars = [0, 4]  # density and potential: a steerable network refuses the vector between them
    settings = ModelSettings.model_validate(
        {"architecture": architecture, "fields": [FIELDS[0], FIELDS[2]], "kernel_size": 5}
    )
    network = build_network(settings, 0.756, len(scalars))
    network.initialise(1)
    keys = [key_of(0), key_of(1)]  # a water, a hydroxide ion
    found = [next(sample for sample in rendered if sample["key"] == key) for key in keys]
    samples: list[Sample] = [{**sample, "voxels": sample["voxels"][scalars]} for sample in found]
    large: Sample = {**samples[0], "voxels": torch.ones(len(scalars), 40, 48, 56)}
    faces = [float(sample["voxels"][-1, 0].abs().min()) for sample in samples]
    assert faces[1] > 0.5
    with torch.no_grad():
        for sample in samples:
            alone, padded = (collate(batch, network.total_stride) for batch in ([sample], [sample, large]))
            assert padded["voxels"].shape[2:] == (40, 48, 56)
            first = network(alone["voxels"], alone["mask"])
            second = network(padded["voxels"], padded["mask"])[:1]
            assert torch.allclose(first, second, rtol=1e-5, atol=1e-6)
