"""A small store of real records: three molecules in STO-3G, one that fails, fields of one of them."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from decar.batch import Molecule, run_batch
from decar.config import Study
from decar.config_file import load_study
from decar.fields.compute import compute as fields
from decar.molecules.conformers import compute as conformers
from decar.molecules.identity import identify
from decar.molecules.standardise import standardise
from decar.quantum.optimise import compute as optimise
from decar.quantum.single_point import compute as single_point
from decar.receipt import write_receipt
from decar.record import Record, read_record
from decar.store import Store

ROOT = Path(__file__).resolve().parents[2]
SMILES = ("O", "C=O", "C[NH3+]", "C[Pb]C")  # lead has no functions in this basis
STAGES = (
    ("conformers", None, conformers), ("optimise", "conformers", optimise),
    ("wavefunction", "optimise", single_point), ("fields", "wavefunction", fields),
)  # fmt: skip


def small_study(folder: Path, contributor: str | None = "0000-0002-1825-0097") -> Study:
    study = load_study(ROOT / "config.yaml").model_dump()
    study |= {"study": "small", "results": folder / "results", "store": folder / "store"}
    study["conformers"] |= {"num_embeddings": 2, "ranking": "mmff"}
    study["optimise"] |= {"methods": ["mmff"]}
    study["quantum"] |= {"basis": "sto-3g", "quadrature_level": 1}
    study["fields"] |= {
        "names": ["electron_density"],
        "spacing_angstrom": 0.6,
        "padding_angstrom": 1.5,
        "box": "molecule",
    }
    study["training"]["models"] = {"decar": {"fields": ["electron_density"]}}
    study["interpret"] |= {"model": "decar", "permuted_control": None}
    study["contribution"] = {"contributor": contributor, "licence": "CC-BY-4.0" if contributor else None}
    return Study.model_validate(study)


def molecule_of(smiles: str) -> Molecule:
    parent = standardise(smiles, "as_given")
    return Molecule(identify(parent).key, parent.smiles, parent.charge, parent.multiplicity, None)


def compute_store(study: Study, smiles: tuple[str, ...] = SMILES, stages: tuple = STAGES) -> Store:
    folder = study.results / "receipts"
    receipt = folder / "source.parquet"
    write_receipt(receipt, [{**vars(molecule_of(text)), "recipe": "", "status": "ok"} for text in smiles])
    for stage, previous, compute in stages:
        output = folder / f"{stage}.parquet"
        run_batch(stage, previous, study, receipt, output, compute)
        receipt = output
    return Store(study.store)


@pytest.fixture(scope="session")
def computed(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The records of all stages, packed; tests must not change it."""
    return compute_store(small_study(tmp_path_factory.mktemp("computed")))


@pytest.fixture
def copy(computed: Store, tmp_path: Path) -> Callable[[str], Store]:
    """Return a function that copies the store."""

    def make(name: str) -> Store:
        shutil.copytree(computed.root, tmp_path / name)
        return Store(tmp_path / name)

    return make


def records_of(store: Store, stage: str) -> dict[str, Record]:
    """Return the records of a stage by recipe."""
    return {recipe: read_record(place) for recipe, place in store.places(stage)}


def record_of(store: Store, stage: str, smiles: str) -> Record:
    """Return the record of one molecule at one stage."""
    return next(found for found in records_of(store, stage).values() if found.metadata["smiles"] == smiles)


def hashes(store: Store) -> dict[tuple[str, str], str]:
    """Return the content hash of every record by stage and recipe."""
    return {
        (stage, recipe): read_record(place).content_hash
        for stage in store.stages()
        for recipe, place in store.places(stage)
    }
