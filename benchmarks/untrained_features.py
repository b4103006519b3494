"""What invariant averages of a field say without any training of the kernels, on the folds of `decar benchmark`.

    python -m benchmarks.untrained_features STUDY.yaml benchmarks/untrained_features.json

A steerable network with its first, random weights; of every layer the lengths of its tensors, averaged over the
molecule as <s>, <s^2>^(1/2), <s^3>^(1/3), <s^4>^(1/4) (the weights are those of the network's own average), and
ln(volume). On them a logistic regression or a support vector machine, whose constants the validation molecules choose,
as they do for the tuned baselines. AUROC of the test molecules, mean of folds.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.base import ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from decar.atomic import write_text
from decar.benchmark.split_dataset import split_dataset
from decar.config import ModelSettings, Study
from decar.config_file import load_study
from decar.dataset.samples import collate
from decar.dataset.statistics import load_normalisation
from decar.dataset.torch_dataset import ShardDataset
from decar.models.build import build_network
from decar.models.steerable import EPSILON, SteerableNetwork
from decar.planning.plan import load_plan, make_plan
from decar.provenance import provenance
from decar.receipt import read_table
from decar.threads import limit_threads

FIELDS = {
    "density": ("electron_density",), "promolecular": ("promolecular_density",),
    "density_potential": ("electron_density", "electrostatic_potential"),
}  # fmt: skip
WIDTHS, KERNEL_SIZE, POWERS = ((16, 64), (32, 128)), 5, (1, 2, 3, 4)


def lengths(x: torch.Tensor, kinds: dict[tuple[int, int], int]) -> torch.Tensor:
    """Return scalars as they are, and of other tensors the length, [1, tensor, x, y, z]."""
    parts, at = [], 0
    for (degree, _), many in kinds.items():
        width = 2 * degree + 1
        tensors = x[:, at : at + many * width]
        at += many * width
        square = tensors.reshape(1, many, width, *x.shape[2:]).square().sum(dim=2)
        parts.append(tensors if width == 1 else square.sqrt())
    return torch.cat(parts, dim=1)


def averages(network: SteerableNetwork, voxels: torch.Tensor, mask: torch.Tensor) -> np.ndarray:
    """Return the features of one molecule."""
    found: list[torch.Tensor] = []

    def note(layer: Any, given: tuple[torch.Tensor, ...], made: torch.Tensor) -> None:
        values, share = lengths(made, layer.outputs), given[2]
        for power in POWERS:
            mean = ((values if power == 1 else values.abs() ** power) * share).sum(dim=(2, 3, 4))
            found.append(mean if power == 1 else (mean + EPSILON) ** (1 / power))

    def note_volume(_: Any, given: tuple[torch.Tensor]) -> None:
        found.append(given[0][:, -1:])

    hooks = [layer.register_forward_hook(note) for layer in network.layers]
    hooks.append(network.hidden.register_forward_pre_hook(note_volume))
    with torch.inference_mode():
        network(voxels, mask)
    for hook in hooks:
        hook.remove()
    return torch.cat(found, dim=1)[0].double().numpy()


def models() -> Iterator[tuple[str, ClassifierMixin]]:
    """Yield the kind and a model, of each setting that the validation molecules choose from."""
    for c in (1e-3, 1e-2, 0.1, 1.0):
        yield "logistic", LogisticRegression(C=c, class_weight="balanced", max_iter=5000)
    for c in (0.3, 1.0, 3.0, 10.0):
        yield "support vectors", SVC(C=c, gamma="scale", class_weight="balanced")


def main(study_file: Path, output: Path) -> None:
    study = load_study(study_file)
    plan = load_plan(make_plan(study_file, study))
    dataset, shards = Path(plan.dataset), Path(plan.folder) / "shards"
    (split,) = study.benchmark.splits
    folder = split_dataset(study, dataset, shards, split, 0, 1.0)
    rows = []
    for fields, names in FIELDS.items():
        for channels in WIDTHS:
            keys, features = table(study, folder, shards, split, names, channels)
            rows += [
                {"fields": fields, "channels": channels, "features": features.shape[1], "model": kind, **found}
                for kind, found in scores(study, folder, keys, features).items()
            ]
            print(rows[-2:], flush=True)
    report = {"folds": study.benchmark.splits[split].num_folds, "rows": rows, "provenance": provenance("torch")}
    write_text(output, json.dumps(report, indent=1) + "\n")


def table(
    study: Study, folder: Path, shards: Path, split: str, names: tuple[str, ...], channels: tuple[int, ...]
) -> tuple[list[str], np.ndarray]:
    """Return the keys, and the features (molecule, feature)."""
    scheme = study.benchmark.splits[split].scheme
    # Random weights learn nothing from whose statistics are taken: those of the first fold's training molecules.
    normalisation = load_normalisation(folder, scheme, 0, names)
    own = study.training.property
    data = ShardDataset(folder, shards, scheme, 0, None, names, (own,), normalisation=normalisation)
    settings = ModelSettings(architecture="steerable", fields=names, channels=channels, kernel_size=KERNEL_SIZE)
    network = build_network(settings, float(data.rows["spacing_bohr"].iloc[0]), len(names), 1).eval()
    network.initialise(study.seed)
    assert isinstance(network, SteerableNetwork)
    batches = (collate([data[number]], network.total_stride) for number in range(len(data)))
    features = np.stack([averages(network, batch["voxels"], batch["mask"]) for batch in batches])
    return [str(key) for key in data.rows["key"]], features


def scores(study: Study, folder: Path, keys: list[str], features: np.ndarray) -> dict[str, dict[str, Any]]:
    """Return of each kind of model the mean AUROC of test and validation molecules, and that of each fold."""
    labels = read_table(folder / "labels.parquet")
    value = labels[labels["property"] == study.training.property].set_index("key")["value"]
    splits, label = read_table(folder / "splits.parquet"), value.reindex(keys).to_numpy(np.float64)
    chosen: dict[str, list[tuple[float, float]]] = {}
    for _, part in splits.groupby("fold", sort=True):
        subset = part.set_index("key")["subset"].reindex(keys).to_numpy()
        best: dict[str, tuple[float, float]] = {}
        for kind, model in models():
            made = make_pipeline(StandardScaler(), model).fit(features[subset == "train"], label[subset == "train"])
            validation, test = (
                float(roc_auc_score(label[subset == name], made.decision_function(features[subset == name])))
                for name in ("validation", "test")
            )
            best[kind] = max(best.get(kind, (-np.inf, 0.0)), (validation, test))
        for kind, pair in best.items():
            chosen.setdefault(kind, []).append(pair)
    return {
        kind: {
            "auroc": round(float(np.mean([test for _, test in pairs])), 3),
            "validation_auroc": round(float(np.mean([validation for validation, _ in pairs])), 3),
            "by_fold": [round(test, 3) for _, test in pairs],
        }
        for kind, pairs in chosen.items()
    }  # fmt: skip


if __name__ == "__main__":
    with limit_threads(1):
        main(Path(sys.argv[1]), Path(sys.argv[2]))
