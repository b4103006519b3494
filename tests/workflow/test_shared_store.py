"""Two studies use one store at the same time: both end, every record is sound, only what overlapped is done twice."""

import re
import subprocess
import time
from collections import defaultdict
from pathlib import Path

import pytest
import yaml

from decar.stages import MOLECULE_STAGES
from decar.store import Store
from decar.verify import verify_file

from .conftest import STUDY, Workspace

pytestmark = [pytest.mark.slow]
TABLE = """\
id,name,smiles,sweet
water,water,O,0
methanol,methanol,CO,1
ammonia,ammonia,N,0
formaldehyde,formaldehyde,C=O,1
"""
DONE = re.compile(r"^([0-9a-f]{12}) .*: (?:done|failed .*) in ([0-9.]+) s$", re.MULTILINE)
POLL_SECONDS = 0.05


def start(workspace: Workspace, name: str, batch_size: int) -> subprocess.Popen:
    quick = {"optimise": {"methods": ["mmff"]}, "figures": {**STUDY["figures"], "example": "water"}}
    study = {**workspace.study(), **quick, "study": name, "workflow": {"batch_size": batch_size}}
    (workspace.folder / f"{name}.yaml").write_text(yaml.safe_dump(study))
    command = workspace.command("wavefunctions", "--configfile", f"{name}.yaml", "--cores", "1")
    return subprocess.Popen(
        command, cwd=workspace.folder, env=workspace.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip


def computed(folder: Path) -> dict[tuple[str, str, str], float]:
    """Return (study, stage, key) and the duration of everything that was computed, not found, so far."""
    return {
        (log.parts[-4], log.parts[-2], key): float(seconds)
        for log in folder.glob("results/*/logs/*/*.log")
        for key, seconds in DONE.findall(log.read_text())
    }


def test_two_studies_side_by_side(fresh: Workspace) -> None:
    fresh.table.write_text(TABLE)
    runs = [start(fresh, "single", 1), start(fresh, "batched", 4)]
    seen: dict[tuple[str, str, str], float] = {}  # when each result was seen first
    while any(run.poll() is None for run in runs):
        for result in computed(fresh.folder):
            seen.setdefault(result, time.monotonic())
        time.sleep(POLL_SECONDS)
    for run in runs:
        assert run.returncode == 0, run.communicate()[1][-3000:]
    durations = computed(fresh.folder)
    for result in durations:
        seen.setdefault(result, time.monotonic())

    store = Store(fresh.folder / "results/store")
    for stage in MOLECULE_STAGES[:3]:
        assert len({recipe for recipe, _ in store.places(stage)}) == 4
    assert [problem for path in store.root.rglob("*.h5") for problem in verify_file(path)] == []

    # A result that both computed was in work in both at one moment: the second began before the first had ended.
    twice = defaultdict(list)
    for result, moment in seen.items():
        twice[result[1:]].append((moment, durations[result]))
    assert len(twice) == 12
    for (first, _), (second, seconds) in (sorted(both) for both in twice.values() if len(both) == 2):
        assert second - seconds < first + 10 * POLL_SECONDS
