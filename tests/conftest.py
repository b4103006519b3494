"""Shared fixtures. `DECAR_REQUIRE=psi4,slurm` turns the skips of tests that need these programs into failures."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
INSTALL = {
    "psi4": ("psi4", "apt-get install psi4, or conda install -c conda-forge psi4"),
    "slurm": ("slurmctld", "apt-get install slurmctld slurmd slurm-client munge"),
}


@pytest.fixture
def root() -> Path:
    return ROOT


@pytest.fixture
def shared_data() -> Path:
    """The folder of development data beside the repository; the test is skipped where it is absent."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the development data ../shared/data is not on this machine")
    return folder


@pytest.hookimpl(wrapper=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    # The long groups start first, so that two workers end together. The tests of a file share its fixtures: they stay
    # on one worker, and so do those that look at the one set of drawn figures.
    items.sort(key=lambda item: item.get_closest_marker("xdist_group") is None)
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            name = "figures" if "drawn" in getattr(item, "fixturenames", ()) else item.path.name
            item.add_marker(pytest.mark.xdist_group(name))
    required = set(filter(None, os.environ.get("DECAR_REQUIRE", "").split(",")))
    for item in items:
        for name, (program, install) in INSTALL.items():
            if item.get_closest_marker(name) and shutil.which(program) is None and name not in required:
                item.add_marker(pytest.mark.skip(reason=f"{program} is not installed: {install}"))
    yield
