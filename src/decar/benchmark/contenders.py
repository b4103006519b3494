"""Who takes part in a benchmark, and which trainings each network consists of.

A network of `training.models` may stand for itself, for its `_ensemble`, for its `tuned_` choice among settings, or for
its control on `_permuted` labels; a baseline for itself or for its control.
"""

from dataclasses import dataclass
from typing import Literal

from decar.baselines.chemprop import SETTINGS
from decar.baselines.chemprop_program import find_chemprop
from decar.config import ENSEMBLE, PERMUTED, TUNED, ModelSettings, Study
from decar.errors import BackendUnavailableError

CHEMPROP = ("chemprop", "tuned_chemprop")  # baselines that need its program


@dataclass(frozen=True)
class NetworkContender:
    """A network in the benchmark: the settings of its trainings on a fold, and what they become.

    `mean`: the mean of their predictions, each from weights of its own; `best`: the one of the best score on the
    validation molecules, all from the same weights.
    """

    trainings: tuple[ModelSettings, ...]
    outcome: Literal["mean", "best"] = "mean"

    @property
    def role(self) -> str:
        """Return the role that the network was given."""
        return self.trainings[0].role


def network_contenders(study: Study) -> dict[str, NetworkContender]:
    """Return the networks by name: those of the study, ensembles, tuned ones and those on permuted labels."""
    models, settings = study.training.models, study.benchmark
    chosen = settings.networks if settings.networks is not None else tuple(models)
    found = {name: NetworkContender((models[name],)) for name in chosen}
    found |= {name + ENSEMBLE: NetworkContender((models[name],) * count) for name, count in settings.ensembles.items()}
    found |= {
        TUNED + name: NetworkContender(tuple(models[name].variants(values)), "best")
        for name, values in settings.tuned.items()
    }
    for name in settings.permuted:
        if name in models:
            permuted = models[name].model_copy(update={"permuted_labels": True, "role": "control"})
            found[name + PERMUTED] = NetworkContender((permuted,))
    return found


def baseline_contenders(study: Study) -> list[str]:
    """Return the baselines by name, those on permuted labels among them."""
    permuted = [name for name in study.benchmark.permuted if name not in study.training.models]
    return [*study.benchmark.baselines, *(name + PERMUTED for name in permuted)]


def role_of(study: Study, contender: str) -> str:
    """Return `model`, `control` (geometry alone, permuted labels) or `baseline`."""
    networks = network_contenders(study)
    if contender in networks:
        return networks[contender].role
    return "control" if contender.endswith(PERMUTED) else "baseline"


def is_permuted(study: Study, contender: str) -> bool:
    """Return whether a contender learned from permuted labels."""
    networks = network_contenders(study)
    if contender in networks:
        return networks[contender].trainings[0].permuted_labels
    return contender.endswith(PERMUTED)


def num_trainings(study: Study, contender: str) -> int:
    """Return how many trainings a contender is on each fold: what its time is a multiple of; 0 for a baseline."""
    networks = network_contenders(study)
    if contender in networks:
        return len(networks[contender].trainings)
    return {"chemprop": 1, "tuned_chemprop": len(SETTINGS)}.get(contender.removesuffix(PERMUTED), 0)


def learns_from_validation(study: Study, contender: str) -> bool:
    """Return whether a contender is fitted on the validation molecules, too; networks and Chemprop stop by them."""
    return contender not in network_contenders(study) and contender.removesuffix(PERMUTED) not in CHEMPROP


def unavailable(study: Study) -> dict[str, str]:
    """Return why, by contender, for what is not installed here: it is left out, and the result says so."""
    asked = [name for name in baseline_contenders(study) if name.removesuffix(PERMUTED) in CHEMPROP]
    try:
        if asked:
            find_chemprop(study.benchmark.chemprop_command)
    except BackendUnavailableError as error:
        return dict.fromkeys(asked, "; ".join(line.strip() for line in str(error).splitlines()))
    return {}
