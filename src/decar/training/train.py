"""Train one network on one fold: the job that `torchrun -m decar.cli train` (or a single process) runs."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from lightning.pytorch import Callback, Trainer

from decar.chemistry import chemistry_of
from decar.config import ModelSettings, Study
from decar.dataset.normalise import Normalisation
from decar.dataset.rendered_dataset import RenderedDataset
from decar.dataset.samples import FIELDS_ALONE, label_column
from decar.dataset.statistics import load_normalisation
from decar.dataset.torch_dataset import ShardDataset
from decar.dataset.voxel_dataset import VoxelDataset
from decar.errors import DataFormatError, FoldError
from decar.models.build import build_network
from decar.models.network import Network
from decar.models.package import Package, save_package
from decar.models.task import Task
from decar.predictions import COLUMNS
from decar.provenance import provenance
from decar.receipt import write_table
from decar.stages import derive_seed, digest
from decar.training.callbacks import (
    BEST,
    LAST,
    Checkpoints,
    EpochLog,
    batches_done,
    logged_rows,
    read_checkpoint,
)
from decar.training.domain import domain_of
from decar.training.fixed_readout import as_trained
from decar.training.loaders import Loaders
from decar.training.module import FoldModule
from decar.training.objectives import make_objectives, properties_of
from decar.training.outcome import TASK_COLUMNS, gathered, per_molecule, score, task_metrics
from decar.training.pretrain import pretrain
from decar.training.standardise import standardise_hidden
from decar.training.trainer import Launched, make_trainer, quiet
from decar.training.transfer import freeze, level_changes, lineage, load_initial, normalisation_of, take_over


def train(
    study: Study,
    dataset_folder: Path,
    shards_folder: Path,
    model_name: str,
    scheme: str,
    fold: int,
    output: Path,
    report: Callable[[str], None] = lambda _: None,
    *,
    world_size: int = 1,
    num_nodes: int = 1,
    show_progress: bool = False,
    callbacks: Sequence[Callback] = (),
    repeat: int = 0,
) -> None:
    """Train a network of the study and write the job's folder `output`.

    metrics.csv (a row an epoch), checkpoints/{last,best}.ckpt, predictions.parquet (every labelled molecule of the
    fold, by the best checkpoint), model/ (the package). Where checkpoints/last.ckpt is found, training goes on after
    its last batch. A network with `pretraining` learns from fields first (decar.training.pretrain: pretraining.csv).
    With `world_size` > 1 the function runs in each process that torchrun started, on `num_nodes` machines; only the
    first one writes; NCCL joins them where training.gpus_per_node is not 0, gloo elsewhere. The number of CPU threads
    of this process is set to `training.threads`. Trainings of another `repeat` begin with other weights, in another
    order.
    Raises FoldError for a fold without both classes in training, or without a labelled molecule in validation; one
    that tests no molecule is trained all the same, and its package has no figure of the test subset.
    """
    settings = study.training.models[model_name]
    study = study.model_copy(update={"training": study.training.of_model(settings)})
    launched = Launched(world_size, num_nodes, show_progress)
    torch.set_num_threads(study.training.threads)
    initial = load_initial(settings, scheme, fold)
    normalisation = normalisation_of(initial, settings)
    make = partial(_dataset, study, settings, dataset_folder, shards_folder, scheme, fold, normalisation)
    training, validation, everything = make("train", augmented=True), make("validation"), make(None)
    _check_subsets(study, settings, training, validation, f"{scheme} fold {fold}")
    objectives = make_objectives(study, settings, training.rows)
    seed = derive_seed(study.seed, "train", model_name, scheme, fold, *([repeat] if repeat else []))
    tasks = [objective.task for objective in objectives]
    network, ancestors = _begin(study, settings, everything, tasks, seed, initial, report)
    if settings.pretraining:
        data = make(FIELDS_ALONE, augmented=True)
        ancestors = [
            pretrain(study, network, model_name, data, validation, seed, output, launched, report, callbacks)
        ]  # fmt: skip
    freeze(network, settings.frozen)
    if settings.standardised and initial is None:
        standardise_hidden(network, make("train"))
    seen, samples = as_trained(network, study, settings, (training, validation, everything), report)
    module = FoldModule(seen, study.training, objectives, seed)
    log = EpochLog(output / "metrics.csv", study.training, settings.stop_by, report)
    checkpoints = output / "checkpoints"
    saved = Checkpoints(checkpoints, log, study.training.checkpoint_minutes)
    loaders = partial(
        Loaders, batch_size=study.training.batch_size, stride=seen.total_stride, seed=seed,
        num_workers=study.training.num_workers,
    )  # fmt: skip
    with quiet():
        trainer = make_trainer(study, launched, [*callbacks, log, saved], study.training.max_epochs)
        _fit(trainer, module, loaders(*samples[:2]), checkpoints / LAST, log)
        module.load_state_dict(read_checkpoint(checkpoints / BEST)["state_dict"])
        module.keeps_activities = True
        trainer.validate(module, datamodule=loaders(None, samples[2]), verbose=False)
        activities = gathered(module.activities, world_size)
    if trainer.is_global_zero:
        job = {"model": model_name, "scheme": scheme, "fold": fold}
        if module.tasks[1:]:
            write_table(output / "task_predictions.parquet", _task_predictions(module, everything, job))
        predictions = _predictions(module, everything, job)
        metadata = _metadata(study, model_name, scheme, fold, everything, log, module)
        metadata |= {"lineage": ancestors, "repeat": repeat}
        domain = domain_of(dataset_folder, everything.rows, activities)
        save_package(output / "model", network, metadata, domain)
        # Last: what follows waits for this file.
        write_table(output / "predictions.parquet", predictions)
    trainer.strategy.barrier()


def _check_subsets(
    study: Study, settings: ModelSettings, training: VoxelDataset, validation: VoxelDataset, where: str
) -> None:  # fmt: skip
    """Raise FoldError where nothing can be learned, or the validation molecules cannot decide which epoch is kept."""
    subsets = (
        ("training", training, "raise num_folds or lower validation_fraction"),
        ("validation", validation, "lower num_folds or raise validation_fraction"),
    )
    for name, subset, remedy in subsets:
        if not len(subset):
            raise FoldError(
                f"the {name} subset has no molecule with a label", where=where, expected="one molecule at least",
                remedy=f"add labelled molecules, {remedy}",
            )  # fmt: skip
    classes = validation.rows[label_column(study.training.property)].dropna()
    if settings.stop_by == "auroc" and classes.nunique() < 2:
        raise FoldError(
            "the validation subset lacks a class, so it has no AUROC", where=where,
            seen=classes.value_counts().to_dict(), remedy="leave `stop_by: auroc` out, or raise validation_fraction",
        )  # fmt: skip


def _dataset(
    study: Study, settings: ModelSettings, dataset_folder: Path, shards_folder: Path, scheme: str, fold: int,
    normalisation: Normalisation | None, subset: str | None, augmented: bool = False,
) -> VoxelDataset:  # fmt: skip
    options: dict[str, Any] = {
        "normalisation": normalisation or load_normalisation(dataset_folder, scheme, fold, settings.fields),
        "augmentation": study.training.augmentation_of(settings) if augmented else "none",
        "seed": study.seed,
        "permuted_labels": settings.permuted_labels,
    }
    common = (scheme, fold, subset, settings.fields, properties_of(study, settings))
    if settings.input == "rendered":
        return RenderedDataset(dataset_folder, study, *common, **options)
    return ShardDataset(dataset_folder, shards_folder, *common, **options)


def _begin(
    study: Study, settings: ModelSettings, dataset: VoxelDataset, tasks: Sequence[Task], seed: int,
    initial: Package | None, report: Callable[[str], None],
) -> tuple[Network, list[dict[str, Any]]]:  # fmt: skip
    """Return the network with the weights that its training begins with, and the networks that these come from."""
    # Where the weights came from is in the lineage; a path means nothing to who gets the package.
    own = settings.model_copy(update={"initial": None, "frozen": ()})
    num_outputs = sum(task.num_outputs for task in tasks)
    network = build_network(own, _spacing(dataset), dataset.num_channels, num_outputs)
    network.initialise(seed)
    if initial is None:
        return network, []
    test = [str(key) for key, subset in _subsets(dataset).items() if subset == "test"]
    change = "; ".join([take_over(initial, network, tasks, study, test), *level_changes(initial, study)])
    report(f"begins with {initial.folder}: {change}")
    return network, lineage(initial, change, settings.frozen)


def _spacing(dataset: VoxelDataset) -> float:
    spacings = sorted(set(dataset.rows["spacing_bohr"]))
    if len(spacings) != 1:
        raise DataFormatError("the voxels of a dataset must have one spacing", seen=f"{spacings} bohr", expected="one")
    return float(spacings[0])


def _fit(trainer: Trainer, module: FoldModule, loaders: Loaders, last: Path, log: EpochLog) -> None:
    """Train from the last checkpoint, or from the beginning; the log then has all rows."""
    if last.exists():
        found = read_checkpoint(last)
        log.rows, batches = logged_rows(found), batches_done(found)
        if log.is_finished:
            return
        if trainer.is_global_zero:
            within = f", batch {batches} of epoch {len(log.rows) + 1}" if batches else ""
            log.report(f"going on after epoch {len(log.rows)}{within}")
    trainer.fit(module, datamodule=loaders, ckpt_path=last if last.exists() else None, weights_only=True)


def _predictions(module: FoldModule, everything: VoxelDataset, job: Mapping[str, Any]) -> pd.DataFrame:
    """Return predictions.parquet: of the study's property, which the figures are about."""
    name = module.tasks[0].name
    table = per_molecule(module.evaluated, module.tasks).rename(columns={name: "prediction"})
    # As in the table, not in single precision: models are joined by key and label.
    label = everything.rows.drop_duplicates("key").set_index("key")[label_column(name)]
    table = table.assign(label=table["key"].map(label).astype(np.float64))
    return table.assign(subset=table["key"].map(_subsets(everything)), **job)[list(COLUMNS)]


def _task_predictions(module: FoldModule, everything: VoxelDataset, job: Mapping[str, Any]) -> pd.DataFrame:
    """Return task_predictions.parquet: a row a molecule, further task and its column."""
    parts = []
    for number, task in enumerate(module.tasks[1:], start=1):
        table = per_molecule(module.evaluated, module.tasks, number).melt(["key", "label"], var_name="column")
        parts.append(table.assign(property=task.name, kind=task.kind, unit=task.unit))
    joined = pd.concat(parts, ignore_index=True)
    return joined.assign(subset=joined["key"].map(_subsets(everything)), **job)[list(TASK_COLUMNS)]


def _subsets(dataset: VoxelDataset) -> "pd.Series[str]":
    return dataset.rows.drop_duplicates("key").set_index("key")["subset"]


def dataset_hash(rows: pd.DataFrame, properties: Sequence[str]) -> str:
    """Return the hash of the keys, conformers, checksums, labels and subsets of the conformers of a fold."""
    labels = [label_column(name) for name in properties]
    return digest(rows[["key", "conformer", "checksum", *labels, "subset"]].map(str).to_numpy().tolist())


def _metadata(
    study: Study, model_name: str, scheme: str, fold: int, everything: VoxelDataset, log: EpochLog,
    module: FoldModule,
) -> dict[str, Any]:  # fmt: skip
    """Return what the package says of the network."""
    best = log.rows[log.best_epoch - 1]
    subset = _subsets(everything).to_dict()
    figures = {"best_epoch": best["epoch"], "num_epochs": len(log.rows), "val_loss": best["val_loss"]}
    for name in ("train", "validation", "test"):
        own = [outcome for outcome in module.evaluated if subset[outcome.key] == name]
        found = score(own, module.tasks) | task_metrics(own, module.tasks)
        figures |= {f"{name}_{metric}": value for metric, value in found.items()}
    if everything.normalisation is None:
        raise ValueError("a network is trained on normalised voxels")
    return {
        "name": model_name,
        "study": study.study,
        "fields": list(study.training.models[model_name].fields),
        "normalisation": everything.normalisation.to_json(),
        "spacing_bohr": _spacing(everything),
        "level": {
            **study.quantum.model_dump(mode="json"),
            "geometry": " + ".join(study.optimise.methods) or "as embedded",
        },
        "chemistry": chemistry_of(study),
        "property": study.training.property,
        "tasks": [task.to_json() for task in module.tasks],
        "scheme": scheme,
        "fold": fold,
        "seed": study.seed,
        "training": study.training.model_dump(mode="json", exclude={"models"}),
        "dataset_hash": dataset_hash(everything.rows, [task.name for task in module.tasks]),
        "metrics": {name: float(value) if math.isfinite(value) else None for name, value in figures.items()},
        **study.contribution.model_dump(),
        "provenance": provenance("torch", "lightning", "numpy"),
    }
