"""Checks of a table against its study: whatever would fail every molecule fails here, before any job."""

from difflib import get_close_matches
from pathlib import Path

import pandas as pd
import pyarrow.compute as pc
import pyarrow.parquet as pq

from decar.config import Study
from decar.dataset.splits import check_groups
from decar.errors import ConfigError
from decar.molecules.graph import atomic_numbers_of, molecular_graph
from decar.molecules.tables import labels_of
from decar.planning.index import count_status
from decar.predictions import kind_of
from decar.quantum.pyscf_mole import covers

NUM_PROBED = 100  # molecules whose elements are looked up in the basis sets
NUM_COMPARED = 10_000  # identifiers among which the nearest one is sought


def check_index(study: Study, index: Path) -> None:
    """Raise ConfigError when the rows of the table cannot make the study: none is sound, too few for the folds, ..."""
    if not count_status(index).get("ok"):
        messages = read_table_columns(index, ["message"])["message"]
        raise ConfigError(
            "no row of the table is a molecule that can be computed", where=study.molecules.table,
            seen="; ".join(messages.dropna().unique()[:3]),
        )  # fmt: skip
    _check_example(study, index)
    _check_basis_sets(study, index)
    _check_labels(study, index)
    table = pq.read_table(index, columns=["status", "split_group", "scaffold"])
    molecules = table.filter(pc.equal(table["status"], "ok")).to_pandas()
    for split in study.dataset.splits:
        check_groups(molecules, split)


def _check_labels(study: Study, index: Path) -> None:
    labels = [f"label:{name}" for name in study.molecules.labels]
    table = pq.read_table(index, columns=["id", "key", "status", *labels])
    # Only molecules of several rows can have several values: for these alone rows are merged.
    repeated = pc.unique(table.filter(pc.equal(table["status"], "duplicate"))["key"])
    is_repeated = pc.is_in(table["key"], repeated)
    merged, conflicts = labels_of(study.molecules, table.filter(is_repeated).to_pandas())
    alone = table.filter(pc.and_(pc.equal(table["status"], "ok"), pc.invert(is_repeated)))
    values = pd.concat([
        merged.loc[merged["property"] == study.training.property, "value"],
        alone[f"label:{study.training.property}"].drop_null().to_pandas(),
    ])  # fmt: skip
    found = sorted(values.unique().tolist())
    is_regression = kind_of(study) == "regression"
    if len(found) < 2 if is_regression else found != [0.0, 1.0]:
        lack = "two values that differ" if is_regression else "both classes"
        own = conflicts[conflicts["property"] == study.training.property]
        dropped = f"; {len(own)} molecules whose rows disagree (molecules.on_conflict)" if len(own) else ""
        raise ConfigError(
            f"the property {study.training.property!r} has not {lack}", where=study.molecules.table,
            seen=f"{len(values)} labelled molecules, values {found[:5]}{dropped}",
            expected="labels to learn from" if is_regression else "0 and 1",
        )  # fmt: skip


def _check_example(study: Study, index: Path) -> None:
    identifiers = pq.read_table(index, columns=["id"])["id"]
    if not pc.any(pc.equal(identifiers, study.figures.example)).as_py():
        some = identifiers.slice(0, NUM_COMPARED).to_pylist()
        near = get_close_matches(study.figures.example, some, n=3, cutoff=0.3)
        raise ConfigError(
            "figures.example is not an identifier of the table", where=study.molecules.table,
            seen=study.figures.example, expected=f"a value of column {study.molecules.id_column!r}",
            remedy=f"for example: {', '.join(near or some[:3])}",
        )  # fmt: skip


def _check_basis_sets(study: Study, index: Path) -> None:
    """Refuse a basis that has no element of the table: its name is misspelt. One that lacks some fails for those."""
    with pq.ParquetFile(index) as file:
        table = next(file.iter_batches(10 * NUM_PROBED, columns=["status", "smiles"]))
    smiles_of_some = table.filter(pc.equal(table["status"], "ok"))["smiles"].to_pylist()[:NUM_PROBED]
    numbers = {int(z) for smiles in smiles_of_some for z in atomic_numbers_of(molecular_graph(smiles))}
    for key, basis in (("basis", study.quantum.basis), ("fitting_basis", study.quantum.fitting_basis)):
        if basis is not None and not any(covers(basis, number) for number in numbers):
            raise ConfigError(
                "no element of the table has functions in this basis", where=f"quantum.{key}", seen=basis,
                expected="a basis that PySCF knows, such as 6-31g*, def2-svp, def2-tzvp; def2-universal-jkfit to fit",
            )  # fmt: skip


def read_table_columns(index: Path, columns: list[str]) -> pd.DataFrame:
    """Read some columns of an index, every row."""
    table: pd.DataFrame = pq.read_table(index, columns=columns).to_pandas()
    return table
