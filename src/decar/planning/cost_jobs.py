"""What a job asks the scheduler for: memory of its largest molecule, time of all its molecules, with a margin.

The plan computes these numbers once for every batch, from arrays; a rule only looks its batch up and multiplies by
`attempt`. Time: a slower processor, another load, an SCF that takes the rescue ladder; memory: what a scheduler counts
beside the resident set.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from decar.config import ModelSettings, Study
from decar.planning.cost_model import Costs, constants, predict, stage_costs
from decar.planning.cost_sizes import MoleculeSizes, molecule_sizes
from decar.planning.cost_steps import attribution_passes, dataset_memory, pass_terms, step_terms
from decar.stages import MOLECULE_STAGES

MEMORY_MARGIN, MEMORY_SPARE_MB, MEMORY_STEP_MB = 1.25, 300.0, 100.0
TIME_MARGIN, SLOWEST_MARGIN, TIME_SPARE_MINUTES = 2.0, 4.0, 10.0
LEAST_MB, SMALL_STEP_MINUTES = 2000, 30

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Demand:
    """What one job asks for in its first attempt."""

    mem_mb: int
    runtime: int  # minutes


def sizes_for(study: Study, formulas: Iterable[str]) -> MoleculeSizes:
    """Return the sizes of molecules with these formulas under the settings of a study."""
    return molecule_sizes(formulas, study.quantum, study.fields, constants()["extents_angstrom"])


def batch_demands(study: Study, formulas: Iterable[str] | pa.ChunkedArray, starts: Sequence[int]) -> Integers:
    """Return what the jobs of each batch ask for, (batch, stage, 2): mem_mb and minutes.

    `formulas` have an entry a molecule, batch by batch; each batch begins at one of `starts`. Molecules of one formula
    cost the same, so the arrays of costs are as long as the formulas are different.
    """
    different, of = _distinct(formulas)
    costs = stage_costs(study, sizes_for(study, different))
    return np.stack([_demands(costs[stage], of, starts) for stage in MOLECULE_STAGES], axis=1)


def _distinct(formulas: Iterable[str] | pa.ChunkedArray) -> tuple[list[str], NDArray[np.int32]]:
    """Return the different formulas, and the place among them of each molecule's."""
    if not isinstance(formulas, pa.ChunkedArray):
        formulas = pa.chunked_array([pa.array(formulas, type=pa.string())])
    encoded = formulas.combine_chunks().dictionary_encode()
    return encoded.dictionary.to_pylist(), encoded.indices.to_numpy()


def _demands(costs: Costs, of: NDArray[np.int32], starts: Sequence[int]) -> Integers:
    memory = np.maximum.reduceat(costs.memory_mb[of], starts)
    seconds = costs.seconds[of]
    total, slowest = np.add.reduceat(seconds, starts), np.maximum.reduceat(seconds, starts)
    return np.stack([_memory(memory), _minutes(total, slowest)], axis=-1)


def _memory(mb: NDArray[np.float64]) -> Integers:
    steps = np.ceil((mb * MEMORY_MARGIN + MEMORY_SPARE_MB) / MEMORY_STEP_MB)
    return (steps * MEMORY_STEP_MB).astype(np.int64)


def _minutes(total: NDArray[np.float64], slowest: NDArray[np.float64]) -> Integers:
    seconds = total * TIME_MARGIN + slowest * SLOWEST_MARGIN
    return np.ceil(TIME_SPARE_MINUTES + seconds / 60).astype(np.int64)


def _step_minutes(seconds: float) -> int:
    one = np.array([seconds])
    return max(int(_minutes(one, one)[0]), SMALL_STEP_MINUTES)


def step_demands(study: Study, formulas: Iterable[str] | pa.ChunkedArray) -> dict[str, Demand]:
    """Return what the steps that see all molecules ask for; `train` is the most demanding network, a node's share."""
    different, of = _distinct(formulas)
    sizes = sizes_for(study, different)
    num = len(of) * study.conformers.num_kept
    largest = float(sizes.voxels.max(initial=1.0))
    demands = {}
    for step in ("shards", "dataset", "train", "interpret"):
        members = -(-num // study.dataset.num_shards) if step == "shards" else num
        seconds, memory = step_costs(study, step, members, largest)
        if step == "train":
            fields = float(stage_costs(study, sizes)["fields"].seconds[of].sum())
            seconds += max(rendering_seconds(study, one, fields) for one in study.training.models.values())
            memory *= study.training.processes_per_node
            seconds /= study.training.nodes * study.training.processes_per_node
        demands[step] = Demand(max(int(_memory(np.array([memory]))[0]), LEAST_MB), _step_minutes(seconds))
    seconds = attribution_costs(study, num, largest, float(sizes.atoms.max(initial=1.0)))
    demands["attribute"] = Demand(demands["interpret"].mem_mb, _step_minutes(seconds))
    # These read tables: a row a molecule, and evaluation fits baselines on fingerprints of them.
    table = LEAST_MB + int(np.ceil(num * TABLE_MB_PER_MOLECULE))
    demands["tables"] = Demand(table, SMALL_STEP_MINUTES + int(num * TABLE_SECONDS_PER_MOLECULE / 60))
    demands["evaluate"] = Demand(
        table + int(np.ceil(num * FINGERPRINT_MB)), 2 * SMALL_STEP_MINUTES + int(num * BASELINE_SECONDS / 60)
    )
    return demands


def architecture_of(network: ModelSettings) -> str:
    """Return the name under which the costs of a network were measured."""
    return network.architecture + (", chiral" if network.architecture == "steerable" and network.chiral else "")


# Generous shares of a molecule: rows of pandas tables; a fingerprint of 2048 float32 in two copies, boosted trees.
TABLE_MB_PER_MOLECULE, TABLE_SECONDS_PER_MOLECULE = 0.02, 0.02
FINGERPRINT_MB, BASELINE_SECONDS = 0.04, 0.1


def step_costs(study: Study, step: str, num_conformers: int, voxels: float) -> tuple[float, float]:
    """Return core-seconds and memory [MB] of one job of a step, for boxes of so many voxels.

    Training and interpretation count the most demanding network; training runs all its epochs.
    """
    networks = study.training.models
    chosen = [networks[study.interpret.model]] if step == "interpret" else list(networks.values())
    pairs = [_step_costs(study, step, num_conformers, voxels, network) for network in chosen]
    return max(seconds for seconds, _ in pairs), max(memory for _, memory in pairs)


def training_costs(study: Study, network: ModelSettings, num_conformers: int, voxels: float) -> tuple[float, float]:
    """Return core-seconds (of all processes) and memory [MB] (of one process) of training a network on one fold.

    The box of `voxels` is that of the largest molecule for the memory of a batch, since smaller ones are padded to it.
    """
    return _step_costs(study, "train", num_conformers, voxels, network)


def rendering_seconds(study: Study, network: ModelSettings, fields: float) -> float:
    """Return core-seconds of rendering all molecules each epoch, 0 for a network that reads shards.

    `fields`: what the fields stage takes for all of them. An upper bound, because that stage checks what it renders.
    """
    if network.input != "rendered":
        return 0.0
    return _all_epochs(study, network) * fields * len(network.fields) / len(study.fields.names)


# What a process keeps of hard atoms at most (decar.dataset.rendered_dataset, as bytes), and for a drug-like conformer.
HARD_ATOMS_MB, HARD_ATOMS_MB_PER_CONFORMER = 2**28 / 1e6, 0.4


def hard_atoms_memory(study: Study, network: ModelSettings, num_conformers: int) -> float:
    """Return the memory [MB] in which the process and its workers keep hard atoms, for a potential that is rendered."""
    has_potential = not {"electrostatic_potential", "electric_field"}.isdisjoint(network.fields)
    if network.input != "rendered" or not has_potential:
        return 0.0
    return (1 + study.training.num_workers) * min(HARD_ATOMS_MB, HARD_ATOMS_MB_PER_CONFORMER * num_conformers)


def _all_epochs(study: Study, network: ModelSettings) -> int:
    return study.training.max_epochs + (network.pretraining.epochs if network.pretraining else 0)


def attribution_costs(study: Study, num_molecules: int, voxels: float, atoms: float) -> float:
    """Return core-seconds of the attributions: every network once, the first one in all orientations."""
    settings, network = study.attribution, study.training.models[study.interpret.model]
    split = next(one for one in study.dataset.splits if one.scheme == study.interpret.scheme)
    # Besides: the networks of the further folds and seeds, the untrained one, and that of permuted labels.
    others = (split.num_folds - 1) + (settings.num_seeds - 1) + 1 + bool(study.interpret.permuted_control)
    passes = attribution_passes(
        settings.methods, min(settings.num_molecules, num_molecules), settings.num_rotations + others,
        settings.num_steps, atoms,
    )  # fmt: skip
    # The start of a training is no part of it.
    terms = {"1": 0.0, **pass_terms(passes, voxels, len(network.fields), network.channels, network.kernel_size)}
    return float(predict("train.seconds", {name: np.array([value]) for name, value in terms.items()})[0])


def _step_costs(study: Study, step: str, num: int, voxels: float, network: ModelSettings) -> tuple[float, float]:
    split = study.dataset.splits[0]
    processes = study.training.nodes * study.training.processes_per_node
    # As if all layers had the kernels of the largest one; the first has three more taps than kernel_size.
    first, *others = network.kernel_taps(study.fields.spacing_angstrom) or (network.kernel_size + 3,)
    terms = step_terms(
        step, num=num, voxels=voxels, num_fields=len(study.fields.names), num_inputs=len(network.fields),
        channels=network.channels, kernel_size=max(first - 3, *others, 0),
        batch_size=max(1.0, min(study.training.batch_size, num) / processes), epochs=study.training.max_epochs,
        pretraining_epochs=network.pretraining.epochs if network.pretraining else 0,
        train_share=(1 - 1 / split.num_folds) * (1 - split.validation_fraction), rotations=study.interpret.rotations,
    )  # fmt: skip
    # The terms are those of the published network; others were measured beside it at equal channels.
    times = constants()["architectures"][architecture_of(network)]
    one = {
        name: {part: np.array([value * (1.0 if part == "1" else times[name])]) for part, value in part_terms.items()}
        for name, part_terms in terms.items()
    }
    memory = float(predict(f"{step}.memory", one["memory"])[0])
    memory += dataset_memory(num) if step == "dataset" else 0.0
    memory += hard_atoms_memory(study, network, num) if step == "train" else 0.0
    return float(predict(f"{step}.seconds", one["seconds"])[0]), memory


def plan_demands(
    study: Study, formulas: Iterable[str] | pa.ChunkedArray, prefixes: Sequence[str], starts: Sequence[int]
) -> dict[str, list[int]]:
    """Return what a plan keeps, {prefix of a batch: mem_mb and minutes of each per-molecule stage, in order}."""
    demands = batch_demands(study, formulas, starts)
    return dict(zip(prefixes, demands.reshape(len(prefixes), -1).tolist(), strict=True))
