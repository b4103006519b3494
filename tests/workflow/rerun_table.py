"""Which stages an edit runs, and for how many molecules: counted by Snakemake itself, written as docs/reruns.md.

    DECAR_WRITE_DOCS=1 pytest tests/workflow/test_rerun_table.py     # writes the table anew
    python -m tests.workflow.rerun_table FOLDER                      # JSON of the counts, for a finished study

One process plans all edits one after another through Snakemake's API (starting the program takes longer than planning);
how many molecules are really computed, and how many a job only looks up, is read from the store by `decar estimate`.
"""

import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any
from unittest.mock import patch

import yaml

ROOT = Path(__file__).resolve().parents[2]
STAGES = ("conformers", "optimise", "wavefunction", "fields")
STEPS = ("cubes", "shards", "assemble", "train", "evaluate", "interpret", "attribute", "figure")
TITLES = {"assemble": "dataset", "figure": "figures"}
METHANOL, GLYCOL = "methanol,methanol,CO,0\n", "glycol,ethylene glycol,OCCO,1\n"
AMIDE = "formamide,formamide,NC=O,0\n"
Study = dict[str, Any]


@dataclass(frozen=True)
class Edit:
    """What a user changes: text of the table, settings of the study, or the programs installed."""

    name: str
    table: Callable[[str], str] = lambda text: text
    study: Callable[[Study], Study] = lambda study: study
    versions: bool = False  # another version of every program
    stage_version: str | None = None  # a stage whose code gives other numbers


def replaced(old: str, new: str) -> Callable[[str], str]:
    def edit(text: str) -> str:
        assert old in text
        return text.replace(old, new)

    return edit


def setting(section: str, key: str, value: object) -> Callable[[Study], Study]:
    return lambda study: {**study, section: {**study.get(section, {}), key: value}}


EDITS = (
    Edit("nothing"),
    Edit("one SMILES (another molecule)", replaced(METHANOL, "methanol,methanol,CCO,0\n")),
    Edit("one SMILES (another spelling of the same molecule)", replaced(METHANOL, "methanol,methanol,[H]OC,0\n")),
    Edit("one name", replaced("methanol,methanol", "methanol,wood alcohol")),
    Edit("one label", replaced(METHANOL, METHANOL.replace(",0", ",1"))),
    Edit(
        "one charge (`protonation: as_given`)", replaced(AMIDE, AMIDE.replace("NC=O", "[NH-]C=O")),
        setting("molecules", "protonation", "as_given"),
    ),
    Edit("one charge (`protonation: neutral` takes it away again)", replaced(AMIDE, AMIDE.replace("NC=O", "[NH-]C=O"))),
    Edit("a row added", lambda text: text + "water,water,O,0\n"),
    Edit("a row added, of a molecule that is there", lambda text: text + "wood-alcohol,wood alcohol,CO,0\n"),
    Edit("a row removed", replaced(METHANOL, "")),
    Edit("a row moved", lambda text: replaced(METHANOL, "")(text) + METHANOL),
    Edit("all rows in another order", lambda text: "\n".join([text.split("\n")[0], *sorted(text.split("\n")[1:-1])])),
    Edit("conformers: `num_embeddings`", study=setting("conformers", "num_embeddings", 4)),
    Edit("optimisation: `convergence`", study=setting("optimise", "convergence", "loose")),
    Edit("the basis", study=setting("quantum", "basis", "6-31g")),
    Edit("the spacing", study=setting("fields", "spacing_angstrom", 0.7)),
    Edit("cube files too", study=setting("fields", "write_cubes", True)),
    Edit("the number of shards", study=setting("dataset", "num_shards", 4)),
    Edit("the number of folds", study=setting("dataset", "splits", [{"scheme": "random", "num_folds": 3}])),
    Edit("a training rate", study=setting("training", "learning_rate", 0.01)),
    Edit("processes of a training", study=setting("training", "processes_per_node", 2)),
    Edit("resamples of the intervals", study=setting("evaluate", "num_bootstrap", 60)),
    Edit("rotations of the interpretation", study=setting("interpret", "rotations", 1)),
    Edit("a figure's colour", study=setting("figures", "positive_colour", "#009E73")),
    Edit("the batch size", study=setting("workflow", "batch_size", 4)),
    Edit("another version of PySCF, torch, every program", versions=True),
    Edit("decar's code of the fields (`STAGE_VERSION` raised)", stage_version="fields"),
)  # fmt: skip


@contextmanager
def applied(edit: Edit, folder: Path) -> Iterator[None]:
    """Make the edit in a workspace, and take it back."""
    from decar import stages

    files = {name: (folder / name).read_text() for name in ("table.csv", "config.yaml")}
    (folder / "table.csv").write_text(edit.table(files["table.csv"]))
    (folder / "config.yaml").write_text(yaml.safe_dump(edit.study(yaml.safe_load(files["config.yaml"]))))
    raised = {edit.stage_version: 99} if edit.stage_version else {}
    real = metadata.version
    with patch.dict(stages.STAGE_VERSION, raised), patch("importlib.metadata.version") as version:
        version.side_effect = (lambda _: "99.9") if edit.versions else real
        try:
            yield
        finally:
            for name, text in files.items():
                (folder / name).write_text(text)


def jobs_to_run(folder: Path) -> Counter[str]:
    """Return how many jobs of each rule Snakemake would run in a workspace; what it prints goes to stderr."""
    from snakemake.api import SnakemakeApi
    from snakemake.settings.enums import Quietness, RerunTrigger
    from snakemake.settings.types import (
        DAGSettings,
        ExecutionSettings,
        OutputSettings,
        ResourceSettings,
        WorkflowSettings,
    )

    triggers = frozenset({RerunTrigger.MTIME})  # as in the profiles
    with SnakemakeApi(OutputSettings(dryrun=True, quiet={Quietness.ALL}, keep_logger=False)) as api:
        workflow = api.workflow(
            resource_settings=ResourceSettings(cores=2), workflow_settings=WorkflowSettings(),
            snakefile=ROOT / "workflow" / "Snakefile", workdir=folder,
        )  # fmt: skip
        dag = workflow.dag(dag_settings=DAGSettings(rerun_triggers=triggers))
        dag.execute_workflow(
            executor="dryrun", execution_settings=ExecutionSettings(lock=False, ignore_incomplete=True)
        )
        counts = Counter(job.rule.name for job in workflow._workflow.dag.needrun_jobs(exclude_finished=False))
    os.environ.pop("DECAR_PLAN", None)
    return counts


def molecules_to_compute(folder: Path) -> dict[str, int]:
    """Return how many molecules of each per-molecule stage the store does not hold."""
    from decar.config_file import load_study
    from decar.planning.cost_estimate import estimate
    from decar.planning.plan import load_plan, make_plan

    study = load_study(folder / "config.yaml")
    rows = estimate(study, load_plan(make_plan(folder / "config.yaml", study))).rows
    return {row.stage: row.molecules for row in rows if row.stage in STAGES}


def count_all(folder: Path) -> dict[str, dict[str, dict[str, int]]]:
    from decar.config_file import load_study
    from decar.planning.study_check import check_study

    os.chdir(folder)
    found = {}
    # The check of a study file starts a process for the sake of memory; here it is called, to save two seconds an edit.
    check = patch("decar.planning.plan.check_study_apart", lambda frozen: lambda: check_study(load_study(frozen)))
    for edit in EDITS:
        with applied(edit, folder), check:
            found[edit.name] = {"jobs": dict(jobs_to_run(folder)), "molecules": molecules_to_compute(folder)}
    return found


def table(counts: dict[str, dict[str, dict[str, int]]]) -> str:
    """Return the table of the documentation: molecules computed in the first four columns, jobs in the others."""
    titles = ["edit", *STAGES, *(TITLES.get(step, step) for step in STEPS)]
    lines = ["| " + " | ".join(titles) + " |", "| --- |" + " ---: |" * (len(titles) - 1)]
    for name, found in counts.items():
        jobs, molecules = found["jobs"], found["molecules"]
        cells = [_molecules(molecules[stage], jobs.get(stage, 0)) for stage in STAGES]
        cells += [str(jobs.get(step, 0) or "") for step in STEPS]
        lines.append("| " + " | ".join([name, *cells]) + " |")
    return "\n".join(lines) + "\n"


def _molecules(computed: int, jobs: int) -> str:
    """Return molecules computed; `0 (n look up)` where n jobs only look up what the store holds."""
    if not jobs:
        return ""
    return str(computed) if computed else f"0 ({jobs} look up)"


if __name__ == "__main__":
    real_stdout, sys.stdout = sys.stdout, sys.stderr
    found_counts = count_all(Path(sys.argv[1]).resolve())
    real_stdout.write(json.dumps(found_counts))
