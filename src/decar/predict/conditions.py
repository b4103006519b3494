"""Under which settings the molecules are computed: those of the packages, or of a study that agrees with them."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from decar.chemistry import FORBIDDING, chemistry_of, differences
from decar.config import Study
from decar.errors import ConfigError
from decar.models.package import Package, open_package
from decar.models.place import package_folder
from decar.stages import WHERE_AND_HOW_LONG


def load_members(folders: Sequence[Path]) -> list[Package]:
    """Load packages (a folder `model`, or that of its training job); raises ConfigError unless they predict the same.

    Errors of a package as of `open_package`.
    """
    members = [open_package(package_folder(given)) for given in folders]
    first = members[0]
    _check_roles(members)
    for other in members[1:]:
        meant = [[(task.name, task.kind, task.unit, task.classes) for task in one.tasks] for one in (first, other)]
        if meant[0] != meant[1]:
            raise ConfigError(
                "the models do not predict the same", where=other.folder, seen=[task.name for task in other.tasks],
                expected=[task.name for task in first.tasks], remedy="give only models of the same properties together",
            )  # fmt: skip
    return members


def _check_roles(members: Sequence[Package]) -> None:
    """Refuse models and controls together, as a pattern like `models/*` would name them."""
    kinds = {(member.network.settings.role, member.network.settings.permuted_labels) for member in members}
    if len(kinds) > 1:
        raise ConfigError(
            "models and controls are no ensemble", where=members[0].folder.parent.parent,
            seen=", ".join(f"{member.folder}: {member.network.settings.role}" for member in members),
            remedy="name the networks of one model, such as results/<study>/models/decar-*/",
        )  # fmt: skip


def conditions(
    members: Sequence[Package], table: Path, store: Path | None, own: Study | None, num_conformers: int | None,
    allow_mismatch: bool, report: Callable[[str], None],
) -> Study:  # fmt: skip
    """Return the study whose settings compute the molecules: `own`, or the first package's.

    Raises ConfigError where a package was trained at another spacing or level of theory and `allow_mismatch` is not
    set; what else differs is reported.
    """
    chemistry = chemistry_of(own) if own else dict(members[0].config["chemistry"])
    for member in members:
        _compare(chemistry, member, allow_mismatch, report)
    needed = list(dict.fromkeys(name for member in members for name in member.config["fields"]))
    fields = dict(chemistry["fields"])
    if own is None or set(needed) - set(fields["names"]):
        fields |= {"names": needed, "write_cubes": False}
    conformers = dict(chemistry["conformers"])
    if num_conformers is not None:
        conformers |= {"num_kept": num_conformers, "num_ranked": max(num_conformers, conformers["num_ranked"])}
    where = own.quantum.model_dump(include=WHERE_AND_HOW_LONG) if own else {}
    name, model = members[0].tasks[0].name, "model"
    return Study.model_validate({
        "study": "prediction", "seed": chemistry["seed"],
        "store": str(store or (own.store if own else Study.model_fields["store"].default)),
        "molecules": {"table": str(table), "protonation": chemistry["protonation"], "labels": {name: {"column": name}}},
        "conformers": conformers, "optimise": chemistry["optimise"], "quantum": {**chemistry["quantum"], **where},
        "fields": fields, "training": {"property": name, "models": {model: {"fields": needed}}},
        "interpret": {"model": model}, "figures": {"example": ""},
    })  # fmt: skip


def _compare(
    chemistry: Mapping[str, Any], member: Package, allow_mismatch: bool, report: Callable[[str], None]
) -> None:
    found = differences(member.config["chemistry"], chemistry)
    if forbidding := {name: pair for name, pair in found.items() if name in FORBIDDING}:
        text = "; ".join(f"{name} {pair[1]!r} instead of {pair[0]!r}" for name, pair in forbidding.items())
        if not allow_mismatch:
            raise ConfigError(
                "the model was trained on fields of another spacing or level of theory", where=member.folder,
                seen=", ".join(f"{name}: {pair[1]}" for name, pair in forbidding.items()),
                expected=", ".join(f"{name}: {pair[0]}" for name, pair in forbidding.items()),
                remedy="leave --study out, give models of one level and spacing, or say --allow-mismatch",
            )  # fmt: skip
        report(f"{member.folder}: {text} (allowed by --allow-mismatch; the spread does not show it)")
    for name in sorted(found.keys() - FORBIDDING):
        report(f"{member.folder}: {name} was {found[name][0]!r} in training and is {found[name][1]!r} here")
