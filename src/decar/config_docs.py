"""Generate the documentation of the study file from its schema: `config/README.md` and `config/schema.json`."""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from decar.atomic import write_text
from decar.config import (
    BenchmarkSplit,
    LabelSettings,
    ModelSettings,
    PretrainingSettings,
    SplitSettings,
    Study,
    TaskSettings,
)

INTRODUCTION = """\
# Every key of a study file

Generated from the schema in `src/decar/config/` by `decar config --write config`; do not edit.

A study file is complete in itself: give yours with `snakemake --profile local --configfile my_study.yaml`, and nothing
of `config.yaml` is merged into it. An unknown key or a wrong value is an error before any job starts. Paths are taken
from the folder in which snakemake runs. `schema.json` beside this page lets an editor check and complete the file.
"""


def write_documentation(folder: Path) -> list[Path]:
    """Write README.md and schema.json into `folder` and return their paths."""
    readme, schema = folder / "README.md", folder / "schema.json"
    write_text(readme, render_readme())
    write_text(schema, json.dumps(Study.model_json_schema(), indent=2) + "\n")
    return [readme, schema]


def render_readme() -> str:
    """Return the table of every key: type, default, meaning."""
    parts = [INTRODUCTION, _table("The study", Study, top=True)]
    for name, field in Study.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, BaseModel):
            parts.append(_table(f"`{name}`", section))
    parts.append(_table("`molecules.labels.<property>`", LabelSettings))
    parts.append(_table("one entry of `dataset.splits`", SplitSettings))
    parts.append(_table("`training.models.<name>`", ModelSettings))
    parts.append(_table("`training.models.<name>.tasks.<property>`", TaskSettings))
    parts.append(_table("`training.models.<name>.pretraining`", PretrainingSettings))
    parts.append(_table("`benchmark.splits.<name>`", BenchmarkSplit))
    return "\n".join(parts)


def _table(title: str, section: type[BaseModel], *, top: bool = False) -> str:
    document = " ".join((section.__doc__ or "").split())
    lines = [f"## {title}", "", document, "", "| key | type | default | meaning |", "| --- | --- | --- | --- |"]
    schema = section.model_json_schema()
    for key, field in section.model_fields.items():
        is_section = isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
        if top and is_section:
            continue
        kind = _type(schema["properties"][key])
        lines.append(f"| `{key}` | {kind} | {_default(field)} | {field.description or ''} |".replace("\n", " "))
    return "\n".join(lines) + "\n"


def _type(schema: dict[str, Any]) -> str:
    """Return a JSON schema fragment in words."""
    match schema:
        case {"$ref": _}:
            words = "section"
        case {"const": value}:
            words = f"`{value}`"
        case {"enum": values}:
            words = " or ".join(f"`{value}`" for value in values)
        case {"anyOf": parts}:
            words = " or ".join(_type(part) for part in parts)
        case {"prefixItems": parts}:
            words = "[" + ", ".join(_type(part) for part in parts) + "]"
        case {"items": item}:
            words = f"list of {_type(item)}"
        case {"type": "object"}:
            words = "mapping of name to section"
        case _:
            bounds = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
            limits = [f"{sign} {schema[name]:g}" for name, sign in bounds.items() if name in schema]
            words = " ".join([str(schema.get("type", "value")), *limits])
    return words


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    default = field.get_default(call_default_factory=True)
    if default is PydanticUndefined:
        return ""
    if isinstance(default, BaseModel) or (isinstance(default, tuple) and default and isinstance(default[0], BaseModel)):
        return "see its table"
    if isinstance(default, dict) and default and isinstance(next(iter(default.values())), BaseModel):
        return ", ".join(f"`{name}`" for name in default)
    if isinstance(default, tuple):
        default = list(default)
    if isinstance(default, Path):
        default = str(default)
    return f"`{json.dumps(default)}`"
