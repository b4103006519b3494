"""Checks of a study that need more than its schema: whatever would fail every molecule fails here, before any job."""

from difflib import get_close_matches

import numpy as np
import pandas as pd

from decar.config import Study
from decar.dataset.splits import make_splits
from decar.errors import ConfigError
from decar.fields.grid import check_box
from decar.fields.registry import check_field_names
from decar.molecules.graph import atomic_numbers_of, molecular_graph
from decar.molecules.tables import labels_of
from decar.quantum.level import Level
from decar.quantum.pyscf_mole import covers
from decar.xtb import Gfn2

NUM_PROBED = 100  # molecules whose elements are looked up in the basis sets


def check_study(study: Study) -> None:
    """Raise ConfigError for a field, box, functional or solvent that does not exist, naming the nearest one."""
    check_field_names(study.fields.names)
    check_box(study.fields)
    Level.from_settings(study.quantum)
    if study.optimise.solvent is not None:
        # tblite knows its solvents only by trying one: hydrogen at 0.74 angstrom.
        Gfn2(np.array([1, 1], dtype=np.int32), 0, 1, study.optimise.solvent)(np.array([[0, 0, 0], [0, 0, 1.4]]))


def check_index(study: Study, index: pd.DataFrame) -> None:
    """Raise ConfigError when the rows of the table cannot make the study: none is sound, too few for the folds, ..."""
    sound = index.loc[index["status"] == "ok"]
    if sound.empty:
        raise ConfigError(
            "no row of the table is a molecule that can be computed", where=study.molecules.table,
            seen="; ".join(index["message"].dropna().unique()[:3]),
        )  # fmt: skip
    _check_example(study, index)
    _check_basis_sets(study, sound)
    labels, _ = labels_of(study.molecules, index)
    learned = labels.loc[labels["property"] == study.training.property]
    classes = dict(zip(learned["key"], learned["value"].astype(float)))
    if set(classes.values()) != {0.0, 1.0}:
        raise ConfigError(
            f"the property {study.training.property!r} has not both classes", where=study.molecules.table,
            seen=f"{len(classes)} labelled molecules, values {sorted(set(classes.values()))}", expected="0 and 1",
        )  # fmt: skip
    for split in study.dataset.splits:
        make_splits(sound, split, study.seed, classes)


def _check_example(study: Study, index: pd.DataFrame) -> None:
    identifiers = index["id"].astype(str).tolist()
    if study.figures.example not in identifiers:
        near = get_close_matches(study.figures.example, identifiers, n=3, cutoff=0.3) or identifiers[:3]
        raise ConfigError(
            "figures.example is not an identifier of the table", where=study.molecules.table,
            seen=study.figures.example, expected=f"a value of column {study.molecules.id_column!r}",
            remedy=f"for example: {', '.join(near)}",
        )  # fmt: skip


def _check_basis_sets(study: Study, sound: pd.DataFrame) -> None:
    """Refuse a basis that has no element of the table: its name is misspelt. One that lacks some fails for those."""
    numbers = {int(z) for smiles in sound["smiles"][:NUM_PROBED] for z in atomic_numbers_of(molecular_graph(smiles))}
    for key, basis in (("basis", study.quantum.basis), ("fitting_basis", study.quantum.fitting_basis)):
        if basis is not None and not any(covers(basis, number) for number in numbers):
            raise ConfigError(
                "no element of the table has functions in this basis", where=f"quantum.{key}", seen=basis,
                expected="a basis that PySCF knows, such as 6-31g*, def2-svp, def2-tzvp; def2-universal-jkfit to fit",
            )  # fmt: skip
