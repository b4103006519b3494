"""What pretraining on fields learns, by its settings: the loss, and what a linear model tells from the kept kernels.

    python -m benchmarks.pretraining FOLDER/pretrained.yaml benchmarks/pretraining.json docs/transfer.md

FOLDER is that of `benchmarks/shared_study.py`, its dataset made. Networks are pretrained on fold 0 as `decar train`
does it, each row of VARIANTS a change of the defaults. `explained` is 1 - loss / loss of the mean, of the validation
molecules. Then a ridge regression tells four computed properties (dipole moment, energy of the highest occupied
orbital, logP, polar surface area) from what the head would read: fitted on the training molecules, R^2 of those of
validation and test together. No taste enters. Rows that the output has already are kept: it may be stopped.
"""

import json
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import torch
from benchmarks.shared_page import insert
from benchmarks.shared_study import PROPERTIES, properties_of
from sklearn.linear_model import RidgeCV
from sklearn.metrics import r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from decar.atomic import write_text
from decar.config import ModelSettings, PretrainingSettings, Study
from decar.config_file import load_study
from decar.dataset.rendered_dataset import wavefunction_recipes
from decar.dataset.samples import FIELDS_ALONE, collate
from decar.dataset.statistics import load_normalisation
from decar.dataset.torch_dataset import ShardDataset
from decar.models.build import build_network
from decar.models.network import Network
from decar.planning.plan import load_plan, make_plan
from decar.provenance import provenance
from decar.quantum.wavefunction import Wavefunction
from decar.receipt import read_table
from decar.stages import STAGE_VERSION
from decar.store import Store
from decar.threads import limit_threads
from decar.training.pretrain import pretrain
from decar.training.trainer import Launched

NETWORKS = ("steerable_density", "published_density", "published_density_potential")
VARIANTS: dict[str, tuple[dict[str, Any] | None, tuple[str, ...]]] = {
    "none": (None, NETWORKS),
    "default": ({}, NETWORKS),
    "10 epochs": ({"epochs": 10}, NETWORKS),
    "40 epochs": ({"epochs": 40}, NETWORKS),
    "15 % hidden": ({"masked_share": 0.15}, NETWORKS),
    "50 % hidden": ({"masked_share": 0.5}, NETWORKS),
    # The cells of the published network are 4.8 angstrom wide, so its cubes are of one cell whatever is asked.
    "cubes of 1.2 angstrom": ({"cube_angstrom": 1.2}, NETWORKS[:1]),
    "cubes of 3.6 angstrom": ({"cube_angstrom": 3.6}, NETWORKS[:1]),
}
SEED = 1
RIDGES = np.logspace(-1, 4, 11)


def data_of(study: Study, dataset: Path, shards: Path, settings: ModelSettings, subset: str | None) -> ShardDataset:
    """Return the voxels of a subset of fold 0, training molecules turned."""
    scheme, property_name = study.dataset.splits[0].scheme, study.training.property
    normalisation = load_normalisation(dataset, scheme, 0, settings.fields)
    augmentation = study.training.augmentation_of(settings) if subset == FIELDS_ALONE else "none"
    return ShardDataset(dataset, shards, scheme, 0, subset, settings.fields, (property_name,), seed=study.seed,
                        normalisation=normalisation, augmentation=augmentation)  # fmt: skip


def computed(study: Study, dataset: Path) -> pd.DataFrame:
    """Return the properties of each molecule by key."""
    molecules = read_table(dataset / "molecules.parquet", ["key", "smiles", "geometry"])
    recipes, store = wavefunction_recipes(study, zip(molecules["key"], molecules["geometry"])), Store(study.store)
    rows = {}
    for key, smiles in zip(molecules["key"], molecules["smiles"]):
        record = store.load("wavefunction", key, recipes[key])
        rows[key] = properties_of(
            Wavefunction.from_record(record.arrays, record.metadata["conformers"][0], "0/"), smiles
        )
    return pd.DataFrame.from_dict(rows, orient="index")


def probe(network: Network, data: ShardDataset, properties: pd.DataFrame) -> dict[str, float]:
    """Return R^2 of each property."""
    found: list[torch.Tensor] = []
    handle = network.parts()["hidden"].register_forward_pre_hook(lambda _, given: found.append(given[0]))
    with torch.inference_mode():
        for number in range(len(data)):
            batch = collate([data[number]], network.total_stride)
            network(batch["voxels"], batch["mask"])
    handle.remove()
    features, is_train = torch.cat(found).double().numpy(), (data.rows["subset"] == "train").to_numpy()
    scores = {}
    for name in PROPERTIES:
        values = properties[name].reindex(data.rows["key"]).to_numpy()
        model = make_pipeline(StandardScaler(), RidgeCV(RIDGES)).fit(features[is_train], values[is_train])
        scores[name] = round(float(r2_score(values[~is_train], model.predict(features[~is_train]))), 3)
    return scores


def row_of(
    study: Study, dataset: Path, shards: Path, name: str, change: dict[str, Any] | None, properties: pd.DataFrame
) -> dict[str, Any]:  # fmt: skip
    """Return what one setting of a network learns."""
    pretraining = None if change is None else PretrainingSettings(**change)
    settings = study.training.models[name].model_copy(update={"pretraining": pretraining})
    everything = data_of(study, dataset, shards, settings, None)
    network = build_network(settings, float(everything.rows["spacing_bohr"].iloc[0]), everything.num_channels, 1)
    network.initialise(SEED)
    row: dict[str, Any] = {}
    if pretraining:
        models = {**study.training.models, name: settings}
        own = study.model_copy(update={"training": study.training.model_copy(update={"models": models})})
        given = [data_of(study, dataset, shards, settings, subset) for subset in (FIELDS_ALONE, "validation")]
        start = time.process_time()
        with TemporaryDirectory() as folder:
            pretrain(own, network, name, *given, SEED, Path(folder), Launched(), lambda _: None)
            last = pd.read_csv(Path(folder) / "pretraining.csv").iloc[-1]
        row = {column: float(f"{last[column]:.4g}") for column in last.index if column.startswith(("train_", "val_"))}
        row |= {"cpu_seconds": round(time.process_time() - start, 1), "molecules": given[0].rows["key"].nunique()}
    return {**row, "r2": probe(network.eval(), everything, properties)}


def page(rows: dict[str, dict[str, Any]]) -> str:
    """Return the table of the page."""
    lines = [
        "| network | changed | loss | of vacuum | the mean | explained | R^2: dipole, HOMO, logP, polar area | R^2 |",
        "|---|---|---:|---:|---:|---:|---|---:|",
    ]
    for name, row in rows.items():
        network, variant = name.split(": ")
        losses = [f"{row[f'val_{what}']:.3f}" if "val_loss" in row else "" for what in ("loss", "vacuum", "mean")]
        explained = f"{1 - row['val_loss'] / row['val_mean']:.2f}" if "val_loss" in row else ""
        scores = list(row["r2"].values())
        told = ", ".join(f"{score:.2f}" for score in scores)
        shown = {"none": "not pretrained", "default": ""}.get(variant, variant)
        lines.append(f"| `{network}` | {shown} | {' | '.join(losses)} | {explained} | {told} | {np.mean(scores):.2f} |")
    return "\n".join(lines) + "\n"


def main(study_file: Path, output: Path, document: Path) -> None:
    study = load_study(study_file)
    plan = load_plan(make_plan(study_file, study))
    dataset, shards = Path(plan.dataset), Path(plan.folder) / "shards"
    properties = computed(study, dataset)
    rows: dict[str, dict[str, Any]] = json.loads(output.read_text())["rows"] if output.exists() else {}
    wanted = [(name, variant) for variant, (_, networks) in VARIANTS.items() for name in networks]
    for name, variant in wanted:
        key = f"{name}: {variant}"
        if key not in rows:
            rows[key] = row_of(study, dataset, shards, name, VARIANTS[variant][0], properties)
            print(key, json.dumps(rows[key]), flush=True)
        ordered = {key: rows[key] for one in NETWORKS for variant in VARIANTS if (key := f"{one}: {variant}") in rows}
        report = {"rows": ordered, "stage_version": STAGE_VERSION, "provenance": provenance("torch", "scikit-learn")}
        write_text(output, json.dumps(report, indent=1) + "\n")
        insert(document, "pretraining", page(ordered))


if __name__ == "__main__":
    with limit_threads(1):
        main(*(Path(argument) for argument in sys.argv[1:4]))
