"""What the input pipeline costs a training step: steps that read their batches over steps with the batches in memory.

    python -m benchmarks.input_pipeline benchmarks/input_pipeline.json docs/training.md wavefunctions-b3lyp-631gs.h5

The published network at its default size, forward and backward pass and optimiser, one thread; the bar is 1.1. Boxes of
64^3 and 128^3 voxels, float32:

- `shards`: promolecular densities of ten molecules, each sample in a pose of its own, read from four shards,
  normalised and turned as in training, by 0, 2 and 4 workers;
- `rendered`, with a file of wavefunctions (a group each, benchmarks/tastants.py): electron densities of 32 of its
  molecules, rendered for each batch in a pose of its own (`continuous`), on the CPU without workers.

Where there is a GPU the same is done there too, rendered with 0, 2 and 4 workers. Workers read ahead; the clock starts
when as many batches as they can be ahead by have been consumed twice over, and stops while there are more to read, so
that as many are read as are consumed (`read`: samples read over samples consumed while the clock ran). Beside each
stand steps before and after it with the batches in memory. Ratios: of the medians over steps, of the totals, and of the
processor time of the training process, for which other work on the machine counts little.

Rows that stand in the JSON are not measured again; the tables of docs/training.md are written from it.

With the file also: what rendering takes a molecule beside its share of a step, and how many voxels batches hold for one
of their molecules.
"""

import argparse
import json
import math
import multiprocessing
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import count, islice, product
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import h5py
import numpy as np
import torch
from benchmarks.shared_page import insert
from benchmarks.tastants import tastant
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem import AllChem
from tests.dataset.synthetic_study import key_of, make_study, make_tables, write_tables

from decar.atomic import write_text
from decar.batch import Molecule
from decar.config import FieldsSettings, ModelSettings, Study
from decar.dataset.assemble import assemble
from decar.dataset.rendered_dataset import RenderedDataset, wavefunction_recipes
from decar.dataset.samples import Batch, Draw, collate
from decar.dataset.shards import bucket, write_shard
from decar.dataset.statistics import load_normalisation
from decar.dataset.torch_dataset import ShardDataset
from decar.dataset.voxel_dataset import Fetched, VoxelDataset
from decar.fields.compute import compute
from decar.fields.grid import molecule_grid
from decar.fields.promolecular import promolecular_density
from decar.fields.registry import FIELDS
from decar.fields.rotation import random_rotation
from decar.models.build import build_network
from decar.provenance import provenance
from decar.record import Record
from decar.store import Store
from decar.training.batches import EpochBatches, epoch_batches
from decar.training.loaders import EpochLoader, finish_batch, reading_loader
from decar.units import BOHR_PER_ANGSTROM

# Caffeine, quinine, aspartame, saccharin, D-glucose, vanillin, L-tryptophan, nicotine, theobromine, naringenin.
SMILES = (
    "Cn1cnc2c1c(=O)n(C)c(=O)n2C", "COc1ccc2nccc([C@@H](O)[C@@H]3CC4CCN3C[C@@H]4C=C)c2c1",
    "COC(=O)[C@H](Cc1ccccc1)NC(=O)[C@@H](N)CC(=O)O", "O=C1NS(=O)(=O)c2ccccc12",
    "OC[C@H]1O[C@@H](O)[C@H](O)[C@@H](O)[C@@H]1O", "COc1cc(C=O)ccc1O",
    "N[C@@H](Cc1c[nH]c2ccccc12)C(=O)O", "CN1CCC[C@H]1c1cccnc1", "Cn1cnc2c1c(=O)[nH]c(=O)n2C",
    "O=C1C[C@@H](c2ccc(O)cc2)Oc2cc(O)cc(O)c21",
)  # fmt: skip
STRIDE, BOX_ANGSTROM = 8, 22.4
WORKERS = (0, 2, 4)
CASES = ((64, 4), (128, 2))  # edge of the box, samples a batch
AHEAD = 2  # batches that a worker reads ahead
NUM_TIMED, NUM_RENDERED = 24, 32  # batches of a measurement; molecules that are rendered
BAR, BAR_RENDERED = 1.1, 200  # times; molecules a second at 128^3
NOT_MEASURED = "never measured"
Array = NDArray[np.float64]
DEVICES = {"cpu": "CPU", "cuda": "GPU"}


def study_in(folder: Path, field: str, edge: int) -> Study:
    """Return a study of one field in a fixed box."""
    fields = {"names": [field], "spacing_angstrom": BOX_ANGSTROM / edge, "box": [edge] * 3, "padding_angstrom": 0.0}
    return make_study(folder).model_copy(update={"fields": FieldsSettings.model_validate(fields)})


def write_dataset(study: Study, folder: Path, num: int, record: Callable[[int], Record]) -> tuple[Path, Path]:
    """Write the shards and the dataset of so many records; return the folders of dataset and shards."""
    shards: dict[str, list[int]] = {}
    for number in range(num):
        shards.setdefault(bucket(key_of(number), study.dataset.num_shards), []).append(number)
    files = [folder / "shards" / f"{name}-a.h5" for name in shards]
    for file, numbers in zip(files, shards.values()):
        write_shard(file, [(key_of(number), record(number)) for number in numbers], {})
    assemble(study, *write_tables(folder, *make_tables(num)), files, folder / "dataset")
    return folder / "dataset", folder / "shards"


def stored(folder: Path, edge: int, num: int) -> ShardDataset:
    """Return a dataset of the molecules in turn, each sample turned by a rotation of its own."""
    field, random = "promolecular_density", np.random.default_rng(1)
    study = study_in(folder, field, edge)
    molecules = [Chem.AddHs(Chem.MolFromSmiles(smiles)) for smiles in SMILES]
    for molecule in molecules:
        AllChem.EmbedMolecule(molecule, randomSeed=1)
    turns = [random_rotation(random) for _ in range(num)]

    def record(number: int) -> Record:
        molecule = molecules[number % len(molecules)]
        numbers = np.array([atom.GetAtomicNum() for atom in molecule.GetAtoms()], dtype=np.int32)
        positions = molecule.GetConformer().GetPositions() @ turns[number].T * BOHR_PER_ANGSTROM
        grid = molecule_grid(positions, study.fields)
        metadata = {
            "key": key_of(number), "num_conformers": 1, "conformers": [{"grid": grid.to_metadata()}],
            "fields": {field: FIELDS[field].to_metadata()},
        }  # fmt: skip
        return Record("fields", f"{number}", metadata,
                      {f"0/{field}": promolecular_density(numbers, positions, grid).numpy()})  # fmt: skip

    data = write_dataset(study, folder, num, record)
    return ShardDataset(
        *data, "random", 0, None, (field,), ("sweet",), augmentation="rotations_6",
        normalisation=load_normalisation(data[0], "random", 0, (field,)),
    )  # fmt: skip


def rendered(folder: Path, edge: int, num: int, wavefunctions: Path) -> RenderedDataset:
    """Return a dataset of so many molecules of the file, their wavefunctions in a store."""
    field = "electron_density"
    study = study_in(folder, field, edge)
    store, recipes = Store(study.store), wavefunction_recipes(study, [(key_of(number), None) for number in range(num)])
    with h5py.File(wavefunctions) as file:
        names = [sorted(file)[number] for number in np.random.default_rng(1).permutation(len(file))[:num]]
        chosen = [tastant(file[name]) for name in names]

    def record(number: int) -> Record:
        key, one = key_of(number), chosen[number]
        metadata = {"key": key, "num_conformers": 1, "conformers": [one.to_metadata()]}
        made = Record("wavefunction", recipes[key], metadata, one.to_arrays("0/"))
        store.save("wavefunction", made)
        return compute(study, Molecule(key, names[number], one.charge, 1, None), f"{number}", made)

    data, _ = write_dataset(study, folder, num, record)
    return RenderedDataset(
        data, study, "random", 0, None, (field,), ("sweet",), augmentation="continuous",
        normalisation=load_normalisation(data, "random", 0, (field,)),
    )  # fmt: skip


class Epochs(EpochBatches):
    """The batches of one epoch after the other, without an end."""

    def __iter__(self) -> Iterator[list[Draw]]:
        for epoch in count():
            self.set_epoch(epoch)
            yield from super().__iter__()


class Trainee:
    """A network that is trained on whatever batches come."""

    def __init__(self, device: torch.device, spacing_bohr: float, field: str) -> None:
        self.device = device
        self.network = build_network(ModelSettings(fields=(field,)), spacing_bohr, 1)
        self.network.initialise(1)
        self.network.to(device)
        self.optimiser = torch.optim.AdamW(self.network.parameters())

    def step(self, batch: Batch) -> None:
        logits = self.network(batch["voxels"], batch["mask"])
        torch.nn.functional.binary_cross_entropy_with_logits(logits, batch["label"]).backward()
        self.optimiser.step()
        self.optimiser.zero_grad()
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def seconds(self, batches: Iterable[Batch], skipped: int, at_start: Callable[[], None]) -> Array:
        """Return the times of each step, the wait for its batch included, but of those that are skipped.

        (step, clock): on the wall, and of the processor for this process.
        """
        ends = []
        for number, batch in enumerate(batches, start=1):
            self.step(batch)
            if number == skipped:
                at_start()
            if number >= skipped:
                ends.append((time.perf_counter(), time.process_time()))
        return np.diff(ends, axis=0)


class Counter:
    """How many samples a dataset has read, in whatever process."""

    def __init__(self, dataset: VoxelDataset) -> None:
        self._shared, self._fetch, self.before = multiprocessing.Value("q"), dataset.fetch, 0
        dataset.fetch = self.fetch  # type: ignore[method-assign]

    def fetch(self, draw: Draw) -> Any:
        fetched = self._fetch(draw)
        with self._shared.get_lock():
            self._shared.value += 1
        return fetched

    def start(self) -> None:
        self.before = self._shared.value

    @property
    def since(self) -> int:
        """Return how many since the start."""
        return int(self._shared.value) - self.before


def read(dataset: VoxelDataset, draw: Draw, device: torch.device) -> Fetched:
    """Return what a loader reads of a sample, prepared where it is another device that finishes it."""
    fetched = dataset.fetch(draw)
    return fetched if device.type == "cpu" else dataset.prepare(fetched)


def measure(
    dataset: VoxelDataset, batch_size: int, device: torch.device, workers: Iterable[int]
) -> list[dict[str, Any]]:  # fmt: skip
    """Return a row a number of workers."""
    trainee = Trainee(device, float(dataset.rows["spacing_bohr"][0]), dataset.fields[0])
    sampled = (dataset.sizes, dataset.rows["shard"].to_list(), batch_size, 0, 1, 0, 1)
    in_memory = [
        finish_batch(dataset, [read(dataset, draw, device) for draw in draws], STRIDE, device)
        for draws in islice(Epochs(*sampled), NUM_TIMED)
    ]
    for batch in in_memory[:2]:
        trainee.step(batch)  # what is done once
    counter, rows = Counter(dataset), []
    for num_workers in workers:
        batches = Epochs(*sampled)
        if device.type == "cpu":
            loader = EpochLoader(
                batches, dataset=dataset, collate_fn=partial(collate, stride=STRIDE), num_workers=num_workers
            )
            batches_read: Iterable[Batch] = loader
        else:
            loader = reading_loader(dataset, batches, num_workers)
            batches_read = (finish_batch(dataset, fetched, STRIDE, device) for fetched in loader)
        assert loader.prefetch_factor in (AHEAD, None)
        skipped = max(1, 2 * AHEAD * num_workers)
        # The two stand beside each other, because the machine's speed drifts.
        before = trainee.seconds(in_memory[: NUM_TIMED // 2 + 1], 1, lambda: None)
        steps = trainee.seconds(islice(batches_read, skipped + NUM_TIMED), skipped, counter.start)
        num_read = counter.since
        del batches_read, loader  # its workers end
        after = trainee.seconds(in_memory[-(NUM_TIMED // 2) - 1 :], 1, lambda: None)
        memory = np.concatenate([before, after])
        seconds, memory_seconds = (float(np.median(times[:, 0])) for times in (steps, memory))
        of_totals, of_processor = (steps.mean(axis=0) / memory.mean(axis=0)).tolist()
        rows.append({
            "input": "rendered" if isinstance(dataset, RenderedDataset) else "shards",
            "edge": int(dataset.rows["shape_x"][0]), "batch_size": batch_size, "device": device.type,
            "workers": num_workers, "steps": len(steps), "read": num_read / (batch_size * len(steps)),
            "memory_seconds": memory_seconds, "seconds": seconds, "ratio": seconds / memory_seconds,
            "memory_processor_seconds": float(memory[:, 1].mean()),
            "ratio_of_totals": of_totals, "ratio_of_processor_time": of_processor, "bar": BAR,
        })  # fmt: skip
        print(rows[-1], flush=True)
    return rows


def rendering(
    dataset: RenderedDataset, batch_size: int, device: torch.device, step: dict[str, Any]
) -> dict[str, Any]:  # fmt: skip
    """Return what reading and rendering take a molecule, medians over batches, beside its share of a step in memory.

    On a CPU seconds of processor time, for which other work on the machine counts little; elsewhere those on the clock.
    """
    is_cpu = device.type == "cpu"
    clock, step_seconds = time.process_time if is_cpu else time.perf_counter, step["memory_seconds"]
    if is_cpu:
        step_seconds = step["memory_processor_seconds"]
    batches = Epochs(dataset.sizes, dataset.rows["shard"].to_list(), batch_size, 0, 1, 0, 1)
    reading, making = [], []
    for draws in islice(batches, 1 + NUM_RENDERED // batch_size):
        start = clock()
        fetched = [read(dataset, draw, device) for draw in draws]
        middle = clock()
        finish_batch(dataset, fetched, STRIDE, device)
        if not is_cpu:
            torch.cuda.synchronize()
        reading.append((middle - start) / batch_size)
        making.append((clock() - middle) / batch_size)
    seconds = median(making[1:])  # what is done once, is done in the first
    row = {
        "edge": int(dataset.rows["shape_x"][0]), "batch_size": batch_size, "device": device.type,
        "reading_seconds": median(reading[1:]), "rendering_seconds": seconds, "step_seconds": step_seconds / batch_size,
        "molecules_a_second": 1 / seconds,
    }  # fmt: skip
    print(row, flush=True)
    return row


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


def tables(result: dict[str, Any]) -> str:
    """Return the tables of the page, that of the bars first."""
    shown: dict[str, str] = {}
    for kind, device in (("shards", "cpu"), ("shards", "cuda"), ("rendered", "cuda")):
        for edge, _ in CASES:
            ratios = [
                [row["ratio_of_totals"], row["ratio_of_processor_time"]] for row in result["rows"]
                if (row["input"], row["device"], row["edge"]) == (kind, device, edge)
            ]  # fmt: skip
            name = f"training on {kind} over training from memory, {DEVICES[device]}, {edge}³ | at most {BAR}"
            ranges = [f"{min(found):.2f} to {max(found):.2f}" for found in zip(*ratios)]
            shown[name] = "{}, of processor time {}".format(*ranges) if ratios else NOT_MEASURED
    rates = [row["molecules_a_second"] for row in result["rendering"] if (row["device"], row["edge"]) == ("cuda", 128)]
    name = f"density rendered, molecules a second, GPU, 128³ | at least {BAR_RENDERED}"
    shown[name] = f"{rates[0]:.0f}" if rates else NOT_MEASURED
    lines = ["| what | bar | measured |", "| --- | --- | --- |"]
    lines += [f"| {what} | {cell} |" for what, cell in shown.items()]
    columns = ("input", "on", "box", "batch", "workers", "read", "step in memory [s]", "step [s]", "ratio", "of totals",
               "of processor time")  # fmt: skip
    lines += ["", f"| {' | '.join(columns)} |", "| --- | --- | --- " + "| ---: " * 8 + "|"]
    for row in result["rows"]:
        lines.append(
            f"| {row['input']} | {DEVICES[row['device']]} | {row['edge']}³ | {row['batch_size']} | {row['workers']} | "
            f"{row['read']:.2f} | {row['memory_seconds']:.3f} | {row['seconds']:.3f} | {row['ratio']:.2f} | "
            f"{row['ratio_of_totals']:.2f} | {row['ratio_of_processor_time']:.2f} |"
        )
    columns = ("rendered on", "box", "reading [s]", "rendering [s]", "share of a step [s]", "molecules a second")
    lines += ["", f"| {' | '.join(columns)} |", "| --- | --- " + "| ---: " * 4 + "|"]
    for row in result["rendering"]:
        lines.append(
            f"| {DEVICES[row['device']]} | {row['edge']}³ | {row['reading_seconds']:.4f} | "
            f"{row['rendering_seconds']:.3f} | {row['step_seconds']:.3f} | {row['molecules_a_second']:.3g} |"
        )
    return "\n".join(lines) + "\n"


def main(output: Path, page: Path, wavefunctions: Path | None) -> None:
    devices = [torch.device("cpu"), *([torch.device("cuda")] if torch.cuda.is_available() else [])]
    result: dict[str, Any] = {"rows": [], "rendering": [], "padding": []}
    if output.exists():
        result |= json.loads(output.read_text())
    known = {(row["input"], row["edge"], row["device"], row["workers"]) for row in result["rows"]}
    inputs = ("shards", "rendered") if wavefunctions else ("shards",)
    for kind, (edge, batch_size), device in product(inputs, CASES, devices):
        wanted = (0,) if (kind, device.type) == ("rendered", "cpu") else WORKERS
        missing = [number for number in wanted if (kind, edge, device.type, number) not in known]
        if not missing:
            continue
        with TemporaryDirectory() as folder:
            if kind == "shards":
                # What the longest measurement reads: no sample comes twice.
                num = batch_size * (NUM_TIMED + 3 * AHEAD * max(WORKERS))
                result["rows"] += measure(stored(Path(folder), edge, num), batch_size, device, missing)
            elif wavefunctions:
                data = rendered(Path(folder), edge, NUM_RENDERED, wavefunctions)
                rows = measure(data, batch_size, device, missing)
                result["rows"] += rows
                others = [row for row in result["rendering"] if (row["edge"], row["device"]) != (edge, device.type)]
                result["rendering"] = [*others, rendering(data, batch_size, device, rows[0])]
        save(output, result)
    if wavefunctions and not result["padding"]:
        result["padding"] = padding(wavefunctions)
        save(output, result)
    insert(page, "input_pipeline", tables(result))


def save(output: Path, result: dict[str, Any]) -> None:
    write_text(output, json.dumps(result | {"provenance": provenance("torch", "h5py", "numpy")}, indent=1) + "\n")


if __name__ == "__main__":
    torch.set_num_threads(1)
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("output", type=Path)
    options.add_argument("page", type=Path)
    options.add_argument("wavefunctions", type=Path, nargs="?")
    given = options.parse_args()
    main(given.output, given.page, given.wavefunctions)
