"""Chemprop itself, in its own environment: alcohols are told from alkanes, and each probability is its molecule's."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from decar.baselines.chemprop import SETTINGS, run_chemprop
from decar.baselines.models import COLUMNS
from decar.errors import DataFormatError, FoldError

SMILES = [start + "C" * length + end for start in ("C", "CC(C)") for length in range(1, 13) for end in ("O", "C")]
KEYS = [f"key {number:02d}" for number in range(len(SMILES))]
LABELS = pd.DataFrame({"key": KEYS, "value": [float(text.endswith("O")) for text in SMILES]})
SUBSETS = np.resize(["train", "train", "train", "train", "validation", "validation", "test", "test"], len(SMILES))
SPLITS = pd.DataFrame({"scheme": "random", "fold": 0, "key": KEYS, "subset": SUBSETS})
# The table of molecules has another order, and molecules that are not in the fold.
MOLECULES = pd.DataFrame({"key": [*KEYS, "other"], "smiles": [*SMILES, "O"]}).iloc[::-1]


@pytest.mark.chemprop
def test_it_learns_what_an_alcohol_is(tmp_path: Path) -> None:
    found = run_chemprop(None, MOLECULES, LABELS, SPLITS, 7, tmp_path)
    assert list(found.columns) == list(COLUMNS)
    assert list(found["key"]) == KEYS
    assert list(found["label"]) == list(LABELS["value"])
    assert found["prediction"].between(0, 1).all()
    test = found[found["subset"] == "test"]
    assert roc_auc_score(test["label"], test["prediction"]) == 1.0


@pytest.mark.chemprop
def test_it_learns_a_number(tmp_path: Path) -> None:
    """The number of carbon atoms, on a scale whose zero is far away, as that of a melting point is."""
    counts = LABELS.assign(value=[300.0 + 10 * text.count("C") for text in SMILES])
    found = run_chemprop(None, MOLECULES, counts, SPLITS, 7, tmp_path, SETTINGS[0], "regression")
    assert list(found["label"]) == list(counts["value"])
    test = found[found["subset"] == "test"]
    assert ((test["prediction"] - test["label"]) ** 2).mean() < 0.2 * test["label"].var()


def test_settings_are_options_and_what_is_whole_is_kept(tmp_path: Path) -> None:
    """A program in its place, that notes how it is called and says 0.5 of all."""
    program = tmp_path / "chemprop"
    program.write_text("#!/bin/sh\necho $* >> calls\n"
                       "[ $1 = predict ] && sed '1!s/,[01],/,0.5,/' data.csv > predictions.csv || true\n")  # fmt: skip
    program.chmod(0o755)
    folder = tmp_path / "work"
    for _ in range(2):
        found = run_chemprop(str(program), MOLECULES, LABELS, SPLITS, 7, folder, SETTINGS[4])
        assert (found["prediction"] == 0.5).all()
    trained, predicted = (folder / "calls").read_text().splitlines()
    assert trained.endswith("--tracking-metric roc --depth 2 --dropout 0.2")
    assert predicted.startswith("predict ")
    assert len(SETTINGS) == 9
    values = LABELS.assign(value=LABELS["value"] + 0.5)
    run_chemprop(str(program), MOLECULES, values, SPLITS, 7, tmp_path / "values", SETTINGS[0], "regression")
    trained = (tmp_path / "values" / "calls").read_text().splitlines()[0]
    assert "--task-type regression" in trained
    assert trained.endswith("--tracking-metric mse --depth 3 --dropout 0.0")
    with pytest.raises(FoldError, match="train subset has too few values"):
        run_chemprop(str(program), MOLECULES, LABELS.assign(value=0.5), SPLITS, 7, tmp_path / "one", kind="regression")
    one_class = LABELS.assign(value=LABELS["value"].where(SUBSETS != "validation", 0.0))
    with pytest.raises(FoldError, match="validation subset lacks a class"):
        run_chemprop(str(program), MOLECULES, one_class, SPLITS, 7, tmp_path / "other")


def test_its_last_words_are_in_the_error(tmp_path: Path) -> None:
    program = tmp_path / "chemprop"
    program.write_text("#!/bin/sh\necho no such option >&2\nexit 2\n")
    program.chmod(0o755)
    with pytest.raises(DataFormatError, match="no such option"):
        run_chemprop(str(program), MOLECULES, LABELS, SPLITS, 7, tmp_path / "work")
