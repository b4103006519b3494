"""What the input pipeline costs a training step: steps that read their batches over steps with the batches in memory.

    python -m benchmarks.input_pipeline benchmarks/input_pipeline.json [WAVEFUNCTIONS.h5] [--processor-time]

The published network at its default size, forward and backward pass and optimiser. Promolecular density of caffeine in
boxes of 64^3 and 128^3, float32, read from shards, normalised and turned as in training, by 0, 2 and 4 workers. Where
there is a GPU the same is done there too. The bar is 1.1.

With `--processor-time` on a machine that others use: one process without workers, on CPU, by the time that it computed.

With a file of wavefunctions (a group each, `geometry_bohr`): how many voxels batches hold for one of their molecules.
"""

import argparse
import json
import math
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import h5py
import numpy as np
import torch
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem import AllChem
from tests.dataset.synthetic_study import key_of, make_study, make_tables, write_tables

from decar.atomic import write_text
from decar.config import FieldsSettings, ModelSettings
from decar.dataset.assemble import assemble
from decar.dataset.samples import Batch, collate
from decar.dataset.shards import write_shard
from decar.dataset.statistics import load_normalisation
from decar.dataset.torch_dataset import ShardDataset
from decar.fields.grid import molecule_grid
from decar.fields.promolecular import promolecular_density
from decar.fields.registry import FIELDS
from decar.models.build import build_network
from decar.provenance import provenance
from decar.record import Record
from decar.training.batches import EpochBatches, epoch_batches
from decar.training.loaders import EpochLoader, finish_batch, reading_loader
from decar.units import BOHR_PER_ANGSTROM

SMILES, FIELD, STRIDE = "Cn1cnc2c1c(=O)n(C)c(=O)n2C", "promolecular_density", 8
WORKERS = (0, 2, 4)
# Edge of the box, samples a batch, batches of one measurement.
CASES = ((64, 4, 8), (128, 2, 4))
BAR = 1.1


def make_data(folder: Path, edge: int, num: int) -> tuple[Path, Path]:
    """Write a shard and the dataset of so many copies of one box, each with a key of its own."""
    molecule = Chem.AddHs(Chem.MolFromSmiles(SMILES))
    AllChem.EmbedMolecule(molecule, randomSeed=1)
    numbers = np.array([atom.GetAtomicNum() for atom in molecule.GetAtoms()], dtype=np.int32)
    positions = molecule.GetConformer().GetPositions() * BOHR_PER_ANGSTROM
    settings = FieldsSettings(spacing_angstrom=22.4 / edge, box=(edge, edge, edge), padding_angstrom=0.0)
    grid = molecule_grid(positions, settings)
    arrays = {f"0/{FIELD}": promolecular_density(numbers, positions, grid).numpy()}
    members = []
    for number in range(num):
        metadata = {
            "key": key_of(number), "num_conformers": 1, "conformers": [{"grid": grid.to_metadata()}],
            "fields": {FIELD: FIELDS[FIELD].to_metadata()},
        }  # fmt: skip
        members.append((key_of(number), Record("fields", f"{number}", metadata, arrays)))
    write_shard(folder / "shards" / "0-a.h5", members, {})
    tables = write_tables(folder, *make_tables(num))
    assemble(make_study(folder), *tables, [folder / "shards" / "0-a.h5"], folder / "dataset")
    return folder / "dataset", folder / "shards"


class Trainee:
    """A network that is trained on whatever batches come."""

    def __init__(self, device: torch.device, spacing_bohr: float, clock: Callable[[], float]) -> None:
        self.device, self.clock = device, clock
        self.network = build_network(ModelSettings(fields=(FIELD,)), spacing_bohr, 1)
        self.network.initialise(1)
        self.network.to(device)
        self.optimiser = torch.optim.AdamW(self.network.parameters())

    def seconds_a_step(self, batches: Iterable[Batch]) -> float:
        """Return the mean over all steps but the first, whose batch nobody can have read in advance."""
        start, count = 0.0, 0
        for batch in batches:
            logits = self.network(batch["voxels"], batch["mask"])
            torch.nn.functional.binary_cross_entropy_with_logits(logits, batch["label"]).backward()
            self.optimiser.step()
            self.optimiser.zero_grad()
            if self.device.type == "cuda":
                torch.cuda.synchronize()
            if count == 0:
                start = self.clock()
            count += 1
        return (self.clock() - start) / (count - 1)


def measure(
    edge: int, batch_size: int, num_batches: int, device: torch.device, is_shared: bool
) -> list[dict[str, Any]]:  # fmt: skip
    """Return a row a number of workers."""
    with TemporaryDirectory() as name:
        data = make_data(Path(name), edge, batch_size * num_batches)
        dataset = ShardDataset(
            *data, "random", 0, None, (FIELD,), ("sweet",), augmentation="rotations_6",
            normalisation=load_normalisation(data[0], "random", 0, (FIELD,)),
        )  # fmt: skip
        batches = EpochBatches(dataset.sizes, dataset.rows["shard"].to_list(), batch_size, 0, 1, 0, seed=1)
        clock = time.process_time if is_shared else time.perf_counter
        trainee = Trainee(device, float(dataset.rows["spacing_bohr"][0]), clock)
        join = partial(collate, stride=STRIDE)
        kept = [join([dataset[draw] for draw in draws]) for draws in batches]
        in_memory = [
            {key: value.to(device) if torch.is_tensor(value) else value for key, value in one.items()} for one in kept
        ]
        trainee.seconds_a_step(in_memory[:2])  # what is done once
        rows = []
        for num_workers in (0,) if is_shared else WORKERS:
            if device.type == "cpu":
                loader: Iterable[Any] = EpochLoader(batches, dataset=dataset, collate_fn=join, num_workers=num_workers)
            else:
                reading = reading_loader(dataset, batches, num_workers)
                loader = (finish_batch(dataset, fetched, STRIDE, device) for fetched in reading)
            # The two stand beside each other, because the machine's speed drifts.
            before = trainee.seconds_a_step(in_memory)  # type: ignore[arg-type]
            reading_seconds = trainee.seconds_a_step(loader)
            after = trainee.seconds_a_step(in_memory)  # type: ignore[arg-type]
            memory_seconds = (before + after) / 2
            rows.append({
                "edge": edge, "batch_size": batch_size, "device": device.type, "workers": num_workers,
                "memory_seconds": memory_seconds, "seconds": reading_seconds,
                "ratio": reading_seconds / memory_seconds, "bar": BAR,
            })  # fmt: skip
            print(f"{edge}^3, {num_workers} workers: {reading_seconds:.3f} s a step, {rows[-1]['ratio']:.3f} times")
        return rows


def padding(wavefunctions: Path) -> list[dict[str, Any]]:
    """Return the voxels of batches over those of their molecules at the default grid: mean of 20 epochs."""
    with h5py.File(wavefunctions, "r") as file:
        geometries = [group["geometry_bohr"][()] for group in file.values()]
    shapes = np.array([molecule_grid(geometry, FieldsSettings()).shape for geometry in geometries])
    sizes, num = shapes.prod(axis=1), len(shapes)

    def ratio(batches: list[NDArray[np.int64]]) -> float:
        return float(sum(len(batch) * shapes[batch].max(axis=0).prod() for batch in batches) / sizes.sum())

    rows = []
    for size in (8, 16):
        random = [np.random.default_rng(seed).permutation(num) for seed in range(20)]
        drawn = [ratio(epoch_batches(sizes, [""] * num, size, epoch, 1)) for epoch in range(20)]
        rows.append({
            "batch_size": size, "molecules": num, "training": float(np.mean(drawn)),
            "validation": ratio(epoch_batches(sizes, [""] * num, size)),
            "at_random": float(np.mean([ratio(np.array_split(order, math.ceil(num / size))) for order in random])),
        })  # fmt: skip
    return rows


if __name__ == "__main__":
    torch.set_num_threads(1)
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("output", type=Path)
    options.add_argument("wavefunctions", type=Path, nargs="?")
    options.add_argument("--processor-time", action="store_true")
    given = options.parse_args()
    has_gpu = torch.cuda.is_available() and not given.processor_time
    devices = [torch.device("cpu"), *([torch.device("cuda")] if has_gpu else [])]
    rows = [row for device in devices for case in CASES for row in measure(*case, device, given.processor_time)]
    boxes = padding(given.wavefunctions) if given.wavefunctions else []
    result = {"rows": rows, "padding": boxes, "provenance": provenance("torch", "h5py", "numpy")}
    write_text(given.output, json.dumps(result, indent=1) + "\n")
