"""What several conformers of a molecule bring a network of few molecules: AUROC by their number.

    python -m benchmarks.conformer_ensembles FOLDER/study.yaml benchmarks/conformer_ensembles.json docs/benchmark.md

The study is that of `benchmarks/shared_study.py`, for its molecules, labels and scaffold folds. Conformers come from
decar's own stage (ETKDG v3, MMFF94s, distinct by 0.5 angstrom), lowest energies first; the field is the promolecular
density, which needs no wavefunction and with which networks do as well here as with the density. Each conformer is a
sample, turned into its principal axes, as in `decar train`; the probability of a molecule is the mean over its
conformers. Heads on random kernels as in `benchmarks/field_value.py`: MEMBERS networks, their mean.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from benchmarks.shared_page import insert
from benchmarks.untrained_features import KEPT, MEMBERS, Table, head
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from decar.atomic import write_text
from decar.batch import Molecule
from decar.benchmark.split_dataset import split_dataset
from decar.config import ModelSettings, Study
from decar.config_file import load_study
from decar.dataset.samples import Sample
from decar.dataset.statistics import load_normalisation
from decar.errors import ChemistryError
from decar.evaluate.paired import corrected_interval
from decar.fields.grid import molecule_grid
from decar.fields.promolecular import promolecular_density
from decar.models.build import build_network
from decar.molecules.conformers import compute
from decar.planning.plan import load_plan, make_plan
from decar.provenance import provenance
from decar.quantum.frame import principal_axes
from decar.receipt import read_table
from decar.threads import limit_threads
from decar.training.fixed_readout import readout_of

FIELD, MOST, NUMBERS = "promolecular_density", 8, (1, 2, 4, 8)


def embedded(study: Study, molecule: Molecule) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return atomic numbers and geometry of the conformers, lowest energy first; none where none can be embedded."""
    chosen = {"num_embeddings": 40, "ranking": "mmff", "num_ranked": MOST, "num_kept": MOST}
    conformers = study.conformers.model_copy(update=chosen)
    try:
        record = compute(study.model_copy(update={"conformers": conformers}), molecule, "", None)
    except ChemistryError as error:
        print(molecule.smiles, error)
        return []
    numbers = record.arrays["atomic_numbers"]
    return [(numbers, principal_axes(numbers, geometry)) for geometry in record.arrays["geometry_bohr"]]


def samples_of(study: Study, molecules: pd.DataFrame, normalisation: Any) -> tuple[pd.DataFrame, list[Sample]]:
    """Return a row a conformer (key, conformer), and its sample."""
    rows, samples = [], []
    for key, smiles, charge, spin in molecules[["key", "smiles", "charge", "multiplicity"]].itertuples(index=False):
        molecule = Molecule(key, smiles, int(charge), int(spin), None)
        for place, (numbers, geometry) in enumerate(embedded(study, molecule)):
            grid = molecule_grid(geometry, study.fields)
            voxels = normalisation.apply({FIELD: promolecular_density(numbers, geometry, grid, torch.float32, "cpu")})
            label = torch.zeros(1)
            samples.append(Sample(key=key, conformer=place, weight=1.0, label=label, voxels=voxels))
            rows.append({"key": key, "conformer": place})
    return pd.DataFrame(rows), samples


def features_of(study: Study, spacing_bohr: float, samples: list[Sample]) -> list[np.ndarray]:
    """Return what the heads of MEMBERS networks read, each (sample, number)."""
    settings = ModelSettings(
        architecture="steerable", fields=(FIELD,), channels=(16, 64), readout="all", kernel_size=5
    )  # fmt: skip
    found = []
    for member in range(MEMBERS):
        network = build_network(settings, spacing_bohr, 1, 1).eval()
        network.initialise(study.seed + member)
        found.append(torch.stack([readout_of(network, sample) for sample in samples]).double().numpy())
    return found


def scored(study: Study, rows: pd.DataFrame, features: list[np.ndarray], subsets: pd.DataFrame) -> dict[str, Any]:
    """Return the AUROC of each fold's validation and test molecules, and the interval of the mean of the test."""
    settings = ModelSettings(architecture="steerable", fields=(FIELD,), channels=(16, 64), kernel_size=5)
    label = rows["label"].to_numpy(np.float64)
    found: dict[str, Any] = {"validation": [], "test": []}
    shares = []
    for fold, part in subsets.groupby("fold", sort=True):
        subset = part.set_index("key")["subset"].reindex(rows["key"]).to_numpy(str)
        tables = [Table(read, label, subset) for read in features]
        logits = [head(table, study, settings, seed)[KEPT[1]] for seed, table in enumerate(tables)]
        probability = expit(np.stack(logits)).mean(axis=0)
        means = rows.assign(probability=probability, subset=subset).groupby("key").agg(
            label=("label", "first"), probability=("probability", "mean"), subset=("subset", "first")
        )  # fmt: skip
        for name in ("validation", "test"):
            own = means[means["subset"] == name]
            found[name].append(float(roc_auc_score(own["label"], own["probability"])))
        shares.append(float((means["subset"] == "test").sum() / (means["subset"] == "train").sum()))
        print(fold, found["test"][-1], flush=True)
    low, high = corrected_interval(np.array(found["test"]), float(np.mean(shares)), 0.95)
    return {**found, "low": low, "high": high, "samples": len(rows), "molecules": int(rows["key"].nunique())}


def page(found: dict[str, dict[str, Any]]) -> str:
    """Return the table of the page."""
    lines = ["| conformers at most | samples | AUROC in the test, mean of folds (95 %) | in validation |",
             "|---:|---:|---|---:|"]  # fmt: skip
    for number, one in found.items():
        interval = f"{np.mean(one['test']):.3f} ({one['low']:.2f} to {one['high']:.2f})"
        lines.append(f"| {number} | {one['samples']} | {interval} | {np.mean(one['validation']):.3f} |")
    return "\n".join(lines) + "\n"


def main(file: Path, output: Path, document: Path) -> None:
    """Compute, and write the page."""
    study = load_study(file)
    plan = load_plan(make_plan(file, study))
    folder = split_dataset(study, Path(plan.dataset), Path(plan.folder) / "shards", "scaffold", 0, 1.0)
    labels = read_table(folder / "labels.parquet")
    labels = labels[labels["property"] == study.training.property].dropna(subset="value").set_index("key")["value"]
    molecules = read_table(folder / "molecules.parquet", ["key", "smiles", "charge", "multiplicity"])
    molecules = molecules[molecules["key"].isin(labels.index)].sort_values("key")
    # Folds normalise a single field by factors, which the networks divide out (benchmarks/untrained_features.py).
    rows, samples = samples_of(study, molecules, load_normalisation(folder, "scaffold", 0, (FIELD,)))
    rows["label"] = rows["key"].map(labels)
    features = features_of(study, float(read_table(folder / "manifest.parquet")["spacing_bohr"].iloc[0]), samples)
    found = {}
    for number in NUMBERS:
        chosen = (rows["conformer"] < number).to_numpy()
        own = rows[chosen].reset_index(drop=True)
        splits = read_table(folder / "splits.parquet")
        found[str(number)] = scored(study, own, [read[chosen] for read in features], splits)
    report = {"field": FIELD, "members": MEMBERS, "by_number": found, "provenance": provenance("torch", "rdkit")}
    write_text(output, json.dumps(report, indent=1) + "\n")
    insert(document, "conformers", page(found))


if __name__ == "__main__":
    with limit_threads(1):
        main(*(Path(argument) for argument in sys.argv[1:4]))
