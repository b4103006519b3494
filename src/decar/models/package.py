"""The package: a trained network as a folder that another group can load, check and go on from.

`weights.safetensors` (tensors only, no code), `config.json` (settings of the network and everything needed to feed it:
fields, spacing, normalisation, level of theory; and where it comes from: dataset, metrics, licence, lineage), `card.md`
(the same for people). The folder appears whole or not at all.
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load, save

from decar.config import ModelSettings
from decar.errors import ConfigError, DataFormatError
from decar.models.build import build_network
from decar.models.network import Network
from decar.models.published import PublishedNetwork

FORMAT_VERSION = 1
# What a user of the network cannot do without.
REQUIRED = (
    "name", "fields", "normalisation", "spacing_bohr", "level", "property", "dataset_hash", "metrics", "licence",
    "lineage",
)  # fmt: skip


def save_package(folder: Path, network: Network, metadata: Mapping[str, Any]) -> None:
    """Write the package, in place of an older one. Raises ValueError when the metadata lack an entry of REQUIRED."""
    missing = [name for name in REQUIRED if name not in metadata]
    if missing:
        raise ValueError(f"the metadata of a package lack {missing}")
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    weights = save(state)
    config = {
        **metadata,
        "format_version": FORMAT_VERSION,
        "settings": network.settings.model_dump(mode="json"),
        "num_inputs": network.num_inputs,
        "num_outputs": network.num_outputs,
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
    }
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", suffix=".part", dir=folder.parent))
    try:
        (temporary / "weights.safetensors").write_bytes(weights)
        text = json.dumps(config, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
        (temporary / "config.json").write_text(text + "\n", encoding="utf-8")
        (temporary / "card.md").write_text(_card(network, config), encoding="utf-8")
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
    if config.get("format_version") != FORMAT_VERSION:
        raise DataFormatError(
            "unknown format of a model package",
            where=folder,
            seen=config.get("format_version"),
            expected=FORMAT_VERSION,
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
    lines = [f"# {config['name']}", "", f"Predicts `{config['property']}` from {', '.join(config['fields'])}.", ""]
    lines += ["| what | value |", "|---|---|"]
    level = ", ".join(f"{name} {value}" for name, value in config["level"].items())
    for name, value in (
        ("architecture", network.settings.architecture),
        ("role", network.settings.role),
        ("voxel spacing", f"{config['spacing_bohr']:.6f} bohr"),
        ("level of theory", level),
        ("symmetry", network.symmetry),
        ("dataset", config["dataset_hash"]),
        ("licence", config["licence"] or "not stated"),
        ("made from", ", ".join(config["lineage"]) or "random weights"),
    ):
        lines.append(f"| {name} | {value} |")
    lines += ["", "## Figures", "", "| figure | value |", "|---|---|"]
    lines += [f"| {name} | {value:.4g} |" for name, value in config["metrics"].items() if value is not None]
    lines += ["", "## Layers", "", "| layer | weights | parameters |", "|---|---|---|"]
    lines += [f"| {row['layer']} | {row['shape']} | {row['parameters']} |" for row in network.describe()]
    return "\n".join(lines) + "\n"
