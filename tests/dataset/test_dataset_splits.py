"""Folds: groups never part, classes are balanced, neither row order nor one more molecule upsets them."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from decar.config import SplitSettings
from decar.dataset.splits import make_splits
from decar.errors import ConfigError
from tests.dataset.synthetic_study import key_of


def molecules(num: int, num_groups: int | None = None, num_scaffolds: int = 0, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    groups = rng.integers(num_groups or 10**9, size=num)
    scaffolds = [f"ring{i}" if i else "" for i in rng.integers(num_scaffolds + 1, size=num)]
    return pd.DataFrame({
        "key": [key_of(i) for i in range(num)], "split_group": [f"G{g}" for g in groups], "scaffold": scaffolds,
    })  # fmt: skip


def classes(table: pd.DataFrame) -> dict[str, float]:
    return {key: float(number % 2) for number, key in enumerate(table["key"])}


@given(st.integers(20, 60), st.integers(12, 40), st.integers(0, 5), st.sampled_from(["random", "scaffold"]))
@example(29, 33, 2, "scaffold")  # one component holds nearly all
@settings(max_examples=25, deadline=None)
def test_groups_never_part_and_each_molecule_is_tested_once(num: int, groups: int, rings: int, scheme: str) -> None:
    table = molecules(num, groups, rings)
    try:
        splits = make_splits(table, SplitSettings(scheme=scheme, num_folds=3), 1, classes(table))
    except ConfigError:
        assert scheme == "scaffold"  # rings may join nearly everything
        return
    joined = splits.merge(table, on="key")
    assert (joined.groupby(["fold", "split_group"])["subset"].nunique() == 1).all()
    if scheme == "scaffold":
        cyclic = joined.loc[joined["scaffold"] != ""]
        assert (cyclic.groupby(["fold", "scaffold"])["subset"].nunique() == 1).all()
    assert (splits.loc[splits["subset"] == "test"].groupby("key").size() == 1).all()
    assert set(splits["key"]) == set(table["key"])
    assert (splits.groupby("fold")["subset"].nunique() == 3).all()


def test_acyclic_molecules_are_groups_of_their_own() -> None:
    table = molecules(40, num_scaffolds=0)
    sizes = make_splits(table, SplitSettings(scheme="scaffold"), 1).query("subset == 'test'").groupby("fold").size()
    assert set(sizes) == {8}


@pytest.mark.parametrize("num", [28, 31, 50])
def test_folds_are_balanced(num: int) -> None:
    table = molecules(num)
    splits = make_splits(table, SplitSettings(), 7, classes(table))
    splits["class"] = splits["key"].map(classes(table))
    tested = splits.loc[splits["subset"] == "test"].groupby(["fold", "class"]).size().unstack()
    assert tested.to_numpy().max() - tested.to_numpy().min() <= 1
    validated = splits.loc[splits["subset"] == "validation"].groupby(["fold", "class"]).size().unstack()
    assert validated.notna().all(axis=None)
    share = validated.to_numpy().sum() / (splits["subset"] != "test").sum()
    assert share == pytest.approx(0.2, abs=0.05)


def test_row_order_does_not_matter() -> None:
    table = molecules(40, 500, 12)
    shuffled = table.sample(frac=1, random_state=3)
    split = SplitSettings(scheme="scaffold", num_folds=3)
    pd.testing.assert_frame_equal(
        make_splits(table, split, 2, classes(table)), make_splits(shuffled, split, 2, classes(table))
    )


@pytest.mark.parametrize(("num", "allowed"), [(28, 0.2), (400, 0.01)])
def test_one_more_molecule_moves_few(num: int, allowed: float) -> None:
    moved = []
    for seed in range(10):
        table = molecules(num + 1, seed=seed)
        both = classes(table)
        before = make_splits(table[:num], SplitSettings(), seed, both).query("subset == 'test'")
        after = make_splits(table, SplitSettings(), seed, both).query("subset == 'test'")
        joined = before.merge(after, on="key")
        moved.append((joined["fold_x"] != joined["fold_y"]).mean())
    assert np.mean(moved) < allowed


def test_seeds_differ_and_too_few_groups_are_an_error() -> None:
    table = molecules(30)
    one, two = (make_splits(table, SplitSettings(), seed) for seed in (1, 2))
    assert (one["subset"] != two["subset"]).any()
    with pytest.raises(ConfigError, match="too few groups"):
        make_splits(molecules(5), SplitSettings(), 1)
