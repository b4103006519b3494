"""A number in place of classes: the finished study, learning boiling points, computes no molecule again."""

from collections.abc import Callable

import pandas as pd
import pytest
from sklearn.metrics import root_mean_squared_error

from decar.planning.plan import load_plan

from .conftest import Workspace

# Boiling points at 101.3 kPa [degrees Celsius], CRC Handbook of Chemistry and Physics.
BOILING = {
    "glycol": 197.3, "methanol": 64.6, "glycolaldehyde": 131.3, "formamide": 220.0, "acetamide": 222.0, "acetic": 117.9,
}  # fmt: skip


def test_boiling_points_from_the_same_wavefunctions(
    copied: Callable[[], Workspace], monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = copied()
    table = pd.read_csv(workspace.table)
    table.assign(boiling_point=table["id"].map(BOILING)).to_csv(workspace.table, index=False)
    study = workspace.study()
    study["molecules"]["labels"] = {"boiling_point": {"column": "boiling_point", "kind": "regression", "unit": "°C"}}
    study["training"]["property"] = "boiling_point"
    study["attribution"]["num_seeds"] = 1
    del study["figures"]["positive_name"], study["figures"]["negative_name"]
    workspace.write_study(study)
    jobs = workspace.planned()
    assert not {"conformers", "optimise", "wavefunction", "fields", "shard"} & set(jobs)
    assert jobs["train"] == 4
    workspace.run()

    monkeypatch.chdir(workspace.folder)
    plan = load_plan(
        max((workspace.folder / "results/small/plan").glob("plan-*.json"), key=lambda at: at.stat().st_mtime)
    )
    predictions = pd.read_parquet(f"{plan.evaluation}/predictions.parquet")
    metrics = pd.read_parquet(f"{plan.evaluation}/metrics.parquet").set_index(["model", "metric"])["value"]
    test = predictions[predictions["subset"] == "test"]
    for model, rows in test.groupby("model"):
        assert sorted(rows["label"]) == sorted(BOILING.values())
        rmse = root_mean_squared_error(rows["label"], rows["prediction"])
        assert metrics[model, "rmse"] == pytest.approx(rmse)
    # Six molecules and two epochs teach little: a network is not far from the mean of what it saw.
    network = test.loc[test["model"] == "decar", "prediction"]
    assert network.between(0, 300).all()
    tests = pd.read_parquet(f"{plan.interpretation}/kernel_tests.parquet")
    assert set(zip(tests["num_positive"], tests["num_negative"])) == {(3, 3)}  # above the median, and the rest
    checks = pd.read_parquet(f"{plan.attribution}/checks.parquet")
    own = checks[(checks["network"] == "fold 0") & (checks["method"] == "integrated_gradients")]
    known = predictions[(predictions["model"] == "decar") & (predictions["fold"] == 0)].set_index("key")["prediction"]
    first = own[own["rotation"] == 0].set_index("key")["logit"]
    # What is explained is the value in degrees, of the one conformer that there is.
    pd.testing.assert_series_equal(first, known[first.index], check_names=False, rtol=1e-4)
