"""No command of the documents is unknown to the program that it names, and no piece of a study file to its schema."""

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.docs.commands import DOCUMENTS, ROOT, commands, problem
from tests.docs.run_by import NOT_RUN, RUN_BY, bash_lines


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_command_would_be_taken(document: Path) -> None:
    found = [(line, problem(words)) for line in commands(document) for words in line.words]
    assert [f"{line.document}:{line.number}: {wrong}: {line.text}" for line, wrong in found if wrong] == []


def test_every_command_is_run_by_a_test_or_excused() -> None:
    patterns = [*RUN_BY.values(), *NOT_RUN]
    matches = [(line, [text for text in patterns if re.fullmatch(text, line.command)]) for line in bash_lines()]
    wrong = [f"{line.document}:{line.number}: {line.text}" for line, found in matches if len(found) != 1]
    assert wrong == [], "tests/docs/run_by.py says which one test runs a command"
    assert set(patterns) == {text for _, found in matches for text in found}, "a pattern matches no command any more"


def test_what_is_said_to_run_a_command_does() -> None:
    """The tests are there, those of RUN_BY are given their commands, and .ci/run has each of its own as a line."""
    for test in RUN_BY:
        assert "documented" in arguments_of(test), test
    for pattern, excuse in NOT_RUN.items():
        for test in excuse.instead:
            if "::" in test:
                arguments_of(test)
                continue
            lines = (ROOT / test).read_text(encoding="utf-8").splitlines()
            own = {line.command for line in bash_lines() if re.fullmatch(pattern, line.command)}
            assert own <= set(lines), test


def arguments_of(test: str) -> list[str]:
    """Return the names of a test's arguments; KeyError where there is no such test."""
    file, name = test.split("::")
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    return [argument.arg for argument in functions[name].args.args]


@pytest.mark.parametrize(
    ("command", "wrong"),
    [
        ("decar sumary --study config.yaml", "no command sumary"),
        ("decar summary --studie config.yaml", "no option --studie"),
        ("decar summary config.yaml", "takes no"),
        ("snakemake --profile local fieldz", "no target"),
        ("snakemake --profil-e local", "no option"),
        ("snakemake --configfile my_study.yaml fields", "name targets before"),
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
        # A mapping of names that the user chooses; additionalProperties is false in a section.
        named = next(iter(part.get("patternProperties", {}).values()), part.get("additionalProperties"))
        inner = part.get("properties", {}).get(name, named)
        found += [name] if not inner else _unknown(value, inner, schema)
    return found
