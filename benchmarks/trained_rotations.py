"""How far the prediction of a trained network changes when the molecule is turned, against how far molecules differ.

    python -m benchmarks.trained_rotations FOLDER/study.yaml benchmarks/trained_rotations.json docs/networks.md PARTS
        [--grids 0.6,4.5 0.35,4.0]

PARTS are folders of networks in results/<study>/benchmark/parts; each holds the package of its training. Of the test
molecules of its fold NUM_MOLECULES are drawn, the same for all networks of a fold, and rendered from their
wavefunctions in NUM_POSES poses: any rotation, all equally likely, and the grid moved by up to half a voxel along each
axis, as `augmentation: continuous` does. Of the outputs z [molecule m, pose p], a logit or a scaled value:

    over rotations   sqrt( mean_m Var_p z )        over molecules   sqrt( Var_m mean_p z )

the same ratio of NUM_FRESH outputs of a network of this form before any training (root mean squares over outputs), and
the largest change of a probability (of the value, in the unit, for a number) between two poses of one molecule. A row
of the JSON is replaced where its part is given again; the others stay.

`--grids` are spacings and paddings [angstrom] in place of the study's: kernels of given diameters are the same at any
spacing, so the trained weights are tried on other grids, with the normalisation that they were trained with.
"""

import argparse
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmarks.shared_page import insert

from decar.atomic import write_text
from decar.config import Study
from decar.config_file import load_study
from decar.dataset.normalise import Normalisation
from decar.dataset.rendered_dataset import RenderedDataset
from decar.dataset.samples import Batch, Draw, collate
from decar.models.build import build_network
from decar.models.network import Network
from decar.models.package import Package, open_package
from decar.provenance import provenance
from decar.threads import limit_threads
from decar.units import ANGSTROM_PER_BOHR

NUM_MOLECULES, NUM_POSES, NUM_FRESH = 20, 10, 16
SAME = ("study", "network", "split", "fold", "spacing_angstrom", "padding_angstrom")  # what tells rows apart
Grid = tuple[float, float]  # spacing and padding [angstrom]


def batches_of(study: Study, part: Path, split: str, fold: int, package: Package) -> Iterator[list[Batch]]:
    """Yield, molecule by molecule, what a network sees of its poses."""
    (dataset,) = (part.parents[1] / "datasets").glob(f"{split}-*")
    data = RenderedDataset(
        dataset, study, package.config["scheme"], fold, "test", package.config["fields"],
        [task.name for task in package.tasks],
        normalisation=Normalisation.from_json(package.config["normalisation"]), augmentation="continuous", seed=1,
    )  # fmt: skip
    chosen = np.random.default_rng(1).permutation(len(data))[:NUM_MOLECULES]
    for sample in chosen.tolist():
        yield [collate([data[Draw(sample, pose)]], package.network.total_stride) for pose in range(NUM_POSES)]


def outputs(network: Network, batch: Batch) -> np.ndarray:
    with torch.inference_mode():
        return network(batch["voxels"], batch["mask"])[0].double().numpy()


def spreads(found: np.ndarray) -> tuple[float, float]:
    """Return the spread over rotations and over molecules of outputs (molecule, pose, output)."""
    over_rotations = np.sqrt(found.var(axis=1, ddof=1).mean())
    return float(over_rotations), float(np.sqrt(found.mean(axis=1).var(axis=0, ddof=1).mean()))


def on_grid(network: Network, spacing_bohr: float) -> Network:
    """Return a network of the same weights at another spacing."""
    if network.settings.kernel_diameters_angstrom is None:
        raise SystemExit("only kernels of given diameters (kernel_diameters_angstrom) are the same on another grid")
    other = build_network(network.settings, spacing_bohr, network.num_inputs, network.num_outputs)
    other.load_state_dict(network.state_dict())
    return other.eval()


def measured(study: Study, part: Path, grid: Grid | None) -> dict[str, Any]:
    """Return the row of a part, whose folder is named contender-split-seed-share-fold-hash."""
    match = re.fullmatch(r"(\w+)-(\w+-seed\d+-share[\d.]+)-fold(\d+)-\w+", part.name)
    assert match is not None, part.name
    split, fold = match[2], int(match[3])
    package = open_package(part / "training" / "model")
    if grid is not None:
        fields = study.fields.model_copy(update={"spacing_angstrom": grid[0], "padding_angstrom": grid[1]})
        study = study.model_copy(update={"fields": fields})
        package = replace(package, network=on_grid(package.network, grid[0] / ANGSTROM_PER_BOHR))
    trained, task = package.network, package.tasks[0]
    settings = trained.settings
    fresh = build_network(settings, trained.spacing_bohr, trained.num_inputs, NUM_FRESH).eval()
    fresh.initialise(1)
    both = [
        [(outputs(trained, batch)[:1], outputs(fresh, batch)) for batch in poses]
        for poses in batches_of(study, part, split, fold, package)
    ]
    found, untrained = (np.array([[pose[one] for pose in poses] for poses in both]) for one in (0, 1))
    over_rotations, over_molecules = spreads(found)
    before = spreads(untrained)
    values = {
        "over_rotations": over_rotations, "over_molecules": over_molecules, "ratio": over_rotations / over_molecules,
        "ratio_untrained": before[0] / before[1], "largest_change": float(np.ptp(task.values(found), axis=1).max()),
    }  # fmt: skip
    return {
        "study": study.study, "network": match[1], "split": split, "fold": fold, "kernel_size": settings.kernel_size,
        "spacing_angstrom": round(trained.spacing_bohr * ANGSTROM_PER_BOHR, 3),
        "padding_angstrom": study.fields.padding_angstrom, "unit": task.unit or "",
        **{name: float(f"{value:.3g}") for name, value in values.items()},
    }  # fmt: skip


def table(rows: list[dict[str, Any]]) -> str:
    """Return the table of docs/networks.md."""
    lines = [
        "| network | fold | spacing, padding | over rotations | over molecules | ratio | untrained | largest change |",
        "|---|---:|---|---:|---:|---:|---:|---:|",
    ]
    for row in sorted(rows, key=lambda row: ("in_space" in row["network"], *(row[name] for name in SAME))):
        lines.append(
            f"| `{row['network']}` | {row['fold']} | {row['spacing_angstrom']}, {row['padding_angstrom']} Å | "
            f"{row['over_rotations']:.2g} | {row['over_molecules']:.2g} | {percent(row['ratio'])} | "
            f"{percent(row['ratio_untrained'])} | {row['largest_change']:.2g} {row['unit']} |".replace("  |", " |")
        )
    return "\n".join(lines) + "\n"


def percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 0.1 else f"{100 * share:.0f} %"


def main(study_file: Path, output: Path, page: Path, parts: Sequence[Path], grids: Sequence[Grid]) -> None:
    study = load_study(study_file)
    results: dict[str, Any] = {"rows": []}
    if output.exists():
        results = json.loads(output.read_text())
    for part in parts:
        for grid in grids or (None,):
            row = measured(study, part, grid)
            print(row, flush=True)
            others = [old for old in results["rows"] if any(old[name] != row[name] for name in SAME)]
            results = {"rows": [*others, row], "provenance": provenance("torch", "numpy")}
            write_text(output, json.dumps(results, indent=1) + "\n")
    insert(page, "trained rotations", table(results["rows"]))


def grid_of(text: str) -> Grid:
    spacing, padding = map(float, text.split(","))
    return spacing, padding


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("page", type=Path)
    parser.add_argument("parts", type=Path, nargs="*")
    parser.add_argument("--grids", type=grid_of, nargs="*", default=[], metavar="SPACING,PADDING", help="angstrom")
    asked = parser.parse_args()
    with limit_threads(1):
        main(asked.study, asked.output, asked.page, asked.parts, asked.grids)
