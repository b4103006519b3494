"""The loop around a network: Lightning's trainer, for one process or as many as torchrun started, on CPU or GPUs."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.strategies import DDPStrategy, SingleDeviceStrategy, Strategy

from decar.config import Study
from decar.errors import BackendUnavailableError
from decar.training.callbacks import AtomicCheckpointIO


@dataclass(frozen=True)
class Launched:
    """How this job was started: processes altogether, machines, and whether it shows a bar for each epoch."""

    world_size: int = 1
    num_nodes: int = 1
    show_progress: bool = False


def make_trainer(
    study: Study, launched: Launched, callbacks: list[Callback], max_epochs: int, *, has_idle_parts: bool = False
) -> Trainer:
    """Return the trainer of this process; `has_idle_parts`: there are weights that the loss does not depend on.

    Raises BackendUnavailableError where a process has no GPU that it should have.
    """
    world_size, num_nodes = launched.world_size, launched.num_nodes
    has_gpu = _wants_gpus(study, world_size // num_nodes)
    if has_gpu:
        # Under `deterministic` torch fills whatever is allocated; nothing here reads what it has not written.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    strategy: Strategy
    if world_size > 1:
        backend = "nccl" if has_gpu else "gloo"
        strategy = DDPStrategy(
            cluster_environment=TorchElasticEnvironment(), process_group_backend=backend,
            find_unused_parameters=has_idle_parts,
        )  # fmt: skip
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
        max_epochs=max_epochs,
        logger=False,
        enable_progress_bar=launched.show_progress,
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


@contextmanager
def quiet() -> Iterator[None]:
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
