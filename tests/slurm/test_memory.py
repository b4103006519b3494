"""A job that needs more memory than its rule asked for is killed by SLURM, and passes with twice memory and time."""

import re
from pathlib import Path

import pytest

from decar.planning.plan import load_plan
from tests.docs.commands import Line
from tests.workflow.conftest import TABLE

from .cluster import Cluster
from .conftest import make_campaign

pytestmark = [pytest.mark.slurm, pytest.mark.slow]
# A `decar` that stands first in PATH: the real one, beside so many megabytes.
HUNGRY = """\
#!{python}
import subprocess, sys
ballast = b"x" * ({mb} << 20)
sys.exit(subprocess.call([{decar!r}, *sys.argv[1:]]))
"""


def test_job_killed_for_memory_passes_with_more(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, documented: list[Line]
) -> None:
    campaign = make_campaign(cluster, tmp_path / "study")
    campaign.workspace.table.write_text("\n".join(TABLE.splitlines()[:5]))
    campaign.configure(workflow={"batch_size": 8})
    (dry_run,) = documented
    campaign.finish(campaign.typed(dry_run.filled({})))
    monkeypatch.chdir(campaign.folder)
    plan = load_plan(next(Path("results/small/plan").glob("plan-*.json")))
    ((first, minutes),) = {tuple(demand[:2]) for demand in plan.demands.values()}  # of the first attempt
    environment = cluster.environment()
    bin_folder = Path(environment["PATH"].split(":")[1])
    shim = tmp_path / "bin" / "decar"
    shim.parent.mkdir()
    ballast = int(first * 1.05)  # above the first limit, and with the job itself below the second
    text = HUNGRY.format(python=bin_folder / "python", decar=str(bin_folder / "decar"), mb=ballast)
    shim.write_text(text)
    shim.chmod(0o755)
    before = len(cluster.jobs())
    process = campaign.start("--until", "conformers", environment={"PATH": f"{shim.parent}:{environment['PATH']}"})
    campaign.finish(process)
    killed, passed = sorted(cluster.jobs(), key=lambda job: int(job["id"]))[before:]
    assert killed["comment"] == passed["comment"]
    assert (killed["state"], passed["state"]) == ("FAILED", "COMPLETED")
    asked = [cluster.client("scontrol", "show", "job", job["id"]).stdout for job in (killed, passed)]
    assert [f"mem={mb}M" in text for mb, text in zip((first, 2 * first), asked)] == [True, True]
    limits = [re.search(r" TimeLimit=(\d+):(\d+):00", text) for text in asked]
    assert [60 * int(limit[1]) + int(limit[2]) for limit in limits if limit] == [minutes, 2 * minutes]
