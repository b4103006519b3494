"""Shared fixtures. `DECAR_REQUIRE=psi4,slurm,chromium`: tests that need these programs fail where they would skip."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from decar.baselines.chemprop_program import INSTALL as CHEMPROP
from tests.docs.commands import Line
from tests.docs.run_by import commands_of

LONG = ["workflow", "slurm", "interruption", "figures"]
APART = ("test_interruption.py", "test_shared_store.py", "test_given_geometry.py")  # they need no finished study
ROOT = Path(__file__).resolve().parents[1]
INSTALL = {
    "chemprop": ("chemprop", f"{CHEMPROP}; then put ENV/bin/chemprop on PATH"),
    "chromium": ("chromium", "apt-get install chromium"),
    "latex": ("pdflatex", "apt-get install texlive-latex-recommended"),
    "psi4": ("psi4", "apt-get install psi4, or conda install -c conda-forge psi4"),
    "slurm": ("slurmctld", "apt-get install slurmctld slurmd slurm-client munge"),
}


def required() -> set[str]:
    """Return the programs without which tests fail where they would skip."""
    return set(filter(None, os.environ.get("DECAR_REQUIRE", "").split(",")))


def skip_unless(is_required: bool, reason: str) -> NoReturn:
    """Skip a test that cannot run here; fail it where it has to."""
    if is_required:
        pytest.fail(f"{reason} (DECAR_REQUIRE={os.environ['DECAR_REQUIRE']})", pytrace=False)
    pytest.skip(reason)


@pytest.fixture
def root() -> Path:
    return ROOT


@pytest.fixture
def documented(request: pytest.FixtureRequest) -> list[Line]:
    """The commands of the documents that this test runs (tests/docs/run_by.py)."""
    return commands_of(request.node.nodeid.split("[")[0])


@pytest.fixture
def shared_data() -> Path:
    """The folder of development data beside the repository; the test is skipped where it is absent."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the development data ../shared/data is not on this machine")
    return folder


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 kB."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        skip_unless(os.geteuid() == 0 and bool(required()), "mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", folder], check=True)


def group_of(nodeid: str) -> str:
    """Return which tests share a worker, and with it what is made once a session: a cluster, a finished study, figures.

    Everywhere else the tests of a file do. (The groups of pytest-xdist 3.8 do not hold with pytest 9.2.)
    """
    file = nodeid.split("::", maxsplit=1)[0]
    if file.startswith("tests/workflow/") and file.endswith(APART):
        return "interruption"
    folder = file.split("/")[1] if file.startswith("tests/") else ""
    return folder if folder in LONG else file


class ByGroup(LoadScopeScheduling):
    """Hand out whole groups."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByGroup:
    return ByGroup(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # The long groups start first, so that two workers end together.
    items.sort(key=lambda item: LONG.index(group) if (group := group_of(item.nodeid)) in LONG else len(LONG))
    needed = required()
    for item in items:
        for name, (program, install) in INSTALL.items():
            if item.get_closest_marker(name) and shutil.which(program) is None and name not in needed:
                item.add_marker(pytest.mark.skip(reason=f"{program} is not installed: {install}"))
