"""A small residual network: every layer has a path around it, along which the gradient reaches the first one undamped.

    stem:     x_1 = m_1 pool( W * x + b )
    block l:  x_l = m_l ( P pool(x_(l-1)) + W2 * relu N( pool( W1 * relu N x_(l-1) ) ) ),   l = 2 .. L
    head:     z = v . relu( V [mean over m of y, maximum over m of y] + c ) + d,   y = relu N x_L

with pre-activation (arXiv 1603.05027), the masked norm N and the pooling of the published network, and a projection P
of one tap where the number of channels changes (identity elsewhere). Invariance is as for the published network.
"""

from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from decar.config import ModelSettings
from decar.models.convolution import Convolution
from decar.models.hidden import hidden_layer
from decar.models.network import Network, count_parameters, describe_part
from decar.models.published import MaskedNorm


def pool(x: Tensor, mask: Tensor, pooling: str) -> Tensor:
    """Halve each axis, by the mean or the maximum of eight voxels; those outside count as zero."""
    x = x * mask
    return functional.max_pool3d(x, 2) if pooling == "max" else functional.avg_pool3d(x, 2)


class ResidualBlock(nn.Module):
    """Two convolutions and the path around them; halves each axis."""

    def __init__(self, inputs: int, outputs: int, kernel_size: int, pooling: str) -> None:
        super().__init__()
        self.pooling = pooling
        self.norm1, self.norm2 = MaskedNorm(inputs), MaskedNorm(outputs)
        self.convolution1 = Convolution(inputs, outputs, kernel_size)
        self.convolution2 = Convolution(outputs, outputs, kernel_size)
        self.around = nn.Identity() if inputs == outputs else nn.Conv3d(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """x [batch, channel, x, y, z], zero outside the mask -> the same with each axis halved, and its mask."""
        coarse = functional.max_pool3d(mask, 2)
        y = pool(self.convolution1(torch.relu(self.norm1(x, mask))), mask, self.pooling)
        y = self.convolution2(torch.relu(self.norm2(y, coarse)))
        return (self.around(functional.avg_pool3d(x, 2)) + y) * coarse, coarse


class ResidualNetwork(Network):
    """`channels` are those of the stem and of each block."""

    def __init__(
        self, settings: ModelSettings, spacing_bohr: float, num_inputs: int | None = None, num_outputs: int = 1
    ) -> None:
        super().__init__(settings, spacing_bohr, num_inputs or len(settings.fields), num_outputs)
        kernel_size, widths = settings.kernel_size, settings.channels
        self.stem = Convolution(self.num_inputs, widths[0], kernel_size)
        self.blocks = nn.ModuleList(
            ResidualBlock(inputs, outputs, kernel_size, settings.pooling) for inputs, outputs in pairwise(widths)
        )
        self.norm = MaskedNorm(widths[-1])
        self.hidden = hidden_layer(2 * widths[-1], settings)
        self.output = nn.Linear(settings.hidden, num_outputs)
        self.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]

    @property
    def total_stride(self) -> int:
        """Return 2^(blocks + 1)."""
        return 2 << len(self.blocks)

    @property
    def num_features(self) -> int:
        """Return the number of kernels of the last block."""
        return self.settings.channels[-1]

    def feature_map(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return y, [batch, kernel, x, y, z], and its mask."""
        x = self.stem(x.contiguous(memory_format=torch.channels_last_3d) * mask)
        x, mask = pool(x, mask, self.settings.pooling), functional.max_pool3d(mask, 2)
        for block in self.blocks:
            x, mask = self.run(block, x, mask)
        return torch.relu(self.norm(x, mask)), mask

    def readout(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return mean and maximum of each kernel of the last block over the box, [batch, 2 kernels]."""
        x, mask = self.feature_map(x, mask)  # zero outside, which no maximum of a rectifier falls below
        mean = x.sum(dim=(2, 3, 4)) / mask.sum(dim=(2, 3, 4))
        return torch.cat([mean, x.amax(dim=(2, 3, 4))], dim=1)

    def head(self, read: Tensor, keep: Tensor | None = None) -> Tensor:
        """Return logits [batch, num_outputs]."""
        hidden = torch.relu(self.hidden(read))
        return cast("Tensor", self.output(hidden if keep is None else hidden * keep))

    def parts(self) -> dict[str, nn.Module]:
        """Return the stem, the blocks by number, then the norm before the head, and the head."""
        blocks: dict[str, nn.Module] = {f"block{number}": block for number, block in enumerate(self.blocks, start=2)}
        return {"stem": self.stem, **blocks, "norm": self.norm, "hidden": self.hidden, "output": self.output}

    def describe(self) -> list[dict[str, object]]:
        """Return a row a part; edges are those of the first convolution of a block, fields those after its second."""
        k = self.settings.kernel_size
        field = k + 1
        edges = (k * self.spacing_bohr, field * self.spacing_bohr)
        rows = [describe_part("stem", self.stem.weight.shape, count_parameters(self.stem), *edges)]
        for number, module in enumerate(self.blocks, start=2):
            block, edge = cast("ResidualBlock", module), 1 << (number - 1)
            field += (k - 1) * edge + edge + (k - 1) * 2 * edge
            edges = (k * edge * self.spacing_bohr, field * self.spacing_bohr)
            rows.append(
                describe_part(f"block {number}", block.convolution1.weight.shape, count_parameters(block), *edges)
            )
        rows.append(describe_part("norm", self.norm.scale.shape, count_parameters(self.norm), None, None))
        for name, linear in (("hidden", self.hidden), ("output", self.output)):
            rows.append(describe_part(name, linear.weight.shape, count_parameters(linear), None, None))
        return rows
