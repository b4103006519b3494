"""The attribute stage: where the explained networks look, summed to atoms and groups, and whether that holds.

    atoms.parquet             key, network, rotation, method, atom, heavy_atom, group, attribution [logit]
    checks.parquet            a row an attribution: logit, reference, total, completeness error, share outside
    agreement.parquet         rank correlations between networks, rotations and methods (agreement.py)
    groups.parquet            mean attribution of each functional group, with an interval over molecules (groups.py)
    kernel_profiles.parquet   radial profiles of the kernels' receptive fields, trained and untrained (kernel_shape.py)
    kernel_shapes.parquet     their symmetry
    kernel_gallery.parquet    the molecules and atoms that excite each kernel most (gallery.py)
    example.h5                integrated gradients of the figures' example, mean over rotations (voxel_map.py); there
                              if the example and the method were asked for

Of a regression everything is in the unit of the property in place of logits: outputs are mean + scale z.

Networks: those of all folds, the first fold's from `attribution.num_seeds` seeds, the untrained one, and with
`interpret.permuted_control` the one of permuted labels. The molecules are the figures' example, then both classes (of a
regression: above the median, and the rest) in turn, in order of key.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, zip_longest
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from decar.config import Study
from decar.dataset.normalise import Normalisation
from decar.dataset.rotations import IDENTITY, SIX, Rotation
from decar.dataset.samples import label_column
from decar.dataset.shards import shard_file
from decar.dataset.torch_dataset import ShardDataset
from decar.fields.grid import VoxelGrid
from decar.interpret.agreement import FIRST, agreement
from decar.interpret.attribution import Subject, attribute, held_norms, logits
from decar.interpret.cells import atom_cells, sum_over_cells
from decar.interpret.controls import untrained
from decar.interpret.gallery import COLUMNS as GALLERY_COLUMNS
from decar.interpret.gallery import chosen, contributions
from decar.interpret.group_table import group_table
from decar.interpret.groups import group_of_atoms, heavy_atom_of
from decar.interpret.kernel_shape import kernel_tables
from decar.interpret.receptive import field_match, linear_stack
from decar.interpret.run import ROTATIONS, padded
from decar.interpret.voxel_map import write_map
from decar.models.package import load_published
from decar.models.published import PublishedNetwork
from decar.models.task import Task
from decar.predictions import boundary_of
from decar.receipt import read_table, write_table
from decar.record import Array
from decar.store import Store

MAPPED = "integrated_gradients"  # the method of the voxel map, and the one whose sum is known


@dataclass(frozen=True)
class Places:
    """Folders that are read: `folds` are those of the training jobs, `permuted` that of the control or None.

    `repeats` are trainings of the first fold's network from other seeds.
    """

    dataset: Path
    shards: Path
    records: Path
    interpretation: Path
    folds: tuple[Path, ...]
    permuted: Path | None
    repeats: tuple[Path, ...] = ()

    @cached_property
    def wavefunctions(self) -> dict[str, str]:
        """Return the recipe of each molecule's wavefunction."""
        stages = read_table(self.records / "stages.parquet")
        chosen = stages.loc[(stages["stage"] == "wavefunction") & (stages["status"] == "ok")]
        return dict(zip(chosen["key"], chosen["recipe"]))


@dataclass(frozen=True)
class Molecule:
    """The first conformer of a molecule, its atoms in the project's order, and the cells of its padded box."""

    key: str
    sample: int  # its place in the dataset
    label: float
    subset: str
    heavy_atoms: list[int]  # of each atom: the one that it is counted with
    groups: list[str]
    grid: VoxelGrid
    cells: NDArray[np.int64]
    num_atoms: int


@dataclass(frozen=True)
class Member:
    """A network that is asked, and the dataset that shows molecules as it was trained to see them."""

    name: str
    network: PublishedNetwork
    dataset: ShardDataset
    task: Task

    def value(self, output: float) -> float:
        """Return an output as it is reported: a logit, or the value of a regression in its unit."""
        return self.task.mean + self.task.scale * output  # 0 and 1 of a binary task

    def voxels(self, molecule: Molecule) -> Array:
        """Return the molecule's padded voxels [channel, x, y, z]."""
        return padded(self.dataset[molecule.sample]["voxels"].numpy(), self.network.total_stride)


def attribute_study(
    study: Study, places: Places, example: str | None, output: Path, report: Callable[[str], None] = lambda _: None
) -> None:
    """Write the tables above to the folder `output`; `example` is the key of the figures' example."""
    members = _members(study, places)
    settings = study.attribution
    rotations = SIX[: settings.num_rotations]
    rows, checks, maps = [], [], []
    for number, key in enumerate(keys := _chosen_keys(study, members[0], example)):
        molecule = _molecule(study, places, members[0], key)
        for member in members:
            for turn, rotation in enumerate(rotations if member.name == FIRST else (IDENTITY,)):
                found = _attributions(study, member, molecule, turn, rotation)
                rows += found.atoms
                checks += found.checks
                if key == example and member.name == FIRST and MAPPED in found.voxels:
                    maps.append(Rotation.from_matrix(rotation.matrix.T).apply(found.voxels[MAPPED]))
        if key == example and maps:
            mean = np.stack(maps).mean(axis=0, dtype=np.float64)
            write_map(output / "example.h5", key, mean, molecule.grid)
        report(f"{number + 1} of {len(keys)} molecules")
    atoms = pd.concat(rows, ignore_index=True)
    write_table(output / "atoms.parquet", atoms)
    write_table(output / "checks.parquet", pd.DataFrame(checks))
    write_table(output / "agreement.parquet", agreement(atoms))
    write_table(output / "groups.parquet", group_table(atoms, study.seed))
    _kernels(study, places, members, output)


def _members(study: Study, places: Places) -> list[Member]:
    """Return the networks of all folds, in order, those of the first fold from other seeds, then the controls."""
    named = [(f"fold {fold}", fold, folder) for fold, folder in enumerate(places.folds)]
    named += [(f"seed {number}", 0, folder) for number, folder in enumerate(places.repeats, start=1)]
    if places.permuted is not None:
        named.append(("permuted", 0, places.permuted))
    members = []
    for name, fold, folder in named:
        network, metadata = load_published(folder / "model")
        dataset = ShardDataset(
            places.dataset, places.shards, study.interpret.scheme, fold, None, metadata["fields"],
            (str(metadata["property"]),), normalisation=Normalisation.from_json(metadata["normalisation"]),
        )  # fmt: skip
        members.append(Member(name, network, dataset, Task.from_json(metadata["tasks"][0])))
    first = members[0]
    return [*members, Member("untrained", untrained(first.network, study), first.dataset, first.task)]


def _chosen_keys(study: Study, member: Member, example: str | None) -> list[str]:
    rows = member.dataset.rows.drop_duplicates("key").sort_values("key")
    label = rows[label_column(member.dataset.properties[0])].to_numpy()
    of_class = [list(part["key"]) for _, part in rows.groupby(label > boundary_of(study, label), sort=True)]
    in_turn = [key for key in chain.from_iterable(zip_longest(*reversed(of_class))) if key is not None]
    first = [example] if example in set(in_turn) else []
    return [*first, *(key for key in in_turn if key != example)][: study.attribution.num_molecules]


def _molecule(study: Study, places: Places, member: Member, key: str) -> Molecule:
    """Read atoms and grid of a molecule; the box is padded as for the network."""
    rows = member.dataset.rows
    sample = int(np.flatnonzero(rows["key"] == key)[0])
    row = rows.iloc[sample]
    with shard_file(places.shards / str(row["shard"])) as file:
        attributes = file[str(row["path"])].attrs
        x, y, z = (float(value) for value in attributes["origin_bohr"])
        spacing = float(attributes["spacing_bohr"])
    stride = member.network.total_stride
    shape = tuple(stride * -(-int(row[f"shape_{axis}"]) // stride) for axis in "xyz")
    grid = VoxelGrid((x, y, z), spacing, (shape[0], shape[1], shape[2]))
    record = Store(study.store).load("wavefunction", key, places.wavefunctions[key])
    conformer = int(row["conformer"])
    numbers = record.arrays[f"{conformer}/atomic_numbers"]
    cells = atom_cells(numbers, record.arrays[f"{conformer}/geometry_bohr"], grid)
    smiles = str(record.metadata["smiles"])
    label = float(row[label_column(member.dataset.properties[0])])
    return Molecule(
        key, sample, label, str(row["subset"]), heavy_atom_of(smiles), group_of_atoms(smiles), grid, cells, len(numbers)
    )  # fmt: skip


def _subject(voxels: Array, cells: NDArray[np.int64], rotation: Rotation) -> Subject:
    x = torch.from_numpy(rotation.apply(voxels))[None]
    return Subject(x, torch.ones_like(x[:, :1]), rotation.apply(cells))


@dataclass(frozen=True)
class Found:
    """What one network says of one orientation of a molecule."""

    atoms: list[pd.DataFrame]  # one a method
    checks: list[dict[str, object]]  # one a method
    voxels: dict[str, Array]  # method -> (x, y, z)


def _attributions(study: Study, member: Member, molecule: Molecule, turn: int, rotation: Rotation) -> Found:
    subject = _subject(member.voxels(molecule), molecule.cells, rotation)
    logit, empty = map(member.value, logits(member.network, subject))
    with held_norms(member.network, subject):
        reference = member.value(logits(member.network, subject)[1])
    found = Found([], [], {})
    for method in study.attribution.methods:
        values = member.task.scale * attribute(member.network, subject, method, study.attribution.num_steps)
        sums = sum_over_cells(values, subject.cells, molecule.num_atoms)
        head = {"key": molecule.key, "network": member.name, "rotation": turn, "method": method}
        found.voxels[method] = values
        found.atoms.append(pd.DataFrame({
            **head, "atom": [*range(molecule.num_atoms), -1], "heavy_atom": [*molecule.heavy_atoms, -1],
            "group": [*molecule.groups, "outside"], "attribution": sums,
        }))  # fmt: skip
        is_complete = method == MAPPED
        found.checks.append({
            **head, "label": molecule.label, "subset": molecule.subset, "logit": logit, "logit_of_vacuum": empty,
            "reference": reference, "total": sums.sum(), "outside": sums[-1], "absolute": np.abs(sums).sum(),
            "completeness_error": sums.sum() - (logit - reference) if is_complete else np.nan,
        })  # fmt: skip
    return found


def _kernels(study: Study, places: Places, members: Sequence[Member], output: Path) -> None:
    """Write the shapes of the kernels and the gallery of what excites them."""
    trained, control = members[0], members[-1]
    names = list(trained.network.settings.fields)
    stack, drawn = (linear_stack(member.network, member.network.num_layers) for member in (trained, control))
    tables = [
        kernel_tables(of_network.fields.numpy(), names, trained.network.spacing_bohr, name)
        for name, of_network in (("trained", stack), ("untrained", drawn))
    ]
    write_table(output / "kernel_profiles.parquet", pd.concat([table for table, _ in tables], ignore_index=True))
    write_table(output / "kernel_shapes.parquet", pd.concat([table for _, table in tables], ignore_index=True))
    rotations, least = ROTATIONS[study.interpret.rotations], study.interpret.min_patch_variance
    best = chosen(
        read_table(places.interpretation / "kernel_correlation.parquet"),
        read_table(places.interpretation / "kernel_tests.parquet"),
    )
    parts = []
    for key, of_molecule in best.groupby("key", sort=True):
        molecule = _molecule(study, places, trained, str(key))
        voxels = trained.voxels(molecule)
        match = field_match(stack, *stack.patches(voxels, least), rotations)
        for row in of_molecule.to_dict("records"):
            kernel = int(row["kernel"])
            share = contributions(stack, kernel, match, rotations, voxels, molecule.cells, molecule.num_atoms)
            head = {str(name): value for name, value in row.items()} | {"correlation": match.correlation[kernel]}
            parts.append(pd.DataFrame({
                **head, "atom": [*range(molecule.num_atoms), -1], "heavy_atom": [*molecule.heavy_atoms, -1],
                "contribution": share,
            }))  # fmt: skip
    table = pd.concat(parts, ignore_index=True)[GALLERY_COLUMNS]
    write_table(output / "kernel_gallery.parquet", table.sort_values(["kernel", "rank", "atom"], ignore_index=True))
