"""A number as the property of a study: learned in its unit, kept by loss, measured by RMSE."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import r2_score, root_mean_squared_error

from decar.errors import FoldError
from decar.models.package import open_package
from decar.training.train import train
from tests.training.regression_study import make_regression_dataset, make_regression_study


def test_learns_values_in_their_unit(tmp_path: Path) -> None:
    study = make_regression_study(tmp_path, max_epochs=40, patience=40, learning_rate=1e-2)
    data = make_regression_dataset(tmp_path, study, 18)
    said: list[str] = []
    train(study, *data, "density", "random", 0, tmp_path / "job", said.append)
    predictions = pd.read_parquet(tmp_path / "job" / "predictions.parquet")
    test = predictions[predictions["subset"] == "test"]
    given = pd.read_parquet(data[0] / "labels.parquet").set_index("key")["value"]
    assert predictions.set_index("key")["label"].to_dict() == given.to_dict()  # to the last digit
    # Shapes decide 30 kJ/mol, each molecule's own part 0.5: molecules never seen are on their side, near it.
    assert set(np.sign(test["label"] - 35)) == {-1.0, 1.0}
    assert (np.sign(test["prediction"] - 35) == np.sign(test["label"] - 35)).all()
    assert r2_score(test["label"], test["prediction"]) > 0.5

    log = pd.read_csv(tmp_path / "job" / "metrics.csv")
    assert not [name for name in log if "auroc" in name]
    kept = log.loc[log["kept"]].iloc[0]
    assert kept["val_loss"] == log["val_loss"].min()
    validation = predictions[predictions["subset"] == "validation"]
    rmse = root_mean_squared_error(validation["label"], validation["prediction"])
    assert kept["val_rmse"] == pytest.approx(rmse, rel=1e-5)
    # The loss is that of the labels in their standard deviations, halved.
    task = open_package(tmp_path / "job" / "model").tasks[0]
    trained = predictions.loc[predictions["subset"] == "train", "label"]
    assert (task.kind, task.unit) == ("regression", "kJ/mol")
    assert (task.mean, task.scale) == pytest.approx((trained.mean(), trained.std(ddof=0)))
    assert kept["val_loss"] == pytest.approx((rmse / task.scale) ** 2 / 2, rel=1e-5)
    assert "RMSE" in said[-1]
    figures = json.loads((tmp_path / "job" / "model" / "config.json").read_text())["metrics"]
    assert figures["validation_rmse"] == pytest.approx(rmse, rel=1e-5)
    assert "kJ/mol" in (tmp_path / "job" / "model" / "card.md").read_text()


def test_folds_have_labelled_molecules_in_even_numbers(tmp_path: Path) -> None:
    study = make_regression_study(tmp_path)
    dataset, _ = make_regression_dataset(tmp_path, study, 30, unlabelled=tuple(range(12)))
    splits = pd.read_parquet(dataset / "splits.parquet")
    labelled = set(pd.read_parquet(dataset / "labels.parquet")["key"])
    assert len(labelled) == 18
    tested = splits[(splits["subset"] == "test") & splits["key"].isin(labelled)].groupby("fold").size()
    assert tested.tolist() == [6, 6, 6]


def test_labels_that_cannot_be_told_apart_are_refused(tmp_path: Path) -> None:
    study = make_regression_study(tmp_path)
    data = make_regression_dataset(tmp_path, study, 12)
    path = data[0] / "labels.parquet"
    labels = pd.read_parquet(path)
    for values, message in ((0.1, "less than two values"), (labels["value"] / 1e4 - 4e4, "single precision")):
        labels.assign(value=values).to_parquet(path)
        with pytest.raises(FoldError, match=message):
            train(study, *data, "density", "random", 0, tmp_path / "job")
