"""The study file: one strict schema. Every default, range and unit of the project stands here and nowhere else.

`config/README.md` and `config/schema.json` are generated from it (`decar config --write`), and a test keeps them equal.
"""

import math
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from decar.errors import ConfigError

Positive = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Colour = Annotated[str, Field(pattern=r"^#[0-9A-Fa-f]{6}$")]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_\-]*$")]


class Section(BaseModel):
    """A frozen part of the study file that refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class LabelSettings(Section):
    """One property of the molecules, read from a column of the table; an empty cell is a missing value."""

    column: str = Field(description="Column of the table that holds the values.")
    kind: Literal["binary", "multiclass", "regression", "category"] = Field(
        "binary",
        description="What the values are. A `category` is any text (a source, a series); it is not learned, but holds "
        "molecules together in a split of the benchmark.",
    )
    unit: str | None = Field(None, description="Unit of a regression property, for axes and tables.")


class MoleculesSettings(Section):
    """Which molecules: the table, its columns, and what is done to a structure before it is identified."""

    table: Path = Field(
        description="CSV, SMI or SDF file; an SDF with 3D coordinates skips conformers and optimisation."
    )
    id_column: str = Field("id", description="Column with the user's own identifier; must be unique.")
    name_column: str | None = Field("name", description="Column with a readable name, or null.")
    smiles_column: str = Field("smiles", description="Column with the SMILES.")
    multiplicity_column: str | None = Field(
        None, description="Column with the spin multiplicity 2S+1; without it the lowest one is taken."
    )
    labels: dict[Name, LabelSettings] = Field(default_factory=dict, description="Property name: where it is read from.")
    protonation: Literal["as_given", "neutral"] = Field(
        "neutral", description="`neutral`: charges of the parent are removed where protons allow it; `as_given`: kept."
    )
    on_conflict: Literal["drop_label", "error"] = Field(
        "drop_label", description="What happens when two rows of one molecule carry different labels."
    )


class ConformersSettings(Section):
    """ETKDG v3 embedding, MMFF94s relaxation, pruning by RMSD, ranking by energy."""

    num_embeddings: Count = Field(20, description="Conformers embedded with ETKDG v3 (doi 10.1021/acs.jcim.0c00025).")
    rmsd_angstrom: Positive = Field(0.5, description="Heavy-atom RMSD below which two conformers are the same one.")
    ranking: Literal["gfn2-xtb", "mmff"] = Field("gfn2-xtb", description="Energy that ranks the conformers.")
    num_ranked: Count = Field(5, description="Conformers of lowest MMFF energy that are ranked with GFN2-xTB.")
    num_kept: Count = Field(1, description="Conformers of a molecule that go on; each is a sample of weight 1/k.")


class OptimiseSettings(Section):
    """Geometry optimisation, driven by geomeTRIC for every method (doi 10.1063/1.4952956)."""

    methods: tuple[Literal["mmff", "gfn2-xtb", "dft"], ...] = Field(
        ("gfn2-xtb",), description="Methods in order, each starting from the geometry of the one before; [] for none."
    )
    solvent: str | None = Field(
        None, description="ALPB solvent of GFN2-xTB (such as water), or null for the gas phase."
    )
    dispersion: Literal["d3bj"] | None = Field(
        "d3bj", description="Dispersion added to a `dft` optimisation: D3(BJ) (doi 10.1002/jcc.21759), or null."
    )
    max_steps: Count = Field(300, description="Steps of each method before the optimisation counts as not converged.")
    convergence: Literal["loose", "normal", "tight"] = Field(
        "normal", description="geomeTRIC criteria: GAU_LOOSE, GAU or GAU_TIGHT."
    )
    frame: Literal["principal_axes", "as_given"] = Field(
        "principal_axes", description="Orientation of the final geometry: principal axes of inertia, or untouched."
    )


class QuantumSettings(Section):
    """The level of theory of the wavefunction, and the engine that computes it."""

    backend: Literal["pyscf", "psi4"] = Field("pyscf", description="Quantum-chemistry engine.")
    device: Literal["cpu", "cuda"] = Field(
        "cpu", description="Where PySCF's SCF runs; `cuda` needs GPU4PySCF. Decides no number beyond rounding."
    )
    psi4_command: str | None = Field(
        None, description="Program that runs Psi4, or null for the `psi4` on PATH; decides no number."
    )
    scratch: Path | None = Field(
        None, description="Folder for the files of a running Psi4, or null for TMPDIR; it is emptied afterwards."
    )
    time_limit_minutes: Positive = Field(
        720.0, description="Time that a call of Psi4 may take before it counts as hung and is stopped."
    )
    method: str = Field("b3lyp", description="`hf` or a density functional (b3lyp is the VWN-RPA form of Gaussian).")
    basis: str = Field("6-31g*", description="Orbital basis set.")
    cartesian: bool = Field(True, description="Six Cartesian d functions (true) or five spherical ones (false).")
    fitting_basis: str | None = Field(
        "def2-universal-jkfit", description="Basis of density fitting, or null for exact integrals."
    )
    quadrature_level: Annotated[int, Field(ge=0, le=9)] = Field(
        2, description="PySCF grid level of the final quadrature."
    )
    convergence_hartree: Positive = Field(1e-6, description="Energy change at which the SCF is converged.")
    max_cycles: Count = Field(60, description="SCF cycles of one attempt of the rescue ladder.")
    solvent_dielectric: Positive | None = Field(None, description="Dielectric constant of C-PCM, or null for gas.")


class FieldsSettings(Section):
    """Which fields are computed, and on which voxel grid. Nothing is ever resized: the spacing is exactly this."""

    names: tuple[str, ...] = Field(
        ("electron_density", "promolecular_density"),
        min_length=1,
        description="Fields of the registry (`decar doctor`).",
    )
    spacing_angstrom: Positive = Field(0.35, description="Edge of a voxel, the same along x, y and z.")
    padding_angstrom: Annotated[float, Field(ge=0)] = Field(
        3.0, description="Least distance from a nucleus to the face of the box."
    )
    box: Literal["molecule"] | tuple[Count, Count, Count] = Field(
        "molecule", description="`molecule` (its extent and the padding), or a fixed number of voxels [nx, ny, nz]."
    )
    storage: Literal["float32", "float16"] = Field("float32", description="Number format of stored voxels.")
    write_cubes: bool = Field(False, description="Also write Gaussian cube files to results/<study>/cubes/.")


class SplitSettings(Section):
    """Cross-validation folds; members of one split group (first block of the InChIKey) never part."""

    scheme: Literal["random", "scaffold"] = Field(
        "random", description="`random` by group, or `scaffold`: molecules of one Murcko scaffold stay together."
    )
    num_folds: Annotated[int, Field(ge=2)] = Field(5, description="Folds; each molecule is tested once.")
    validation_fraction: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.2, description="Share of the groups outside the test fold that stops training and picks the checkpoint."
    )


class DatasetSettings(Section):
    """Sharded HDF5: the molecules of one hash prefix share a file."""

    num_shards: Count = Field(16, description="Number of shards; a power of two.")
    splits: tuple[SplitSettings, ...] = Field(
        (SplitSettings(),), min_length=1, description="Splits that every model and baseline is evaluated on."
    )

    @model_validator(mode="after")
    def _power_of_two(self) -> Self:
        if self.num_shards & (self.num_shards - 1):
            raise ValueError(f"num_shards must be a power of two, not {self.num_shards}")
        if len({split.scheme for split in self.splits}) < len(self.splits):
            raise ValueError("each split scheme may stand only once")
        return self


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

    property: Name = Field(description="The label that is learned.")
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


class EvaluateSettings(Section):
    """Metrics with intervals, beside baselines on the same folds."""

    baselines: tuple[
        Literal[
            "lightgbm_ecfp4",
            "lightgbm_ecfp4_descriptors",
            "atom_counts",
            "tuned_lssvm_descriptors",
            "tuned_random_forest",
            "tuned_lightgbm",
            "tuned_lightgbm_atom_counts",
        ],
        ...,
    ] = Field(("lightgbm_ecfp4", "atom_counts"), description="Models on the same folds that see no electron cloud.")
    num_bootstrap: Count = Field(1000, description="Bootstrap resamples (by molecule) of each interval.")
    confidence: Annotated[float, Field(gt=0, lt=1)] = Field(0.95, description="Coverage of the intervals.")


class BenchmarkSplit(Section):
    """Folds of `decar benchmark`: who stays together, how many folds, who stops the training."""

    scheme: Literal["random", "scaffold", "cluster", "column"] = Field(
        "random",
        description="`random` by group; `scaffold` (Murcko); `cluster` (Butina on ECFP4, doi 10.1021/ci9803381); "
        "`column`: molecules with one value of a property stay together.",
    )
    column: Name | None = Field(
        None, description="For `column`: a property of molecules.labels, such as a year or a `category`."
    )
    cluster_distance: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.6, description="For `cluster`: Tanimoto distance from a cluster's centre to its members at most."
    )
    num_folds: Annotated[int, Field(ge=2)] = Field(5, description="Folds; each molecule is tested once a seed.")
    validation_fraction: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.2, description="Share of the groups outside the test fold that stops training and tunes the baselines."
    )


class BenchmarkSettings(Section):
    """`decar benchmark`: every network against baselines and controls on the same folds (docs/benchmark.md)."""

    splits: dict[Name, BenchmarkSplit] = Field(
        {
            "random": BenchmarkSplit(),
            "scaffold": BenchmarkSplit(scheme="scaffold"),
            "cluster": BenchmarkSplit(scheme="cluster"),
        },
        min_length=1,
        description="Split name: its folds.",
    )
    num_seeds: Count = Field(1, description="Seeds of folds, weights and order; the first one is the study's own.")
    train_shares: tuple[Annotated[float, Field(gt=0, le=1)], ...] = Field(
        (1.0,), min_length=1, description="Shares of the training and validation molecules: growth with data."
    )
    networks: tuple[Name, ...] | None = Field(None, description="Names of training.models; null: all of them.")
    baselines: tuple[
        Literal[
            "tuned_lssvm_descriptors",
            "tuned_lightgbm",
            "tuned_random_forest",
            "tuned_lightgbm_atom_counts",
            "lightgbm_ecfp4",
            "lightgbm_ecfp4_descriptors",
            "atom_counts",
            "chemprop",
            "tuned_chemprop",
        ],
        ...,
    ] = Field(
        (
            "tuned_lssvm_descriptors",
            "tuned_lightgbm",
            "tuned_random_forest",
            "tuned_lightgbm_atom_counts",
            "tuned_chemprop",
        ),
        description="Rivals; one that is not installed is left out, and the result says so.",
    )
    permuted: tuple[Name, ...] = Field(
        (), description="Networks and baselines that run on permuted training labels, too: they must not beat a coin."
    )
    ensembles: dict[Name, Annotated[int, Field(ge=2)]] = Field(
        {},
        description="Network: how many of it, of other first weights and orders, are trained on each fold; the "
        "contender `NAME_ensemble` is the mean of their probabilities.",
    )
    tuned: dict[Name, dict[str, Annotated[tuple[Any, ...], Field(min_length=1)]]] = Field(
        {},
        description="Network: values of settings of its `training.models` entry. Each combination is trained on each "
        "fold; the contender `tuned_NAME` is the one of highest AUROC on the validation molecules.",
    )
    chemprop_command: str | None = Field(
        None, description="Chemprop's program (workflow/envs/chemprop.yaml), or null for the `chemprop` on PATH."
    )

    @property
    def has_growth(self) -> bool:
        """Return whether contenders are trained on less than all training molecules, too."""
        return min(self.train_shares) < 1

    @model_validator(mode="after")
    def _a_column_for_the_column(self) -> Self:
        for name, split in self.splits.items():
            if (split.scheme == "column") != (split.column is not None):
                raise ValueError(f"benchmark.splits.{name}: scheme `column` and a column go together")
        return self


class InterpretSettings(Section):
    """Kernel correlation (arXiv 2305.17958): the published explanation, by class."""

    model: Name = Field(description="Name of the model that is explained.")
    scheme: Literal["random", "scaffold"] = Field(
        "random", description="Split whose first fold's network is explained."
    )
    rotations: Literal[1, 6, 24] = Field(24, description="Proper rotations over which a correlation is maximised.")
    rotated: Literal["molecule", "kernel"] = Field(
        "molecule",
        description="What is rotated: the `molecule` before the network (invariant under its rotation), "
        "or the last `kernel` alone.",
    )
    min_patch_variance: Annotated[float, Field(ge=1e-6, lt=1)] = Field(
        0.1,
        description="Least variance of a patch that counts, as a share of the molecule's largest: "
        "fainter ones are vacuum.",
    )
    permuted_control: Name | None = Field(
        None,
        description="Model of the same network that was trained on permuted labels: what its kernels show as well "
        "is no property of the classes. Null for none.",
    )


class AttributionSettings(Section):
    """Where the explained networks look: attributions on the field, summed to atoms and functional groups."""

    num_molecules: Count = Field(
        10, description="Molecules that are looked at: figures.example, then both classes in turn, in order of key."
    )
    methods: tuple[Literal["integrated_gradients", "occlusion", "grad_cam"], ...] = Field(
        ("integrated_gradients", "occlusion", "grad_cam"), min_length=1, description="How (docs/explanation.md)."
    )
    num_steps: Annotated[int, Field(ge=4)] = Field(
        24, description="Points of the integral of integrated gradients; its error is stored with each attribution."
    )
    num_rotations: Annotated[int, Field(ge=1, le=6)] = Field(
        3, description="Orientations of a molecule that are compared with each other."
    )
    num_seeds: Count = Field(
        1,
        description="Trainings of the explained network on the first fold, from other weights and in another order, "
        "whose attributions are compared; those beyond the first are for this alone.",
    )


class FiguresSettings(Section):
    """Figures and the report."""

    example: str = Field(description="Identifier (id column) of the molecule drawn as structure and electron cloud.")
    isovalue: Positive = Field(0.002, description="Electron density of the drawn surface [e/bohr^3].")
    formats: tuple[Literal["svg", "png", "pdf"], ...] = Field(("svg", "pdf", "png"), description="File formats.")
    dots_per_inch: Count = Field(200, description="Resolution of PNG figures.")
    positive_colour: Colour = Field(
        "#D55E00", description="Colour of the positive class (colour-blind safe by default)."
    )
    negative_colour: Colour = Field("#0072B2", description="Colour of the negative class.")
    positive_name: str = Field("positive", description="Name of the positive class in figures.")
    negative_name: str = Field("negative", description="Name of the negative class in figures.")


class WorkflowSettings(Section):
    """How the work is cut into jobs."""

    batch_size: Count = Field(
        1, description="Molecules of one job at most about (cut by hash prefix); 1: a job a molecule and stage."
    )
    max_failed_share: Fraction = Field(0.2, description="Share of failed molecules above which the run fails.")


class ContributionSettings(Section):
    """Who gives records and models away, and on what terms: kept in every one of them, deciding no number."""

    contributor: str | None = Field(None, description="Name or ORCID of who computed the records, or null.")
    licence: str | None = Field(None, description="SPDX identifier of their licence (such as CC-BY-4.0), or null.")


def _is_the_same_network(models: dict[str, ModelSettings], explained: str, control: str) -> None:
    """Raise ValueError unless `control` is the explained network but for its permuted labels."""
    own, other = ({**models[name].model_dump(), "role": None} for name in (explained, control))
    differing = sorted(name for name, value in own.items() if other[name] != value)
    if differing != ["permuted_labels"]:
        raise ValueError(
            f"interpret.permuted_control must be {explained!r} with permuted_labels: true and nothing else changed, "
            f"but {control!r} differs in {differing or 'nothing'}"
        )


class Study(Section):
    """A study: everything that decides its results."""

    study: Name = Field(description="Name of the study; its results lie in <results>/<study>/.")
    seed: Annotated[int, Field(ge=0)] = Field(2305, description="Seed from which every other seed is derived.")
    results: Path = Field(Path("results"), description="Folder of all results.")
    store: Path = Field(Path("results/store"), description="Records, shared by all studies, named by their recipes.")
    molecules: MoleculesSettings
    conformers: ConformersSettings = ConformersSettings()
    optimise: OptimiseSettings = OptimiseSettings()
    quantum: QuantumSettings = QuantumSettings()
    fields: FieldsSettings = FieldsSettings()
    dataset: DatasetSettings = DatasetSettings()
    training: TrainingSettings
    evaluate: EvaluateSettings = EvaluateSettings()
    benchmark: BenchmarkSettings = BenchmarkSettings()
    interpret: InterpretSettings
    attribution: AttributionSettings = AttributionSettings()
    figures: FiguresSettings
    workflow: WorkflowSettings = WorkflowSettings()
    contribution: ContributionSettings = ContributionSettings()

    @property
    def folder(self) -> Path:
        """Return `<results>/<study>`."""
        return self.results / self.study

    @model_validator(mode="after")
    def _benchmark_agrees(self) -> Self:
        models = set(self.training.models)
        for key in ("networks", "ensembles", "tuned"):
            unknown = sorted(set(getattr(self.benchmark, key) or ()) - models)
            if unknown:
                raise ValueError(f"benchmark.{key} has {unknown}, but training.models has {sorted(models)}")
        for name, values in self.benchmark.tuned.items():
            self._check_tuned(name, values)
        unknown = sorted(set(self.benchmark.permuted) - models - set(self.benchmark.baselines))
        if unknown:
            raise ValueError(f"benchmark.permuted has {unknown}, which is no network and none of benchmark.baselines")
        for name, split in self.benchmark.splits.items():
            if split.column is not None and split.column not in self.molecules.labels:
                raise ValueError(
                    f"benchmark.splits.{name}.column is {split.column!r}, "
                    f"but molecules.labels has {sorted(self.molecules.labels)}"
                )
        return self

    def _check_tuned(self, name: str, values: Mapping[str, tuple[Any, ...]]) -> None:
        where = f"benchmark.tuned.{name}"
        fixed = sorted(NOT_TUNED & set(values))
        if fixed:
            raise ValueError(f"{where} has {fixed}: that makes another network, which training.models can name")
        try:
            found = self.training.models[name].variants(values)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, (where, *first["loc"])))
            raise ValueError(f"{place}: {first['msg']} (got {first['input']!r})") from error
        for one in found:
            one.kernel_taps(self.fields.spacing_angstrom, where)
        if not all(map(self.training.can_turn, found)):
            raise ValueError(f"{where}.augmentation: stored voxels cannot turn by any angle; set input: rendered")

    @model_validator(mode="after")
    def _names_agree(self) -> Self:
        if self.training.property not in self.molecules.labels:
            raise ValueError(
                f"training.property is {self.training.property!r}, "
                f"but molecules.labels has {sorted(self.molecules.labels)}"
            )
        kind = self.molecules.labels[self.training.property].kind
        if kind != "binary":
            raise ValueError(
                f"training.property {self.training.property!r} is {kind}; only binary ones are learned yet"
            )
        for name, model in self.training.models.items():
            missing = sorted(set(model.fields) - set(self.fields.names))
            learnable = {key for key, label in self.molecules.labels.items() if label.kind != "category"}
            unknown = sorted(set(model.tasks) - (learnable - {self.training.property}))
            if unknown:
                raise ValueError(
                    f"training.models.{name}.tasks has {unknown}, but further properties are of molecules.labels "
                    f"(categories are not learned): {sorted(learnable - {self.training.property})}"
                )
            model.kernel_taps(self.fields.spacing_angstrom, f"training.models.{name}")
            if missing:
                raise ValueError(f"training.models.{name}.fields has {missing}, which fields.names does not compute")
        if self.interpret.model not in self.training.models:
            raise ValueError(
                f"interpret.model is {self.interpret.model!r}, but training.models has {sorted(self.training.models)}"
            )
        explained = self.training.models[self.interpret.model].architecture
        if explained != "published":
            raise ValueError(
                f"interpret.model {self.interpret.model!r} is of architecture {explained!r}, but only the kernels of a "
                "`published` one can be correlated with fields: name such a model there"
            )
        control = self.interpret.permuted_control
        if control is not None and control not in self.training.models:
            raise ValueError(
                f"interpret.permuted_control is {control!r}, but training.models has {sorted(self.training.models)}"
            )
        if control is not None:
            _is_the_same_network(self.training.models, self.interpret.model, control)
        if self.interpret.scheme not in {split.scheme for split in self.dataset.splits}:
            raise ValueError(f"interpret.scheme is {self.interpret.scheme!r}, which dataset.splits does not have")
        return self
