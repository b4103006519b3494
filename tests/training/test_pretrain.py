"""Pretraining on fields alone: who is drawn, what is hidden, that it is learned, and that it goes on after a stop."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from decar.config import ModelSettings, PretrainingSettings, Study
from decar.dataset.samples import FIELDS_ALONE, Batch, collate
from decar.dataset.statistics import load_normalisation
from decar.dataset.torch_dataset import ShardDataset
from decar.errors import ConfigError
from decar.models.build import build_network
from decar.models.package import load_package
from decar.training.fill_in import Decoder, FillIn, losses_of
from decar.training.masking import draw_cubes, hidden_cells
from decar.training.pretrain import pretrain
from decar.training.train import train
from decar.training.trainer import Launched
from tests.dataset.synthetic_study import SPACING, key_of, make_dataset, make_study

UNLABELLED = (3, 7, 12)
CUBES = {"epochs": 3, "cube_angstrom": 1.0, "masked_share": 0.4}
SMALL = {"channels": [4, 6], "kernel_size": 5, "hidden": 4}
Data = tuple[Path, Path]


def study_of(folder: Path, **model: object) -> Study:
    models = {"density": SMALL, "pretrained": {**SMALL, "pretraining": CUBES, **model}}
    return make_study(folder, models=models, max_epochs=2, batch_size=4, checkpoint_minutes=1e-9)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    folder = tmp_path_factory.mktemp("pretrain")
    return make_dataset(folder, make_study(folder), 14, unlabelled=UNLABELLED)


def molecules(data: Data, subset: str, study: Study) -> ShardDataset:
    fields = study.training.models["pretrained"].fields
    normalisation = load_normalisation(data[0], "random", 0, fields)
    return ShardDataset(*data, "random", 0, subset, fields, ("sweet",), normalisation=normalisation)


class Noted(Callback):
    """Note the molecules of each batch of pretraining; stop without a word before the second one of an epoch."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.stop_at = stop_at
        self.trained: set[str] = set()
        self.validated: set[str] = set()

    def on_train_batch_start(self, trainer: Trainer, module: LightningModule, batch: Batch, batch_idx: int) -> None:
        if isinstance(module, FillIn):
            self.trained |= set(batch["key"])
            if (trainer.current_epoch, batch_idx) == (self.stop_at, 1):
                raise RuntimeError("stopped")

    def on_validation_batch_start(self, _: Trainer, module: LightningModule, batch: Batch, *__: object) -> None:
        if isinstance(module, FillIn):
            self.validated |= set(batch["key"])


def test_unlabelled_molecules_are_drawn_and_none_that_is_tested(tmp_path: Path, data: Data) -> None:
    """And a training that was stopped goes on to the same numbers, without pretraining twice."""
    study, noted = study_of(tmp_path, frozen=["layer1"]), Noted()
    train(study, *data, "pretrained", "random", 0, tmp_path / "whole", callbacks=[noted])
    splits = pd.read_parquet(data[0] / "splits.parquet").query("fold == 0").set_index("key")["subset"]
    unlabelled = {key_of(number) for number in UNLABELLED}
    assert {splits[key] for key in unlabelled} > {"test"}  # a subset means nothing without a label
    labelled = {name: set(splits.index[splits == name]) - unlabelled for name in ("train", "validation", "test")}
    assert noted.trained == labelled["train"] | unlabelled
    assert noted.validated == labelled["validation"]

    log = pd.read_csv(tmp_path / "whole" / "pretraining.csv")
    assert log["epoch"].tolist() == [1, 2, 3]
    (entry,) = load_package(tmp_path / "whole" / "model")[1]["lineage"]
    told = f"for 3 epochs on {len(noted.trained)} molecules (3 without a label); new: hidden, output; frozen: layer1"
    assert told in entry["change"]
    assert told in (tmp_path / "whole" / "model" / "card.md").read_text()

    with pytest.raises(RuntimeError, match="stopped"):  # in the middle of the second epoch
        train(study, *data, "pretrained", "random", 0, tmp_path / "job", callbacks=[Noted(stop_at=1)])
    messages: list[str] = []
    train(study, *data, "pretrained", "random", 0, tmp_path / "job", messages.append)
    assert messages[0] == "pretraining goes on after epoch 1"
    for name in ("pretraining.csv", "metrics.csv", "predictions.parquet"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "job" / name).read_bytes(), name
    # What is finished is not repeated.
    again = Noted()
    train(study, *data, "pretrained", "random", 0, tmp_path / "job", callbacks=[again])
    assert not again.trained


@pytest.mark.parametrize("architecture", ["published", "residual", "steerable"])
def test_it_is_learned_and_the_head_stays(tmp_path: Path, data: Data, architecture: str) -> None:
    """Better than vacuum and than the mean, on molecules that were not seen; of two fields together."""
    fields = ["electron_density", "electrostatic_potential"]
    pretraining = {**CUBES, "epochs": 20}
    study = study_of(tmp_path, architecture=architecture, fields=fields, pretraining=pretraining)
    study = study.model_copy(update={"training": study.training.model_copy(update={"learning_rate": 2e-2})})
    network = build_network(study.training.models["pretrained"], SPACING, 2)
    network.initialise(5)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    given = molecules(data, FIELDS_ALONE, study), molecules(data, "validation", study)
    pretrain(study, network, "pretrained", *given, 5, tmp_path, Launched(), lambda _: None)
    log = pd.read_csv(tmp_path / "pretraining.csv")
    last = log.iloc[-1]
    assert last["val_loss"] < 0.8 * min(last["val_mean"], last["val_vacuum"]), log
    assert last["train_loss"] < 0.8 * log["train_mean"].mean(), log
    assert log["val_mean"].nunique() == 1  # what is hidden of validation molecules stays the same
    assert log["train_mean"].nunique() > 1
    same = {name for name, value in network.state_dict().items() if torch.equal(value, before[name])}
    assert same == {name for name in before if name.startswith(("hidden", "output"))}


def test_what_is_hidden_follows_from_names_and_leaves_something_to_see(tmp_path: Path, data: Data) -> None:
    given = molecules(data, FIELDS_ALONE, study_of(tmp_path))
    samples = [given[number] for number in range(len(given))]
    batch = collate(samples, 4)
    hidden = hidden_cells(batch, 4, 1, 0.4, 7, 2)
    assert torch.equal(hidden, hidden_cells(batch, 4, 1, 0.4, 7, 2))
    assert not torch.equal(hidden, hidden_cells(batch, 4, 1, 0.4, 7, 3))
    assert not torch.equal(hidden, hidden_cells(batch, 4, 1, 0.4, 8, 2))
    for sample, own in zip(samples, hidden):
        alone = hidden_cells(collate([sample], 4), 4, 1, 0.4, 7, 2)[0]
        assert torch.equal(alone, own[tuple(slice(size) for size in alone.shape)])
        assert own.sum() == alone.sum() > 0  # nothing in the padding
    random, occupied = np.random.default_rng(1), np.zeros((6, 6, 6), dtype=bool)
    occupied[1:5, 1:5, 1:5] = True
    shares = [draw_cubes(occupied, 2, 0.3, random)[occupied].mean() for _ in range(20)]
    assert 0.3 <= min(shares) < max(shares) <= 0.3 + 8 / 64
    few = np.zeros_like(occupied)
    few[2, 2, 2:4] = True
    assert {int(draw_cubes(few, 3, 0.9, random)[few].sum()) for _ in range(20)} <= {0, 1}
    few[2, 2, 3] = False
    assert not draw_cubes(few, 1, 0.5, random).any()


def test_the_loss_is_that_of_its_formula() -> None:
    weight, target, predicted = np.array([1.0, 0.5]), np.array([[1.0, 2.0], [0.0, 4.0]]), np.array([[0.5, 2], [1, 3]])

    def loss(given: np.ndarray) -> float:
        return float((weight @ (given - target) ** 2).sum() / (2 * weight.sum()))

    mean = (weight @ target) / weight.sum()
    error, square = (float((weight @ (given - target) ** 2).sum()) for given in (predicted, 0 * target))
    sums = torch.tensor([weight.sum(), error, square, *(weight @ target)])
    expected = [loss(predicted), loss(0 * target), loss(np.tile(mean, (2, 1)))]
    assert losses_of(sums) == pytest.approx(expected)


def test_what_a_steerable_network_fills_in_turns_with_the_molecule() -> None:
    settings = ModelSettings(architecture="steerable", channels=(4, 6, 6), kernel_size=5, chiral=True)
    network = build_network(settings, SPACING, 1)
    network.initialise(2)
    decoder, random = Decoder(network), torch.Generator().manual_seed(1)
    torch.nn.init.normal_(decoder.linear.weight, generator=random)
    x, mask = torch.rand(1, 1, 16, 16, 16, generator=random), torch.ones(1, 1, 16, 16, 16)
    turn: Callable[[torch.Tensor], torch.Tensor] = lambda y: y.rot90(1, (2, 3)).rot90(1, (3, 4))  # noqa: E731
    mirror: Callable[[torch.Tensor], torch.Tensor] = lambda y: y.flip(2)  # noqa: E731
    with torch.no_grad():
        for change in (turn, mirror):
            torch.testing.assert_close(decoder(change(x), mask), change(decoder(x, mask)), atol=1e-4, rtol=1e-4)


def test_what_cannot_work_is_refused(tmp_path: Path, data: Data) -> None:
    study = study_of(tmp_path, pretraining={**CUBES, "cube_angstrom": 5.1})
    with pytest.raises(ConfigError, match=r"(?s)no smaller than a box.*5\.1.*5\.08 angstrom.*smaller cube_angstrom"):
        train(study, *data, "pretrained", "random", 0, tmp_path / "job")
    with pytest.raises(ValueError, match="leave one of them out"):
        ModelSettings(initial="other", pretraining=PretrainingSettings())
    # Clouds of one cell: hidden, there is nothing left to tell from.
    study = study_of(tmp_path, channels=[2, 2, 2], pretraining={**CUBES, "epochs": 1})
    given = molecules(data, FIELDS_ALONE, study), molecules(data, "validation", study)
    network = build_network(study.training.models["pretrained"], SPACING, 1)
    for one in given:
        one.normalisation = None
    with pytest.raises(ConfigError, match="nothing is hidden"):
        pretrain(study, network, "pretrained", *given, 5, tmp_path, Launched(), lambda _: None)
