"""Many properties in one network: heads of every kind, gaps, weights, metrics, what the package says of them."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError
from sklearn.metrics import accuracy_score, mean_absolute_error, r2_score, recall_score, roc_auc_score

from decar.config import Study
from decar.dataset.samples import labelled_conformers
from decar.errors import ConfigError
from decar.models.package import load_package
from decar.models.task import Task, all_columns, all_values
from decar.training.objectives import Objective, all_losses, make_objectives
from decar.training.outcome import Outcome, per_molecule, score, task_metrics
from decar.training.train import train
from tests.training.many_tasks import KINDS, make_many_tasks

NAN = math.nan


def test_losses_are_the_formulas_and_gaps_weigh_nothing() -> None:
    objectives = [
        Objective(Task("a"), 1.0, (1.0, 3.0)),
        Objective(Task("b", "multiclass", classes=(0.0, 2.0, 5.0)), 2.0, (1.0, 1.0, 4.0)),
        Objective(Task("c", "regression", "bohr", mean=10.0, scale=4.0), 0.5, ()),
    ]
    outputs = torch.tensor([[0.7, 0.1, 0.2, 0.3, -1.0], [-0.2, 1.0, 0.0, 0.0, 0.5]], dtype=torch.float64)
    labels = torch.tensor([[1.0, 5.0, NAN], [NAN, 1.0, 14.0]], dtype=torch.float64)  # no class 1 was trained on
    losses, weights = all_losses(objectives, outputs, labels)
    assert weights.tolist() == [[3.0, 8.0, 0.0], [0.0, 0.0, 0.5]]
    assert losses[0, 0].item() == pytest.approx(math.log1p(math.exp(-0.7)))
    assert losses[0, 1].item() == pytest.approx(math.log(sum(map(math.exp, (0.1, 0.2, 0.3)))) - 0.3)
    assert losses[1, 2].item() == pytest.approx((1.0 - 0.5) ** 2 / 2)
    assert torch.isfinite(losses).all()


def test_a_gap_has_no_gradient() -> None:
    objectives = [Objective(Task("a")), Objective(Task("c", "regression", scale=2.0), 1.0, ())]
    outputs = torch.zeros((2, 2), requires_grad=True)
    losses, weights = all_losses(objectives, outputs, torch.tensor([[1.0, NAN], [NAN, 3.0]]))
    ((losses * weights).sum() / weights.sum()).backward()
    assert outputs.grad is not None
    assert outputs.grad.tolist() == [[-0.25, 0.0], [0.0, -0.75]]


def test_values_are_probabilities_and_numbers_with_units() -> None:
    tasks = [Task("a"), Task("b", "multiclass", classes=(0.0, 2.0)), Task("c", "regression", "eV", mean=1.0, scale=2.0)]
    assert all_columns(tasks) == ["a", "b=0", "b=2", "c"]
    found = all_values(tasks, np.array([[0.0, math.log(3.0), 0.0, 0.5]]))
    assert found[0].tolist() == pytest.approx([0.5, 0.75, 0.25, 2.0])
    assert [Task.from_json(task.to_json()) for task in tasks] == tasks


def test_all_kinds_are_learned_together(tmp_path: Path) -> None:
    study, data = make_many_tasks(tmp_path, max_epochs=25, patience=25, learning_rate=1e-2)
    train(study, *data, "density", "random", 0, tmp_path / "job")
    log = pd.read_csv(tmp_path / "job" / "metrics.csv")
    assert {"val_auroc", "val_auroc:bitter", "val_accuracy:taste", "val_mae:length", "train_r2:length"} <= set(log)
    assert log["train_auroc"].iloc[-1] == log["train_auroc:bitter"].iloc[-1] == 1.0
    assert log["train_accuracy:taste"].iloc[-1] > 0.5
    assert log["train_r2:length"].iloc[0] < 0.1
    assert log["train_r2:length"].iloc[-1] > 0.7
    network, config = load_package(tmp_path / "job" / "model")
    assert network.num_outputs == 6
    tasks = [Task.from_json(entry) for entry in config["tasks"]]
    assert [task.name for task in tasks] == ["sweet", *KINDS]
    assert tasks[2].classes == (0.0, 2.0, 5.0)
    # Mean and spread of a regression are those of the training molecules that have a value.
    rows = labelled_conformers(data[0], "random", 0, ("length",)).drop_duplicates("key")
    trained = rows.loc[rows["subset"] == "train", "label:length"].dropna()
    assert (tasks[3].mean, tasks[3].scale) == pytest.approx((trained.mean(), trained.std(ddof=0)))
    # Predictions: the study's property as ever, the others beside it, each molecule that has the label once.
    assert list(pd.read_parquet(tmp_path / "job" / "predictions.parquet"))[-1] == "prediction"
    assert len(pd.read_parquet(tmp_path / "job" / "predictions.parquet")) == 12
    further = pd.read_parquet(tmp_path / "job" / "task_predictions.parquet")
    assert further.groupby("property").size().to_dict() == {"bitter": 12, "taste": 36, "length": 12}
    shares = further.loc[further["property"] == "taste"].groupby("key")["value"].sum()
    assert shares.to_numpy() == pytest.approx(1.0)
    test = further.query("property == 'length' and subset == 'test'")
    assert np.abs(test["value"] - test["label"]).mean() < np.abs(test["label"] - tasks[3].mean).mean()


def test_classes_and_means_count_molecules_not_conformers(tmp_path: Path) -> None:
    """Class weights n / (C n_c), of every kind of classes; ones where the study wants none."""
    study, _ = make_many_tasks(tmp_path)
    num_conformers = np.array([1, 2, 1, 1, 5, 3])
    molecules = pd.DataFrame(
        {
            "label:sweet": [0, 0, 0, 0, 1, NAN],
            "label:bitter": [0, 1, 0, NAN, NAN, NAN],
            "label:taste": [0, 2, 2, 5, 5, 5],
            "label:length": [1, 2, 3, 4, 10, NAN],
            "weight": 1 / num_conformers,
        }
    )
    rows = molecules.loc[molecules.index.repeat(num_conformers)]
    settings = study.training.models["density"]
    objectives = make_objectives(study, settings, rows)
    expected = ([5 / (2 * 4), 5 / (2 * 1)], [3 / (2 * 2), 3 / (2 * 1)], [6 / 3, 6 / (3 * 2), 6 / (3 * 3)], [])
    assert [list(one.class_weights) for one in objectives] == [pytest.approx(weights) for weights in expected]
    length = molecules["label:length"]
    assert (objectives[3].task.mean, objectives[3].task.scale) == pytest.approx((length.mean(), length.std(ddof=0)))
    study = study.model_copy(update={"training": study.training.model_copy(update={"class_weights": False})})
    objectives = make_objectives(study, settings, rows)
    assert [one.class_weights for one in objectives] == [(1.0, 1.0), (1.0, 1.0), (1.0, 1.0, 1.0), ()]


def test_metrics_are_those_of_scikit_learn_of_means_over_conformers() -> None:
    """Ten molecules of two conformers, each task with a gap; a class that no training molecule had is left out."""
    random = np.random.default_rng(4)
    classes = np.array([0.0, 2.0, 5.0])
    tasks = [
        Task("sweet"), Task("bitter"), Task("taste", "multiclass", classes=tuple(classes)),
        Task("length", "regression", "bohr", mean=3.0, scale=2.0),
    ]  # fmt: skip
    labels = np.array([[0, 1] * 5, [1, 1, 0, 1, 0] * 2, [0, 2, 5, 5, 5, 2, 0, 1, 5, 2], random.normal(3, 2, 10)]).T
    labels[range(1, 4), range(1, 4)] = NAN
    outputs = random.normal(0, 2, (10, 2, 6))
    found = [
        Outcome(str(molecule), conformer, 0.5, tuple(labels[molecule]), tuple(outputs[molecule, conformer]))
        for conformer in (1, 0) for molecule in random.permutation(10)
    ]  # fmt: skip
    # What is averaged are probabilities and values in the unit, not the outputs.
    sweet, bitter = (1 / (1 + np.exp(-outputs[..., :2]))).mean(axis=1).T
    powers = np.exp(outputs[..., 2:5])
    taste = classes[(powers / powers.sum(axis=-1, keepdims=True)).mean(axis=1).argmax(axis=1)]
    length = (3 + 2 * outputs[..., 5]).mean(axis=1)
    for number, mean in ((0, sweet), (1, bitter), (3, length)):
        kept = ~np.isnan(labels[:, number])
        table = per_molecule(found, tasks, number)
        assert table["key"].tolist() == [str(molecule) for molecule in np.flatnonzero(kept)]
        assert table[tasks[number].name].to_numpy() == pytest.approx(mean[kept], rel=1e-12)
    assert score(found, tasks)["auroc"] == roc_auc_score(labels[:, 0], sweet)
    known = [~np.isnan(labels[:, 1]), np.isin(labels[:, 2], classes), ~np.isnan(labels[:, 3])]
    pairs = [(labels[one, number], mean[one]) for number, one, mean in zip((1, 2, 3), known, (bitter, taste, length))]
    expected = {
        "auroc:bitter": roc_auc_score(*pairs[0]),
        "accuracy:taste": recall_score(*pairs[1], average="macro"),
        "mae:length": mean_absolute_error(*pairs[2]),
        "r2:length": r2_score(*pairs[2]),
    }
    assert len({*expected.values(), accuracy_score(*pairs[1]), 0.0, 1.0}) == 7
    # Accuracies are float32.
    assert task_metrics(found, tasks) == pytest.approx(expected, rel=1e-6)
    # Of no molecule with a label nothing is known.
    for none in ([], [one._replace(labels=(NAN,) * 4) for one in found]):
        assert math.isnan(score(none, tasks)["auroc"])
        assert task_metrics(none, tasks) == pytest.approx(dict.fromkeys(expected, NAN), nan_ok=True)


def test_what_cannot_be_learned_is_said(tmp_path: Path) -> None:
    study, (dataset, _) = make_many_tasks(tmp_path)
    settings = study.training.models["density"]
    rows = labelled_conformers(dataset, "random", 0, ("sweet", *KINDS))
    for name, value in (("bitter", 1.0), ("length", 2.0), ("length", NAN), ("taste", 5.0)):
        with pytest.raises(ConfigError, match=f"the property {name}"):
            make_objectives(study, settings, rows.assign(**{f"label:{name}": value}))
    content = study.model_dump(mode="json")
    content["training"]["models"]["density"]["tasks"] = {"sweet": {}}
    with pytest.raises(ValidationError, match="further properties"):
        Study.model_validate(content)
