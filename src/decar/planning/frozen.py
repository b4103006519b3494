"""A frozen plan as the jobs read it. Every job on a cluster parses the Snakefile, so this imports nothing large."""

import json
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class TrainingJob:
    """One network on one fold; `repeat` numbers its trainings, and the study's own is 0."""

    model: str
    scheme: str
    fold: int
    folder: str
    repeat: int = 0


@dataclass(frozen=True)
class Plan:
    """Paths are strings relative to the working directory, as Snakemake wants them."""

    study: str  # the frozen study file
    folder: str  # results/<study>
    index: str  # the frozen index
    sources: dict[str, str]  # name of a first-stage receipt -> batch file
    parents: dict[str, dict[str, str]]  # stage -> receipt name -> receipt name of the stage before
    shards: dict[str, list[str]]  # shard name -> names of the fields receipts that it is made from
    molecules: str
    dataset: str
    records: str  # folder of the tables of times and quality figures
    training: list[TrainingJob]
    evaluation: str
    interpretation: str
    explained: str  # folder of the training job that is explained
    permuted: str  # folder of the same job on permuted labels, "" without one
    attribution: str
    attributed: list[str]  # folders of the training jobs of all folds that are explained
    figures_hash: str
    formats: list[str]
    counts: dict[str, int]
    # What jobs ask for at first: mem_mb and minutes of each per-molecule stage, in order, by prefix of the batch;
    # and of each step that sees all molecules.
    demands: dict[str, list[int]] = field(default_factory=dict)
    steps: dict[str, list[int]] = field(default_factory=dict)
    # Further trainings of the explained network on the first fold: attributions are compared with theirs.
    repeated: list[TrainingJob] = field(default_factory=list)

    @property
    def receipts(self) -> dict[str, list[str]]:
        """Return the names of the receipts of each per-molecule stage."""
        return {stage: list(names) for stage, names in self.parents.items()}

    @property
    def trainings(self) -> list[TrainingJob]:
        """Return every training that a job does: those that are evaluated, then those of other seeds."""
        return [*self.training, *self.repeated]


def load_plan(path: Path) -> Plan:
    """Read a frozen plan."""
    data = json.loads(path.read_text(encoding="utf-8"))
    jobs = {name: [TrainingJob(**job) for job in data.get(name, [])] for name in ("training", "repeated")}
    return Plan(**{**data, **jobs})
