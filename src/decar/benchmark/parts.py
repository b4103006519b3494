"""The parts of a benchmark: one contender on one fold of one split, seed and share of the training molecules.

A part is kept in a folder whose name tells it and carries the hash of what decides its numbers, so whatever is there
is right, and a benchmark that is stopped, or gets another seed, split or network, computes what is missing only.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from decar.baselines.chemprop import MAX_EPOCHS, PATIENCE, SETTINGS
from decar.benchmark.contenders import NetworkContender, baseline_contenders, network_contenders
from decar.config import LATER_SETTINGS, PERMUTED, BenchmarkSplit, ModelSettings, Study
from decar.stages import STAGE_VERSION, derive_seed, digest

BENCHMARK_VERSION = 1  # of the parts
TABLES_VERSION = 3  # of what is made of them
REASON = "reason.txt"  # in the folder of a part that could not be learned


PLACE = ("contender", "split", "seed", "share", "fold")


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
    def place(self) -> dict[str, str | int | float]:
        """Return what tells it from others, by the names of PLACE."""
        return {name: getattr(self, name) for name in PLACE}

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
                    content = _identity(study, dataset_folder, contender, networks.get(contender), split, seed, share)
                    for fold in range(split.num_folds):
                        name = f"{contender}-{split_name}-seed{seed}-share{share:g}-fold{fold}-{content}"
                        folder = study.folder / "benchmark" / "parts" / name
                        parts.append(Part(contender, split_name, seed, share, fold, folder))
    return parts


def training_folder(number: int) -> str:
    """Return where in the folder of a part one of its trainings lies."""
    return f"training{number or ''}"


def reason_of(part: Part) -> str | None:
    """Return why a part that is there could not be learned, in one line, or None."""
    path = part.folder / REASON
    return "; ".join(map(str.strip, path.read_text(encoding="utf-8").splitlines())) if path.exists() else None


def benchmark_folder(study: Study, dataset_folder: Path) -> Path:
    """Return where the tables and the figure of these parts lie."""
    names = [part.name for part in parts_of(study, dataset_folder)]
    content = digest([BENCHMARK_VERSION, TABLES_VERSION, names, study.evaluate.model_dump(mode="json")])
    return study.folder / "benchmark" / content[:16]


def seed_of(study: Study, seed: int) -> int:
    """Return the seed of splits, weights and order; number 0 is the study's own, and so are its folds."""
    return study.seed if seed == 0 else derive_seed(study.seed, "benchmark", seed)


def gpus_per_part(study: Study) -> int:
    """Return 1 where the study trains on GPUs, else 0."""
    return min(1, study.training.gpus_per_node)


def study_of(study: Study, part: Part, network: ModelSettings | None = None) -> Study:
    """Return the study as its part sees it: with its seed, and with this network alone, by the contender's name."""
    models = {part.contender: network} if network else {}
    # A part is one process of one job, whatever the trainings of the study are.
    one = {"nodes": 1, "processes_per_node": 1, "gpus_per_node": gpus_per_part(study)}
    training = study.training.model_copy(update={"models": models, **one})
    return study.model_copy(update={"seed": seed_of(study, part.seed), "training": training})


def _identity(
    study: Study, dataset_folder: Path, contender: str, network: NetworkContender | None, split: BenchmarkSplit,
    seed: int, share: float,
) -> str:  # fmt: skip
    settings: object = study.training.property
    if contender.removesuffix(PERMUTED) == "tuned_chemprop":
        settings = [study.training.property, SETTINGS, MAX_EPOCHS, PATIENCE]
    if network is not None:
        not_identity = {"models", "threads", "nodes", "gpus_per_node", "processes_per_node"}
        common = study.training.model_dump(mode="json", exclude=not_identity)
        settings = [STAGE_VERSION["train"], common, *_described(network)]
    data = [dataset_folder.name, seed_of(study, seed), split.model_dump(mode="json"), share]
    return digest([BENCHMARK_VERSION, STAGE_VERSION["evaluate"], data, settings])[:12]


def _described(network: NetworkContender) -> list[Any]:
    """Return what names the trainings of a network; settings that came later count where they are used."""
    used = [
        {name: value for name, value in settings.items() if (name, value) not in LATER_SETTINGS.items()}
        for settings in (one.model_dump(mode="json") for one in network.trainings)
    ]
    if network.outcome == "best":
        return [used]
    return used[:1] + ([len(used)] if len(used) > 1 else [])
