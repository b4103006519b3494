"""What training, package, explanation and figures may ask of a network, whatever its architecture."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from decar.config import ModelSettings

OUTPUT_SCALE = 0.1  # of the first weights of the output: a network that knows nothing says little


class Network(nn.Module, ABC):
    """Maps the boxes of molecules to `num_outputs` numbers each; `num_inputs` is the number of input channels."""

    # What is true of the prediction when the molecule is turned, in words, for the model card.
    symmetry = "none built in; rotations are learned from rotated samples"
    # Names of the parts that `head` uses; `readout` uses the others.
    head_parts = ("hidden", "output")

    def __init__(self, settings: ModelSettings, spacing_bohr: float, num_inputs: int, num_outputs: int) -> None:
        super().__init__()
        self.settings = settings
        self.spacing_bohr = spacing_bohr
        self.num_inputs = num_inputs
        self.num_outputs = num_outputs

    @property
    @abstractmethod
    def total_stride(self) -> int:
        """Return the edge of an output voxel in input voxels. Boxes are padded to multiples of it."""

    def initialise(self, seed: int) -> None:
        """Draw the weights anew (He, doi 10.1109/ICCV.2015.123) from a generator of this seed; biases are zero.

        Those of the last part, the output, are OUTPUT_SCALE of that: the first predictions are close to 1/2.
        """
        generator = torch.Generator().manual_seed(seed)
        output = list(self.parts().values())[-1]
        with torch.no_grad():
            for module in self.modules():
                if isinstance(module, nn.Conv3d | nn.Linear):
                    gain = math.sqrt(2.0 / module.weight[0].numel()) * (OUTPUT_SCALE if module is output else 1.0)
                    module.weight.copy_(torch.randn(module.weight.shape, generator=generator) * gain)
                    if module.bias is not None:
                        module.bias.zero_()

    @property
    @abstractmethod
    def num_features(self) -> int:
        """Return the number of features of `feature_map`."""

    @abstractmethod
    def feature_map(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """x [batch, channel, x, y, z], mask [batch, 1, x, y, z] -> features of the last layer, and their mask.

        Both are on cells of `total_stride` voxels. Features turn as `symmetry` says: they are scalars where the
        prediction does not change with the molecule's orientation.
        """

    @abstractmethod
    def readout(self, x: Tensor, mask: Tensor) -> Tensor:
        """x [batch, channel, x, y, z], mask [batch, 1, x, y, z] -> what the head reads of a box, [batch, number]."""

    @abstractmethod
    def head(self, read: Tensor, keep: Tensor | None = None) -> Tensor:
        """Return outputs [batch, num_outputs] from a readout; `keep` [batch, hidden] multiplies the hidden layer."""

    def forward(self, x: Tensor, mask: Tensor, keep: Tensor | None = None) -> Tensor:
        """x [batch, channel, x, y, z], mask [batch, 1, x, y, z] -> [batch, num_outputs].

        What lies outside the mask is not seen.
        `keep` [batch, hidden] multiplies the hidden layer: dropout, drawn by whoever trains; the network itself has no
        random numbers and is the same in training and in use.
        """
        return self.head(self.readout(x, mask), keep)

    def run(self, layer: nn.Module, *inputs: Tensor) -> Any:
        """Return layer(*inputs); in training with `settings.checkpointing` only the inputs are kept for the gradient.

        What happens inside the layer is then computed once more on the way back.
        """
        if self.settings.checkpointing and self.training and torch.is_grad_enabled():
            return checkpoint(layer, *inputs, use_reentrant=False, preserve_rng_state=False)
        return layer(*inputs)

    def outputs_and_activities(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return forward(x, mask) and what the last of its parts was given, [batch, hidden]: a molecule's coordinates.

        For a network that is not in training.
        """
        given: list[Tensor] = []
        last = list(self.parts().values())[-1]
        handle = last.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
        try:
            outputs = self(x, mask)
        finally:
            handle.remove()
        return outputs, given[0].flatten(1)

    @abstractmethod
    def parts(self) -> Mapping[str, nn.Module]:
        """Return the parts that hold all weights, by name, from input to output: gradient norms go by them.

        The last one makes the outputs from the last hidden layer.
        """

    @abstractmethod
    def describe(self) -> list[dict[str, object]]:
        """Return a row a part, in order: layer, kind, shape of the weights, parameters, edges in bohr."""


def count_parameters(module: nn.Module) -> int:
    """Return the number of learned numbers."""
    return sum(parameter.numel() for parameter in module.parameters())


def describe_part(
    name: str, shape: Sequence[int], parameters: int, kernel_bohr: float | None, field_bohr: float | None
) -> dict[str, object]:
    """Return a row of `Network.describe`."""
    return {
        "layer": name, "shape": "x".join(str(size) for size in shape), "parameters": parameters,
        "kernel_edge_bohr": kernel_bohr, "receptive_field_bohr": field_bohr,
    }  # fmt: skip
