"""A network that fills in what was hidden of a field: the self-supervised task of pretraining, and its loss.

    loss = sum_i w_i sum_c (p_ic - t_ic)^2 / (C sum_i w_i)       over hidden cells i, of the samples of all processes

    t_ic: mean of the normalised field c over cell i;  p_ic = D_c f_i + e_c;  w_i = 1/k (k conformers of the molecule)

f are the features of the network's last layer, of a box in which the hidden cells (decar.training.masking) are vacuum.
The decoder D, e is linear and begins at zero, the prediction of vacuum; it is thrown away afterwards and the kernels
are kept: masked autoencoding (arXiv 2111.06377) with the network as encoder, or denoising (doi 10.1145/1390156.1390294)
of one kind of noise. Features of a steerable network are scalars, so what it fills in turns with the molecule.
"""

import math
from typing import cast

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.nn import functional

from decar.config import TrainingSettings
from decar.dataset.samples import Batch
from decar.models.network import Network
from decar.training.masking import hidden_cells, widened
from decar.training.module import in_parts, learning_rate_at, make_optimizer


class Decoder(nn.Module):
    """The network up to its last layer, and D, e."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network
        self.linear = nn.Conv3d(network.num_features, network.num_inputs, 1)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(cast("Tensor", self.linear.bias))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x [batch, channel, x, y, z], mask [batch, 1, x, y, z] -> p [batch, channel, x, y, z] of the cells."""
        return cast("Tensor", self.linear(self.network.feature_map(x, mask)[0]))


class FillIn(LightningModule):
    """Trains kernels. `seen` and `validated` are sums over hidden cells, of all processes (`_sums`)."""

    seen: Tensor

    def __init__(self, network: Network, training: TrainingSettings, share: float, edge: int, seed: int) -> None:
        super().__init__()
        self.decoder = Decoder(network)
        self.training_settings, self.share, self.edge, self.seed = training, share, edge, seed
        # A buffer, so that a checkpoint within an epoch has it.
        self.register_buffer("seen", torch.zeros(3 + network.num_inputs, dtype=torch.float64))
        self.validated = torch.zeros_like(self.seen)

    def on_train_epoch_start(self) -> None:
        """Set the learning rate and forget the epoch before."""
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = learning_rate_at(self.current_epoch, self.training_settings)
        self.seen.zero_()

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:  # noqa: ARG002
        """Return this process's part of the loss."""
        own = self._sums(batch, self.current_epoch)
        total = self._reduced(own.detach())
        self.seen += total
        # A step in which nothing is hidden has no gradient.
        return own[1] * self.trainer.world_size / (total[0] * (len(own) - 3)).clamp(min=1e-9)

    def on_validation_epoch_start(self) -> None:
        """Forget the validation before."""
        self.validated = torch.zeros_like(self.seen)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:  # noqa: ARG002
        """Add the sums, of the cells that are hidden in every epoch."""
        self.validated += self._sums(batch, 0)

    def on_validation_epoch_end(self) -> None:
        """Gather from all processes."""
        self.validated = self._reduced(self.validated)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return that of training; the head has no gradient, so it stays."""
        return make_optimizer(self.decoder, self.training_settings)

    def _sums(self, batch: Batch, epoch: int) -> Tensor:
        """Return the sums over hidden cells of w, w |p - t|^2, w |t|^2, and w t_c of each channel."""
        stride = self.decoder.network.total_stride
        hidden = hidden_cells(batch, stride, self.edge, self.share, self.seed, epoch)
        target = functional.avg_pool3d(batch["voxels"], stride)
        given = batch["voxels"] * (1 - widened(hidden, stride))
        predicted = in_parts(self.decoder, self.training_settings.samples_at_a_time, given, batch["mask"])
        weight = hidden * batch["weight"].view(-1, 1, 1, 1, 1)
        sums = [weight.sum(), (weight * (predicted - target).square()).sum(), (weight * target.square()).sum()]
        return torch.cat([torch.stack(sums), (weight * target).sum(dim=(0, 2, 3, 4))]).double()

    def _reduced(self, sums: Tensor) -> Tensor:
        return cast("Tensor", self.trainer.strategy.reduce(sums, reduce_op="sum"))


def losses_of(sums: Tensor) -> tuple[float, float, float]:
    """Return the loss, and what it would be of who predicts vacuum, or the mean of each field over hidden cells."""
    weight, error, square, *total = sums.tolist()
    if not weight:
        return math.nan, math.nan, math.nan
    count = weight * len(total)
    return error / count, square / count, (square - sum(one**2 for one in total) / weight) / count
