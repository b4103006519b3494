"""Seven tiny molecules through every stage, and a network a fold: what a group that shares its models has."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
from rdkit import Chem
from rdkit.Chem import Descriptors

from decar.config import Study
from decar.dataset.assemble import assemble
from decar.dataset.shards import bucket, write_shard
from decar.planning.identify import identify_row
from decar.predict.compute import compute_molecule
from decar.store import Store
from decar.training.train import train
from tests.dataset.synthetic_study import write_tables

SMILES = {"O": 0, "C": 1, "N": 0, "C=O": 1, "C#N": 0, "C=C": 1, "FF": 0, "CF": 1}


@dataclass(frozen=True)
class Made:
    """The study, its table of molecules, its dataset and the folders of its training jobs."""

    study: Study
    index: pd.DataFrame
    dataset: Path
    shards: Path
    jobs: list[Path]


def make_study(folder: Path, **training: object) -> Study:
    return Study.model_validate(
        {
            "study": "tiny",
            "results": str(folder),
            "store": str(folder / "store"),
            "molecules": {"table": "none.csv", "labels": {
                "sweet": {"column": "sweet"}, "mass": {"column": "mass", "kind": "regression", "unit": "u"},
            }},
            "conformers": {"num_embeddings": 2, "ranking": "mmff"},
            "optimise": {"methods": ["mmff"]},
            "quantum": {"basis": "sto-3g", "quadrature_level": 0, "method": "hf"},
            "fields": {"spacing_angstrom": 0.8, "padding_angstrom": 2.0, "names": ["electron_density"]},
            "dataset": {"num_shards": 1, "splits": [{"scheme": "random", "num_folds": 2}]},
            "training": {
                "property": "sweet", "max_epochs": 2, "batch_size": 4, **training,
                "models": {"m": {"channels": [2, 3], "kernel_size": 3, "hidden": 4, "tasks": {"mass": {}}}},
            },
            "interpret": {"model": "m"},
            "figures": {"example": "1"},
            "contribution": {"contributor": "A. Chemist", "licence": "CC-BY-4.0"},
        }
    )  # fmt: skip


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("made")
    study = make_study(folder)
    rows = [
        {"id": text, "name": text, "raw": text, "molblock": None, "label:sweet": float(label),
         **identify_row("neutral", (text, None))}
        for text, label in SMILES.items()
    ]  # fmt: skip
    index = pd.DataFrame(rows)
    receipts = pd.DataFrame([compute_molecule(study, row) for row in index.to_dict("records")])
    assert receipts["status"].eq("ok").all(), receipts[["smiles", "message"]].to_dict("records")
    store = Store(study.store)
    members = [(str(row.key), store.place("fields", str(row.key), str(row.recipe))) for row in receipts.itertuples()]
    shard = folder / "shards" / f"{bucket(members[0][0], 1)}-test.h5"
    write_shard(shard, sorted(members, key=lambda member: member[0]), {"study": "tiny"})
    sweet = index[["key"]].assign(property="sweet", value=index["label:sweet"], kind="binary", unit=None)
    masses = [Descriptors.MolWt(Chem.MolFromSmiles(text)) for text in SMILES]
    # The first molecule has no mass.
    mass = index[["key"]].assign(property="mass", value=masses, kind="regression", unit="u").iloc[1:]
    labels = pd.concat([sweet, mass], ignore_index=True)
    assemble(study, *write_tables(folder, index, receipts, labels), [shard], folder / "dataset")
    jobs = [folder / f"fold{fold}" for fold in range(2)]
    for fold, job in enumerate(jobs):
        train(study, folder / "dataset", shard.parent, "m", "random", fold, job)
    return Made(study, index, folder / "dataset", shard.parent, jobs)
