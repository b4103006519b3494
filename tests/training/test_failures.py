"""What goes wrong ends clearly, loses nothing that was finished, and goes on when it is started again."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from decar.config import Study
from decar.errors import ConfigError, ResourceError
from decar.models.package import load_package
from decar.training.callbacks import batches_done, logged_rows, read_checkpoint
from decar.training.train import train
from tests.dataset.synthetic_study import make_dataset, make_study
from tests.training.golden_losses import FILE, MODELS, losses
from tests.training.test_training import job_file, run

# Two implementations of the convolution (oneDNN's and torch's own) differ by 2.6e-5 in these losses after five epochs,
# one and two threads by 1e-8. A change of what is computed is larger: another seed moves the first loss by 1e-2.
# The three epochs of the other two differ by 1e-7; a steerable network's losses move by 3e-4 from epoch to epoch.
GOLDEN_TOLERANCE = {"density": 2e-4, "steerable": 1e-5, "rendered": 1e-5}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("failures")
    return make_dataset(folder, make_study(folder), 11)


@pytest.mark.parametrize("name", MODELS)
def test_losses_are_the_golden_ones(tmp_path: Path, name: str) -> None:
    golden, found = json.loads(FILE.read_text())[name], losses(tmp_path, name)
    for column, values in golden.items():
        assert found[column] == pytest.approx(values, rel=GOLDEN_TOLERANCE[name]), column


class PoisonAt(Callback):
    """Make a weight infinite at the start of an epoch (counted from 0)."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.current_epoch == self.epoch:
            with torch.no_grad():
                next(pl_module.parameters()).fill_(torch.inf)


def test_a_loss_that_is_no_number_ends_training_at_the_last_sound_epoch(
    tmp_path: Path, data: tuple[Path, Path]
) -> None:
    study, whole, job = make_study(tmp_path, max_epochs=3), tmp_path / "whole", tmp_path / "job"
    train(study, *data, "density", "random", 0, whole)
    with pytest.raises(ConfigError, match="training diverged") as caught:
        train(study, *data, "density", "random", 0, job, callbacks=[PoisonAt(2)])
    assert "epoch 3" in str(caught.value)
    assert "learning_rate" in str(caught.value)
    assert len(logged_rows(read_checkpoint(job / "checkpoints" / "last.ckpt"))) == 2
    assert not (job / "model").exists()
    # Without the cause it goes on, as if nothing had been.
    train(study, *data, "density", "random", 0, job)
    assert (job / "metrics.csv").read_bytes() == (whole / "metrics.csv").read_bytes()


class FillDiskAt(Callback):
    """Leave no room on the disk after the training steps of an epoch (counted from 0)."""

    def __init__(self, epoch: int, filler: Path) -> None:
        self.epoch, self.filler = epoch, filler

    def on_validation_end(self, trainer: Trainer, _: LightningModule) -> None:
        if trainer.current_epoch == self.epoch and not trainer.sanity_checking:
            room = shutil.disk_usage(self.filler.parent).free
            self.filler.write_bytes(b"0" * max(room - 8192, 0))  # the log of the epochs still fits


def test_a_full_disk_at_a_checkpoint_loses_no_epoch(tmp_path: Path, tiny_disk: Path, data: tuple[Path, Path]) -> None:
    content = make_study(tmp_path, max_epochs=3).model_dump(mode="json")
    content["training"]["models"]["density"] |= {"channels": [2], "hidden": 4}
    study, job = Study.model_validate(content), tiny_disk / "job"
    train(study, *data, "density", "random", 0, tmp_path / "whole")
    filler = tiny_disk / "filler"
    with pytest.raises(ResourceError, match="the disk is full"):
        train(study, *data, "density", "random", 0, job, callbacks=[FillDiskAt(1, filler)])
    assert len(logged_rows(read_checkpoint(job / "checkpoints" / "last.ckpt"))) == 1
    assert not list(job.rglob("*.part"))
    filler.unlink()
    shutil.copytree(job, tmp_path / "job")  # more room
    messages: list[str] = []
    train(study, *data, "density", "random", 0, tmp_path / "job", messages.append)
    assert messages[0] == "going on after epoch 1"
    for name in ("metrics.csv", "predictions.parquet"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "job" / name).read_bytes()


def test_a_killed_rank_ends_the_job_and_a_restart_goes_on(tmp_path: Path, data: tuple[Path, Path]) -> None:
    """From within the epoch: two processes to the bit as if uninterrupted, one process to rounding."""
    study = make_study(tmp_path, max_epochs=3, batch_size=2, checkpoint_minutes=1e-9)
    job, outcome = job_file(tmp_path, study, data), tmp_path / "job"
    killed = run(job, outcome, "--kill-at", 1, "--kill-rank", 1, processes=2)
    assert killed.returncode != 0
    assert "Signal 9" in killed.stderr
    found = read_checkpoint(outcome / "checkpoints" / "last.ckpt")
    assert (len(logged_rows(found)), batches_done(found)) == (1, 1)
    assert not (outcome / "predictions.parquet").exists()
    shutil.copytree(outcome, tmp_path / "one")
    restarted = run(job, outcome, "--also", "density", processes=2)
    assert restarted.returncode == 0, restarted.stderr
    assert restarted.stderr.count("going on after epoch 1, batch 1 of epoch 2") == 1
    for name in ("metrics.csv", "predictions.parquet"):
        assert (outcome / name).read_bytes() == (tmp_path / "job-density" / name).read_bytes()
    messages: list[str] = []
    train(study, *data, "density", "random", 0, tmp_path / "one", messages.append)
    assert messages[0] == "going on after epoch 1, batch 1 of epoch 2"
    logs = [pd.read_csv(folder / "metrics.csv") for folder in (outcome, tmp_path / "one")]
    pd.testing.assert_frame_equal(*logs, rtol=1e-3)


def without_labels(folder: Path, study: Study, subset: str) -> tuple[Path, Path]:
    """Return the folders of a dataset of which no molecule of the subset has a label."""
    dataset, shards = make_dataset(folder, study, 11)
    labels, splits = (pd.read_parquet(dataset / f"{name}.parquet") for name in ("labels", "splits"))
    lost = set(splits.query(f"fold == 0 and subset == '{subset}'")["key"])
    labels.loc[~labels["key"].isin(lost)].to_parquet(dataset / "labels.parquet", index=False)
    return dataset, shards


@pytest.mark.parametrize(("subset", "name"), [("train", "training"), ("validation", "validation")])
def test_a_subset_without_a_label_is_said(tmp_path: Path, subset: str, name: str) -> None:
    study = make_study(tmp_path)
    with pytest.raises(ConfigError, match=f"the {name} subset has no molecule with a label"):
        train(study, *without_labels(tmp_path, study, subset), "density", "random", 0, tmp_path / "job")


def test_a_fold_that_tests_no_molecule_is_trained_all_the_same(tmp_path: Path) -> None:
    """Its network, predictions of the other subsets, and no figure of the test subset."""
    study = make_study(tmp_path, max_epochs=1)
    train(study, *without_labels(tmp_path, study, "test"), "density", "random", 0, tmp_path / "job")
    predictions = pd.read_parquet(tmp_path / "job" / "predictions.parquet")
    assert set(predictions["subset"]) == {"train", "validation"}
    metrics = load_package(tmp_path / "job" / "model")[1]["metrics"]
    assert metrics["test_auroc"] is None
    assert 0 <= metrics["train_auroc"] <= 1


def test_a_class_that_a_fold_lacks_is_said(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    dataset, shards = make_dataset(tmp_path, study, 11)
    labels, splits = (pd.read_parquet(dataset / f"{name}.parquet") for name in ("labels", "splits"))
    trained = set(splits.query("fold == 0 and subset == 'train'")["key"])
    lost = labels["key"].isin(trained) & (labels["value"] == 1)
    labels.loc[~lost].to_parquet(dataset / "labels.parquet", index=False)
    with pytest.raises(ConfigError, match=r"(?s)the training subset lacks a class.*molecules of both classes"):
        train(study, dataset, shards, "density", "random", 0, tmp_path / "job")
