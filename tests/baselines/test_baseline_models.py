import numpy as np
import pandas as pd
import pytest

from decar.baselines.boosting import boosting_parameters
from decar.baselines.models import COLUMNS, run_baseline
from decar.errors import ConfigError, DataFormatError

ALKANES = ["C" * n for n in range(4, 16)]
ALCOHOLS = ["C" * n + "O" for n in range(3, 15)]


def study_tables(smiles, values, num_folds=4):
    keys = [f"k{number:03d}" for number in range(len(smiles))]
    molecules = pd.DataFrame({"key": keys, "smiles": smiles})
    labels = pd.DataFrame({"key": keys, "property": "alcohol", "value": values, "kind": "binary", "unit": None})
    rows = []
    for fold in range(num_folds):
        for number, key in enumerate(keys):
            subset = {fold: "test", (fold + 1) % num_folds: "validation"}.get(number % num_folds, "train")
            rows.append({"scheme": "random", "seed": 0, "fold": fold, "key": key, "subset": subset})
    return molecules, labels, pd.DataFrame(rows)


@pytest.fixture
def tables():
    return study_tables(ALKANES + ALCOHOLS, [0.0] * len(ALKANES) + [1.0] * len(ALCOHOLS))


@pytest.mark.parametrize("name", ["lightgbm_ecfp4", "atom_counts"])
def test_twelve_training_molecules_of_a_class_are_enough_to_learn_an_oxygen(tables, name):
    result = run_baseline(name, *tables, "alcohol", seed=1)
    assert tuple(result.columns) == COLUMNS
    test = result[result["subset"] == "test"]
    assert sorted(test["key"]) == sorted(tables[0]["key"])
    assert ((test["prediction"] > 0.5) == (test["label"] > 0.5)).all()


def test_a_rerun_agrees_to_the_bit_and_row_order_does_not_matter(tables):
    molecules, labels, splits = tables
    first = run_baseline("lightgbm_ecfp4", molecules, labels, splits, "alcohol", seed=1)
    shuffled = [table.sample(frac=1, random_state=3) for table in (molecules, labels, splits)]
    second = run_baseline("lightgbm_ecfp4", *shuffled, "alcohol", seed=1)
    pd.testing.assert_frame_equal(first, second, check_exact=True)


def test_labels_of_test_molecules_are_never_seen(tables):
    molecules, labels, splits = tables
    flipped = labels.copy()
    is_tested = flipped["key"].isin(splits.loc[(splits["fold"] == 0) & (splits["subset"] == "test"), "key"])
    flipped.loc[is_tested, "value"] = 1 - flipped.loc[is_tested, "value"]
    first, second = (
        run_baseline("lightgbm_ecfp4", molecules, values, splits, "alcohol", 1) for values in (labels, flipped)
    )
    fold = first["fold"] == 0
    np.testing.assert_array_equal(first.loc[fold, "prediction"], second.loc[fold, "prediction"])


def test_a_molecule_without_a_label_is_left_out(tables):
    molecules, labels, splits = tables
    labels.loc[0, "value"] = np.nan
    result = run_baseline("atom_counts", molecules, labels, splits, "alcohol", 1)
    assert "k000" not in set(result["key"])


def test_one_class_only_gives_its_share():
    tables = study_tables(ALKANES, [0.0] * len(ALKANES))
    assert (run_baseline("atom_counts", *tables, "alcohol", 1)["prediction"] == 0).all()


def test_leaves_grow_with_the_training_set_up_to_the_default():
    assert [boosting_parameters(n, 0)["min_data_in_leaf"] for n in (5, 18, 100, 200, 10_000)] == [2, 2, 10, 20, 20]


def test_unknown_names_and_missing_structures_are_errors(tables):
    molecules, labels, splits = tables
    with pytest.raises(ConfigError, match="lightgbm_ecfp4"):
        run_baseline("lightgbm", molecules, labels, splits, "alcohol", 1)
    with pytest.raises(DataFormatError, match="k000"):
        run_baseline("atom_counts", molecules.iloc[1:], labels, splits, "alcohol", 1)


def test_atom_counts_alone_separate_real_tastants_as_well_as_measured(shared_data):
    table = pd.read_csv(shared_data / "ChemTastesDB_v1.csv").sample(600, random_state=0)
    values = (table["Class taste"] == "Sweetness").astype(float)
    tables = study_tables(list(table["canonical SMILES"]), list(values), num_folds=5)
    result = run_baseline("atom_counts", *tables, "alcohol", 0)
    from sklearn.metrics import roc_auc_score

    test = result[result["subset"] == "test"]
    assert 0.75 < roc_auc_score(test["label"], test["prediction"]) < 0.92
