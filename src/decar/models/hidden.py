"""The hidden layer of a head, and the same on standardised inputs.

    V z + c,    z_j = (x_j - m_j) / s_j        m, s: mean and standard deviation of its inputs over training molecules

m and s are no weights: they are set once, before training (decar.training.standardise), and stay.
"""

import torch
from torch import Tensor, nn

from decar.config import ModelSettings


class StandardisedLinear(nn.Linear):
    """V z + c; m is zero and s is one until `standardise` sets them."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("deviation", torch.ones(inputs))

    def forward(self, x: Tensor) -> Tensor:
        """x [batch, input] -> [batch, output]."""
        return super().forward((x - self.mean) / self.deviation)

    def standardise(self, mean: Tensor, deviation: Tensor) -> None:
        """Set m and s, each [input]."""
        self.mean.copy_(mean)
        self.deviation.copy_(deviation)


def hidden_layer(inputs: int, settings: ModelSettings) -> nn.Linear:
    """Return the hidden layer of a network with these settings."""
    return (StandardisedLinear if settings.standardised else nn.Linear)(inputs, settings.hidden)
