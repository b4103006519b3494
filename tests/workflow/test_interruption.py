"""An interrupted run goes on: nothing finished is computed twice, no half file is taken for a whole one."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from .conftest import Workspace

pytestmark = [pytest.mark.slow]


def records(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in (folder / "results/store").rglob("*.h5")}


def kill_children(pid: int, number: int) -> None:
    """Send a signal to a process and everything below it, as a closed session or a Ctrl-C in a terminal does."""
    below = subprocess.run(["ps", "-eo", "pid,ppid"], capture_output=True, text=True, check=True).stdout.split("\n")[1:]
    parents = {int(line.split()[0]): int(line.split()[1]) for line in below if line.strip()}
    family = {pid}
    while grown := {child for child, parent in parents.items() if parent in family} - family:
        family |= grown
    for member in family:
        try:
            os.kill(member, number)
        except ProcessLookupError:
            continue


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["kill -9", "Ctrl-C"])
def test_killed_run_goes_on_where_it_stopped(fresh: Workspace, number: int) -> None:
    # A shell lets the commands in its background, and all that they start, ignore SIGINT: env hears it again.
    process = subprocess.Popen(
        ["env", "--default-signal=INT", *fresh.command("wavefunctions")], cwd=fresh.folder, env=fresh.environment(),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while len(records(fresh.folder)) < 5 and time.monotonic() < deadline:
        time.sleep(0.05)
    kill_children(process.pid, number)
    process.wait(timeout=60)
    before = records(fresh.folder)
    assert len(before) >= 5, "the run was to be interrupted in its midst"
    stage = fresh.folder / "results/store/wavefunction"
    assert len(list(stage.rglob("*.h5"))) < 7, "the run had already ended"

    fresh.run("wavefunctions")
    after = records(fresh.folder)
    assert len(list(stage.rglob("*.h5"))) == 7
    assert {path: after[path] for path in before} == before
    assert fresh.planned("wavefunctions") == {}


def test_truncated_record_is_named_and_made_again_and_nothing_else(fresh: Workspace) -> None:
    """The job that needs the record withdraws its receipt; the next run computes that record and goes on."""
    fresh.table.write_text("".join(fresh.table.read_text().splitlines(keepends=True)[:4]))  # three molecules will do
    fresh.run("wavefunctions")
    victim = next((fresh.folder / "results/store/wavefunction").rglob("*.h5"))
    whole = victim.read_bytes()
    victim.write_bytes(whole[: len(whole) // 2])
    others = {path: time for path, time in records(fresh.folder).items() if path != victim}
    fresh.run("--until", "fields", check=False)
    logs = "".join(log.read_text() for log in (fresh.folder / "results/small/logs/fields").glob("*.log"))
    assert "1 records that were computed before are missing or damaged" in logs
    assert "run the workflow again" in logs

    fresh.run("--until", "fields")
    assert victim.with_suffix(".damaged").stat().st_size == len(whole) // 2
    assert victim.stat().st_size == pytest.approx(len(whole), rel=0.05)
    after = records(fresh.folder)
    assert {path: after[path] for path in others} == others
    assert len(list((fresh.folder / "results/store/fields").rglob("*.h5"))) == 3
