"""The benchmark of a number: every contender by RMSE, paired tests, permuted labels, the figure; and what is tuned."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import r2_score, root_mean_squared_error

from decar.benchmark.compute import compute_parts
from decar.benchmark.parts import parts_of
from decar.benchmark.write import write_tables
from decar.config import Study
from decar.evaluate.paired import corrected_resampled_t
from decar.receipt import read_table
from tests.benchmark.test_benchmark import with_benchmark
from tests.training.regression_study import make_regression_dataset, make_regression_study


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, Path, list[str]]:
    folder = tmp_path_factory.mktemp("benchmark")
    study = make_regression_study(folder, max_epochs=12, patience=12, learning_rate=1e-2)
    dataset, shards = make_regression_dataset(folder / "data", study, 24)
    study = with_benchmark(
        study, baselines=["tuned_lssvm_descriptors", "atom_counts"], permuted=["atom_counts"],
        tuned={"density": {"learning_rate": [1e-7, 1e-2]}},
    )  # fmt: skip
    said: list[str] = []
    compute_parts(study, dataset, shards, parts_of(study, dataset), said.append)
    write_tables(study, dataset, study.folder / "tables")
    return study, study.folder / "tables", said


def test_every_number_is_that_of_the_stored_predictions(done: tuple[Study, Path, list[str]]) -> None:
    _, output, _ = done
    table = pd.read_csv(output / "benchmark.csv").set_index("contender")
    stored = read_table(output / "predictions.parquet")
    test = stored[stored["subset"] == "test"]
    assert set(table.index) == {"density", "tuned_density", "tuned_lssvm_descriptors", "atom_counts",
                                "atom_counts_permuted"}  # fmt: skip
    for name, rows in test.groupby("contender"):
        label, value = rows["label"].to_numpy(), rows["prediction"].to_numpy()
        assert len(rows) == 24
        row = table.loc[name]
        by_fold = [root_mean_squared_error(part["label"], part["prediction"]) for _, part in rows.groupby("fold")]
        expected = {
            "rmse": np.mean(by_fold), "rmse_sd": np.std(by_fold, ddof=1),
            "rmse_pooled": root_mean_squared_error(label, value), "r2": r2_score(label, value),
            "spearman": spearmanr(label, value).statistic, "mae": np.abs(label - value).mean(),
            "label_sd": label.std(),
        }  # fmt: skip
        assert {column: row[column] for column in expected} == pytest.approx(expected, rel=1e-5, nan_ok=True)
        assert row["pooled_low"] < row["rmse_pooled"] < row["pooled_high"]
        assert row["low"] < row["rmse"] < row["high"]
    assert not {"auroc", "brier", "positives"} & set(table.columns)
    pairs = pd.read_csv(output / "pairs.csv").set_index(["first", "second"]).loc[("atom_counts", "density")]
    gap = table["rmse_pooled"]["atom_counts"] - table["rmse_pooled"]["density"]
    assert pairs["pooled_difference"] == pytest.approx(gap, rel=1e-4)
    folds = pd.read_csv(output / "folds.csv").pivot_table(index="fold", columns="contender", values="rmse")
    differences = (folds["atom_counts"] - folds["density"]).to_numpy()
    sizes = stored[stored["contender"] == "density"].groupby(["fold", "subset"]).size().unstack()
    ratio = float((sizes["test"] / sizes["train"]).mean())
    assert pairs["p_resampled_t"] == pytest.approx(corrected_resampled_t(differences, ratio).p, rel=1e-3)
    assert pd.read_csv(output / "calibration.csv").empty


def test_the_setting_of_lowest_validation_error_is_taken(done: tuple[Study, Path, list[str]]) -> None:
    _, output, said = done
    assert not [line for line in said if "left out" in line]
    settings = pd.read_csv(output / "settings.csv")
    assert len(settings) == 6
    for _, rows in settings.groupby("fold"):
        assert rows.loc[rows["is_chosen"], "validation_rmse"].tolist() == [rows["validation_rmse"].min()]
    chosen = settings.loc[settings["is_chosen"], "settings"]
    assert chosen.str.contains("0.01").all()  # the other one does not learn


def test_the_table_says_unit_and_order_and_permuted_labels_are_judged_by_rank(
    done: tuple[Study, Path, list[str]],
) -> None:
    _, output, _ = done
    text = (output / "benchmark.md").read_text()
    assert "RMSE [kJ/mol], mean of folds (interval)" in text
    assert "standard deviation of their labels is" in text
    table = pd.read_csv(output / "benchmark.csv").sort_values("rmse")
    rows = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")][1:]
    assert rows == table["contender"].tolist()  # the lowest error first
    assert "atom_counts_permuted on random: Spearman correlation" in text
