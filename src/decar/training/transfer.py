"""Begin with the weights of another network: go on with it, or teach it other properties, other fields, larger boxes.

Every weight is taken over but for two parts: the first one is drawn anew where the fields are other ones, and of the
last one only the rows of properties that both have are taken (those of a regression rescaled to the new mean and
spread). Where the first part is taken over, so is the normalisation that its input was learned with. Boxes of any size
fit, because the networks pool over the box; the spacing must be the same, because kernels are physical objects.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from decar.chemistry import FORBIDDING, chemistry_of, differences
from decar.config import ModelSettings, Study
from decar.dataset.normalise import Normalisation
from decar.errors import ConfigError
from decar.models.network import Network
from decar.models.package import Package, open_package
from decar.models.place import initial_folder
from decar.models.task import Task, slices

# The settings of a model that its weights depend on, fields and properties apart.
SIZES = (
    "architecture",
    "channels",
    "kernel_size",
    "kernel_diameters_angstrom",
    "pooling",
    "hidden",
    "max_degree",
    "chiral",
    "readout",
    "standardised",
)


def begin_with(study: Study, model: str, initial: str) -> Study:
    """Return the study with another `initial` of a model; raises ConfigError for a model that it has not."""
    if model not in study.training.models:
        raise ConfigError("the study has no such model", where="training.models", seen=model,
                          expected=sorted(study.training.models))  # fmt: skip
    settings = study.training.models[model].model_copy(update={"initial": initial, "pretraining": None})
    training = study.training.model_copy(update={"models": {**study.training.models, model: settings}})
    return study.model_copy(update={"training": training})


def load_initial(settings: ModelSettings, scheme: str, fold: int) -> Package | None:
    """Return the network that `initial` names for this fold, None where it names none; errors as of `open_package`."""
    if settings.initial is None:
        return None
    return open_package(initial_folder(settings.initial, scheme, fold))


def normalisation_of(initial: Package | None, settings: ModelSettings) -> Normalisation | None:
    """Return what the input was learned with where the first part is taken over: the fields are the same, in order."""
    if initial is None or list(settings.fields) != list(initial.config["fields"]):
        return None
    return Normalisation.from_json(initial.config["normalisation"])


def take_over(initial: Package, network: Network, tasks: Sequence[Task], study: Study, test: Sequence[str]) -> str:
    """Copy the weights into the network and return, in words, what is new.

    `test`: the keys of the molecules that the network will be tested on. Raises ConfigError for another architecture,
    size or spacing, and where the initial network has learned a property of the test molecules that is learned here.
    """
    _check(initial, network, tasks, study, test)
    parts, given = network.parts(), initial.network.parts()
    first, last = next(iter(parts)), list(parts)[-1]
    new = []
    with torch.no_grad():
        for name, part in parts.items():
            if name == first and normalisation_of(initial, network.settings) is None:
                new.append(f"{name} (other fields)")
            elif name == last:
                fresh = _take_over_outputs(initial.tasks, given[name], tasks, part)
                new += [f"output of {task}" for task in fresh]
            else:
                part.load_state_dict(given[name].state_dict())
    return "new: " + (", ".join(new) or "nothing")


def freeze(network: Network, names: Sequence[str]) -> None:
    """Leave parts of the network as they are while the others learn; raises ConfigError for one that it has not."""
    parts = network.parts()
    unknown = sorted(set(names) - set(parts))
    if unknown:
        raise ConfigError(
            "a part that is to be frozen is none of the network", where="frozen", seen=unknown, expected=list(parts)
        )
    for name in names:
        parts[name].requires_grad_(False)


def lineage(initial: Package, change: str, frozen: Sequence[str]) -> list[dict[str, Any]]:
    """Return what the package says of the networks before this one, the oldest first."""
    stated = {name: initial.config[name] for name in ("name", "weights_sha256", "dataset_hash", "licence")}
    return [
        *initial.config["lineage"],
        {**stated, "contributor": initial.config["contributor"], "properties": [task.name for task in initial.tasks],
         "change": change + held(frozen)},
    ]  # fmt: skip


def held(frozen: Sequence[str]) -> str:
    """Return how a lineage says which parts stay as they are."""
    return f"; frozen: {', '.join(frozen)}" if frozen else ""


def _check(initial: Package, network: Network, tasks: Sequence[Task], study: Study, test: Sequence[str]) -> None:
    before, now = initial.network.settings, network.settings
    differing = [name for name in SIZES if getattr(before, name, None) != getattr(now, name, None)]
    if differing:
        raise ConfigError(
            "the initial network is of another size", where=initial.folder,
            seen={name: getattr(now, name) for name in differing},
            expected={name: getattr(before, name) for name in differing},
            remedy="give this model the same architecture and sizes",
        )  # fmt: skip
    found = differences(initial.config["chemistry"], chemistry_of(study))
    if "fields.spacing_angstrom" in found:
        old, new = found["fields.spacing_angstrom"]
        raise ConfigError("the initial network was trained at another spacing", where=initial.folder,
                          seen=f"{new} angstrom", expected=f"{old} angstrom")  # fmt: skip
    learned = {task.name for task in initial.tasks} & {task.name for task in tasks}
    seen = sorted(initial.trained_on & set(test))
    if learned and seen:
        raise ConfigError(
            "the initial network was trained on molecules that this fold tests", where=initial.folder,
            seen=f"{len(seen)} of {len(test)} test molecules, and {', '.join(sorted(learned))} is learned in both",
            remedy="name the network of the same fold: `{scheme}` and `{fold}` stand for them in `initial`",
        )  # fmt: skip


def level_changes(initial: Package, study: Study) -> list[str]:
    """Return how the level of theory differs from that of the initial network, which is allowed here."""
    found = differences(initial.config["chemistry"], chemistry_of(study))
    return [f"{name} {found[name][0]!r} -> {found[name][1]!r}" for name in sorted(found.keys() & FORBIDDING)]


def _take_over_outputs(old: Sequence[Task], given: nn.Module, tasks: Sequence[Task], part: nn.Module) -> list[str]:
    """Copy the rows of the outputs of properties that both have; return the names of the others."""
    if not (isinstance(given, nn.Linear) and isinstance(part, nn.Linear)):
        if [task.to_json() for task in old] != [task.to_json() for task in tasks]:
            return [task.name for task in tasks]
        part.load_state_dict(given.state_dict())
        return []
    known = {(task.name, task.kind, task.unit, task.classes): (task, own) for task, own in zip(old, slices(old))}
    fresh = []
    for task, own in zip(tasks, slices(tasks)):
        match = known.get((task.name, task.kind, task.unit, task.classes))
        if match is None:
            fresh.append(task.name)
            continue
        before, rows = match
        ratio = before.scale / task.scale
        part.weight[own] = given.weight[rows] * ratio
        part.bias[own] = given.bias[rows] * ratio + (before.mean - task.mean) / task.scale
    return fresh
