"""The plan of a study: the name of every file that will be made, derived from what it is made of.

Every name carries the hash of what decides its content, so that a file which exists is right and a file which is
missing is to be made: reruns need no memory of earlier runs. A plan is frozen: jobs read `plan-<hash>.json` and
`study-<hash>.yaml`, never the user's files, which may change while a workflow runs.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from decar.atomic import write_text
from decar.config import Study
from decar.dataset.shards import bucket
from decar.errors import ConfigError
from decar.molecules.identity import KEY_VERSION
from decar.planning.index import build_index
from decar.receipt import read_table, write_receipt, write_table
from decar.stages import MOLECULE_STAGES, STAGE_VERSION, digest, molecule_recipes

SHORT = 16  # hex digits of a hash in a file name
PLAN_VERSION = 1  # of the names below and of the JSON file


@dataclass(frozen=True)
class TrainingJob:
    """One network on one fold."""

    model: str
    scheme: str
    fold: int
    folder: str


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
    figures_hash: str
    formats: list[str]
    counts: dict[str, int]

    @property
    def receipts(self) -> dict[str, list[str]]:
        """Return the names of the receipts of each per-molecule stage."""
        return {stage: list(self.parents[stage]) for stage in MOLECULE_STAGES}


def make_plan(study_file: Path, study: Study, report: Callable[[str], None] = lambda _: None) -> Path:
    """Return the path of the frozen plan of a study; it is computed only if this study and table were never planned.

    Raises ConfigError for whatever is wrong in the study or its table, before any job; `report` is told what in the
    table could not be used as it stands.
    """
    table = study.molecules.table
    if not table.exists():
        raise ConfigError(
            "the table of molecules does not exist", where=study_file, seen=table, remedy="correct molecules.table"
        )
    content = hashlib.sha256(table.read_bytes()).hexdigest()
    name = digest([study.model_dump(mode="json"), content, STAGE_VERSION, KEY_VERSION, PLAN_VERSION])[:SHORT]
    folder = study.folder / "plan"
    path = folder / f"plan-{name}.json"
    if not path.exists():
        from decar.planning.checks import check_index, check_study  # noqa: PLC0415  imports the field registry

        check_study(study)
        index = build_index(study.molecules, folder / "rows.parquet", report)
        check_index(study, index)
        frozen = folder / f"study-{name}.yaml"
        write_text(frozen, yaml.safe_dump(study.model_dump(mode="json"), sort_keys=False, allow_unicode=True))
        index_path = folder / f"index-{name}.parquet"
        write_table(index_path, index)
        plan = _plan(study, index, frozen, index_path)
        write_text(path, json.dumps(asdict(plan), indent=1))
    return path


def load_plan(path: Path) -> Plan:
    """Read a frozen plan."""
    data = json.loads(path.read_text(encoding="utf-8"))
    return Plan(**{**data, "training": [TrainingJob(**job) for job in data["training"]]})


def _plan(study: Study, index: pd.DataFrame, frozen: Path, index_path: Path) -> Plan:
    molecules = index.loc[index["status"] == "ok"].sort_values("key", ignore_index=True)
    geometry = [digest(block) if isinstance(block, str) else "" for block in molecules["molblock"]]
    recipes = pd.DataFrame([molecule_recipes(study, key, given) for key, given in zip(molecules["key"], geometry)])
    sources, parents, batch_of = _batches(study, molecules, recipes)
    shards = _shards(study, molecules, recipes, batch_of)
    downstream = _downstream(study, index, molecules, recipes, sorted(shards))
    return Plan(
        study=str(frozen),
        folder=str(study.folder),
        index=str(index_path),
        sources=sources,
        parents=parents,
        shards=shards,
        formats=list(study.figures.formats),
        counts={str(name): int(count) for name, count in index["status"].value_counts().items()},
        **downstream,
    )


def _batches(
    study: Study, molecules: pd.DataFrame, recipes: pd.DataFrame
) -> tuple[dict[str, str], dict[str, dict[str, str]], pd.Series]:
    """Group molecules into batches; write the batch files; name the receipts of every stage."""
    size = study.workflow.batch_size
    # The least power of two of batches, so that an edit moves the members of its own batch only.
    batches = 1 << (-(-len(molecules) // size) - 1).bit_length()
    prefixes = molecules["key"].map(lambda key: key[:12] if size == 1 else bucket(key, batches))
    sources: dict[str, str] = {}
    parents: dict[str, dict[str, str]] = {stage: {} for stage in MOLECULE_STAGES}
    names = pd.Series("", index=molecules.index)
    for prefix, rows in molecules.groupby(prefixes, sort=True):
        source = study.folder / "plan" / "batches" / f"{prefix}-{digest(_members(rows))[:SHORT]}.parquet"
        if not source.exists():
            write_receipt(source, [_source_row(row) for row in rows.to_dict("records")])
        before = ""
        for stage in MOLECULE_STAGES:
            name = f"{prefix}-{digest(sorted(recipes.loc[rows.index, stage]))[:SHORT]}"
            if not before:
                sources[name] = str(source)
            parents[stage][name] = before
            before = name
        names.loc[rows.index] = before
    return sources, parents, names


def _members(rows: pd.DataFrame) -> list[list[str]]:
    return [[row["key"], row["smiles"], str(row["molblock"])] for row in rows.to_dict("records")]


def _source_row(row: dict[Any, Any]) -> dict[str, object]:
    molblock = row["molblock"] if isinstance(row["molblock"], str) else None
    identity = {name: row[name] for name in ("key", "smiles", "charge", "multiplicity")}
    # The recipe of a source row is what the first stage is made from: a geometry that the user brought, or nothing.
    return {**identity, "molblock": molblock, "recipe": digest(molblock) if molblock else "", "status": "ok"}


def _shards(study: Study, molecules: pd.DataFrame, recipes: pd.DataFrame, batch_of: pd.Series) -> dict[str, list[str]]:
    buckets = molecules["key"].map(lambda key: bucket(key, study.dataset.num_shards))
    shards = {}
    for prefix, rows in molecules.groupby(buckets, sort=True):
        content = digest([STAGE_VERSION["shards"], sorted(recipes.loc[rows.index, "fields"])])[:SHORT]
        shards[f"{prefix}-{content}"] = sorted(set(batch_of.loc[rows.index]))
    return shards


def _downstream(
    study: Study, index: pd.DataFrame, molecules: pd.DataFrame, recipes: pd.DataFrame, shards: list[str]
) -> dict[str, Any]:
    """Name what is made of all molecules together; each hash covers exactly what its content depends on."""
    settings = study.model_dump(mode="json")
    labels = [name for name in index.columns if name.startswith("label:")]
    meaning = [settings["molecules"]["labels"], settings["molecules"]["on_conflict"]]
    listed = digest([STAGE_VERSION["molecules"], meaning, _rows(index, ["id", "name", "raw", "key", *labels])])
    # Folds are balanced by the class that is learned.
    target = f"label:{study.training.property}"
    dataset = digest([
        STAGE_VERSION["shards"], listed, shards, settings["dataset"], study.seed, study.workflow.max_failed_share,
        study.training.property,
    ])  # fmt: skip
    # A network depends on fields, the label it learns and the split, not on names, rows or other labels.
    data = digest([
        STAGE_VERSION["molecules"], STAGE_VERSION["shards"], sorted(recipes["fields"]),
        _rows(molecules, ["key", "split_group", "scaffold"]),
        sorted(_rows(index.loc[index["key"].notna()], ["key", target])),
        study.molecules.labels[study.training.property].kind, study.molecules.on_conflict, study.seed,
    ])  # fmt: skip
    training, hashes = _training(study, settings, data)
    evaluated = digest([STAGE_VERSION["evaluate"], hashes, settings["evaluate"], sorted(molecules["smiles"]), data])
    first = next(job for job in training if (job.model, job.scheme) == (study.interpret.model, study.interpret.scheme))
    explained = digest([STAGE_VERSION["interpret"], first.folder, settings["interpret"]])
    return {
        "molecules": str(study.folder / "molecules" / listed[:SHORT]),
        "dataset": str(study.folder / "dataset" / dataset[:SHORT]),
        "records": str(study.folder / "records" / dataset[:SHORT]),
        "training": training,
        "evaluation": str(study.folder / "evaluation" / evaluated[:SHORT]),
        "interpretation": str(study.folder / "interpretation" / explained[:SHORT]),
        "explained": first.folder,
        "figures_hash": digest([STAGE_VERSION["figures"], dataset, evaluated, explained, settings["figures"]])[:SHORT],
    }


def _training(study: Study, settings: dict[str, Any], data: str) -> tuple[list[TrainingJob], list[str]]:
    not_identity = {"models", "threads", "nodes", "gpus_per_node", "processes_per_node"}
    common = {name: value for name, value in settings["training"].items() if name not in not_identity}
    jobs, hashes = [], []
    for model, network in settings["training"]["models"].items():
        for split in study.dataset.splits:
            for fold in range(split.num_folds):
                content = digest([
                    STAGE_VERSION["train"], data, common, network, split.model_dump(mode="json"), fold, model,
                ])[:SHORT]  # fmt: skip
                folder = study.folder / "models" / f"{model}-{split.scheme}-fold{fold}-{content}"
                jobs.append(TrainingJob(model, split.scheme, fold, str(folder)))
                hashes.append(content)
    return jobs, hashes


def _rows(table: pd.DataFrame, columns: list[str]) -> list[list[str]]:
    return [[str(value) for value in row] for row in table[columns].itertuples(index=False)]


def read_index(plan: Plan) -> pd.DataFrame:
    """Read the frozen index of a plan."""
    return read_table(Path(plan.index))
