"""docs/reruns.md says what each edit runs, and is right; .snakemake/ is deleted before."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from .conftest import Workspace
from .rerun_table import EDITS, ROOT, STAGES, STEPS, applied, table

DOCUMENT = ROOT / "docs" / "reruns.md"
BEGIN, END = "<!-- table: begin -->\n", "<!-- table: end -->\n"
Counts = dict[str, dict[str, dict[str, int]]]


@pytest.fixture(scope="module")
def forgetful(finished: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A copy of the finished study without Snakemake's memory."""
    folder = tmp_path_factory.mktemp("forgetful") / "study"
    shutil.copytree(finished.folder, folder, symlinks=True, ignore=shutil.ignore_patterns(".snakemake"))
    return Workspace(folder)


@pytest.fixture(scope="module")
def counts(forgetful: Workspace) -> Counts:
    command = [sys.executable, "-m", "tests.workflow.rerun_table", str(forgetful.folder)]
    done = subprocess.run(
        command, cwd=ROOT, env=forgetful.environment(), capture_output=True, text=True, check=False
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    found: Counts = json.loads(done.stdout)
    return found


def test_the_documented_table_is_what_the_workflow_does(counts: Counts) -> None:
    before, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)
    documented, _, after = rest.partition(END)
    if os.environ.get("DECAR_WRITE_DOCS"):
        DOCUMENT.write_text(before + BEGIN + table(counts) + END + after, encoding="utf-8")
        return
    assert documented == table(counts), "DECAR_WRITE_DOCS=1 pytest tests/workflow/test_rerun_table.py writes it anew"


def test_nothing_runs_without_a_change_or_for_what_is_not_identity(counts: Counts) -> None:
    for name in ("nothing", "another version of PySCF, torch, every program", "processes of a training"):
        assert counts[name]["jobs"] == {}, name


def test_labels_training_and_figures_never_touch_quantum_chemistry(counts: Counts) -> None:
    downstream = [edit.name for edit in EDITS if "label" in edit.name or "training" in edit.name]
    downstream += ["a figure's colour", "one name", "a row moved", "the number of folds", "resamples of the intervals"]
    for name in downstream:
        touched = {rule: count for rule, count in counts[name]["jobs"].items() if rule in {*STAGES, "shards"}}
        assert touched == {}, name
    assert counts["a figure's colour"]["jobs"].keys() <= {"all", "figure", "tables", "manifest", "report"}


def test_an_edited_molecule_is_computed_alone(counts: Counts) -> None:
    for name in ("one SMILES (another molecule)", "one charge (`protonation: as_given`)", "a row added"):
        assert [counts[name]["jobs"].get(stage, 0) for stage in STAGES] == [1, 1, 1, 1], name
        assert [counts[name]["molecules"][stage] for stage in STAGES] == [1, 1, 1, 1], name
    same = ("a row removed", "a row moved", "all rows in another order", "a row added, of a molecule that is there",
            "one SMILES (another spelling of the same molecule)")  # fmt: skip
    for name in same:
        assert [counts[name]["jobs"].get(stage, 0) for stage in STAGES] == [0, 0, 0, 0], name


@pytest.mark.parametrize("name", ["one label", "the spacing"])
def test_the_command_line_agrees(forgetful: Workspace, counts: Counts, name: str) -> None:
    edit = next(edit for edit in EDITS if edit.name == name)
    with applied(edit, forgetful.folder):
        planned = forgetful.planned()
    expected = counts[name]["jobs"]
    assert {rule: planned.get(rule, 0) for rule in (*STAGES, *STEPS)} == {
        rule: expected.get(rule, 0) for rule in (*STAGES, *STEPS)
    }
