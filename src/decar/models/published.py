"""The published network (arXiv 2305.17958): convolution and pooling layers, three by default, then one logit an output.

    layer l:  x_l = m_l  N( pool( relu( W_l * x_(l-1) + b_l ) ) )
    head:     z = v . relu( V [mean over m of x_L, maximum over m of x_L] + c ) + d

* is a three-dimensional correlation with zero padding (vacuum, see decar.dataset.normalise), pool halves each axis, m_l
is the mask of the box at layer l: a coarse voxel is inside when any of its eight fine ones is. N subtracts the mean and
divides by the standard deviation of one sample over all channels and the voxels inside, then scales and shifts each
channel. So an output depends neither on the padding of its batch nor on its neighbours in it, nor on how many
processes share the batch. Sizes of the published network are not known; all are settings.

The network is not invariant under rotation: it learns that from rotated samples. It is invariant under translation by
whole multiples of the total stride, up to what the faces of the box cut off.
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

EPSILON = 1e-5  # added to the variance of the norm


class MaskedNorm(nn.Module):
    """Per sample: (x - mean) / sqrt(variance + 1e-5) over channels and voxels inside, then scale and shift."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels))
        self.shift = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x [batch, channel, x, y, z], mask [batch, 1, x, y, z] -> like x, zero outside."""
        count = mask.sum(dim=(1, 2, 3, 4), keepdim=True) * x.shape[1]
        mean = (x * mask).sum(dim=(1, 2, 3, 4), keepdim=True) / count
        centred = (x - mean) * mask
        variance = centred.square().sum(dim=(1, 2, 3, 4), keepdim=True) / count
        # One affine map a sample and channel, instead of two passes over the voxels.
        gain = self.scale.view(1, -1, 1, 1, 1) * torch.rsqrt(variance + EPSILON)
        return centred * gain + self.shift.view(1, -1, 1, 1, 1) * mask


class ConvolutionLayer(nn.Module):
    """Convolution, rectifier, pooling, norm, mask."""

    def __init__(self, inputs: int, outputs: int, kernel_size: int, pooling: str) -> None:
        super().__init__()
        self.convolution = Convolution(inputs, outputs, kernel_size)
        self.norm = MaskedNorm(outputs)
        self.pooling = pooling

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """x [batch, channel, x, y, z] -> the same with each axis halved, and its mask."""
        x = self.convolution(x)
        coarse = functional.max_pool3d(mask, 2)
        if self.pooling == "max":
            # Maximum and rectifier commute, and the rectifier is eight times cheaper afterwards. Voxels outside the
            # box are taken out before: their bias must not win the maximum of a cell that the box's face cuts.
            x = torch.relu(functional.max_pool3d(x * mask, 2))
        else:
            x = functional.avg_pool3d(torch.relu(x) * mask, 2)
        return self.norm(x, coarse), coarse


class PublishedNetwork(Network):
    """Layers are numbered from 1, as in the publication: its third-layer kernels are `kernels(3)`.

    `num_inputs` is the number of input channels, one a field unless said otherwise.
    """

    def __init__(
        self, settings: ModelSettings, spacing_bohr: float, num_inputs: int | None = None, num_outputs: int = 1
    ) -> None:
        super().__init__(settings, spacing_bohr, num_inputs or len(settings.fields), num_outputs)
        widths = (self.num_inputs, *settings.channels)
        self.layers = nn.ModuleList(
            ConvolutionLayer(inputs, outputs, settings.kernel_size, settings.pooling)
            for inputs, outputs in pairwise(widths)
        )
        self.hidden = hidden_layer(2 * settings.channels[-1], settings)
        self.output = nn.Linear(settings.hidden, num_outputs)
        # The voxels of one site lie together: 1.8 times as fast on CPU, and what tensor cores want.
        self.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]

    @property
    def num_layers(self) -> int:
        """Return the number of convolution layers."""
        return len(self.layers)

    @property
    def total_stride(self) -> int:
        """Return the edge of an output voxel in input voxels: 2^layers. Boxes are padded to multiples of it."""
        return 1 << self.num_layers

    @property
    def num_features(self) -> int:
        """Return the number of kernels of the last layer."""
        return self.settings.channels[-1]

    @property
    def receptive_field(self) -> int:
        """Return the edge, in input voxels, of the cube that one voxel after the last layer sees."""
        return self.receptive_field_of(self.num_layers)

    def receptive_field_of(self, layer: int) -> int:
        """Return the edge, in input voxels, of the cube that one voxel of this layer's output (pooled) sees."""
        k = self.settings.kernel_size
        return 1 + k * ((1 << layer) - 1)  # each layer adds k - 1 (convolution) and 1 (pooling) of its voxels

    def kernel_field_of(self, layer: int) -> int:
        """Return the edge, in input voxels, of the cube that one kernel of this layer sees (before its pooling)."""
        return self.receptive_field_of(layer) - (1 << (layer - 1))

    def kernels(self, layer: int) -> Tensor:
        """Return the weights of a layer's kernels, [kernel, channel of the layer before, k, k, k]."""
        return self._layer(layer).convolution.weight

    def activations(self, x: Tensor, mask: Tensor, layer: int) -> Tensor:
        """Return what the kernels of a layer are laid upon: the output of the layer before, [batch, channel, x, y, z].

        For layer 1 that is the input itself. Voxels outside the (coarse) mask are zero.
        """
        x, _ = self._upto(x, mask, layer - 1)
        return x

    def activation_mask(self, mask: Tensor, layer: int) -> Tensor:
        """Return the mask of `activations(..., layer)`, [batch, 1, x, y, z]."""
        for _ in range(layer - 1):
            mask = functional.max_pool3d(mask, 2)
        return mask

    def feature_map(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return the output of the last layer, [batch, kernel, x, y, z], and its mask."""
        return self._upto(x, mask, self.num_layers)

    def readout(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return mean and maximum of each kernel of the last layer over the box, [batch, 2 kernels]."""
        x, mask = self.feature_map(x, mask)
        mean = x.sum(dim=(2, 3, 4)) / mask.sum(dim=(2, 3, 4))
        # Outside the box the norm leaves zeros, which must not win over a negative maximum.
        highest = x.masked_fill(mask == 0, -torch.inf).amax(dim=(2, 3, 4))
        return torch.cat([mean, highest], dim=1)

    def head(self, read: Tensor, keep: Tensor | None = None) -> Tensor:
        """Return logits [batch, num_outputs]."""
        hidden = torch.relu(self.hidden(read))
        return cast("Tensor", self.output(hidden if keep is None else hidden * keep))

    def parts(self) -> dict[str, nn.Module]:
        """Return the layers by number, then the head."""
        layers: dict[str, nn.Module] = {f"layer{number}": layer for number, layer in enumerate(self.layers, start=1)}
        return layers | {"hidden": self.hidden, "output": self.output}

    def describe(self) -> list[dict[str, object]]:
        """Return a row a part, in order: layer, kind, shape of the weights, parameters, edges in bohr."""
        rows: list[dict[str, object]] = []
        for number, module in enumerate(self.layers, start=1):
            layer = cast("ConvolutionLayer", module)
            edge = self.spacing_bohr * (1 << (number - 1))
            kernel, field = self.settings.kernel_size * edge, self.kernel_field_of(number) * self.spacing_bohr
            rows.append(
                describe_part(
                    f"convolution {number}", layer.convolution.weight.shape, count_parameters(layer), kernel, field
                )
            )
        for name, linear in (("hidden", self.hidden), ("output", self.output)):
            rows.append(describe_part(name, linear.weight.shape, count_parameters(linear), None, None))
        return rows

    def _layer(self, layer: int) -> ConvolutionLayer:
        if not 1 <= layer <= self.num_layers:
            raise ValueError(f"layer {layer} is not one of 1 to {self.num_layers}")
        return cast("ConvolutionLayer", self.layers[layer - 1])

    def _upto(self, x: Tensor, mask: Tensor, num_layers: int) -> tuple[Tensor, Tensor]:
        x = x.contiguous(memory_format=torch.channels_last_3d) * mask
        for module in list(self.layers)[:num_layers]:
            x, mask = self.run(module, x, mask)
        return x, mask
