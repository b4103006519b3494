"""How far the prediction of a trained network changes when the molecule is turned, against how far molecules differ.

    python -m benchmarks.trained_rotations FOLDER/study.yaml benchmarks/trained_rotations.json docs/networks.md PARTS

PARTS are folders of networks in results/<study>/benchmark/parts; each holds the package of its training. Of the test
molecules of its fold NUM_MOLECULES are drawn, the same for all networks of a fold, and rendered from their
wavefunctions in NUM_POSES poses: any rotation, all equally likely, and the grid moved by up to half a voxel along each
axis, as `augmentation: continuous` does. Of the logits z [molecule m, pose p]:

    over rotations   sqrt( mean_m Var_p z )        over molecules   sqrt( Var_m mean_p z )

the same ratio of NUM_FRESH outputs of a network of this form before any training (root mean squares over outputs), and
the largest change of a probability between two poses of one molecule. A row of the JSON is replaced where its part
is given again; the others stay.
"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmarks.shared_page import insert
from scipy.special import expit

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
SAME = ("network", "split", "fold", "spacing_angstrom")  # what tells rows apart


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


def measured(study: Study, part: Path) -> dict[str, Any]:
    """Return the row of a part, whose folder is named contender-split-seed-share-fold-hash."""
    match = re.fullmatch(r"(\w+)-(\w+-seed\d+-share[\d.]+)-fold(\d+)-\w+", part.name)
    assert match is not None, part.name
    split, fold = match[2], int(match[3])
    package = open_package(part / "training" / "model")
    trained = package.network
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
        "ratio_untrained": before[0] / before[1], "largest_change": float(np.ptp(expit(found), axis=1).max()),
    }  # fmt: skip
    return {
        "network": match[1], "split": split, "fold": fold, "kernel_size": settings.kernel_size,
        "spacing_angstrom": round(trained.spacing_bohr * ANGSTROM_PER_BOHR, 3),
        **{name: float(f"{value:.3g}") for name, value in values.items()},
    }  # fmt: skip


def table(rows: list[dict[str, Any]]) -> str:
    """Return the table of docs/networks.md."""
    lines = [
        "| network | fold | spacing | logit over rotations | over molecules | ratio | untrained | largest change |",
        "|---|---:|---|---:|---:|---:|---:|---:|",
    ]
    for row in sorted(rows, key=lambda row: [row[name] for name in SAME]):
        lines.append(
            f"| `{row['network']}` | {row['fold']} | {row['spacing_angstrom']} Å | {row['over_rotations']:.2g} | "
            f"{row['over_molecules']:.2g} | {100 * row['ratio']:.0f} % | {100 * row['ratio_untrained']:.0f} % | "
            f"{row['largest_change']:.2g} |"
        )
    return "\n".join(lines) + "\n"


def main(study_file: Path, output: Path, page: Path, *parts: Path) -> None:
    study = load_study(study_file)
    results: dict[str, Any] = {"rows": []}
    if output.exists():
        results = json.loads(output.read_text())
    for part in parts:
        row = measured(study, part)
        print(row, flush=True)
        others = [old for old in results["rows"] if any(old[name] != row[name] for name in SAME)]
        results = {"rows": [*others, row], "provenance": provenance("torch", "numpy")}
        write_text(output, json.dumps(results, indent=1) + "\n")
    insert(page, "trained rotations", table(results["rows"]))


if __name__ == "__main__":
    with limit_threads(1):
        main(*(Path(argument) for argument in sys.argv[1:]))
