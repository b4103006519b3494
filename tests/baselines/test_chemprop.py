"""Chemprop itself, in its own environment: alcohols are told from alkanes, and each probability is its molecule's."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from decar.baselines.chemprop import run_chemprop
from decar.baselines.models import COLUMNS
from decar.errors import DataFormatError

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
    assert found["probability"].between(0, 1).all()
    test = found[found["subset"] == "test"]
    assert roc_auc_score(test["label"], test["probability"]) == 1.0


def test_its_last_words_are_in_the_error(tmp_path: Path) -> None:
    program = tmp_path / "chemprop"
    program.write_text("#!/bin/sh\necho no such option >&2\nexit 2\n")
    program.chmod(0o755)
    with pytest.raises(DataFormatError, match="no such option"):
        run_chemprop(str(program), MOLECULES, LABELS, SPLITS, 7, tmp_path / "work")
