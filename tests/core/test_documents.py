"""No command of the documents is unknown to the program that it names, and no piece of a study file to its schema."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.docs.commands import DOCUMENTS, ROOT, commands, problem


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_command_would_be_taken(document: Path) -> None:
    found = [(line, problem(words)) for line in commands(document) for words in line.words]
    assert [f"{line.document}:{line.number}: {wrong}: {line.text}" for line, wrong in found if wrong] == []


# Commands of bash blocks are read by their parsers, not run: why, and what runs in their place.
NOT_RUN = {
    r"git clone|cd |source |export |apptainer |squeue ": "of other programs",
    r"make (demo|test|setup)": ".ci/run runs it",
    r"pytest ": "part of the tests themselves",
    r"(OMP_NUM_THREADS=1 )?python (-m )?(benchmarks|docs)[./]": "measures or draws for minutes to "
    "hours; the page has what came out",
    r"snakemake .*--profile slurm|decar estimate --study config.yaml --cores 64": "of a cluster: tests/slurm has one",
    r".*examples/paper\.yaml|decar import chemtastesdb|.*FOLDER/study\.yaml": "needs data that are fetched; "
    "tests/molecules imports a table of that form, tests/workflow runs a small study",
    r"decar import-wavefunction": "needs a file of another program: tests/quantum/test_import_study.py",
    r"decar verify --physics": "tests/quantum/test_physics_check.py",
    r"decar predict": "needs a user's table: tests/predict/test_predict.py",
    r"(decar|snakemake) benchmark": "trains for minutes: tests/benchmark computes one and calls --tables-only",
    r"decar config --write config": ".ci/run runs it, in make docs",
    r"decar (estimate|summary) --study my_study\.yaml|decar doctor": "console blocks run it: docs/own-molecules.md",
    r"snakemake (-n )?--profile local --configfile my_study\.yaml( \w+| --report .*)?( *#.*)?$":
    "tests/workflow runs it on a small study",
}  # fmt: skip


def test_a_command_that_is_not_run_has_a_reason() -> None:
    """A new command is run (a console block), or somebody says here why it is not."""
    lines = [line for page in DOCUMENTS for line in commands(page) if line.tag == "bash"]
    unknown = [line for line in lines if not any(re.match(pattern, line.text) for pattern in NOT_RUN)]
    assert [f"{line.document}:{line.number}: {line.text}" for line in unknown] == []
    stale = [pattern for pattern in NOT_RUN if not any(re.match(pattern, line.text) for line in lines)]
    assert stale == []


@pytest.mark.parametrize(
    ("command", "wrong"),
    [
        ("decar sumary --study config.yaml", "no command sumary"),
        ("decar summary --studie config.yaml", "no option --studie"),
        ("decar summary config.yaml", "takes no"),
        ("snakemake --profile local fieldz", "no target"),
        ("snakemake --profil-e local", "no option"),
        ("make dmeo", "no target"),
        ("python benchmarks/nothing.py", "there is no"),
        ("python benchmarks/campaign.py --size 3", "no option"),
        ("pytest tests/nowhere", "there is no"),
        ("rm -rf results", "nobody knows"),
    ],
)  # fmt: skip
def test_wrong_commands_are_found(command: str, wrong: str) -> None:
    assert wrong in str(problem(command.split()))


def test_a_block_that_is_not_marked_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.docs.commands.ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text("Say\n\n    decar doctor\n")
    with pytest.raises(AssertionError, match=r"page\.md:3: mark the block"):
        list(commands(page))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_pieces_of_study_files_have_known_keys(document: Path) -> None:
    schema = json.loads((ROOT / "config" / "schema.json").read_text())
    for block in re.findall(r"```yaml\n(.*?)```", document.read_text(encoding="utf-8"), flags=re.DOTALL):
        assert list(_unknown(yaml.safe_load(block), schema, schema)) == []


def _unknown(piece: Any, part: dict[str, Any], schema: dict[str, Any]) -> list[str]:
    """Return the keys of a piece of a study file that its schema does not have."""
    part = next((one for one in part.get("anyOf", ()) if "$ref" in one), part)  # a section, or null
    if "$ref" in part:
        part = schema["$defs"][part["$ref"].rsplit("/", 1)[-1]]
    if not isinstance(piece, dict):
        return []
    found = []
    for name, value in piece.items():
        named = next(iter(part.get("patternProperties", {}).values()), None)  # a mapping of names that the user chooses
        inner = part.get("properties", {}).get(name, named)
        found += [name] if not inner else _unknown(value, inner, schema)
    return found
