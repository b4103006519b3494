"""The plan of a study: the name of every file that will be made, derived from what it is made of.

Every name carries the hash of what decides its content, so that a file which exists is right and a file which is
missing is to be made: reruns need no memory of earlier runs. A plan is frozen: jobs read `plan-<hash>.json` and
`study-<hash>.yaml`, never the user's files, which may change while a workflow runs.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import pyarrow as pa
import yaml

from decar.atomic import write_text
from decar.config import Study
from decar.errors import ConfigError, DecarError
from decar.models.place import initial_weights
from decar.molecules.identity import KEY_VERSION
from decar.planning.batches import SHORT, batch_size_to_advise, buckets, identity_digest, make_batches
from decar.planning.checks import check_index
from decar.planning.cost_jobs import plan_demands, step_demands
from decar.planning.downstream import name_downstream
from decar.planning.frozen import Plan, TrainingJob, load_plan
from decar.planning.hashing import keys_of, table_digest
from decar.planning.index import count_status, read_sound, write_index
from decar.planning.study_check import check_study_apart
from decar.receipt import read_table
from decar.stages import MOLECULE_STAGES, STAGE_VERSION, digest, settings_digests

__all__ = ["Plan", "TrainingJob", "load_plan", "make_plan", "read_index"]

PLAN_VERSION = 6  # of the names below and of the JSON file
LARGE_TABLE_BYTES = 2**25  # some 300,000 molecules


def make_plan(
    study_file: Path, study: Study, report: Callable[[str], None] = lambda _: None, processes: int = 1
) -> Path:
    """Return the path of the frozen plan of a study; it is computed only if this study and table were never planned.

    Raises ConfigError for whatever is wrong in the study or its table, before any job; `report` is told what in the
    table could not be used as it stands, and how far it is. New rows are identified by so many processes.
    """
    table = study.molecules.table
    if not table.exists():
        raise ConfigError(
            "the table of molecules does not exist", where=study_file, seen=table, remedy="correct molecules.table"
        )
    with table.open("rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()
    name = digest([study.model_dump(mode="json"), content, STAGE_VERSION, KEY_VERSION, PLAN_VERSION, *_begun(study)])[
        :SHORT
    ]
    folder = study.folder / "plan"
    path = folder / f"plan-{name}.json"
    if not path.exists():
        frozen, index = folder / f"study-{name}.yaml", folder / f"index-{name}.parquet"
        write_text(frozen, yaml.safe_dump(study.model_dump(mode="json"), sort_keys=False, allow_unicode=True))
        try:
            study_is_sound = check_study_apart(frozen)
            if table.stat().st_size > LARGE_TABLE_BYTES:
                study_is_sound()  # so that what both need is not in memory at once
            try:
                write_index(study.molecules, folder / "rows", index, processes, report, before_new=study_is_sound)
            finally:
                study_is_sound()
            check_index(study, index)
        except DecarError:
            frozen.unlink()
            index.unlink(missing_ok=True)
            raise
        write_text(path, json.dumps(asdict(_plan(study, index, frozen, report)), indent=1))
    return path


def _begun(study: Study) -> list[str]:
    """Return the hashes of the weights that networks begin with: a package may change under its name."""
    return [
        initial_weights(model.initial, split.scheme, fold)
        for model in study.training.models.values() if model.initial
        for split in study.dataset.splits
        for fold in range(split.num_folds)
    ]  # fmt: skip


def _plan(study: Study, index: Path, frozen: Path, report: Callable[[str], None]) -> Plan:
    # A column at a time is in memory, never the whole index; what was read before goes back to the system.
    pa.default_memory_pool().release_unused()
    molecules = read_sound(index, ["key", "smiles", "charge", "multiplicity", "geometry", "sdf_offset"])
    advised = batch_size_to_advise(study, len(molecules))
    if advised is not None:
        report(
            f"{len(molecules)} molecules are {len(molecules)} jobs a stage, which Snakemake plans in minutes and "
            f"gigabytes: set workflow.batch_size, for example to {advised}"
        )
    batches = make_batches(study, molecules)
    fields = settings_digests(study)["fields"]
    shards = {}
    for prefix, start, stop in buckets(keys_of(molecules["key"]), study.dataset.num_shards):
        members = identity_digest(molecules.slice(start, stop - start))
        content = digest([STAGE_VERSION["shards"], fields, members])[:SHORT]
        shards[f"{prefix}-{content}"] = batches.of(start, stop)
    identities, smiles = identity_digest(molecules), table_digest(molecules.select(["smiles"]))
    del molecules
    pa.default_memory_pool().release_unused()
    downstream = name_downstream(study, index, identities, smiles, sorted(shards))
    formulas = read_sound(index, ["formula"])["formula"]
    prefixes = [name.split("-")[0] for name in batches.parents[MOLECULE_STAGES[-1]]]
    return Plan(
        study=str(frozen),
        folder=str(study.folder),
        index=str(index),
        sources=batches.sources,
        parents=batches.parents,
        shards=shards,
        formats=list(study.figures.formats),
        counts=count_status(index),
        demands=plan_demands(study, formulas, prefixes, batches.starts),
        steps={name: [step.mem_mb, step.runtime] for name, step in step_demands(study, formulas).items()},
        **downstream,
    )


def read_index(plan: Plan) -> pd.DataFrame:
    """Read the frozen index of a plan."""
    return read_table(Path(plan.index))
