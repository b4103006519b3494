"""Read a study file: YAML in, a validated `Study` out; errors name the key, the value and the nearest known key."""

from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from decar.config import Study
from decar.errors import ConfigError


def load_study(path: Path) -> Study:
    """Return the study described by the YAML file `path`.

    Relative paths inside it are taken from the working directory, as Snakemake takes them.
    Raises ConfigError for a missing file, invalid YAML, an unknown key or a wrong value.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigError(
            "the study file does not exist",
            where=path,
            remedy="give its path: --configfile for snakemake, --study for decar",
        ) from error
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError("the study file is not valid YAML", where=path, seen=str(error)) from error
    if not isinstance(data, dict):
        raise ConfigError("the study file must be a mapping of sections", where=path, seen=type(data).__name__)
    return parse_study(data, where=path)


def parse_study(data: dict[str, Any], where: object = "study") -> Study:
    """Validate a nested mapping; raise ConfigError that lists every wrong key and value."""
    try:
        return Study.model_validate(data)
    except ValidationError as error:
        lines = [_describe(dict(item)) for item in error.errors()]
        raise ConfigError(
            "the study file is wrong:\n" + "\n".join(f"  - {line}" for line in lines),
            where=where,
            remedy="config/README.md lists every key",
        ) from error


def _describe(item: dict[str, Any]) -> str:
    location = [part for part in item["loc"] if part != "molecule" and not str(part).startswith("tuple[")]
    dotted = ".".join(str(part) for part in location)
    if item["type"] == "extra_forbidden":
        known = _known_keys(location[:-1])
        near = get_close_matches(str(location[-1]), known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}"
        return f"unknown key {dotted!r}; {hint}"
    if item["type"] == "missing":
        return f"{dotted!r} is missing"
    message = item["msg"].removeprefix("Value error, ")
    return f"{dotted or 'study'}: {message}" + (
        f" (seen: {item['input']!r})" if not isinstance(item["input"], dict) else ""
    )


def _known_keys(location: list[Any]) -> list[str]:
    """Return the keys that are allowed at a place of the schema."""
    model: Any = Study
    for part in location:
        annotation = model.model_fields[part].annotation if _is_model(model) and part in model.model_fields else model
        model = next((found for found in _models_in(annotation)), model)
    return list(model.model_fields) if _is_model(model) else []


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _models_in(annotation: Any) -> list[Any]:
    if _is_model(annotation):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models_in(argument)]
