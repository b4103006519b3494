"""The package: a trained network as a folder that another group can load, check and go on from.

`weights.safetensors` (tensors only, no code), `config.json` (settings of the network and everything needed to feed it:
fields, spacing, normalisation, level of theory, chemistry; what it predicts; and where it comes from: dataset, metrics,
contributor, licence, lineage), `domain.safetensors` (where it may be believed: ECFP4 bits and hidden activities of the
training molecules), `card.md` (the same for people). The folder appears whole or not at all.
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays
from safetensors.torch import load, save

from decar.atomic import full_disk_said
from decar.config import ModelSettings
from decar.errors import ConfigError, DataFormatError
from decar.models.build import build_network
from decar.models.domain import SHARE, Domain
from decar.models.network import Network
from decar.models.published import PublishedNetwork
from decar.models.task import Task

FORMAT_VERSION = 2
# Version 1 lacks what a network needs that is to predict or to be gone on with: chemistry, tasks and domain.
READABLE = (1, 2)
# What a user of the network cannot do without.
REQUIRED = (
    "name", "fields", "normalisation", "spacing_bohr", "level", "chemistry", "property", "tasks", "dataset_hash",
    "metrics", "contributor", "licence", "lineage",
)  # fmt: skip


def save_package(folder: Path, network: Network, metadata: Mapping[str, Any], domain: Domain | None = None) -> None:
    """Write the package, in place of an older one. Raises ValueError when the metadata lack an entry of REQUIRED."""
    missing = [name for name in REQUIRED if name not in metadata]
    if missing:
        raise ValueError(f"the metadata of a package lack {missing}")
    weights = _image(network)
    config = {
        **metadata,
        "format_version": FORMAT_VERSION,
        "settings": network.settings.model_dump(mode="json"),
        "num_inputs": network.num_inputs,
        "num_outputs": network.num_outputs,
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
        "domain": domain.to_json() if domain else None,
    }
    text = json.dumps(config, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
    files = {
        "weights.safetensors": weights, "config.json": text.encode(), "card.md": _card(network, config).encode()
    }  # fmt: skip
    if domain:
        files["domain.safetensors"] = save_arrays(domain.to_tensors())
    with full_disk_said(folder):
        _replace(folder, files)


def weights_sha256(network: Network) -> str:
    """Return the hash that a package of these weights names."""
    return hashlib.sha256(_image(network)).hexdigest()


def _image(network: Network) -> bytes:
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    return save(state)


def _replace(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write a folder of these files, whole or not at all, in place of an older one."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", suffix=".part", dir=folder.parent))
    try:
        for name, content in files.items():
            (temporary / name).write_bytes(content)
        temporary.chmod(0o755)
        if folder.exists():
            # Set aside first: a half deleted package must not stand under this name.
            folder.rename(temporary / "replaced")
        temporary.rename(folder)
        shutil.rmtree(folder / "replaced", ignore_errors=True)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def load_package(folder: Path) -> tuple[Network, dict[str, Any]]:
    """Return the network, ready for use on CPU, and its metadata.

    Raises DataFormatError for a package that is missing, damaged or of another format.
    """
    try:
        config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        weights = (folder / "weights.safetensors").read_bytes()
    except (OSError, ValueError) as error:
        raise DataFormatError("the model package cannot be read", where=folder, seen=str(error)) from error
    if config.get("format_version") not in READABLE:
        raise DataFormatError(
            "unknown format of a model package",
            where=folder,
            seen=config.get("format_version"),
            expected=READABLE,
        )
    if hashlib.sha256(weights).hexdigest() != config["weights_sha256"]:
        raise DataFormatError("the weights do not match their hash", where=folder / "weights.safetensors",
                              expected=config["weights_sha256"], remedy="fetch or train the model again")  # fmt: skip
    try:
        settings = ModelSettings.model_validate(config["settings"])
        inputs, outputs = int(config["num_inputs"]), int(config.get("num_outputs", 1))
        network = build_network(settings, float(config["spacing_bohr"]), inputs, outputs)
        network.load_state_dict(load(weights))
    except (ValidationError, SafetensorError, RuntimeError) as error:
        raise DataFormatError("the weights do not fit the settings", where=folder, seen=str(error)) from error
    return network.eval(), config


@dataclass(frozen=True)
class Package:
    """A network that can predict or be gone on with, and what its package says."""

    folder: Path
    network: Network
    config: Mapping[str, Any]
    tasks: tuple[Task, ...]
    domain: Domain | None

    @property
    def trained_on(self) -> frozenset[str]:
        """Return the keys of the training molecules, none where the package has no domain."""
        return frozenset(bytes(key).hex() for key in self.domain.keys) if self.domain else frozenset()


def open_package(folder: Path) -> Package:
    """Return a package with its tasks and its domain.

    Raises DataFormatError as `load_package`, and for a package of version 1.
    """
    network, config = load_package(folder)
    if config["format_version"] == 1:
        raise DataFormatError(
            "the package does not say how its molecules were computed", where=folder, seen="format 1",
            expected="format 2 or later", remedy="run its training job again: the finished network is only packed anew",
        )  # fmt: skip
    tasks = tuple(Task.from_json(entry) for entry in config["tasks"])
    return Package(folder, network, config, tasks, _load_domain(folder, config["domain"]))


def _load_domain(folder: Path, stated: Mapping[str, Any] | None) -> Domain | None:
    if stated is None:
        return None
    path = folder / "domain.safetensors"
    try:
        tensors = load_arrays(path.read_bytes())
    except (OSError, SafetensorError) as error:
        raise DataFormatError("the applicability domain cannot be read", where=path, seen=str(error)) from error
    return Domain.restore(tensors, stated)


def load_published(folder: Path) -> tuple[PublishedNetwork, dict[str, Any]]:
    """Return what `load_package` does, for what needs kernels of the published network's form.

    Raises ConfigError for a network of another architecture.
    """
    network, config = load_package(folder)
    if not isinstance(network, PublishedNetwork):
        raise ConfigError("only a published network has kernels that can be correlated with fields", where=folder,
                          seen=network.settings.architecture, expected="published",
                          remedy="name a model of architecture `published` in interpret.model")  # fmt: skip
    return network, config


def _card(network: Network, config: Mapping[str, Any]) -> str:
    """Return the model card, Markdown."""
    tasks = [Task.from_json(entry) for entry in config["tasks"]]
    properties = ", ".join(f"`{task.name}`" for task in tasks)
    lines = [f"# {config['name']}", "", f"Predicts {properties} from {', '.join(config['fields'])}.", ""]
    lines += ["```", f"decar predict {config['name']}/ molecules.csv --output predictions.csv", "```", ""]
    level = ", ".join(f"{name} {value}" for name, value in config["level"].items())
    lines += _table(("what", "value"), [
        ("architecture", network.settings.architecture),
        ("role", network.settings.role),
        ("voxel spacing", f"{config['spacing_bohr']:.6f} bohr"),
        ("level of theory", level),
        ("symmetry", network.symmetry),
        ("dataset", config["dataset_hash"]),
        ("contributor", config["contributor"] or "not stated"),
        ("licence", config["licence"] or "not stated"),
        ("made from", "; ".join(_ancestor(entry) for entry in config["lineage"]) or "random weights"),
        ("weights (SHA-256)", config["weights_sha256"]),
    ])  # fmt: skip
    lines += ["", "## Properties", ""]
    lines += _table(("property", "kind", "unit"), [(task.name, task.kind, task.unit or "") for task in tasks])
    lines += ["", "## Where it may be believed", "", _domain_text(config["domain"]), "", "## Figures", ""]
    figures = [(name, f"{value:.4g}") for name, value in config["metrics"].items() if value is not None]
    lines += _table(("figure", "value"), figures)
    lines += ["", "## Layers", ""]
    layers = [(row["layer"], row["shape"], row["parameters"]) for row in network.describe()]
    lines += _table(("layer", "weights", "parameters"), layers)
    return "\n".join(lines) + "\n"


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    cells = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(map(str, row))} |" for row in cells]


def _ancestor(entry: Mapping[str, Any]) -> str:
    return f"{entry['name']} ({entry['weights_sha256'][:16]}), {entry['change']}"


def _domain_text(domain: Mapping[str, Any] | None) -> str:
    if domain is None:
        return "Not stated: the package has no training molecules with it."
    return (
        f"A molecule is inside where its ECFP4 Tanimoto similarity to the nearest of the {domain['num_training']}"
        f" training molecules is at least {domain['similarity']:.3f}, and its distance to the nearest one in the last"
        f" hidden layer at most {domain['distance']:.3f}: what {SHARE:.0%} of the {domain['num_validation']} validation"
        " molecules meet in each measure. The package holds the ECFP4 bits and keys of the training molecules, not"
        " their structures."
    )
