"""What invariant averages of a field say without any training of the kernels, on the folds of `decar benchmark`.

    python -m benchmarks.untrained_features STUDY.yaml benchmarks/untrained_features.json docs/benchmark.md

Steerable networks with their first, random weights: what their heads read (`readout`: of the last layer, or of all) is
a vector of features a molecule. On it a logistic regression or a support vector machine, whose constants the validation
molecules choose by AUROC, as they do for the tuned baselines; or the head itself, trained as `decar train` trains it,
for all epochs of the study, of which one is kept: that of the lowest validation loss, that of the highest validation
AUROC, or the last one. Heads are trained on MEMBERS networks of other random weights: the mean of their AUROCs, and the
AUROC of the mean of their probabilities. Everything is of the test molecules, mean of folds.

Voxels are normalised with the training molecules of each fold. A factor that is common to all fields is divided out in
the first layer, so folds whose fields stand in one ratio share their features: all folds of a single field.
"""

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from benchmarks.shared_page import insert
from scipy.special import expit
from sklearn.base import ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from torch.nn import functional

from decar.atomic import write_text
from decar.benchmark.split_dataset import split_dataset
from decar.config import ModelSettings, Study
from decar.config_file import load_study
from decar.dataset.samples import label_column
from decar.dataset.statistics import load_normalisation
from decar.dataset.torch_dataset import ShardDataset
from decar.models.build import build_network
from decar.models.steerable import SteerableNetwork
from decar.models.task import Task
from decar.planning.plan import load_plan, make_plan
from decar.provenance import provenance
from decar.receipt import read_table
from decar.threads import limit_threads
from decar.training.batches import epoch_batches
from decar.training.fixed_readout import readout_of
from decar.training.module import learning_rate_at
from decar.training.objectives import Objective

FIELDS = {
    "density": ("electron_density",), "promolecular density": ("promolecular_density",),
    "density and potential": ("electron_density", "electrostatic_potential"),
}  # fmt: skip
WIDTHS, KERNEL_SIZE, MEMBERS = ((8, 16), (16, 64)), 5, 3
KEPT = ("lowest loss", "highest AUROC", "last epoch")

Array = np.ndarray


class Table(NamedTuple):
    """Features (molecule, feature), labels (molecule) and subset names (molecule) of one fold."""

    features: Array
    label: Array
    subset: Array


def features_of(network: SteerableNetwork, data: ShardDataset) -> Array:
    """Return what the head reads of each molecule."""
    found = [readout_of(network, data[number]) for number in range(len(data))]
    return torch.stack(found).double().numpy()


def models() -> Iterator[tuple[str, ClassifierMixin]]:
    """Yield the kind and a model, of each setting that the validation molecules choose from."""
    for c in (1e-3, 1e-2, 0.1, 1.0):
        yield "logistic regression", LogisticRegression(C=c, class_weight="balanced", max_iter=5000)
    for c in (0.3, 1.0, 3.0, 10.0):
        yield "support vectors", SVC(C=c, gamma="scale", class_weight="balanced")


def tuned(tables: Iterable[Table]) -> dict[str, list[float]]:
    """Return the AUROC of each fold's test molecules by kind of model."""
    found: dict[str, list[float]] = {}
    for table in tables:
        best: dict[str, tuple[float, float]] = {}
        train = table.subset == "train"
        for kind, model in models():
            made = make_pipeline(StandardScaler(), model).fit(table.features[train], table.label[train])
            score = made.decision_function(table.features)
            best[kind] = max(best.get(kind, (-np.inf, 0.0)), (_auroc(table, "validation", score),
                                                              _auroc(table, "test", score)))  # fmt: skip
        for kind, (_, test) in best.items():
            found.setdefault(kind, []).append(test)
    return found


def head(table: Table, study: Study, settings: ModelSettings, seed: int) -> dict[str, Array]:
    """Train a head of `settings` on standardised features; return the logits of all molecules by KEPT."""
    train, validation = (np.flatnonzero(table.subset == name) for name in ("train", "validation"))
    deviation = table.features[train].std(axis=0, ddof=1)
    scaled = (table.features - table.features[train].mean(axis=0)) / deviation.clip(1e-3 * deviation.max())
    x, y = torch.tensor(scaled).float(), torch.tensor(table.label).float()
    width, generator = x.shape[1], torch.Generator().manual_seed(seed)
    network = torch.nn.Sequential(
        torch.nn.Linear(width, settings.hidden), torch.nn.SiLU(), torch.nn.Linear(settings.hidden, 1)
    )
    with torch.no_grad():
        for layer, gain in ((network[0], (2 / width) ** 0.5), (network[2], 0.1 * (2 / settings.hidden) ** 0.5)):
            layer.weight.copy_(torch.randn(layer.weight.shape, generator=generator) * gain)
            layer.bias.zero_()
    share = float(table.label[train].mean())
    objective = Objective(Task("sweet"), class_weights=(0.5 / (1 - share), 0.5 / share))
    weights = [layer.weight for layer in (network[0], network[2])], [layer.bias for layer in (network[0], network[2])]
    decay = study.training.weight_decay
    optimiser = torch.optim.AdamW([{"params": weights[0], "weight_decay": decay},
                                   {"params": weights[1], "weight_decay": 0.0}])  # fmt: skip

    def loss(outputs: torch.Tensor, rows: Array) -> torch.Tensor:
        losses, weight = objective.losses(outputs, y[rows])
        return (losses * weight).sum() / weight.sum()

    curve = []
    for epoch in range(study.training.max_epochs):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate_at(epoch, study.training)
        sizes = [1] * len(train)
        for batch in epoch_batches(sizes, sizes, study.training.batch_size, epoch, seed):
            rows = train[batch]
            hidden = functional.silu(network[0](x[rows]))
            keep = torch.rand(hidden.shape, generator=generator) >= settings.dropout
            optimiser.zero_grad()
            loss(network[2](hidden * keep / (1 - settings.dropout)), rows).backward()
            optimiser.step()
        with torch.no_grad():
            outputs = network(x)
            logits = outputs[:, 0].double().numpy()
            curve.append((-float(loss(outputs[validation], validation)), _auroc(table, "validation", logits),
                          float(epoch), logits))  # fmt: skip
    return {name: max(curve, key=lambda row: row[place])[3] for place, name in enumerate(KEPT)}  # the first of equals


def heads(tables: list[list[Table]], study: Study, settings: ModelSettings) -> dict[str, dict[str, Any]]:
    """Return, by KEPT, AUROC and Brier score of single heads (means) and of the mean of their probabilities."""
    found: dict[str, list[tuple[float, ...]]] = {name: [] for name in KEPT}
    for members in tables:
        of_fold = members[0]
        logits = [head(table, study, settings, seed) for seed, table in enumerate(members)]
        for name in KEPT:
            rows = expit(np.stack([one[name] for one in logits]))
            single = np.mean([[_auroc(of_fold, "test", row), _brier(of_fold, row)] for row in rows], axis=0)
            mean = rows.mean(axis=0)
            found[name].append((*single, _auroc(of_fold, "test", mean), _brier(of_fold, mean),
                                np.mean([_auroc(of_fold, "validation", row) for row in rows])))  # fmt: skip
    names = ("auroc", "brier", "auroc_of_mean", "brier_of_mean", "validation_auroc")
    return {name: dict(zip(names, np.mean(rows, axis=0).round(3).tolist())) for name, rows in found.items()}


def _auroc(table: Table, name: str, score: Array) -> float:
    return float(roc_auc_score(table.label[table.subset == name], score[table.subset == name]))


def _brier(table: Table, probability: Array) -> float:
    return float(np.mean((probability - table.label)[table.subset == "test"] ** 2))


def tables_of(study: Study, folder: Path, shards: Path, split: str, settings: ModelSettings) -> list[list[Table]]:
    """Return the tables of each fold, one a member."""
    scheme, own = study.benchmark.splits[split].scheme, study.training.property
    known: dict[tuple[float, ...], list[Array]] = {}  # features of all molecules, by the ratios of the fields
    found = []
    for fold in sorted(set(read_table(folder / "splits.parquet")["fold"])):
        normalisation = load_normalisation(folder, scheme, fold, settings.fields)
        data = ShardDataset(folder, shards, scheme, fold, None, settings.fields, (own,), normalisation=normalisation)
        ratios = tuple(entry.scale / normalisation.fields[0].scale for entry in normalisation.fields)
        if ratios not in known:
            known[ratios] = [features_of(network, data) for network in _networks(study, settings, data)]
        label, subset = data.rows[label_column(own)].to_numpy(np.float64), data.rows["subset"].to_numpy(str)
        found.append([Table(features, label, subset) for features in known[ratios]])
    return found


def _networks(study: Study, settings: ModelSettings, data: ShardDataset) -> Iterator[SteerableNetwork]:
    """Yield the network of each member."""
    for member in range(MEMBERS):
        network = build_network(settings, float(data.rows["spacing_bohr"].iloc[0]), len(settings.fields), 1).eval()
        network.initialise(study.seed + member)
        assert isinstance(network, SteerableNetwork)
        yield network


def page(rows: list[dict[str, Any]]) -> str:
    """Return the table of the page."""
    head = (
        "field", "channels", "reads", "logistic regression", "support vectors", "head: lowest loss", "highest AUROC",
        "last epoch", f"mean of {MEMBERS}", "Brier: lowest loss", "highest AUROC", f"mean of {MEMBERS}",
    )  # fmt: skip
    lines = [f"| {' | '.join(head)} |", "|---|---|---|" + "---:|" * 9]
    for row in rows:
        loss, order, last = (row["heads"][name] for name in KEPT)
        values = [*row["tuned"].values(), loss["auroc"], order["auroc"], last["auroc"], order["auroc_of_mean"],
                  loss["brier"], order["brier"], order["brier_of_mean"]]  # fmt: skip
        channels = ", ".join(map(str, row["channels"]))
        lines.append(f"| {row['fields']} | {channels} | {row['readout']} | {' | '.join(f'{v:.3f}' for v in values)} |")
    return "\n".join(lines) + "\n"


def main(study_file: Path, output: Path, document: Path) -> None:
    study = load_study(study_file)
    plan = load_plan(make_plan(study_file, study))
    shards, split = Path(plan.folder) / "shards", "scaffold"
    folder = split_dataset(study, Path(plan.dataset), shards, split, 0, 1.0)
    rows: list[dict[str, Any]] = []
    for fields, names in FIELDS.items():
        for channels in WIDTHS:
            for readout in ("last", "all"):
                settings = ModelSettings(architecture="steerable", fields=names, channels=channels, readout=readout,
                                         kernel_size=KERNEL_SIZE)  # fmt: skip
                tables = tables_of(study, folder, shards, split, settings)
                by_model = {
                    kind: round(float(np.mean(values)), 3)
                    for kind, values in tuned(members[0] for members in tables).items()
                }
                rows.append({"fields": fields, "channels": channels, "readout": readout, "tuned": by_model,
                             "heads": heads(tables, study, settings)})  # fmt: skip
                print(rows[-1], flush=True)
    report = {"folds": study.benchmark.splits[split].num_folds, "rows": rows, "provenance": provenance("torch")}
    write_text(output, json.dumps(report, indent=1) + "\n")
    insert(document, "untrained", page(rows))


if __name__ == "__main__":
    with limit_threads(1):
        main(*(Path(argument) for argument in sys.argv[1:4]))
