"""The interpret stage: r_k(m) of every kernel of the last convolution layer and every molecule, in two forms.

`activation`: the kernel's weights against patches of the layer before; `input`: its linearised receptive field against
the molecule's field. Both for the trained network and, as a control, for an untrained one of the same shape: what
random kernels show as well is a property of the molecules, not something that was learned.

Rotations. With `interpret.rotated: molecule` the molecule is turned before the network, as in training: r_k is then
exactly the same for a molecule in any of its lattice orientations. With `kernel` only the last kernel is turned, upon
activations of the molecule as it lies; that takes one pass through the network and is not invariant.
The input form turns the molecule in either case, which is the same as turning the receptive field.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from decar.config import Study
from decar.dataset.normalise import Normalisation
from decar.dataset.rotations import AUGMENTATION, IDENTITY, Rotation
from decar.dataset.torch_dataset import ShardDataset
from decar.interpret.correlation import best_match
from decar.interpret.receptive import LinearStack, field_correlation, linear_stack
from decar.interpret.statistics import kernel_tests
from decar.models.package import load_package
from decar.models.published import PublishedNetwork
from decar.receipt import write_table
from decar.record import Array
from decar.stages import derive_seed

ROTATIONS = {1: AUGMENTATION["none"], 6: AUGMENTATION["rotations_6"], 24: AUGMENTATION["rotations_24"]}
FOLD = 0  # the network of the first fold is explained


def interpret(
    study: Study,
    dataset_folder: Path,
    shards_folder: Path,
    model_folder: Path,
    output: Path,
    report: Callable[[str], None] = lambda _: None,
) -> None:
    """Write kernel_correlation.parquet and kernel_tests.parquet to the folder `output`.

    `model_folder` is the folder of a training job. All labelled molecules count, with their subset in the first fold.
    Raises DataFormatError when the package, a shard or a table cannot be read.
    """
    network, metadata = load_package(model_folder / "model")
    dataset = ShardDataset(
        dataset_folder, shards_folder, study.interpret.scheme, FOLD, None, metadata["fields"],
        str(metadata["property"]), normalisation=Normalisation.from_json(metadata["normalisation"]),
    )  # fmt: skip
    untrained = PublishedNetwork(network.settings, network.spacing_bohr, network.num_inputs)
    untrained.initialise(derive_seed(study.seed, "interpret", "untrained", study.interpret.model))
    networks = {"trained": network, "untrained": untrained.eval()}
    stacks = {name: linear_stack(member, member.num_layers) for name, member in networks.items()}
    chosen, least = study.interpret, study.interpret.min_patch_variance
    rotations = ROTATIONS[chosen.rotations]
    subset = dict(zip(dataset.rows["key"], dataset.rows["subset"]))
    parts: list[pd.DataFrame] = []
    for index in range(len(dataset)):
        sample = dataset[index]
        voxels = padded(sample["voxels"].numpy(), network.total_stride)
        for name, member in networks.items():
            values = {
                "activation": activation_correlation(member, voxels, rotations, chosen.rotated, least),
                "input": input_correlation(stacks[name], voxels, rotations, least),
            }
            for form, correlation in values.items():
                parts.append(_rows(form, name, correlation).assign(
                    key=sample["key"], label=sample["label"], subset=subset[sample["key"]], weight=sample["weight"],
                ))  # fmt: skip
        report(f"{index + 1} of {len(dataset)} conformers")
    correlations = over_conformers(pd.concat(parts, ignore_index=True))
    write_table(output / "kernel_correlation.parquet", correlations)
    write_table(output / "kernel_tests.parquet", kernel_tests(correlations))


def activation_correlation(
    network: PublishedNetwork, voxels: Array, rotations: Sequence[Rotation], rotated: str, min_variance: float
) -> Array:
    """Return r_k [kernel] of the last layer's kernels for normalised voxels [channel, x, y, z].

    `rotated` is `molecule` or `kernel`: to which of them the rotations are applied.
    """
    layer = network.num_layers
    kernels = network.kernels(layer).detach().cpu().numpy()
    of_molecule, of_kernel = (rotations, (IDENTITY,)) if rotated == "molecule" else ((IDENTITY,), rotations)
    found = []
    for rotation in of_molecule:
        x = torch.from_numpy(rotation.apply(voxels))[None]
        mask = torch.ones_like(x[:, :1])
        with torch.inference_mode():
            activation = network.activations(x, mask, layer)[0].numpy()
            inside = network.activation_mask(mask, layer)[0, 0].numpy()
        found.append(best_match(activation, inside, kernels, of_kernel, min_variance).correlation)
    return highest(found)


def input_correlation(stack: LinearStack, voxels: Array, rotations: Sequence[Rotation], min_variance: float) -> Array:
    """Return r_k [kernel] of the linearised receptive fields for normalised voxels [channel, x, y, z]."""
    return highest([field_correlation(stack, rotation.apply(voxels), min_variance) for rotation in rotations])


def highest(values: Sequence[Array]) -> Array:
    """Return the largest of each kernel over rotations, ignoring NaN; NaN where there is nothing else."""
    stacked = np.stack(values)
    best = np.where(np.isnan(stacked), -np.inf, stacked).max(axis=0)
    return np.where(np.isfinite(best), best, np.nan)


def padded(voxels: Array, stride: int) -> Array:
    """Return the box filled up with vacuum (0) to multiples of the stride, at its high ends."""
    widths = [(0, 0)] + [(0, -size % stride) for size in voxels.shape[1:]]
    return np.pad(voxels, widths)


def over_conformers(correlations: pd.DataFrame) -> pd.DataFrame:
    """Return one row a form, network, kernel and molecule: the mean over its conformers by weight."""
    known = correlations.loc[correlations["correlation"].notna()]
    group = ["form", "network", "kernel", "key", "label", "subset"]
    sums = known.assign(product=known["correlation"] * known["weight"]).groupby(group)[["product", "weight"]].sum()
    mean = (sums["product"] / sums["weight"]).rename("correlation")
    every = correlations[group].drop_duplicates().sort_values(group)
    return every.merge(mean.reset_index(), on=group, how="left").reset_index(drop=True)


def _rows(form: str, network: str, correlation: Array) -> pd.DataFrame:
    table = pd.DataFrame({"kernel": np.arange(len(correlation)), "correlation": correlation})
    return table.assign(form=form, network=network)
