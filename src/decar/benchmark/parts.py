"""The parts of a benchmark: one contender on one fold of one split, seed and share of the training molecules.

A part is kept in a folder whose name tells it and carries the hash of what decides its numbers, so whatever is there
is right, and a benchmark that is stopped, or gets another seed, split or network, computes what is missing only.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from decar.baselines.chemprop_program import find_chemprop
from decar.config import LATER_SETTINGS, BenchmarkSplit, ModelSettings, Study
from decar.errors import BackendUnavailableError
from decar.stages import STAGE_VERSION, derive_seed, digest

PERMUTED = "_permuted"  # ends the name of a contender whose training labels are permuted
ENSEMBLE = "_ensemble"  # ends the name of a contender that is the mean of several trainings
BENCHMARK_VERSION = 1


@dataclass(frozen=True)
class Part:
    """One contender on one fold; `seed` counts from 0, `share` is that of the training molecules."""

    contender: str
    split: str
    seed: int
    share: float
    fold: int
    folder: Path

    @property
    def name(self) -> str:
        """Return the name of its folder."""
        return self.folder.name


def parts_of(study: Study, dataset_folder: Path) -> list[Part]:
    """Return the parts in the order in which they are computed: whole comparisons first, refinements after them.

    Shares below 1 come last, and baselines before networks: they cost little.
    """
    settings = study.benchmark
    networks = network_contenders(study)
    parts = []
    for share in sorted(settings.train_shares, reverse=True):
        for seed in range(settings.num_seeds):
            for split_name, split in settings.splits.items():
                for contender in [*baseline_contenders(study), *networks]:
                    members = num_members(study, contender)
                    content = _identity(study, dataset_folder, networks.get(contender), members, split, seed, share)
                    for fold in range(split.num_folds):
                        name = f"{contender}-{split_name}-seed{seed}-share{share:g}-fold{fold}-{content}"
                        folder = study.folder / "benchmark" / "parts" / name
                        parts.append(Part(contender, split_name, seed, share, fold, folder))
    return parts


def unavailable(study: Study) -> dict[str, str]:
    """Return why, by contender, for what is not installed here: it is left out, and the result says so."""
    asked = [name for name in baseline_contenders(study) if name.removesuffix(PERMUTED) == "chemprop"]
    try:
        if asked:
            find_chemprop(study.benchmark.chemprop_command)
    except BackendUnavailableError as error:
        return dict.fromkeys(asked, "; ".join(line.strip() for line in str(error).splitlines()))
    return {}


def benchmark_folder(study: Study, dataset_folder: Path) -> Path:
    """Return where the tables and the figure of these parts lie."""
    names = [part.name for part in parts_of(study, dataset_folder)]
    content = digest([BENCHMARK_VERSION, names, study.evaluate.model_dump(mode="json")])
    return study.folder / "benchmark" / content[:16]


def network_contenders(study: Study) -> dict[str, ModelSettings]:
    """Return the networks by name, ensembles and those on permuted labels among them."""
    models = study.training.models
    chosen = study.benchmark.networks if study.benchmark.networks is not None else tuple(models)
    found = {name: models[name] for name in chosen}
    found |= {name + ENSEMBLE: models[name] for name in study.benchmark.ensembles}
    for name in study.benchmark.permuted:
        if name in models:
            found[name + PERMUTED] = models[name].model_copy(update={"permuted_labels": True, "role": "control"})
    return found


def num_members(study: Study, contender: str) -> int:
    """Return how many trainings the predictions of a network are the mean of."""
    return study.benchmark.ensembles.get(contender.removesuffix(ENSEMBLE), 1) if contender.endswith(ENSEMBLE) else 1


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


def seed_of(study: Study, seed: int) -> int:
    """Return the seed of splits, weights and order; number 0 is the study's own, and so are its folds."""
    return study.seed if seed == 0 else derive_seed(study.seed, "benchmark", seed)


def gpus_per_part(study: Study) -> int:
    """Return 1 where the study trains on GPUs, else 0."""
    return min(1, study.training.gpus_per_node)


def study_of(study: Study, part: Part) -> Study:
    """Return the study as its part sees it: with its seed, and with its network alone."""
    networks = network_contenders(study)
    models: Mapping[str, ModelSettings] = (
        {part.contender: networks[part.contender]} if part.contender in networks else {}
    )
    # A part is one process of one job, whatever the trainings of the study are.
    one = {"nodes": 1, "processes_per_node": 1, "gpus_per_node": gpus_per_part(study)}
    training = study.training.model_copy(update={"models": models, **one})
    return study.model_copy(update={"seed": seed_of(study, part.seed), "training": training})


def _identity(
    study: Study, dataset_folder: Path, network: ModelSettings | None, members: int, split: BenchmarkSplit, seed: int,
    share: float,
) -> str:  # fmt: skip
    settings: object = study.training.property
    if network is not None:
        not_identity = {"models", "threads", "nodes", "gpus_per_node", "processes_per_node"}
        common = study.training.model_dump(mode="json", exclude=not_identity)
        described = network.model_dump(mode="json")
        used = {name: value for name, value in described.items() if (name, value) not in LATER_SETTINGS.items()}
        settings = [STAGE_VERSION["train"], common, used, *([members] if members > 1 else [])]
    data = [dataset_folder.name, seed_of(study, seed), split.model_dump(mode="json"), share]
    return digest([BENCHMARK_VERSION, STAGE_VERSION["evaluate"], data, settings])[:12]
