"""Training: it learns, it goes on after a kill as if nothing had been, and any number of processes do the same."""

import json
import math
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from decar.config import PretrainingSettings, Study
from decar.dataset.rendered_dataset import RenderedDataset
from decar.dataset.samples import collate, labelled_conformers
from decar.dataset.torch_dataset import ShardDataset
from decar.dataset.voxel_dataset import VoxelDataset
from decar.errors import BackendUnavailableError, DataFormatError
from decar.models.package import load_package
from decar.models.task import Task
from decar.training.batches import POOL, WINDOW, EpochBatches, epoch_batches
from decar.training.callbacks import best_epoch, is_finished
from decar.training.loaders import EpochLoader, finish_batch, reading_loader
from decar.training.module import dropout_keep, learning_rate_at
from decar.training.objectives import Objective
from decar.training.outcome import Outcome, gather, per_molecule, score, weighted_loss
from decar.training.train import dataset_hash, train
from tests.dataset.rendered_study import FIELDS, make_rendered_dataset, make_rendered_study
from tests.dataset.synthetic_study import make_dataset, make_study
from tests.training.many_tasks import make_many_tasks
from tests.training.run_training import NoteFirstGradient

SCRIPT = Path(__file__).with_name("run_training.py")
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("training")
    return make_dataset(folder, make_study(folder), 11, num_conformers=2)


def job_file(folder: Path, study: Study, data: tuple[Path, Path], model: str = "density") -> Path:
    path = folder / "job.json"
    content = {"study": study.model_dump(mode="json"), "dataset": str(data[0]), "shards": str(data[1]), "model": model}
    path.write_text(json.dumps(content))
    return path


def run(*arguments: object, processes: int = 0) -> subprocess.CompletedProcess[str]:
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)] if processes else []
    return subprocess.run(
        [sys.executable, *launcher, str(SCRIPT), *map(str, arguments)], capture_output=True, text=True, timeout=200,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "OMP_NUM_THREADS": "1"}, check=False,
    )  # fmt: skip


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_package(folder / "model")[0].state_dict()


def test_overfits_five_training_molecules(tmp_path: Path) -> None:
    """Five molecules, whose labels are not those of their shapes alone, are learned by heart."""
    study = make_study(tmp_path, max_epochs=60, patience=60, learning_rate=5e-3, augmentation="none")
    dataset, shards = make_dataset(tmp_path, study, 11)
    labels = pd.read_parquet(dataset / "labels.parquet")
    splits = pd.read_parquet(dataset / "splits.parquet").query("fold == 0")
    trained = sorted(splits.loc[splits["subset"] == "train", "key"])
    five, rest = trained[:5], trained[5:]
    assert len(five) == 5
    labels.loc[labels["key"].isin(rest), "value"] = np.nan
    # The shapes are two kinds; one molecule of a kind is given the label of the other.
    kinds = labels.set_index("key").loc[five, "value"]
    labels.loc[labels["key"] == kinds.index[0], "value"] = 1 - kinds.iloc[0]
    labels.to_parquet(dataset / "labels.parquet")

    train(study, dataset, shards, "density", "random", 0, tmp_path / "job")
    log = pd.read_csv(tmp_path / "job" / "metrics.csv")
    assert len(log) == 60
    assert log["train_loss"].iloc[-1] < 0.1
    assert log["train_loss"].iloc[0] > 0.4
    assert log["train_auroc"].iloc[-1] == 1.0


def test_learns_a_shape_and_writes_everything(tmp_path: Path, data: tuple[Path, Path]) -> None:
    study = make_study(tmp_path, max_epochs=25, patience=25, learning_rate=1e-2)
    messages: list[str] = []
    train(study, *data, "density", "random", 0, tmp_path / "job", messages.append)
    log = pd.read_csv(tmp_path / "job" / "metrics.csv")
    assert len(messages) == len(log) == 25
    assert log["learning_rate"].tolist() == pytest.approx([learning_rate_at(i, study.training) for i in range(25)])
    assert (log.filter(like="gradient_norm_") > 0).all(axis=None)
    predictions = pd.read_parquet(tmp_path / "job" / "predictions.parquet")
    assert list(predictions) == ["model", "scheme", "fold", "key", "subset", "label", "prediction"]
    assert len(predictions) == 11  # one row a molecule, though each has two conformers
    # Dumbbells and balls, in any of six orientations: molecules never seen are told apart.
    test = predictions.query("subset == 'test'")
    assert test.loc[test["label"] == 1, "prediction"].min() > test.loc[test["label"] == 0, "prediction"].max()
    network, config = load_package(tmp_path / "job" / "model")
    assert config["metrics"]["best_epoch"] == best_epoch(log.to_dict("records"))
    assert config["spacing_bohr"] == network.spacing_bohr == 0.6
    assert config["normalisation"][0]["scale"] > 0
    assert config["dataset_hash"] == dataset_hash(labelled_conformers(data[0], "random", 0, ["sweet"]), ["sweet"])
    # A finished job is not trained again, and the same files come out.
    before = {name: (tmp_path / "job" / name).read_bytes() for name in ("metrics.csv", "predictions.parquet")}
    train(study, *data, "density", "random", 0, tmp_path / "job", messages.append)
    assert len(messages) == 25
    assert before == {name: (tmp_path / "job" / name).read_bytes() for name in before}


def test_the_hash_of_a_dataset_names_each_of_its_parts(data: tuple[Path, Path]) -> None:
    """It is the same where the tables are read again, and another one where anything of one conformer is another."""
    rows = labelled_conformers(data[0], "random", 0, ["sweet"])
    found = [dataset_hash(labelled_conformers(data[0], "random", 0, ["sweet"]), ["sweet"])]
    assert found[0] == dataset_hash(rows, ["sweet"])
    changes = {"key": "0", "conformer": 2, "checksum": "0", "label:sweet": 1 - rows["label:sweet"][3]}
    for column, value in {**changes, "subset": {"train": "test"}.get(rows["subset"][3], "train")}.items():
        other = rows.copy()
        other.loc[3, column] = value
        found.append(dataset_hash(other, ["sweet"]))
    assert len(set(found)) == len(found) == 6


@pytest.mark.parametrize("architecture", ["residual", "steerable"])
def test_other_networks_learn_too(tmp_path: Path, data: tuple[Path, Path], architecture: str) -> None:
    small = {"channels": [8, 8, 16], "kernel_size": 5, "hidden": 16, "dropout": 0}
    models = {"density": small, "other": {**small, "architecture": architecture}}
    settings = {"max_epochs": 20, "patience": 20, "augmentation": "none"}
    study = make_study(tmp_path, models=models, learning_rate=1e-2, **settings)
    train(study, *data, "other", "random", 0, tmp_path / "job")
    log = pd.read_csv(tmp_path / "job" / "metrics.csv")
    assert log["train_loss"].iloc[-1] < 0.8 * log["train_loss"].iloc[0] < 0.8, log[["train_loss", "val_loss"]]
    network, _ = load_package(tmp_path / "job" / "model")
    assert network.settings.architecture == architecture
    assert list(log.filter(like="gradient_norm_")) == [f"gradient_norm_{name}" for name in network.parts()]


def test_ways_to_need_less_memory_change_nothing(tmp_path: Path, data: tuple[Path, Path]) -> None:
    """Parts of a batch after one another, and checkpointing: the same gradient; bfloat16: nearly the same losses."""
    ways: dict[str, tuple[dict[str, object], dict[str, object]]] = {
        "plain": ({}, {}),
        "parts": ({"samples_at_a_time": 2}, {"checkpointing": True}),
        "bfloat16": ({"precision": "bfloat16"}, {}),
    }
    gradients, logs = {}, {}
    for name, (training, model) in ways.items():
        models = {"density": {"channels": [4, 6, 8], "kernel_size": 3, "hidden": 8, **model}}
        study = make_study(tmp_path, models=models, max_epochs=2, **training)
        note = NoteFirstGradient(tmp_path / f"{name}.pt")
        train(study, *data, "density", "random", 0, tmp_path / name, callbacks=[note])
        first = torch.load(tmp_path / f"{name}.pt")
        gradients[name] = torch.cat([gradient.flatten() for gradient in first.values()])
        logs[name] = pd.read_csv(tmp_path / name / "metrics.csv")
    for name, tolerance in (("parts", 1e-6), ("bfloat16", 0.1)):
        assert (gradients[name] - gradients["plain"]).norm() <= tolerance * gradients["plain"].norm(), name
    assert not torch.equal(gradients["bfloat16"], gradients["plain"])
    assert gradients["bfloat16"].dtype == torch.float32
    pd.testing.assert_frame_equal(logs["parts"], logs["plain"], rtol=1e-4, atol=1e-6)
    columns = ["train_loss", "val_loss"]
    pd.testing.assert_frame_equal(logs["bfloat16"][columns], logs["plain"][columns], rtol=0.02)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, data: tuple[Path, Path]) -> Path:
    """A training that was not interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    train(make_study(folder, max_epochs=5, batch_size=3), *data, "density", "random", 0, folder / "job")
    return folder / "job"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "going on after epoch 3"),
        ({"checkpoint_minutes": 1e-9, "num_workers": 2}, "going on after epoch 3, batch 1 of epoch 4"),
    ],
)
def test_killed_training_goes_on_as_if_uninterrupted(
    tmp_path: Path, data: tuple[Path, Path], whole: Path, settings: dict[str, float], message: str
) -> None:
    """To the bit, from the end of an epoch and from within one, whoever reads the batches."""
    study = make_study(tmp_path, max_epochs=5, batch_size=3, **settings)
    killed = run(job_file(tmp_path, study, data), tmp_path / "killed", "--kill-at", 3)
    assert killed.returncode == -9, killed.stderr
    assert len(pd.read_csv(tmp_path / "killed" / "metrics.csv")) == 3
    assert not (tmp_path / "killed" / "model").exists()
    assert not list((tmp_path / "killed").rglob("*.part"))
    messages: list[str] = []
    train(study, *data, "density", "random", 0, tmp_path / "killed", messages.append)
    assert messages[0] == message
    assert len(messages) == 3
    for name in ("metrics.csv", "predictions.parquet"):
        assert (whole / name).read_bytes() == (tmp_path / "killed" / name).read_bytes()
    before, resumed = weights(whole), weights(tmp_path / "killed")
    assert all(torch.equal(before[name], resumed[name]) for name in before)


# What differs is the order in which float32 numbers are added. The gradient of one process is off that of the same step
# in float64 by 4.8e-6 in the first layer, whose sums over 1e5 voxels nearly cancel, and by 0.8e-6 at most elsewhere;
# two such gradients differ by up to twice that.
GRADIENT_TOLERANCE = {"network.layers.0": 1e-5, "": 2e-6}


@pytest.mark.parametrize(
    ("processes", "learning_rate", "tolerances"),
    [
        # Weights that stand still. r2 and the loss of a mean are differences of float32 numbers near one: atol.
        (2, 1e-30, {"rtol": 1e-6, "atol": 2e-7}),
        (4, 3e-3, {"rtol": 1e-3}),  # Adam divides a gradient by its size, also one that is rounding
    ],
)
def test_several_processes_do_what_one_does(
    tmp_path: Path, processes: int, learning_rate: float, tolerances: dict[str, float]
) -> None:
    """Same first gradient, same log, each molecule predicted once and the same; of many tasks with gaps.

    And a network that is pretrained learns from the same hidden cells.
    """
    study, data = make_many_tasks(tmp_path, 11, max_epochs=2, batch_size=5, learning_rate=learning_rate)
    models = dict(study.training.models)
    models["potential"] = models["potential"].model_copy(update={"pretraining": PretrainingSettings(epochs=2)})
    study = study.model_copy(update={"training": study.training.model_copy(update={"models": models})})
    note = NoteFirstGradient(tmp_path / "one.pt")
    train(study, *data, "density", "random", 0, tmp_path / "one", callbacks=[note])
    job = job_file(tmp_path, study, data)
    gradients = ("--gradients", tmp_path / "several.pt")
    launched = run(job, tmp_path / "several", *gradients, "--also", "potential", processes=processes)
    assert launched.returncode == 0, launched.stderr
    train(study, *data, "potential", "random", 0, tmp_path / "one-potential")
    one, several = (torch.load(tmp_path / f"{name}.pt") for name in ("one", "several"))
    assert one.keys() == several.keys()
    for name in one:
        tolerance = next(value for start, value in GRADIENT_TOLERANCE.items() if name.startswith(start))
        assert (one[name] - several[name]).norm() <= tolerance * one[name].norm(), name
    joined = [torch.cat([gradients[name].flatten() for name in one]) for gradients in (one, several)]
    assert (joined[0] - joined[1]).norm() <= 1e-6 * joined[0].norm()
    names = ("metrics.csv", "predictions.parquet")
    for model, written in (("", (*names, "task_predictions.parquet")), ("-potential", (*names, "pretraining.csv"))):
        for name in written:
            read = pd.read_csv if name.endswith("csv") else pd.read_parquet
            tables = [read(tmp_path / f"{folder}{model}" / name) for folder in ("one", "several")]
            pd.testing.assert_frame_equal(*tables, **tolerances)
            assert name != "predictions.parquet" or not tables[1]["key"].duplicated().any()


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there_is_no_slow_training_on_the_processor(tmp_path: Path, data: tuple[Path, Path]) -> None:
    study = make_study(tmp_path, gpus_per_node=1)
    with pytest.raises(BackendUnavailableError, match=r"training\.gpus_per_node"):
        train(study, *data, "density", "random", 0, tmp_path / "job")
    with pytest.raises(ValueError, match="a process a GPU, not 1"):
        make_study(tmp_path, gpus_per_node=4)


def test_a_damaged_checkpoint_is_named(tmp_path: Path, data: tuple[Path, Path]) -> None:
    (tmp_path / "job" / "checkpoints").mkdir(parents=True)
    (tmp_path / "job" / "checkpoints" / "last.ckpt").write_bytes(b"half a checkpoint")
    with pytest.raises(DataFormatError, match=r"last\.ckpt"):
        train(make_study(tmp_path), *data, "density", "random", 0, tmp_path / "job")


@pytest.mark.parametrize("world_size", [1, 2, 3, 7])
@pytest.mark.parametrize("num_samples", [1, 5, 23])
def test_batches_are_shared_out_without_duplicates(world_size: int, num_samples: int) -> None:
    sizes = np.random.default_rng(1).integers(10, 99, num_samples)
    make = partial(EpochBatches, sizes, ["a"] * num_samples, 6, seed=1)
    shares = [list(make(rank, world_size, 3)) for rank in range(world_size)]
    whole = list(make(0, 1, 3))
    assert {len(share) for share in shares} == {len(whole)} == {len(make(0, 1))}
    for number, batch in enumerate(whole):
        counted = [draw for share in shares for draw in share[number] if draw.is_counted]
        assert sorted(counted) == sorted(batch)
        assert all(share[number] for share in shares)
    assert sorted(draw.sample for batch in whole for draw in batch) == list(range(num_samples))
    later = make(0, 1, 3)
    later.start = 1
    assert list(later) == whole[1:]
    later.set_epoch(4)
    assert len(list(later)) == len(whole)
    if num_samples > 5:
        assert list(later) != whole


def test_a_shard_is_opened_once_an_epoch_and_batches_are_of_similar_size() -> None:
    random = np.random.default_rng(3)
    shards, sizes = random.integers(0, 3 * WINDOW, 6000), np.exp(random.normal(12, 0.5, 6000)).astype(int)
    batches = epoch_batches(sizes, shards, 16, 2, seed=5)
    order = shards[np.concatenate(batches)]
    # Few shards are open at a time: those of a window, and of the next one.
    seen = [set(order[start : start + POOL * 16]) for start in range(0, 6000, POOL * 16)]
    assert max(map(len, seen)) <= 2 * WINDOW
    spans = [np.flatnonzero(order == shard) for shard in np.unique(shards)]
    assert max(int(span[-1] - span[0]) for span in spans) < 6000 / 3 + 2 * POOL * 16

    def padded(batches: list[np.ndarray]) -> float:
        return sum(len(batch) * sizes[batch].max() for batch in batches) / sizes.sum()

    shuffled = np.array_split(random.permutation(6000), len(batches))
    assert padded(epoch_batches(sizes, shards, 16)) < padded(batches) < 1.4
    assert padded(shuffled) > 2.0


@pytest.mark.parametrize("source", ["shards", "rendered"])
def test_a_batch_that_a_device_finishes_is_the_one_that_workers_make(
    tmp_path: Path, data: tuple[Path, Path], source: str
) -> None:
    torch.set_num_threads(1)  # as a worker has; with more the potential is summed in another order
    place = ("random", 0, "train")
    dataset: VoxelDataset
    if source == "shards":
        dataset = ShardDataset(*data, *place, FIELDS[:1], ("sweet",), augmentation="rotations_6")
    else:
        study = make_rendered_study(tmp_path)
        folder, _ = make_rendered_dataset(tmp_path, study, 6)
        dataset = RenderedDataset(folder, study, *place, FIELDS, ("sweet",), augmentation="continuous")
    batches = EpochBatches(dataset.sizes, dataset.rows["shard"].to_list(), 4, 0, 1, 2, seed=1)
    whole = EpochLoader(batches, dataset=dataset, collate_fn=partial(collate, stride=8), num_workers=1)
    for one, fetched in zip(whole, reading_loader(dataset, batches, 1), strict=True):
        other = finish_batch(dataset, fetched, 8, "cpu")
        assert one.keys() == other.keys()
        if source == "rendered":  # blocks at a time in place of one by one: the same to rounding
            voxels, others = one.pop("voxels"), other.pop("voxels")
            assert torch.allclose(voxels, others, rtol=2e-5, atol=1e-6)
        for name in one:
            assert torch.equal(one[name], other[name]) if torch.is_tensor(one[name]) else one[name] == other[name]


def test_weighted_loss_and_molecule_mean() -> None:
    rows = [Outcome("a", 0, 0.5, (1.0,), (2.0,)), Outcome("a", 1, 0.5, (1.0,), (0.0,)),
            Outcome("b", 0, 1.0, (0.0,), (-1.0,))]  # fmt: skip
    tasks = [Task("sweet")]
    expected = (0.5 * math.log1p(math.exp(-2)) + 0.5 * math.log(2)) * 3 + math.log1p(math.exp(-1))
    assert weighted_loss(rows, [Objective(tasks[0], class_weights=(1.0, 3.0))]) == pytest.approx(expected / 4)
    assert weighted_loss([Outcome("a", 0, 1.0, (1.0,), (-800.0,))], [Objective(tasks[0])]) == pytest.approx(800.0)
    table = per_molecule(rows, tasks).set_index("key")
    assert table.loc["a", "sweet"] == pytest.approx(0.5 * (1 / (1 + math.exp(-2)) + 0.5))
    assert score(rows, tasks) == {"auroc": 1.0}
    assert math.isnan(score(rows[:2], tasks)["auroc"])
    assert gather([*rows, *rows], 1) == rows


def test_stopping_and_dropout_are_functions_of_their_arguments(tmp_path: Path) -> None:
    settings = make_study(tmp_path, max_epochs=10, patience=2).training
    losses = [1.0, 0.5, 0.6, 0.5]
    rows = [{"epoch": number + 1.0, "val_loss": loss} for number, loss in enumerate(losses)]
    assert [is_finished(rows[:n], settings) for n in range(5)] == [False, False, False, False, True]
    assert best_epoch(rows) == 2
    rows = [{**row, "val_auroc": auroc} for row, auroc in zip(rows, [0.5, 0.4, 0.6, 0.6])]
    assert best_epoch(rows, "auroc") == 3
    assert not is_finished(rows, settings, "auroc")
    batch = {"key": ["a", "b"], "conformer": [0, 0], "voxels": torch.zeros(2, 1, 8, 8, 8)}
    keep = dropout_keep(batch, 4000, 0.25, 1, 2)  # type: ignore[arg-type]
    assert keep is not None
    assert sorted(keep.unique().tolist()) == pytest.approx([0.0, 1 / 0.75])
    assert (keep == 0).double().mean() == pytest.approx(0.25, abs=0.02)
    alone = dropout_keep({**batch, "key": ["b"], "conformer": [0]}, 4000, 0.25, 1, 2)  # type: ignore[arg-type, typeddict-item]
    assert alone is not None
    assert torch.equal(alone[0], keep[1])
    assert dropout_keep(batch, 4, 0.0, 1, 2) is None  # type: ignore[arg-type]
