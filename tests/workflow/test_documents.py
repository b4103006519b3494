"""The commands of `console` blocks are run, page by page, in a copy of the finished study; so are `python` blocks."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import pytest
from typer.testing import CliRunner

from decar.cli import app
from decar.figures.catalogue import CATALOGUE
from tests.docs.commands import DOCUMENTS, ROOT, commands
from tests.workflow.conftest import Workspace

CONSOLE = [page for page in DOCUMENTS if any(line.tag == "console" for line in commands(page))]
PYTHON = [page for page in DOCUMENTS if "```python\n" in page.read_text(encoding="utf-8")]


def named(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.fixture
def reader(copied: Callable[[], Workspace], monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """What a reader has who followed the page: a finished study, a copy of its file under another name."""
    workspace = copied()
    shutil.copy(workspace.folder / "config.yaml", workspace.folder / "my_study.yaml")
    monkeypatch.chdir(workspace.folder)
    return workspace


@pytest.mark.parametrize("page", CONSOLE, ids=named)
def test_console_blocks_run(page: Path, reader: Workspace) -> None:
    for line in commands(page):
        if line.tag == "console":
            status, output = run(line.text, reader)
            assert status == 0, f"{line.document}:{line.number}: {line.text}\n{output[-3000:]}"


def run(text: str, workspace: Workspace) -> tuple[int, str]:
    """Run a command as it stands, but for the record, which has another name in every study."""
    record = min((workspace.folder / "results/store/wavefunction").rglob("*.h5"))
    program, *words = shlex.split(re.sub(r"results/store/wavefunction/\S+\.h5", str(record), text))
    if program == "snakemake":
        words.remove("--profile")
        words.remove("local")
        output = workspace.run(*words)
        assert "Nothing to be done" in output
        return 0, output
    assert program == "decar"
    result = CliRunner().invoke(app, words, env={**os.environ, "COLUMNS": "120"})
    return result.exit_code, f"{result.output}\n{result.exception!r}"


@pytest.mark.parametrize("page", PYTHON, ids=named)
def test_python_blocks_run(page: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    # In a process of its own: a page may register a field.
    subprocess.run([sys.executable, "-c", "\n".join(blocks)], check=True, timeout=120)


def test_commands_that_fail_are_seen(reader: Workspace) -> None:
    assert run("decar show nothing.h5", reader)[0] != 0


def test_snakemake_reports_every_figure_with_its_caption(finished: Workspace, tmp_path: Path) -> None:
    finished.run("--report", str(tmp_path / "report.zip"))
    with ZipFile(tmp_path / "report.zip") as archive:
        names = {Path(name).name for name in archive.namelist()}
        page = archive.read("report/report.html").decode()
    for name, entry in CATALOGUE.items():
        if (finished.folder / "results" / "small" / "figures" / f"{name}.svg").exists():
            assert f"{name}.svg" in names
            assert f"{entry.title}. {entry.caption[:20]}" in page
