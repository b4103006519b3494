"""Where a model package lies: what a study or a command names, and the folder that is meant. Imports nothing large."""

import json
from pathlib import Path

from decar.errors import ConfigError


def package_folder(given: Path) -> Path:
    """Return the folder of a package that is named itself, or by its training job's folder."""
    return given / "model" if (given / "model" / "config.json").exists() else given


def initial_folder(template: str, scheme: str, fold: int) -> Path:
    """Return the package that a fold begins with: `{scheme}` and `{fold}` in the setting stand for its own.

    Where the name ends in * it is the only folder that fits. Raises ConfigError where there is none or several.
    """
    named = Path(template.replace("{scheme}", scheme).replace("{fold}", str(fold)))
    found = sorted(named.parent.glob(named.name)) if "*" in named.name else [named]
    if len(found) != 1 or not (package_folder(found[0]) / "config.json").exists():
        raise ConfigError(
            "there is no single model package to begin with", where="initial", seen=[str(path) for path in found],
            expected=f"one package at {named}", remedy="train it first, or correct `initial`",
        )  # fmt: skip
    return package_folder(found[0])


def initial_weights(template: str, scheme: str, fold: int) -> str:
    """Return the hash of the weights that a fold begins with; errors as of `initial_folder`."""
    config = json.loads((initial_folder(template, scheme, fold) / "config.json").read_text(encoding="utf-8"))
    return str(config["weights_sha256"])
