"""The schema of records: which entries and arrays a record of each kind has, and of which types.

Entries that are not named here are allowed: a record may say more. Arrays are not: their names and types are the
format.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from decar.record import Record

HASH = re.compile(r"[0-9a-f]{64}")
ARRAY_NAME = re.compile(r"[A-Za-z0-9_\-]+(/[A-Za-z0-9_\-]+)*")
KIND_OF_STAGE = {"conformers": "conformers", "optimise": "geometry", "wavefunction": "wavefunction", "fields": "fields"}

Types = tuple[type, ...]
ArrayType = tuple[str, int]  # kinds of numpy's dtype (f: float, i: integer), number of dimensions
TEXT, NUMBER, INTEGER = (str,), (int, float), (int,)
OPTIONAL_TEXT = (str, type(None))


@dataclass(frozen=True)
class Kind:
    """What a record of one kind must hold; `{c}` in the name of an array stands for the number of each conformer."""

    metadata: Mapping[str, Types]
    conformer: Mapping[str, Types] = field(default_factory=dict)  # of each entry of metadata.conformers
    arrays: Mapping[str, ArrayType] = field(default_factory=dict)
    optional_arrays: Mapping[str, ArrayType] = field(default_factory=dict)


# Who made a record, under which terms, and what was said of it since: a wavefunction states the first four and the
# annotations of each conformer; a record of any other kind may state them, too, and then as these types.
STATEMENTS: dict[str, Types] = {
    "contributor": OPTIONAL_TEXT, "licence": OPTIONAL_TEXT, "review_state": TEXT, "supersedes": OPTIONAL_TEXT,
    "annotations": (list,),
}  # fmt: skip
IDENTITY: dict[str, Types] = {"key": TEXT, "smiles": TEXT, "charge": INTEGER, "multiplicity": INTEGER}
GEOMETRY = Kind(
    {**IDENTITY, "num_conformers": INTEGER, "source": TEXT},
    arrays={"atomic_numbers": ("i", 1), "geometry_bohr": ("f", 3), "energy_hartree": ("f", 1), "bonds": ("i", 2)},
)
ORBITALS: dict[str, ArrayType] = {"coefficients": ("f", 2), "occupations": ("f", 1), "energies": ("f", 1)}
WAVEFUNCTION = Kind(
    {
        **IDENTITY,
        "num_conformers": INTEGER, "conformers": (list,), "failed_conformers": (list,),
        **{name: types for name, types in STATEMENTS.items() if name != "annotations"},
    },
    conformer={
        "charge": INTEGER, "multiplicity": INTEGER, "energy_hartree": NUMBER, "is_cartesian": (bool,),
        "level": (dict,), "quality": (dict,), "annotations": (list,),
    },
    arrays={
        "{c}/atomic_numbers": ("i", 1), "{c}/nuclear_charges": ("f", 1), "{c}/geometry_bohr": ("f", 2),
        "{c}/dipole_e_bohr": ("f", 1),
        **{f"{{c}}/basis/{name}": ("i", 1) for name in ("atom", "angular_momentum", "num_primitives")},
        **{f"{{c}}/basis/{name}": ("f", 1) for name in ("exponents", "coefficients")},
        **{f"{{c}}/alpha/{name}": shape for name, shape in ORBITALS.items()},
    },
    optional_arrays={f"{{c}}/beta/{name}": shape for name, shape in ORBITALS.items()},
)  # fmt: skip
FIELDS = Kind(
    {"key": TEXT, "smiles": TEXT, "num_conformers": INTEGER, "conformers": (list,), "fields": (dict,)},
    conformer={"grid": (dict,), "quality": (dict,)},
)
FAILURE = Kind(
    {"key": TEXT, "smiles": TEXT, "stage": TEXT, "reason": TEXT, "message": TEXT, "attempts": (list,)},
)
KINDS = {
    "conformers": GEOMETRY, "geometry": GEOMETRY, "wavefunction": WAVEFUNCTION, "fields": FIELDS, "failure": FAILURE,
}  # fmt: skip


def schema_problems(record: Record, stage: str | None = None) -> list[str]:
    """Return what a record lacks or has of the wrong type; `stage` is the one under which it is kept."""
    kind = KINDS.get(record.kind)
    if kind is None:
        return [f"{record.kind!r} is not a kind of record ({', '.join(KINDS)})"]
    problems = [] if HASH.fullmatch(record.recipe) else [f"the recipe {record.recipe[:80]!r} is not a SHA-256"]
    stated = {name: types for name, types in STATEMENTS.items() if name in record.metadata}
    problems += _entry_problems(record.metadata, {**kind.metadata, **stated}, "")
    if problems:
        return problems
    if not HASH.fullmatch(record.metadata["key"]):
        problems.append(f"the key {record.metadata['key'][:80]!r} is not a SHA-256")
    return problems + _stage_problems(record, stage) + _conformer_problems(record, kind) + _array_problems(record, kind)


def _stage_problems(record: Record, stage: str | None) -> list[str]:
    if stage is None:
        return []
    if stage not in KIND_OF_STAGE:
        return [f"{stage!r} is not a stage of which records are kept ({', '.join(KIND_OF_STAGE)})"]
    if record.kind == "failure":
        failed = record.metadata["stage"]
        return [] if failed == stage else [f"a failure of the stage {failed!r} is kept under {stage!r}"]
    expected = KIND_OF_STAGE[stage]
    return [] if record.kind == expected else [f"kind {record.kind!r} is kept under {stage!r}, whose is {expected!r}"]


def _entry_problems(entries: Mapping[str, Any], wanted: Mapping[str, Types], where: str) -> list[str]:
    problems = []
    for name, types in wanted.items():
        if name not in entries:
            problems.append(f"metadata.{where}{name} is missing")
        # To Python a bool is an int; to the format it is not.
        elif not isinstance(entries[name], types) or (isinstance(entries[name], bool) and bool not in types):
            names = " or ".join("null" if kind is type(None) else kind.__name__ for kind in types)
            problems.append(f"metadata.{where}{name} is {type(entries[name]).__name__}, not {names}")
    return problems


def _conformer_problems(record: Record, kind: Kind) -> list[str]:
    if not kind.conformer:
        return []
    conformers, number = record.metadata["conformers"], record.metadata["num_conformers"]
    if len(conformers) != number:
        return [f"{len(conformers)} conformers are described, num_conformers is {number}"]
    problems = []
    for place, conformer in enumerate(conformers):
        if isinstance(conformer, dict):
            problems += _entry_problems(conformer, kind.conformer, f"conformers[{place}].")
        else:
            problems.append(f"metadata.conformers[{place}] is {type(conformer).__name__}, not dict")
    return problems


def _array_problems(record: Record, kind: Kind) -> list[str]:
    number = int(record.metadata.get("num_conformers", 0))
    if record.kind == "fields":
        wanted = {f"{c}/{name}": ("f", 4) for c in range(number) for name in record.metadata["fields"]}
        allowed = wanted
    else:
        wanted = _expanded(kind.arrays, number)
        allowed = {**wanted, **_expanded(kind.optional_arrays, number)}
    problems = [f"the array {name} is missing" for name in wanted if name not in record.arrays]
    for name, array in record.arrays.items():
        if name not in allowed or not ARRAY_NAME.fullmatch(name):
            problems.append(f"{name[:80]!r} is not an array of a {record.kind} record")
            continue
        letter, dimensions = allowed[name]
        if array.dtype.kind != letter or array.ndim != dimensions:
            problems.append(f"{name} is {array.dtype} of {array.ndim} dimensions, not {letter} of {dimensions}")
    if record.kind in {"conformers", "geometry"} and not problems:
        problems += _geometry_problems(record, number)
    return problems


def _geometry_problems(record: Record, number: int) -> list[str]:
    atoms = len(record.arrays["atomic_numbers"])
    shapes = {"geometry_bohr": (number, atoms, 3), "energy_hartree": (number,)}
    return [
        f"{name} has shape {record.arrays[name].shape}, not {shape}"
        for name, shape in shapes.items()
        if record.arrays[name].shape != shape
    ]


def _expanded(arrays: Mapping[str, ArrayType], number: int) -> dict[str, ArrayType]:
    # What is not an array of a conformer is there even where no conformer is.
    return {
        name.format(c=c): shape for name, shape in arrays.items() for c in (range(number) if "{c}" in name else (0,))
    }
