"""The interpret stage: r_k(m) of every kernel of the last convolution layer and every molecule, in two forms.

`activation`: the kernel's weights against patches of the layer before; `input`: its linearised receptive field against
the molecule's field. Both for the trained network and, as controls, for an untrained one of the same shape and, with
`interpret.permuted_control`, for one trained on permuted labels: what random kernels show as well is a property of the
molecules, and what labels without meaning teach as well is no property of the classes.

Rotations. With `interpret.rotated: molecule` the molecule is turned before the network, as in training, by turning the
network's kernels: r_k is then the same for a molecule in any of its lattice orientations. With `kernel` only the last
kernel is turned, upon activations of the molecule as it lies; that takes one pass through the network and is not
invariant. The input form turns the receptive field in either case.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from decar.config import Study
from decar.dataset.normalise import Normalisation
from decar.dataset.rotations import AUGMENTATION, IDENTITY, Rotation
from decar.dataset.samples import label_column
from decar.dataset.torch_dataset import ShardDataset
from decar.interpret.controls import untrained
from decar.interpret.correlation import Match, best_match
from decar.interpret.receptive import field_match, linear_stack
from decar.interpret.statistics import kernel_tests
from decar.interpret.turned import folded_for, turned_activations
from decar.models.package import load_published
from decar.models.published import PublishedNetwork
from decar.predictions import boundary_of
from decar.receipt import write_table
from decar.record import Array

ROTATIONS = {1: AUGMENTATION["none"], 6: AUGMENTATION["rotations_6"], 24: AUGMENTATION["rotations_24"]}
FOLD = 0  # the network of the first fold is explained


def interpret(
    study: Study,
    dataset_folder: Path,
    shards_folder: Path,
    model_folder: Path,
    permuted_folder: Path | None,
    output: Path,
    report: Callable[[str], None] = lambda _: None,
) -> None:
    """Write kernel_correlation.parquet and kernel_tests.parquet to the folder `output`.

    `model_folder` is the folder of a training job, `permuted_folder` that of the same network trained on permuted
    labels, or None. All labelled molecules count, with their subset in the first fold; the classes of a regression are
    the molecules above the median and the rest.
    Raises DataFormatError when the packages, a shard or a table cannot be read.
    """
    network, metadata = load_published(model_folder / "model")
    dataset = ShardDataset(
        dataset_folder, shards_folder, study.interpret.scheme, FOLD, None, metadata["fields"],
        (str(metadata["property"]),), normalisation=Normalisation.from_json(metadata["normalisation"]),
    )  # fmt: skip
    networks = {"trained": network, "untrained": untrained(network, study)}
    if permuted_folder is not None:
        networks["permuted"] = load_published(permuted_folder / "model")[0]
    stacks = {name: linear_stack(member, member.num_layers) for name, member in networks.items()}
    chosen, least = study.interpret, study.interpret.min_patch_variance
    rotations = ROTATIONS[chosen.rotations]
    subset, label = (
        dict(zip(dataset.rows["key"], dataset.rows[name]))
        for name in ("subset", label_column(dataset.properties[0]))
    )  # fmt: skip
    parts: list[pd.DataFrame] = []
    for index in range(len(dataset)):
        sample = dataset[index]
        voxels = padded(sample["voxels"].numpy(), network.total_stride)
        x, patches = stacks["trained"].patches(voxels, least)
        for name, member in networks.items():
            found = {
                "activation": activation_match(member, voxels, rotations, chosen.rotated, least),
                "input": field_match(stacks[name], x, patches, rotations),
            }
            for form, match in found.items():
                parts.append(_rows(form, name, match.correlation).assign(
                    key=sample["key"], label=float(label[sample["key"]]), subset=subset[sample["key"]],
                    weight=sample["weight"],
                ))  # fmt: skip
        report(f"{index + 1} of {len(dataset)} conformers")
    correlations = over_conformers(pd.concat(parts, ignore_index=True))
    write_table(output / "kernel_correlation.parquet", correlations)
    boundary = boundary_of(study, correlations.drop_duplicates("key")["label"].to_numpy())
    write_table(output / "kernel_tests.parquet", kernel_tests(correlations, boundary))


def activation_match(
    network: PublishedNetwork, voxels: Array, rotations: Sequence[Rotation], rotated: str, min_variance: float
) -> Match:
    """Return the best match of the last layer's kernels with normalised voxels [channel, x, y, z].

    `rotated` is `molecule` (all layers are turned, which is the same) or `kernel` (the last layer alone). Positions
    are voxels of the activation as the molecule lies.
    """
    layer = network.num_layers
    kernels = network.kernels(layer).detach().cpu().numpy()
    folded = folded_for(network, voxels, layer)
    matches = []
    for rotation in rotations if rotated == "molecule" else (IDENTITY,):
        activation = turned_activations(network, folded, layer, rotation)
        of_kernel = (rotation,) if rotated == "molecule" else rotations
        matches.append(best_match(activation, np.ones(activation.shape[1:]), kernels, of_kernel, min_variance))
    best = matches[0] if rotated == "kernel" else highest(matches)
    return Match(best.correlation, folded.whole(best.position, 1 << (layer - 1)), best.rotation)


def highest(matches: Sequence[Match]) -> Match:
    """Return the best of each kernel over rotations, of which each match is one; NaN where there is nothing."""
    values = np.stack([match.correlation for match in matches])
    rotation = np.where(np.isnan(values), -np.inf, values).argmax(axis=0)
    kernels = np.arange(values.shape[1])
    position = np.stack([match.position for match in matches])[rotation, kernels]
    correlation = values[rotation, kernels]
    return Match(correlation, position, np.where(np.isnan(correlation), -1, rotation))


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
