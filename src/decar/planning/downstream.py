"""The names of what is made of all molecules together: each hash covers exactly what its content depends on."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from decar.config import Study
from decar.planning.batches import SHORT
from decar.planning.frozen import TrainingJob
from decar.planning.hashing import Pieces, digest_in_pieces, later, rows, texts
from decar.planning.index import key_of, read_sound
from decar.stages import STAGE_VERSION, digest


def name_downstream(study: Study, index: Path, recipes: pa.ChunkedArray, shards: list[str]) -> dict[str, Any]:
    """Return the entries of a plan from the table of molecules to the figures.

    `recipes`: those of the fields, sorted; `shards`: their names. A column of the index at a time is in memory.
    """
    settings = study.model_dump(mode="json")
    meaning = [settings["molecules"]["labels"], settings["molecules"]["on_conflict"]]
    listed = digest_in_pieces([STAGE_VERSION["molecules"], meaning, later(lambda: _listed(index))])
    # Folds are balanced by the class that is learned.
    dataset = digest([
        STAGE_VERSION["shards"], listed, shards, settings["dataset"], study.seed, study.workflow.max_failed_share,
        study.training.property,
    ])  # fmt: skip
    # A network depends on fields, the label it learns and the split, not on names, rows or other labels.
    data = digest_in_pieces([
        STAGE_VERSION["molecules"], STAGE_VERSION["shards"], texts(recipes), later(lambda: _grouped(index)),
        later(lambda: _labelled(index, study.training.property)), study.molecules.labels[study.training.property].kind,
        study.molecules.on_conflict, study.seed,
    ])  # fmt: skip
    training, hashes = _training(study, settings, data)
    smiles = read_sound(index, ["smiles"], sort_by="smiles")["smiles"]
    evaluated = digest_in_pieces([STAGE_VERSION["evaluate"], hashes, settings["evaluate"], texts(smiles), data])
    first = _jobs_of(training, study.interpret.model, study.interpret.scheme)[0].folder
    control = study.interpret.permuted_control
    permuted = _jobs_of(training, control, study.interpret.scheme)[0].folder if control else ""
    explained = digest([STAGE_VERSION["interpret"], first, permuted, settings["interpret"]])
    folds = [job.folder for job in _jobs_of(training, study.interpret.model, study.interpret.scheme)]
    attributed = digest([
        STAGE_VERSION["attribute"], explained, folds, settings["attribution"], key_of(index, study.figures.example),
        study.seed,
    ])  # fmt: skip
    return {
        "molecules": str(study.folder / "molecules" / listed[:SHORT]),
        "dataset": str(study.folder / "dataset" / dataset[:SHORT]),
        "records": str(study.folder / "records" / dataset[:SHORT]),
        "training": training,
        "evaluation": str(study.folder / "evaluation" / evaluated[:SHORT]),
        "interpretation": str(study.folder / "interpretation" / explained[:SHORT]),
        "explained": first,
        "permuted": permuted,
        "attribution": str(study.folder / "attribution" / attributed[:SHORT]),
        "attributed": folds,
        "figures_hash": digest(
            [STAGE_VERSION["figures"], dataset, evaluated, explained, attributed, settings["figures"]]
        )[:SHORT],
    }


def _listed(index: Path) -> Pieces:
    """Return the rows as the user wrote them, with their labels: what the table of molecules is made from."""
    labels = [name for name in pq.read_schema(index).names if name.startswith("label:")]
    return rows(pq.read_table(index, columns=["id", "name", "raw", "key", *labels]))


def _grouped(index: Path) -> Pieces:
    return rows(read_sound(index, ["key", "split_group", "scaffold"]))


def _labelled(index: Path, name: str) -> Pieces:
    """Return key and learned label of every identified row, sorted; a row that repeats another one adds nothing."""
    table = pq.read_table(index, columns=["key", f"label:{name}"])
    # Sorted as the texts that they are hashed as; rows without a key come last.
    values = table[f"label:{name}"].combine_chunks().dictionary_encode()
    shown = pa.array([repr(value) for value in values.dictionary.to_pylist()], type=pa.string())
    table = pa.table({"key": table["key"], "value": pc.fill_null(shown.take(values.indices), "nan")})
    table = table.group_by(["key", "value"]).aggregate([])
    order = pc.sort_indices(table, [("key", "ascending"), ("value", "ascending")])
    return rows(table.take(order[: len(table) - table["key"].null_count]))


def _jobs_of(training: list[TrainingJob], model: str, scheme: str) -> list[TrainingJob]:
    """Return the jobs of a model and split, in order of the fold."""
    return [job for job in training if (job.model, job.scheme) == (model, scheme)]


def _training(study: Study, settings: dict[str, Any], data: str) -> tuple[list[TrainingJob], list[str]]:
    not_identity = {"models", "threads", "nodes", "gpus_per_node", "processes_per_node"}
    common = {name: value for name, value in settings["training"].items() if name not in not_identity}
    jobs, hashes = [], []
    for model, network in settings["training"]["models"].items():
        for split in study.dataset.splits:
            for fold in range(split.num_folds):
                content = digest([
                    STAGE_VERSION["train"], data, common, network, split.model_dump(mode="json"), fold, model,
                ])[:SHORT]  # fmt: skip
                folder = study.folder / "models" / f"{model}-{split.scheme}-fold{fold}-{content}"
                jobs.append(TrainingJob(model, split.scheme, fold, str(folder)))
                hashes.append(content)
    return jobs, hashes
