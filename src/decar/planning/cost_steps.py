"""Core-seconds and memory of the steps that see all molecules: shards, dataset, training, explanation.

As in cost_model.py: sums of measured coefficients times terms that grow with every size. `num` counts conformers with
voxels, V the voxels of a box, M the multiply-adds of one pass through the network.
"""

from collections.abc import Sequence

from decar.receipt import AT_A_TIME

MEGA, GIGA = 1e6, 1e9
# What the dataset step holds of a molecule: of those that are read at a time (benchmarks/dataset_memory.json: 106 MB
# more for 20,000 than for 100), and of all (tests/dataset/test_dataset_memory.py).
PART_MB, HELD_MB = 0.0106, 2.1e-4


def network_operations(voxels: float, num_inputs: int, channels: Sequence[int], kernel_size: int) -> float:
    """Return the multiply-adds of one forward pass: sum over layers of V / 8^layer C_in C_out k^3."""
    total, inputs = 0.0, num_inputs
    for layer, outputs in enumerate(channels):
        total += voxels / 8**layer * inputs * outputs * kernel_size**3
        inputs = outputs
    return total


def pass_terms(
    passes: float, voxels: float, num_inputs: int, channels: Sequence[int], kernel_size: int
) -> dict[str, float]:
    """Return the terms of passes through a network, of the coefficients of `train.seconds`."""
    operations = network_operations(voxels, num_inputs, channels, kernel_size)
    return {"passes V": passes * voxels / MEGA, "passes M": passes * operations / GIGA}


def attribution_passes(
    methods: Sequence[str], num_molecules: int, num_orientations: int, num_steps: int, atoms: float
) -> float:
    """Return how many passes the attributions take: a gradient is three, an occluded atom one."""
    of_method = {"integrated_gradients": 3 * num_steps, "occlusion": atoms + 1, "grad_cam": 3}
    return num_molecules * num_orientations * sum(of_method[name] for name in methods)


def dataset_memory(num: float) -> float:
    """Return the memory of the dataset step that grows with the molecules [MB]."""
    return PART_MB * min(num, AT_A_TIME) + HELD_MB * num


def step_terms(
    step: str, *, num: float, voxels: float, num_fields: int, num_inputs: int, channels: Sequence[int],
    kernel_size: int, batch_size: float, epochs: float, train_share: float, rotations: int,
    pretraining_epochs: float = 0.0,
) -> dict[str, dict[str, float]]:  # fmt: skip
    """Return the terms of `seconds` and `memory` of a step; `batch_size` is that of one process."""
    seconds, memory = {"1": 1.0}, {"1": 1.0}
    stored = voxels * num_fields
    match step:
        case "shards" | "dataset":
            seconds |= {"n V": num * stored / MEGA, "n": num}
            memory |= {"V": stored / MEGA, "n": num}
        case "train":
            # A step goes forward and backward (three passes), a validation forward, the end once over all. Pretraining
            # sees all molecules at most.
            passes = epochs * num * train_share * 3 + epochs * num * (1 - train_share) / 2 + num
            passes += pretraining_epochs * num * 3
            seconds |= pass_terms(passes, voxels, num_inputs, channels, kernel_size)
            widest = voxels * channels[0] * 4 / MEGA
            memory |= {"B V C": batch_size * widest, "B V": batch_size * num_inputs * voxels * 4 / MEGA}
        case "interpret":
            operations = network_operations(voxels, num_inputs, channels, kernel_size)
            seconds |= {"n R V": num * rotations * voxels / MEGA, "n R M": num * rotations * operations / GIGA}
            memory |= {"V C": voxels * channels[0] * 4 / MEGA, "V": num_inputs * voxels * 4 / MEGA}
        case _:
            raise ValueError(f"{step!r} is not a step with measured costs")
    return {"seconds": seconds, "memory": memory}
