"""The names of what is made of all molecules together: each hash covers exactly what its content depends on."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from decar.benchmark.parts import benchmark_folder
from decar.config import LATER_SETTINGS, LabelSettings, Study
from decar.models.place import initial_weights
from decar.planning.batches import SHORT
from decar.planning.frozen import TrainingJob
from decar.planning.hashing import table_digest
from decar.planning.index import key_of, read_sound
from decar.stages import STAGE_VERSION, digest, settings_digests


def name_downstream(study: Study, index: Path, molecules: str, smiles: str, shards: list[str]) -> dict[str, Any]:
    """Return the entries of a plan from the table of molecules to the figures.

    `molecules`: the digest of their identities; `smiles`: that of their structures as written; `shards`: their names.
    Of the index, some columns are in memory at a time.
    """
    settings = study.model_dump(mode="json")
    meaning = [settings["molecules"]["labels"], settings["molecules"]["on_conflict"]]
    listed = digest([STAGE_VERSION["molecules"], meaning, _listed(index)])
    # Folds are balanced by the class that is learned.
    dataset = digest([
        STAGE_VERSION["shards"], listed, shards, settings["dataset"], study.seed, study.workflow.max_failed_share,
        study.training.property,
    ])  # fmt: skip
    # A network depends on fields, the label it learns and the split, not on names, rows or other labels.
    data = digest([
        STAGE_VERSION["molecules"], STAGE_VERSION["shards"], settings_digests(study)["fields"],
        molecules, _grouped(index), _labelled(index, study.training.property),
        *_meaning(study.molecules.labels[study.training.property]), study.molecules.on_conflict, study.seed,
    ])  # fmt: skip
    training, hashes = _training(
        study, settings, data, lambda names: [_further(study, index, name) for name in sorted(names)]
    )
    evaluated = digest([STAGE_VERSION["evaluate"], hashes, settings["evaluate"], smiles, data])
    first = _jobs_of(training, study.interpret.model, study.interpret.scheme)[0].folder
    control = study.interpret.permuted_control
    permuted = _jobs_of(training, control, study.interpret.scheme)[0].folder if control else ""
    explained = digest([STAGE_VERSION["interpret"], first, permuted, settings["interpret"]])
    folds = [job.folder for job in _jobs_of(training, study.interpret.model, study.interpret.scheme)]
    repeated = [_again(job, repeat) for job in _jobs_of(training, study.interpret.model, study.interpret.scheme)[:1]
                for repeat in range(1, study.attribution.num_seeds)]  # fmt: skip
    attributed = digest([
        STAGE_VERSION["attribute"], explained, folds, settings["attribution"], key_of(index, study.figures.example),
        study.seed,
    ])  # fmt: skip
    folder = study.folder / "dataset" / dataset[:SHORT]
    compared = [benchmark_folder(study, folder).name] if study.benchmark.has_growth else []
    return {
        "molecules": str(study.folder / "molecules" / listed[:SHORT]),
        "dataset": str(folder),
        "records": str(study.folder / "records" / dataset[:SHORT]),
        "training": training,
        "evaluation": str(study.folder / "evaluation" / evaluated[:SHORT]),
        "interpretation": str(study.folder / "interpretation" / explained[:SHORT]),
        "explained": first,
        "permuted": permuted,
        "attribution": str(study.folder / "attribution" / attributed[:SHORT]),
        "attributed": folds,
        "repeated": repeated,
        "figures_hash": digest(
            [STAGE_VERSION["figures"], dataset, evaluated, explained, attributed, settings["figures"], *compared]
        )[:SHORT],
    }


def _meaning(label: LabelSettings) -> list[str | None]:
    """Return what a network of this label says of it in its package."""
    return [label.kind, label.unit] if label.kind == "regression" else [label.kind]


def _listed(index: Path) -> str:
    """Return the digest of the rows as the user wrote them, with their labels: what the molecules are made from."""
    labels = [name for name in pq.read_schema(index).names if name.startswith("label:")]
    return table_digest(pq.read_table(index, columns=["id", "name", "raw", "key", *labels]))


def _grouped(index: Path) -> str:
    return table_digest(read_sound(index, ["split_group", "scaffold"]))


def _labelled(index: Path, name: str) -> str:
    """Return the digest of the values of the learned label of each molecule.

    A row that repeats another one adds nothing; a molecule with several values counts with all of them.
    """
    label = f"label:{name}"
    table = pq.read_table(index, columns=["status", "key", label])
    repeated = pc.unique(table.filter(pc.equal(table["status"], "duplicate"))["key"])
    pairs = table.filter(pc.is_in(table["key"], repeated)).group_by(["key", label]).aggregate([])
    counts = pairs.group_by("key").aggregate([("key", "count")])
    disputed = counts.filter(pc.greater(counts["key_count"], 1))["key"].combine_chunks()
    pairs = pairs.filter(pc.is_in(pairs["key"], disputed)).sort_by([("key", "ascending"), (label, "ascending")])
    del table
    agreed = read_sound(index, ["key", label])
    if len(disputed):
        agreed = agreed.filter(pc.invert(pc.is_in(agreed["key"], disputed)))
    return digest([table_digest(agreed), table_digest(pairs)])


def _further(study: Study, index: Path, name: str) -> str:
    """Return the hash of the labels of a further property, and of what they mean."""
    label = study.molecules.labels[name]
    return digest([name, label.kind, label.unit, _labelled(index, name)])


def _jobs_of(training: list[TrainingJob], model: str, scheme: str) -> list[TrainingJob]:
    """Return the jobs of a model and split, in order of the fold."""
    return [job for job in training if (job.model, job.scheme) == (model, scheme)]


def _again(job: TrainingJob, repeat: int) -> TrainingJob:
    """Return the job of the same network, trained once more from another seed."""
    folder = Path(job.folder)
    name = folder.name.replace(f"-fold{job.fold}-", f"-fold{job.fold}-repeat{repeat}-")
    return replace(job, folder=str(folder.with_name(name)), repeat=repeat)


def _training(
    study: Study, settings: dict[str, Any], own: str, labels_of: Callable[[Iterable[str]], list[str]]
) -> tuple[list[TrainingJob], list[str]]:
    not_identity = {
        "models", "threads", "nodes", "gpus_per_node", "processes_per_node", "samples_at_a_time", "num_workers",
        "checkpoint_minutes",
    }  # fmt: skip
    common = {name: value for name, value in settings["training"].items() if name not in not_identity}
    if common["precision"] == "float32":
        del common["precision"]
    jobs, hashes = [], []
    for model, described in settings["training"]["models"].items():
        # What a model does not use leaves its name as it was before decar could do it.
        later = {"tasks", "initial", "frozen", "standardised"}
        steerable = {"max_degree", "chiral", "readout"}
        unused = {"checkpointing"} | (set() if described["architecture"] == "steerable" else steerable)
        network = {
            name: value
            for name, value in described.items()
            if name not in unused and (name not in later or value) and (name, value) not in LATER_SETTINGS.items()
        }
        data = [own, labels_of(study.training.models[model].tasks)] if described["tasks"] else own
        for split in study.dataset.splits:
            for fold in range(split.num_folds):
                if described["initial"]:
                    network["initial"] = initial_weights(described["initial"], split.scheme, fold)
                content = digest([
                    STAGE_VERSION["train"], data, common, network, split.model_dump(mode="json"), fold, model,
                ])[:SHORT]  # fmt: skip
                folder = study.folder / "models" / f"{model}-{split.scheme}-fold{fold}-{content}"
                jobs.append(TrainingJob(model, split.scheme, fold, str(folder)))
                hashes.append(content)
    return jobs, hashes
