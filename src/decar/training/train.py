"""Train one network on one fold: the job that `torchrun -m decar.cli train` (or a single process) runs."""

import logging
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.strategies import DDPStrategy, SingleDeviceStrategy, Strategy

from decar.chemistry import chemistry_of
from decar.config import ModelSettings, Study
from decar.dataset.normalise import Normalisation
from decar.dataset.rendered_dataset import RenderedDataset
from decar.dataset.samples import label_column
from decar.dataset.statistics import load_normalisation
from decar.dataset.torch_dataset import ShardDataset
from decar.dataset.voxel_dataset import VoxelDataset
from decar.errors import BackendUnavailableError, ConfigError, DataFormatError
from decar.models.build import build_network
from decar.models.network import Network
from decar.models.package import Package, save_package
from decar.models.task import Task
from decar.provenance import provenance
from decar.receipt import write_table
from decar.stages import derive_seed, digest
from decar.training.callbacks import (
    BEST,
    LAST,
    AtomicCheckpointIO,
    Checkpoints,
    EpochLog,
    batches_done,
    best_epoch,
    is_finished,
    logged_rows,
    read_checkpoint,
)
from decar.training.domain import domain_of
from decar.training.loaders import Loaders
from decar.training.module import FoldModule
from decar.training.objectives import make_objectives, properties_of
from decar.training.outcome import PREDICTION_COLUMNS, TASK_COLUMNS, auroc, gathered, per_molecule, task_metrics
from decar.training.standardise import standardise_hidden
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
    its last batch. With `world_size` > 1 the function runs in each process that torchrun started, on `num_nodes`
    machines; only the first one writes; NCCL joins them where training.gpus_per_node is not 0, gloo elsewhere. The
    number of CPU threads of this process is set to `training.threads`. Trainings of another `repeat` begin with other
    weights, in another order.
    Raises ConfigError for a fold without both classes in training.
    """
    settings = study.training.models[model_name]
    torch.set_num_threads(study.training.threads)
    initial = load_initial(settings, scheme, fold)
    normalisation = normalisation_of(initial, settings)
    make = partial(_dataset, study, settings, dataset_folder, shards_folder, scheme, fold, normalisation)
    training, validation, everything = make("train", augmented=True), make("validation"), make(None)
    if not len(validation):
        raise ConfigError(
            "the validation subset has no molecule with a label", where=f"{scheme} fold {fold}",
            seen=f"{len(training)} training conformers", expected="one molecule at least",
            remedy="add labelled molecules, lower num_folds or raise validation_fraction",
        )  # fmt: skip
    classes = validation.rows[label_column(study.training.property)].dropna()
    if settings.stop_by == "auroc" and classes.nunique() < 2:
        raise ConfigError(
            "the validation subset lacks a class, so it has no AUROC", where=f"{scheme} fold {fold}",
            seen=classes.value_counts().to_dict(), remedy="leave `stop_by: auroc` out, or raise validation_fraction",
        )  # fmt: skip
    objectives = make_objectives(study, settings, training.rows)
    seed = derive_seed(study.seed, "train", model_name, scheme, fold, *([repeat] if repeat else []))
    tasks = [objective.task for objective in objectives]
    network, ancestors = _begin(study, settings, everything, tasks, seed, initial, report)
    if settings.standardised and initial is None:
        standardise_hidden(network, make("train"))
    module = FoldModule(network, study.training, objectives, seed)
    log = EpochLog(output / "metrics.csv", study.training, report)
    checkpoints = output / "checkpoints"
    loaders = partial(
        Loaders, batch_size=study.training.batch_size, stride=network.total_stride, seed=seed,
        num_workers=study.training.num_workers,
    )  # fmt: skip
    with _quiet():
        trainer = _trainer(
            study,
            world_size,
            num_nodes,
            show_progress,
            [*callbacks, log, Checkpoints(checkpoints, log, study.training.checkpoint_minutes)],
        )
        rows = _fit(trainer, module, loaders(training, validation), checkpoints, log, report)
        module.load_state_dict(read_checkpoint(checkpoints / BEST)["state_dict"])
        module.keeps_activities = True
        trainer.validate(module, datamodule=loaders(None, everything), verbose=False)
        activities = gathered(module.activities, world_size)
    if trainer.is_global_zero:
        job = {"model": model_name, "scheme": scheme, "fold": fold}
        if module.tasks[1:]:
            write_table(output / "task_predictions.parquet", _task_predictions(module, everything, job))
        predictions = _predictions(module, everything, job)
        metadata = _metadata(study, model_name, scheme, fold, everything, rows, module)
        metadata |= {"lineage": ancestors, "repeat": repeat}
        domain = domain_of(dataset_folder, everything.rows, activities)
        save_package(output / "model", network, metadata, domain)
        # Last: what follows waits for this file.
        write_table(output / "predictions.parquet", predictions)
    trainer.strategy.barrier()


@contextmanager
def _quiet() -> Iterator[None]:
    """Hold back what Lightning says of the hardware, of choices that are the caller's, and of its own use of torch."""
    banner = logging.getLogger("lightning.pytorch")
    level = banner.level
    banner.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            for message in (".*does not have many workers", ".*`srun` command is available", ".*LeafSpec"):
                warnings.filterwarnings("ignore", message=message)
            yield
    finally:
        banner.setLevel(level)


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
        freeze(network, settings.frozen)
        return network, []
    test = [str(key) for key, subset in _subsets(dataset).items() if subset == "test"]
    change = "; ".join([take_over(initial, network, tasks, study, test), *level_changes(initial, study)])
    freeze(network, settings.frozen)
    report(f"begins with {initial.folder}: {change}")
    return network, lineage(initial, change, settings.frozen)


def _spacing(dataset: VoxelDataset) -> float:
    spacings = sorted(set(dataset.rows["spacing_bohr"]))
    if len(spacings) != 1:
        raise DataFormatError("the voxels of a dataset must have one spacing", seen=f"{spacings} bohr", expected="one")
    return float(spacings[0])


def _trainer(study: Study, world_size: int, num_nodes: int, show_progress: bool, callbacks: list[Callback]) -> Trainer:
    has_gpu = _wants_gpus(study, world_size // num_nodes)
    strategy: Strategy
    if world_size > 1:
        backend = "nccl" if has_gpu else "gloo"
        strategy = DDPStrategy(cluster_environment=TorchElasticEnvironment(), process_group_backend=backend)
    else:
        # Named, so that Lightning does not take a SLURM job around a single process for a distributed training.
        strategy = SingleDeviceStrategy(torch.device("cuda:0" if has_gpu else "cpu"))
    plugins: list[Any] = [AtomicCheckpointIO()]
    if world_size == 1:
        plugins.append(LightningEnvironment())
    return Trainer(
        accelerator="gpu" if has_gpu else "cpu",
        strategy=strategy,
        devices=world_size // num_nodes,
        num_nodes=num_nodes,
        plugins=plugins,
        callbacks=callbacks,
        precision="bf16-mixed" if study.training.precision == "bfloat16" else "32-true",
        max_epochs=study.training.max_epochs,
        logger=False,
        enable_progress_bar=show_progress,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        deterministic="warn" if has_gpu else None,
    )


def _wants_gpus(study: Study, processes: int) -> bool:
    """Return whether the study trains on GPUs; a card that was asked for and is not there is an error, not slowness."""
    wanted = study.training.gpus_per_node > 0
    found = torch.cuda.device_count() if wanted else 0
    if wanted and found < processes:
        raise BackendUnavailableError(
            "a training process has no GPU", where="training.gpus_per_node", seen=f"{found} that torch can use",
            expected=f"{processes} on this node",
            remedy="install a CUDA build of torch (decar doctor shows what it finds) and ask for a partition with GPUs,"
            " or set gpus_per_node: 0 to train on CPU",
        )  # fmt: skip
    return wanted


def _fit(
    trainer: Trainer,
    module: FoldModule,
    loaders: Loaders,
    checkpoints: Path,
    log: EpochLog,
    report: Callable[[str], None],
) -> list[dict[str, float]]:
    """Train from the last checkpoint, or from the beginning; return the rows of the log."""
    last = checkpoints / LAST
    if last.exists():
        found = read_checkpoint(last)
        done, batches = logged_rows(found), batches_done(found)
        if is_finished(done, module.training_settings, module.network.settings.stop_by):
            return done
        if trainer.is_global_zero:
            within = f", batch {batches} of epoch {len(done) + 1}" if batches else ""
            report(f"going on after epoch {len(done)}{within}")
    trainer.fit(module, datamodule=loaders, ckpt_path=last if last.exists() else None, weights_only=True)
    return log.rows


def _predictions(module: FoldModule, everything: VoxelDataset, job: Mapping[str, Any]) -> pd.DataFrame:
    """Return predictions.parquet: of the study's property, which the figures are about."""
    table = per_molecule(module.evaluated, module.tasks).rename(columns={module.tasks[0].name: "probability"})
    return table.assign(subset=table["key"].map(_subsets(everything)), **job)[list(PREDICTION_COLUMNS)]


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


def _metadata(
    study: Study, model_name: str, scheme: str, fold: int, everything: VoxelDataset, rows: Sequence[dict[str, float]],
    module: FoldModule,
) -> dict[str, Any]:  # fmt: skip
    """Return what the package says of the network."""
    best = rows[best_epoch(rows, module.network.settings.stop_by) - 1]
    subset = _subsets(everything).to_dict()
    figures = {"best_epoch": best["epoch"], "num_epochs": len(rows), "val_loss": best["val_loss"]}
    for name in ("train", "validation", "test"):
        own = [outcome for outcome in module.evaluated if subset[outcome.key] == name]
        figures[f"{name}_auroc"] = auroc(own, module.tasks)
        figures |= {f"{name}_{metric}": value for metric, value in task_metrics(own, module.tasks).items()}
    if everything.normalisation is None:
        raise ValueError("a network is trained on normalised voxels")
    labels = [label_column(task.name) for task in module.tasks]
    content = everything.rows[["key", "conformer", "checksum", *labels, "subset"]].map(str)
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
        "dataset_hash": digest(content.to_numpy().tolist()),
        "metrics": {name: float(value) if math.isfinite(value) else None for name, value in figures.items()},
        **study.contribution.model_dump(),
        "provenance": provenance("torch", "lightning", "numpy"),
    }
