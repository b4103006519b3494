"""One network in training: its loss, its optimiser, its dropout. No global random state is used or set.

The loss of a step (`decar.training.objectives`) is a ratio of two sums over the samples of all processes. DDP averages
the gradients of its processes, so each one multiplies its part by their number: the gradient does not depend on how
many there are.
"""

import math
from collections.abc import Sequence
from typing import Any, cast

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from decar.config import TrainingSettings
from decar.dataset.samples import Batch
from decar.models.network import Network
from decar.stages import derive_seed
from decar.training.domain import Activity, activities_of
from decar.training.objectives import Objective, all_losses
from decar.training.outcome import Outcome, gather, outcomes

WARM_UP_SHARE = 0.05  # of max_epochs, in which the learning rate rises linearly
FINAL_SHARE = 0.01  # of the peak learning rate, reached at max_epochs


def learning_rate_at(epoch: int, training: TrainingSettings) -> float:
    """Return the learning rate of an epoch (from 0): linear rise, then half a cosine (arXiv 1608.03983).

    A function of the epoch alone, so that a resumed training has the same.
    """
    warm_up = max(1, round(WARM_UP_SHARE * training.max_epochs))
    if epoch < warm_up:
        return training.learning_rate * (epoch + 1) / warm_up
    progress = (epoch - warm_up) / max(1, training.max_epochs - warm_up)
    return training.learning_rate * (FINAL_SHARE + (1 - FINAL_SHARE) * 0.5 * (1 + math.cos(math.pi * progress)))


def dropout_keep(batch: Batch, width: int, share: float, seed: int, epoch: int) -> Tensor | None:
    """Return the dropout factors [batch, width] (0, or 1 / (1 - share)), drawn from (seed, epoch, key, conformer)."""
    if share == 0:
        return None
    rows = []
    for key, conformer in zip(batch["key"], batch["conformer"]):
        generator = torch.Generator().manual_seed(derive_seed(seed, "dropout", epoch, key, conformer))
        rows.append(torch.rand(width, generator=generator) >= share)
    return torch.stack(rows).to(batch["voxels"], non_blocking=True) / (1 - share)


def make_optimizer(module: nn.Module, training: TrainingSettings) -> torch.optim.Optimizer:
    """Return AdamW (arXiv 1711.05101); biases and the norm's factors do not decay."""
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": training.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=training.learning_rate)


def in_parts(layer: nn.Module, size: int | None, *inputs: Tensor | None) -> Tensor:
    """Return layer(*inputs), float32, `size` samples after one another (None: all at once).

    Of each part only the inputs are kept for the gradient: it is computed once more on the way back.
    """
    first = inputs[0]
    if first is None or size is None or len(first) <= size:
        return cast("Tensor", layer(*inputs)).float()
    parts = []
    for start in range(0, len(first), size):
        given = [None if one is None else one[start : start + size] for one in inputs]
        parts.append(checkpoint(layer, *given, use_reentrant=False, preserve_rng_state=False))
    return torch.cat(parts).float()


class FoldModule(LightningModule):
    """Trains `network`. `train_outcomes` are this process's, `evaluated` those of all in the last validation."""

    def __init__(
        self, network: Network, training: TrainingSettings, objectives: Sequence[Objective], seed: int
    ) -> None:
        super().__init__()
        self.network = network
        self.training_settings = training
        self.objectives = tuple(objectives)
        self.tasks = tuple(objective.task for objective in objectives)
        self.seed = seed
        self.train_outcomes: list[Outcome] = []
        self.evaluated: list[Outcome] = []
        self.gradient_norms: list[dict[str, float]] = []
        self._own: list[Outcome] = []
        self._in_step: tuple[Batch, Tensor] | None = None
        # What the last hidden layer said in the last validation, of this process's samples, where it is asked for.
        self.keeps_activities = False
        self.activities: list[Activity] = []

    def on_train_epoch_start(self) -> None:
        """Set the learning rate and forget the epoch before."""
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = learning_rate_at(self.current_epoch, self.training_settings)
        self.train_outcomes, self.gradient_norms = [], []

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:  # noqa: ARG002
        """Return this process's part of the loss."""
        settings = self.network.settings
        keep = dropout_keep(batch, settings.hidden, settings.dropout, self.seed, self.current_epoch)
        size = self.training_settings.samples_at_a_time
        outputs = in_parts(self.network, size, batch["voxels"], batch["mask"], keep)
        self._in_step = (batch, outputs.detach())
        losses, weights = all_losses(self.objectives, outputs, batch["label"])
        weights = weights * batch["weight"][:, None]
        total = cast("Tensor", self.trainer.strategy.reduce(weights.sum(), reduce_op="sum"))
        # A step without a label that is learned has no gradient.
        return (weights * losses).sum() * self.trainer.world_size / total.clamp(min=torch.finfo(total.dtype).tiny)

    def on_before_optimizer_step(self, optimizer: Any) -> None:  # noqa: ARG002
        """Note the outputs, and the gradient norm of each layer: vanishing gradients are seen here."""
        norms = {}
        for name, part in self.network.parts().items():
            squares = [parameter.grad.square().sum() for parameter in part.parameters() if parameter.grad is not None]
            if squares:  # a frozen part has none
                norms[name] = torch.stack(squares).sum().sqrt()
        # Here and not in the step: a GPU that is waited for has its work in the meantime.
        self.gradient_norms.append(dict(zip(norms, torch.stack(list(norms.values())).tolist())) if norms else {})
        if self._in_step is not None:
            self.train_outcomes += outcomes(*self._in_step)
            self._in_step = None

    def on_validation_epoch_start(self) -> None:
        """Forget the validation before."""
        self._own, self.activities = [], []

    def validation_step(self, batch: Batch, batch_idx: int) -> None:  # noqa: ARG002
        """Note the outputs of every sample."""
        if self.keeps_activities:
            outputs, hidden = self.network.outputs_and_activities(batch["voxels"], batch["mask"])
            self.activities += activities_of(batch, hidden)
        else:
            outputs = self.network(batch["voxels"], batch["mask"])
        self._own += outcomes(batch, outputs.float())

    def on_validation_epoch_end(self) -> None:
        """Gather from all processes."""
        self.evaluated = gather(self._own, self.trainer.world_size)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return the optimiser of what is not frozen."""
        return make_optimizer(self.network, self.training_settings)
