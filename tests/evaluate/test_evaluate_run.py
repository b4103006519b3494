from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from decar.baselines.models import run_baseline
from decar.config import Study
from decar.errors import DataFormatError
from decar.evaluate.run import evaluate
from decar.receipt import read_table, write_table

ACIDS = [f"{'C' * n}C(=O)O" for n in range(1, 11)]
ETHERS = [f"{'C' * n}OC" for n in range(1, 11)]
SMILES = ACIDS + ETHERS
KEYS = [f"k{number:02d}" for number in range(len(SMILES))]
LABEL = {key: float(number < len(ACIDS)) for number, key in enumerate(KEYS)}
SCHEMES, NUM_FOLDS = ("random", "scaffold"), 4


def study(**evaluate_settings):
    return Study.model_validate({
        "study": "acids",
        "molecules": {"table": "table.csv", "labels": {"acid": {"column": "acid"}}},
        "training": {
            "property": "acid",
            "models": {"decar": {}, "control": {"fields": ["promolecular_density"], "role": "control"}},
        },
        "evaluate": {"num_bootstrap": 200, **evaluate_settings},
        "interpret": {"model": "decar"},
        "figures": {"example": "1"},
    })  # fmt: skip


def splits():
    rows = []
    for scheme in SCHEMES:
        for fold in range(NUM_FOLDS):
            for number, key in enumerate(KEYS):
                subset = {fold: "test", (fold + 1) % NUM_FOLDS: "validation"}.get(number % NUM_FOLDS, "train")
                rows.append({"scheme": scheme, "seed": 1, "fold": fold, "key": key, "subset": subset})
    return pd.DataFrame(rows)


def network_predictions(folder: Path, model: str, error: float) -> list[Path]:
    """Probabilities of a network in each fold: right for what it was trained on, off by noise for the test."""
    generator = np.random.default_rng(int(100 * error))
    paths = []
    for (scheme, fold), part in splits().groupby(["scheme", "fold"]):
        label = part["key"].map(LABEL)
        noise = np.where(part["subset"] == "test", error * generator.normal(size=len(part)), 0.0)
        table = part.assign(model=model, label=label, prediction=np.clip(0.25 + 0.5 * label + noise, 0, 1))
        path = folder / f"{model}-{scheme}-fold{fold}" / "predictions.parquet"
        write_table(path, table)
        paths.append(path)
    return paths


@pytest.fixture
def dataset(tmp_path):
    write_table(tmp_path / "dataset" / "molecules.parquet", pd.DataFrame({"key": KEYS, "smiles": SMILES}))
    labels = pd.DataFrame({"key": KEYS, "property": "acid", "value": [LABEL[key] for key in KEYS], "kind": "binary"})
    write_table(tmp_path / "dataset" / "labels.parquet", labels.assign(unit=None))
    write_table(tmp_path / "dataset" / "splits.parquet", splits())
    return tmp_path / "dataset"


@pytest.fixture
def predictions(tmp_path):
    return network_predictions(tmp_path, "decar", 0.4) + network_predictions(tmp_path, "control", 0.9)


def test_every_model_is_measured_on_all_test_molecules_once(tmp_path, dataset, predictions):
    evaluate(study(), dataset, predictions, tmp_path / "out")
    metrics = read_table(tmp_path / "out" / "metrics.parquet")
    assert dict(metrics[["model", "role"]].drop_duplicates().to_numpy()) == {
        "decar": "model", "control": "control", "lightgbm_ecfp4": "baseline", "atom_counts": "baseline",
    }  # fmt: skip
    assert set(metrics["scheme"]) == set(SCHEMES)
    assert (metrics["n"] == len(KEYS)).all()
    assert metrics["value"].between(metrics["low"], metrics["high"]).all()
    table = pd.concat([read_table(path) for path in predictions])
    test = table.query("subset == 'test' and model == 'control' and scheme == 'random'")
    value = metrics.query("model == 'control' and scheme == 'random' and metric == 'auroc'")["value"].item()
    assert value == pytest.approx(roc_auc_score(test["label"], test["prediction"]))
    # An acid has one oxygen more than an ether: both baselines see it.
    assert (metrics.query("role == 'baseline' and metric == 'auroc'")["value"] == 1).all()


def test_baselines_see_the_same_folds(tmp_path, dataset, predictions):
    evaluate(study(), dataset, predictions, tmp_path / "out")
    joined = read_table(tmp_path / "out" / "predictions.parquet")
    columns = ["scheme", "fold", "key", "subset"]
    folds = {model: set(part[columns].itertuples(index=False)) for model, part in joined.groupby("model")}
    assert len(folds) == 4
    assert all(rows == folds["decar"] for rows in folds.values())


def test_curves_and_confusion_agree_with_the_metrics(tmp_path, dataset, predictions):
    evaluate(study(), dataset, predictions, tmp_path / "out")
    metrics, roc, confusion = (
        read_table(tmp_path / "out" / f"{name}.parquet") for name in ("metrics", "roc", "confusion")
    )
    values = metrics.set_index(["model", "scheme", "metric"])["value"]
    for (model, scheme), curve in roc.groupby(["model", "scheme"], sort=False):
        area = np.trapezoid(curve["true_positive_rate"], curve["false_positive_rate"])
        assert area == pytest.approx(values[model, scheme, "auroc"])
    for (model, scheme), cells in confusion.groupby(["model", "scheme"]):
        assert cells["count"].sum() == len(KEYS)
        right = cells.loc[cells["label"] == cells["predicted"], "count"].sum()
        assert right / len(KEYS) == pytest.approx(values[model, scheme, "accuracy"])


def test_a_molecule_that_one_model_lacks_counts_for_none(tmp_path, dataset, predictions):
    table = read_table(predictions[0])
    write_table(predictions[0], table.loc[table["key"] != KEYS[0]])
    lines = []
    evaluate(study(), dataset, predictions, tmp_path / "out", lines.append)
    metrics = read_table(tmp_path / "out" / "metrics.parquet").set_index("scheme")
    assert set(metrics.loc["random", "n"]) == {len(KEYS) - 1}
    assert set(metrics.loc["scaffold", "n"]) == {len(KEYS)}
    assert any("19 of 20" in line for line in lines)


def test_training_and_validation_molecules_never_count(tmp_path, dataset, predictions):
    evaluate(study(), dataset, predictions, tmp_path / "first")
    for path in predictions:
        table = read_table(path)
        table.loc[table["subset"] != "test", "prediction"] = 0.123
        write_table(path, table)
    evaluate(study(), dataset, predictions, tmp_path / "second")
    pd.testing.assert_frame_equal(*(read_table(tmp_path / name / "metrics.parquet") for name in ("first", "second")))


def test_one_class_is_noted_and_no_crash(tmp_path, dataset, predictions):
    labels = read_table(dataset / "labels.parquet").assign(value=1.0)
    write_table(dataset / "labels.parquet", labels)
    for path in predictions:
        write_table(path, read_table(path).assign(label=1.0))
    evaluate(study(), dataset, predictions, tmp_path / "out")
    metrics = read_table(tmp_path / "out" / "metrics.parquet")
    undefined = metrics.loc[metrics["value"].isna()]
    assert set(undefined["metric"]) == {"balanced_accuracy", "specificity", "auroc", "mcc"}
    assert undefined["note"].str.contains("0 negative").all()
    assert len(read_table(tmp_path / "out" / "roc.parquet")) == 0


def test_errors_say_what_to_do(tmp_path, dataset, predictions):
    with pytest.raises(DataFormatError, match="tested twice"):
        evaluate(study(), dataset, [*predictions, predictions[0]], tmp_path / "out")
    write_table(predictions[0], read_table(predictions[0]).drop(columns="prediction"))
    with pytest.raises(DataFormatError, match="lack columns"):
        evaluate(study(), dataset, predictions, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_baselines_alone_can_be_evaluated_and_a_rerun_is_the_same(tmp_path, dataset):
    for name in ("first", "second"):
        evaluate(study(baselines=["atom_counts"]), dataset, [], tmp_path / name)
    tables = [read_table(tmp_path / name / "metrics.parquet") for name in ("first", "second")]
    pd.testing.assert_frame_equal(*tables, check_exact=True)
    inputs = [read_table(dataset / f"{name}.parquet") for name in ("molecules", "labels", "splits")]
    alone = run_baseline("atom_counts", *inputs, "acid", study().seed)
    joined = read_table(tmp_path / "first" / "predictions.parquet").drop(columns="role")
    pd.testing.assert_frame_equal(joined.sort_values(list(alone)[1:4], ignore_index=True), alone, check_like=True)


def test_values_are_measured_by_their_error_and_have_no_classes(tmp_path, dataset):
    """A regression: the number of carbon atoms, as a network that is off by noise sees it, and as baselines do."""
    carbons = {key: 10.0 * smiles.count("C") for key, smiles in zip(KEYS, SMILES)}
    labels = read_table(dataset / "labels.parquet").assign(kind="regression", unit="K")
    write_table(dataset / "labels.parquet", labels.assign(value=labels["key"].map(carbons)))
    generator = np.random.default_rng(3)
    table = splits().query("scheme == 'random'")
    label = table["key"].map(carbons)
    paths = []
    for fold, part in table.assign(model="decar", label=label).groupby("fold"):
        noise = generator.normal(size=len(part))
        paths.append(tmp_path / f"decar-fold{fold}" / "predictions.parquet")
        # As decar wrote it before regression: its column of predictions had another name.
        write_table(paths[-1], part.assign(probability=part["label"] + noise))
    content = study(baselines=["tuned_lssvm_descriptors"]).model_dump(mode="json")
    content["molecules"]["labels"]["acid"] |= {"kind": "regression", "unit": "K"}
    write_table(dataset / "splits.parquet", table)
    evaluate(Study.model_validate(content), dataset, paths, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["metrics.parquet", "predictions.parquet"]
    metrics = read_table(tmp_path / "out" / "metrics.parquet").set_index(["model", "metric"])
    joined = read_table(tmp_path / "out" / "predictions.parquet")
    for model in ("decar", "tuned_lssvm_descriptors"):
        test = joined.query("subset == 'test' and model == @model")
        error = (test["label"] - test["prediction"]).to_numpy()
        assert len(test) == len(KEYS)
        assert metrics.loc[(model, "rmse"), "value"] == pytest.approx(np.sqrt((error**2).mean()))
        assert metrics.loc[(model, "mae"), "value"] == pytest.approx(np.abs(error).mean())
    assert metrics.loc[("decar", "rmse"), "value"] < 2
    assert metrics.loc[("tuned_lssvm_descriptors", "r2"), "value"] > 0.8
