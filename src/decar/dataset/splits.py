"""Cross-validation folds: who is trained on, who stops the training, who is tested.

Molecules of one split group (first block of the standard InChIKey: stereoisomers, tautomers of one skeleton) never
part. With the scheme `scaffold`, molecules of one Murcko scaffold stay together too; a group is then a connected
component of the two relations, and an acyclic molecule (scaffold "") stands for itself.

Groups are dealt to the folds by rendezvous hashing with bounded loads (doi 10.1109/90.663936, arXiv 1608.01350): each
group ranks the folds by a hash of (seed, scheme, group, fold), and goes to the first one that has room for its labels.
Room is n_c div k molecules of each class c and then one more, so the folds differ by one molecule a class where groups
are single molecules. This is as even as stratified dealing, and unlike that a molecule that is added or removed moves
few others: measured with five folds, 17 % of 28 molecules and 0.4 % of 400. (The pure hash moves none, but leaves folds
without a class in sets of 30.) Neither the order of the rows nor any random state enters.
"""

import hashlib
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from decar.config import BenchmarkSplit, SplitSettings
from decar.errors import ConfigError

COLUMNS = ("scheme", "seed", "fold", "key", "subset")
SUBSETS = ("train", "validation", "test")
TRAIN, VALIDATION, TEST = range(3)
UNLABELLED = "unlabelled"
Numbers = np.ndarray[Any, np.dtype[np.integer[Any]]]
Names = np.ndarray[Any, np.dtype[np.bytes_]]
Cost = tuple[int, int]


@dataclass(frozen=True)
class Members:
    """What decides the folds: a number a molecule, in the order of the keys, and the names of the split groups."""

    names: Names  # split groups, sorted
    split_group: Numbers  # of each molecule: its place in `names`
    together: Numbers | None  # molecules of one number stay together too; -1 stands for itself
    labels: Numbers  # classes, for balance


@dataclass(frozen=True)
class Groups:
    """Molecules that never part, as arrays: some tens of bytes a molecule.

    Groups are sorted by name, the first split group of each: adding a molecule to a group seldom renames it.
    """

    names: Names
    of: Numbers  # the group of each molecule
    counts: Numbers  # [group, class]: molecules of each class

    @property
    def sizes(self) -> Numbers:
        """Return the number of molecules of each group."""
        sizes: Numbers = self.counts.sum(axis=1)
        return sizes


def make_splits(
    molecules: pd.DataFrame,
    split: SplitSettings | BenchmarkSplit,
    seed: int,
    classes: Mapping[str, Hashable] | None = None,
) -> pd.DataFrame:
    """Return the subset (train, validation, test) of every molecule in every fold; columns `COLUMNS`.

    `molecules` has the columns key, split_group and scaffold; `classes` maps a key to its class, for balance. Scheme,
    key and subset are categories. Raises ConfigError for fewer groups than folds + 1.
    """
    molecules = molecules.drop_duplicates("key").sort_values("key")
    known = classes or {}
    labels = pd.factorize(np.array([str(known.get(key, UNLABELLED)) for key in molecules["key"]]))[0]
    names, split_group = np.unique(
        molecules["split_group"].str.encode("utf-8").to_numpy().astype(np.bytes_), return_inverse=True
    )
    subsets = deal(Members(names, split_group, _together(molecules, split.scheme), labels), split, seed)
    keys = np.tile(np.arange(len(molecules), dtype=np.int32), split.num_folds)
    return pd.DataFrame({
        "scheme": pd.Categorical.from_codes(np.zeros(len(keys), dtype=np.int8), pd.Index([split.scheme])),
        "seed": seed,
        "fold": np.repeat(np.arange(split.num_folds), len(molecules)),
        "key": pd.Categorical.from_codes(keys, pd.Index(molecules["key"].astype("str"))),
        "subset": pd.Categorical.from_codes(subsets.ravel(), pd.Index(SUBSETS)),
    }, columns=list(COLUMNS))  # fmt: skip


def deal(members: Members, split: SplitSettings | BenchmarkSplit, seed: int) -> Numbers:
    """Return the subset, a number of `SUBSETS`, of every molecule in every fold: [fold, molecule], a byte each.

    The validation molecules are taken out of the training part. Raises ConfigError for fewer groups than folds + 1.
    """
    groups = _groups(members)
    _refuse_too_few(len(groups.names), len(groups.of), split)
    fold_of = _deal(groups, split, seed)
    subsets = np.empty((split.num_folds, len(groups.of)), dtype=np.int8)
    for fold in range(split.num_folds):
        subset = np.where(fold_of == fold, TEST, TRAIN).astype(np.int8)
        subset[_validation(groups, np.flatnonzero(fold_of != fold), split, seed, fold)] = VALIDATION
        subsets[fold] = subset[groups.of]
    return subsets


def check_groups(molecules: pd.DataFrame, split: SplitSettings | BenchmarkSplit) -> None:
    """Raise the ConfigError of `make_splits`, for a million molecules in a second: groups are counted, not made."""
    split_group, names = pd.factorize(molecules["split_group"])
    number = _components(split_group, len(names), _together(molecules, split.scheme))[0]
    _refuse_too_few(number, len(molecules), split)


def _together(molecules: pd.DataFrame, scheme: str) -> Numbers | None:
    """Return the numbers of what stays together beside split groups.

    A scheme other than `random` is the name of the column that says so; "" stands for itself.
    """
    return None if scheme == "random" else pd.factorize(molecules[scheme].replace("", None))[0]


def _components(split_group: Numbers, num_names: int, together: Numbers | None) -> tuple[int, Numbers]:
    """Return the number of groups, and that of each molecule."""
    if together is None:
        return num_names, split_group
    linked = np.flatnonzero(together >= 0)
    nodes = num_names + int(together.max()) + 1
    links = coo_array(
        (np.ones(len(linked), dtype=np.int8), (split_group[linked], num_names + together[linked])), (nodes, nodes)
    )
    number, component = connected_components(links, directed=False)
    return number, component[split_group]


def _refuse_too_few(num_groups: int, num_molecules: int, split: SplitSettings | BenchmarkSplit) -> None:
    if num_groups < split.num_folds + 1:
        raise ConfigError(
            f"too few groups for {split.num_folds} folds and a validation subset", where="dataset.splits",
            seen=f"{num_groups} groups of scheme {split.scheme!r} among {num_molecules} molecules",
            expected=f"at least {split.num_folds + 1}", remedy="lower num_folds, or add molecules",
        )  # fmt: skip


def _groups(members: Members) -> Groups:
    number, component = _components(members.split_group, len(members.names), members.together)
    # Components in the order of their first split group.
    first = np.full(number, len(members.names))
    np.minimum.at(first, component, members.split_group)
    order = np.argsort(first)
    place = np.empty(number, dtype=np.int32)
    place[order] = np.arange(number, dtype=np.int32)
    of = place[component]
    counts = np.zeros((number, int(members.labels.max(initial=0)) + 1), dtype=np.int32)
    np.add.at(counts, (of, members.labels), 1)
    return Groups(members.names[first[order]], of, counts)


def _hash(*parts: object) -> int:
    return int.from_bytes(hashlib.sha256("\0".join(str(part) for part in parts).encode()).digest()[:8], "big")


def _ranks(names: Iterable[bytes], *before: object) -> "np.ndarray[Any, np.dtype[np.uint64]]":
    return np.fromiter((_hash(*before, name.decode()) for name in names), dtype=np.uint64)


def _deal(groups: Groups, split: SplitSettings | BenchmarkSplit, seed: int) -> Numbers:
    """Give every group to a fold: the largest first, each to the fold of least overflow that it ranks highest."""
    num_folds = split.num_folds
    room = (groups.counts.sum(axis=0) // num_folds).tolist()
    load = [[0] * len(room) for _ in range(num_folds)]
    fold_of = np.empty(len(groups.names), dtype=np.int8)
    ordered = np.lexsort((_ranks(groups.names, seed, split.scheme), -groups.sizes))
    for dealt, number in enumerate(ordered):
        name = groups.names[number].decode()
        classes = [(at, count) for at, count in enumerate(groups.counts[number].tolist()) if count]

        def cost(fold: int, classes: list[tuple[int, int]] = classes, name: str = name) -> Cost:
            overflow = sum(max(0, load[fold][at] + count - room[at]) for at, count in classes)
            return overflow, _hash(seed, split.scheme, name, fold)

        # Where one scaffold joins nearly everything, every fold has room for the rest: none may stay without a test.
        empty = [fold for fold in range(num_folds) if not any(load[fold])]
        best = min(empty if len(ordered) - dealt <= len(empty) else range(num_folds), key=cost)
        fold_of[number] = best
        for at, count in classes:
            load[best][at] += count
    return fold_of


def _validation(
    groups: Groups, rest: Numbers, split: SplitSettings | BenchmarkSplit, seed: int, fold: int
) -> list[int]:
    """Take the groups of lowest hash until each class has its share; a class of two groups or more has at least one."""
    counts = groups.counts[rest]
    carriers = (counts > 0).sum(axis=0).tolist()
    share = [
        max(round(split.validation_fraction * count), 1 if carriers[at] > 1 else 0)
        for at, count in enumerate(counts.sum(axis=0).tolist())
    ]
    taken, chosen = [0] * len(share), []
    names = (groups.names[number] for number in rest)
    ranked = rest[np.argsort(_ranks(names, seed, split.scheme, "validation", fold), kind="stable")]
    for number in ranked:
        classes = [(at, count) for at, count in enumerate(groups.counts[number].tolist()) if count]
        if all(taken[at] + count <= share[at] for at, count in classes):
            chosen.append(int(number))
            for at, count in classes:
                taken[at] += count
    # Every group may be larger than its share: then the smallest one is validated on.
    return chosen or [int(ranked[np.argmin(groups.sizes[ranked])])]
