"""Networks and how they are trained."""

import math
from collections.abc import Mapping
from itertools import product
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from decar.config.section import Count, Name, Positive, Section
from decar.errors import ConfigError

Augmentation = Literal["none", "rotations_6", "rotations_24", "continuous"]


class TaskSettings(Section):
    """A property that a network learns beside `training.property`; kind and unit are those of `molecules.labels`."""

    weight: Positive = Field(1.0, description="Weight of each of its labels in the loss, against 1.")


class PretrainingSettings(Section):
    """Before the labels, fields alone: hidden cubes of a molecule are filled in (docs/transfer.md)."""

    epochs: Count = Field(20, description="Epochs, over unlabelled molecules and those of the training subset.")
    masked_share: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.3, description="Share of a molecule's cells (those of the network's last layer) that is hidden."
    )
    cube_angstrom: Positive = Field(
        2.4, description="Edge of a hidden cube [angstrom], rounded to whole cells, one at least."
    )


# Settings of a model that came later, by the value at which they leave the names of trainings as they were.
LATER_SETTINGS = {
    "readout": "last", "stop_by": "loss", "pretraining": None, "learning_rate": None, "weight_decay": None,
    "kernel_diameters_angstrom": None,
}  # fmt: skip
# Settings of a model that no benchmark tunes: with another value it is another network, not the same one better set.
NOT_TUNED = {"fields", "input", "tasks", "initial", "role", "permuted_labels"}
# Taps an axis that hold the radial functions of a `steerable` network: in its first layer, which takes steps of two
# voxels, and in the others. Those of kernel_size: 5.
LEAST_FIRST_TAPS, LEAST_TAPS = 8, 5


class ModelSettings(Section):
    """One network: which fields it sees and how large it is."""

    architecture: Literal["published", "residual", "steerable"] = Field(
        "published",
        description="`published`: three convolution + pooling layers (arXiv 2305.17958), the one that `interpret` "
        "explains. `residual`: with a path around each layer. `steerable`: its prediction stays when the "
        "molecule turns. See docs/networks.md.",
    )
    fields: tuple[str, ...] = Field(("electron_density",), min_length=1, description="Input channels.")
    input: Literal["shards", "rendered"] = Field(
        "shards",
        description="`shards`: stored voxels; `rendered`: voxels rendered from the wavefunction for each batch, in a "
        "pose of its own.",
    )
    augmentation: Augmentation | None = Field(
        None, description="That of this network, or null for `training.augmentation`; `continuous` needs `rendered`."
    )
    channels: tuple[Count, ...] = Field((8, 16, 32), min_length=1, description="Kernels of each convolution layer.")
    kernel_size: Annotated[int, Field(ge=1)] = Field(5, description="Edge of a kernel in voxels; odd.")
    kernel_diameters_angstrom: tuple[Positive, ...] | None = Field(
        None,
        description="`steerable`: diameter of the kernels of each layer [angstrom], in place of `kernel_size`: the "
        "same kernels at any spacing that holds them. `kernel_size: 5` at a spacing h has 8 h, 10 h, 20 h, ...; half "
        "as much again keeps what sampling changes small (docs/networks.md). Null: kernels of `kernel_size` voxels.",
    )
    pooling: Literal["max", "average"] = Field(
        "max", description="Pooling after each convolution, by 2 along each axis."
    )
    max_degree: Annotated[int, Field(ge=0, le=3)] = Field(
        2, description="`steerable`: highest degree of its tensors (0 scalars, 1 vectors, 2 quadrupoles)."
    )
    chiral: bool = Field(
        False, description="`steerable`: tell mirror images apart; takes three layers and `max_degree` of 1 at least."
    )
    readout: Literal["last", "all"] = Field(
        "last",
        description="`steerable`: whose averages the head reads: those of the scalars of the `last` layer, or of the "
        "scalars and the lengths of the other tensors of `all` layers.",
    )
    hidden: Count = Field(32, description="Width of the fully connected layer before the output.")
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(0.2, description="Dropout before the output.")
    standardised: bool = Field(
        False,
        description="The hidden layer sees inputs of mean 0 and variance 1 over the training molecules, as they are "
        "before training (those of `initial` stay).",
    )
    stop_by: Literal["loss", "auroc"] = Field(
        "loss",
        description="What the validation molecules choose the kept epoch by: the lowest `loss`, or the highest `auroc` "
        "of `training.property`, which comes later: a better order, bolder probabilities (docs/benchmark.md).",
    )
    learning_rate: Positive | None = Field(
        None, description="Peak learning rate of this network, or null for `training.learning_rate`."
    )
    weight_decay: Annotated[float, Field(ge=0)] | None = Field(
        None, description="Weight decay of this network, or null for `training.weight_decay`."
    )
    checkpointing: bool = Field(
        False,
        description="Keep no intermediate of a layer for its gradient, but compute it once more: less memory, a third "
        "more time, the same numbers.",
    )
    tasks: dict[Name, TaskSettings] = Field(
        default_factory=dict,
        description="Further properties that the network learns beside `training.property`; missing labels are masked.",
    )
    initial: str | None = Field(
        None,
        description="Model package to begin with instead of random weights; `{scheme}` and `{fold}` stand for those of "
        "the job, a last `*` for a hash. See docs/transfer.md.",
    )
    frozen: tuple[str, ...] = Field(
        (),
        description="Parts of the network (`layer1`, ..., `hidden`) that keep the weights that they begin with: those "
        "of `initial` or `pretraining`, or random ones.",
    )
    pretraining: PretrainingSettings | None = Field(
        None,
        description="Learn from fields alone before the labels, with molecules that have none, or null. Not beside "
        "`initial`.",
    )
    role: Literal["model", "control"] = Field(
        "model",
        description="`control`: geometry alone, or permuted labels; drawn and named as such in tables and figures.",
    )
    permuted_labels: bool = Field(
        False,
        description="Train on labels permuted among the molecules of the training and of the validation subset (seeded "
        "from the study); those of the test subset stay true. What such a network shows was not learned from labels.",
    )

    def variants(self, values: Mapping[str, tuple[Any, ...]]) -> list[Self]:
        """Return the network with every combination of these values of settings, the last setting fastest.

        Raises pydantic's ValidationError for a setting or a value that there is not.
        """
        own = self.model_dump()
        return [type(self).model_validate({**own, **dict(zip(values, one))}) for one in product(*values.values())]

    @model_validator(mode="after")
    def _one_beginning(self) -> Self:
        if self.initial is not None and self.pretraining is not None:
            raise ValueError("a network begins with `initial` or with `pretraining`: leave one of them out (the network"
                             " that `initial` names may have been pretrained)")  # fmt: skip
        return self

    @model_validator(mode="after")
    def _odd_kernel(self) -> Self:
        if self.kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd, so that a kernel has a central voxel, not {self.kernel_size}")
        if self.architecture == "steerable" and self.kernel_size < 5:
            raise ValueError(f"kernel_size of a steerable network must be 5 or more, not {self.kernel_size}: smaller "
                             "ones cannot hold its radial functions")  # fmt: skip
        return self

    @model_validator(mode="after")
    def _pseudoscalars(self) -> Self:
        # The first layer has true tensors alone, the second pseudovectors: only the third has pseudoscalars.
        if self.architecture == "steerable" and self.chiral and (len(self.channels) < 3 or self.max_degree == 0):
            raise ValueError(
                "a chiral network takes three layers and max_degree 1 at least, not "
                f"{len(self.channels)} and {self.max_degree}: it would not tell mirror images apart"
            )
        return self

    @model_validator(mode="after")
    def _a_diameter_a_layer(self) -> Self:
        given = self.kernel_diameters_angstrom
        if given is not None and self.architecture != "steerable":
            raise ValueError("kernel_diameters_angstrom is a setting of a `steerable` network: leave it out of a "
                             f"`{self.architecture}` one, whose kernels are of kernel_size voxels")  # fmt: skip
        if given is not None and len(given) != len(self.channels):
            raise ValueError("kernel_diameters_angstrom must say one diameter for each layer of `channels`: "
                             f"{len(self.channels)}, not {len(given)}")  # fmt: skip
        return self

    def kernel_taps(self, spacing_angstrom: float, where: str = "training.models") -> list[int]:
        """Return the fewest taps an axis that hold the kernels of each layer, by `kernel_diameters_angstrom`.

        An even number in the first layer, whose taps stand between voxels, odd ones in the others. Raises ConfigError
        where a kernel is too small for its voxels.
        """
        found = []
        for number, diameter in enumerate(self.kernel_diameters_angstrom or ()):
            edge = spacing_angstrom * 2**number  # of the layer's voxels
            radius = diameter / (2 * edge) - 1e-9  # a tap on the sphere itself, but for rounding, is zero
            taps, least = 2 * math.ceil(radius - 0.5), LEAST_FIRST_TAPS
            if number:
                taps, least = 2 * math.ceil(radius) - 1, LEAST_TAPS
            if taps < least:
                raise ConfigError(
                    f"kernels of layer {number + 1} are too small for the spacing: {taps} taps an axis",
                    where=f"{where}: kernel_diameters_angstrom",
                    seen=f"{diameter} angstrom at fields.spacing_angstrom: {spacing_angstrom:g}, "
                    f"voxels of {edge:g} angstrom in this layer",
                    expected=f"more than {(least - 1) * edge:g} angstrom ({least} taps)",
                    remedy="take a larger diameter or a finer spacing",
                )
            found.append(taps)
        return found


class TrainingSettings(Section):
    """How the networks are trained: one job a model and fold, DDP over its processes."""

    property: Name = Field(description="The label that is learned, `binary` or a `regression`.")
    models: dict[Name, ModelSettings] = Field(min_length=1, description="Model name: its network.")
    max_epochs: Count = Field(100, description="Epochs at most.")
    patience: Count = Field(15, description="Epochs without a better validation loss before training stops.")
    batch_size: Count = Field(16, description="Samples a step, over all processes together.")
    samples_at_a_time: Count | None = Field(
        None,
        description="Samples that a process takes through the network at a time, or null for its whole share of a "
        "batch. Their gradients add up to those of the batch; each is computed once more on the way back.",
    )
    precision: Literal["float32", "bfloat16"] = Field(
        "float32",
        description="Numbers of the layers: `bfloat16` is mixed precision (weights, norms and losses stay float32), "
        "for GPUs; most CPUs are slower with it.",
    )
    learning_rate: Positive = Field(1e-3, description="Peak learning rate of AdamW.")
    weight_decay: Annotated[float, Field(ge=0)] = Field(1e-2, description="Weight decay of AdamW.")
    augmentation: Augmentation = Field(
        "rotations_6",
        description="Proper rotations of a training sample: none, six or all 24 of the cube, or `continuous`: any "
        "rotation and a shift by up to half a voxel.",
    )
    class_weights: bool = Field(True, description="Weigh the classes of the loss inversely to their frequency.")
    nodes: Count = Field(1, description="Nodes of one training job; more than one needs a cluster.")
    gpus_per_node: Annotated[int, Field(ge=0)] = Field(
        0, description="GPUs of each node, a process each (NCCL); 0 trains on CPU (gloo)."
    )
    processes_per_node: Count = Field(1, description="Processes of each node: one a GPU, any number on CPU.")
    threads: Count = Field(1, description="CPU threads of each training process.")
    num_workers: Annotated[int, Field(ge=0)] = Field(
        0, description="Processes beside each training process that read its next batches; 0: it reads them itself."
    )
    checkpoint_minutes: Positive = Field(
        10.0, description="Time between checkpoints within an epoch: what a training that is killed loses at most."
    )

    @model_validator(mode="after")
    def _a_process_a_gpu(self) -> Self:
        if self.gpus_per_node not in {0, self.processes_per_node}:
            raise ValueError(
                f"training.processes_per_node must be gpus_per_node ({self.gpus_per_node}), a process a GPU, "
                f"not {self.processes_per_node}"
            )
        return self

    @model_validator(mode="after")
    def _continuous_is_rendered(self) -> Self:
        for name, model in self.models.items():
            if not self.can_turn(model):
                raise ValueError(f"training.models.{name}: stored voxels cannot turn by any angle; set input: rendered")
        return self

    def augmentation_of(self, model: ModelSettings) -> Augmentation:
        """Return how the training samples of a network are turned."""
        return model.augmentation or self.augmentation

    def can_turn(self, model: ModelSettings) -> bool:
        """Return whether the input of a network can be turned as it shall be."""
        return model.input == "rendered" or self.augmentation_of(model) != "continuous"

    def of_model(self, model: ModelSettings) -> Self:
        """Return these settings with what the network has of its own: learning rate, weight decay."""
        own = {"learning_rate": model.learning_rate, "weight_decay": model.weight_decay}
        return self.model_copy(update={name: value for name, value in own.items() if value is not None})
