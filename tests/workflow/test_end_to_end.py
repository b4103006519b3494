"""The small study from table to report: what is in each product, not only that it exists."""

import json

import numpy as np
import pandas as pd
import pytest
from rdkit import Chem

from decar.figures.catalogue import CATALOGUE, GROWTH
from decar.figures.manifest import check
from decar.planning.plan import load_plan
from decar.stages import MOLECULE_STAGES
from decar.store import Store

from .conftest import Workspace


@pytest.fixture
def plan(finished: Workspace, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(finished.folder)
    return load_plan(next((finished.folder / "results/small/plan").glob("plan-*.json")))


def test_every_molecule_is_accounted_for(plan) -> None:
    manifest = pd.read_parquet(f"{plan.dataset}/manifest.parquet")
    failures = pd.read_csv(f"{plan.dataset}/failures.csv")
    assert manifest.loc[manifest["status"] == "ok", "key"].nunique() == 6
    assert dict(zip(failures["id"], failures["reason"])) == {"broken": "unparsable", "lead": "element_without_basis"}
    assert failures["message"].str.len().min() > 10


def test_no_molecule_is_tested_by_a_network_that_saw_it(plan) -> None:
    splits = pd.read_parquet(f"{plan.dataset}/splits.parquet")
    tested = splits.loc[splits["subset"] == "test"]
    assert len(tested) == tested["key"].nunique() == 6
    assert not splits.duplicated(["scheme", "fold", "key"]).any()


def test_metrics_follow_from_the_stored_predictions(plan) -> None:
    predictions = pd.read_parquet(f"{plan.evaluation}/predictions.parquet")
    metrics = pd.read_parquet(f"{plan.evaluation}/metrics.parquet").set_index(["model", "metric"])
    test = predictions.loc[predictions["subset"] == "test"]
    assert {"decar", "control", "lightgbm_ecfp4", "atom_counts"} <= set(test["model"])
    for model, rows in test.groupby("model"):
        assert len(rows) == 6
        accuracy = ((rows["prediction"] >= 0.5) == (rows["label"] == 1)).mean()
        assert metrics.loc[(model, "accuracy"), "value"] == pytest.approx(accuracy)


def test_a_repeated_training_has_the_same_molecules_and_other_weights(plan) -> None:
    own = next(job for job in plan.training if (job.model, job.fold) == ("decar", 0))
    (again,) = plan.repeated
    first, second = (pd.read_parquet(f"{job.folder}/predictions.parquet") for job in (own, again))
    columns = ["key", "fold", "subset", "label"]
    pd.testing.assert_frame_equal(first[columns], second[columns])
    assert (first["prediction"] != second["prediction"]).all()
    assert not any("repeat" in job.folder for job in plan.training)  # no metric counts it


def test_kernel_correlations_are_correlations(plan) -> None:
    table = pd.read_parquet(f"{plan.interpretation}/kernel_correlation.parquet")
    assert table["correlation"].abs().max() <= 1 + 1e-5
    assert table.loc[table["form"] == "activation", "kernel"].nunique() == 4
    assert np.isfinite(table["correlation"]).any()


def test_attributions_are_of_the_example_first_and_complete(plan) -> None:
    atoms = pd.read_parquet(f"{plan.attribution}/atoms.parquet")
    index = pd.read_parquet(plan.index).set_index("id")
    assert atoms["key"].iloc[0] == index.loc["glycol", "key"]
    assert atoms["key"].nunique() == 3
    assert set(atoms["network"]) == {"fold 0", "fold 1", "seed 1", "untrained"}
    assert set(atoms.loc[atoms["network"] == "fold 0", "rotation"]) == {0, 1}
    glycol = atoms[(atoms["key"] == index.loc["glycol", "key"]) & (atoms["atom"] >= 0)]
    assert glycol.groupby(["network", "rotation", "method"]).size().unique().tolist() == [10]  # 4 heavy atoms, 6 H
    agreement = pd.read_parquet(f"{plan.attribution}/agreement.parquet")
    assert set(agreement["kind"]) == {"rotations", "seeds", "folds", "methods", "untrained"}
    checks = pd.read_parquet(f"{plan.attribution}/checks.parquet")
    gradients = checks[checks["method"] == "integrated_gradients"]
    assert (gradients["completeness_error"].abs() < 0.05 * gradients["absolute"]).all()
    gallery = pd.read_parquet(f"{plan.attribution}/kernel_gallery.parquet").groupby(["kernel", "rank"])
    np.testing.assert_allclose(gallery["contribution"].sum(), gallery["correlation"].first(), atol=1e-6)


def test_the_campaign_figure_has_what_lies_in_the_store(finished: Workspace, plan) -> None:
    table = pd.read_csv(finished.folder / "results/small/figures/campaign.csv").set_index("what")
    stages = table.loc["stage"].set_index("stage")
    store = Store(finished.folder / "results/store")
    for stage in MOLECULE_STAGES:
        files = {place.file for _, place in store.places(stage)}
        assert stages.loc[stage, "num_records"] == len(files)  # no pack: a file a record
        size = sum(file.stat().st_size for file in files)
        assert stages.loc[stage, "megabytes"] == pytest.approx(size / 1e6, rel=1e-5)
    molecules = pd.read_parquet(plan.index).dropna(subset="key").set_index("key")["smiles"]
    electrons = table.loc["molecule"].set_index("key")["num_electrons"]
    assert len(electrons) == 6
    for key, number in electrons.items():
        molecule = Chem.AddHs(Chem.MolFromSmiles(molecules[key]))
        assert number == sum(atom.GetAtomicNum() for atom in molecule.GetAtoms())


def test_figures_and_report_are_self_contained(finished: Workspace, plan) -> None:
    folder = finished.folder / "results/small"
    names = [name for name, about in CATALOGUE.items() if name != GROWTH and "binary" in about.kinds]
    for name in names:
        assert (folder / "figures" / f"{name}.svg").stat().st_size > 1000
        assert (folder / "figures" / f"{name}.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
        receipt = json.loads((folder / "figures/receipts" / f"{name}-{plan.figures_hash}.json").read_text())
        assert receipt
    assert check(plan, Store(finished.folder / "results/store"), [*names, "tables", "report"]) == []
    page = (folder / "report.html").read_text()
    assert "ethylene glycol" in page
    assert "element without basis" in page
    for outside in ('src="http', "src='http", 'href="http://', "@import", "url(http"):
        assert outside not in page
