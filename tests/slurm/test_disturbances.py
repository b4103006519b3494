"""What goes wrong on a cluster, all in one run: nothing that was finished is lost, nothing is computed twice."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.workflow.conftest import TABLE

from .cluster import Cluster, all_processes
from .conftest import Campaign, make_campaign

pytestmark = [pytest.mark.slurm, pytest.mark.slow]
Job = dict[str, str]


@pytest.fixture
def campaign(cluster: Cluster, tmp_path: Path) -> Campaign:
    """Four molecules, a job each."""
    campaign = make_campaign(cluster, tmp_path / "study")
    campaign.workspace.table.write_text("\n".join(TABLE.splitlines()[:5]))
    campaign.configure(workflow={"batch_size": 1})
    return campaign


def four_running(campaign: Campaign, process: subprocess.Popen[str], rule: str) -> list[Job]:
    """Wait until the four jobs of a rule run and return them, those of the emptiest node first."""

    def found() -> list[Job]:
        assert process.poll() is None, campaign.logs()
        return [job for job in campaign.cluster.running() if job["comment"].startswith(f"rule_{rule}_")]

    campaign.cluster.wait_for(lambda: len(found()) == 4, 200, f"four jobs of {rule} do not run")
    jobs = found()
    load = [job["nodes"] for job in jobs]
    return sorted(jobs, key=lambda job: (load.count(job["nodes"]), job["nodes"]))


def worker_of(campaign: Campaign, job: Job) -> int | None:
    """Return the process that computes the molecules of a job, once there is one."""
    batch = job["comment"].rsplit("_", 1)[1]
    for pid in all_processes():
        try:
            words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
            is_here = Path(f"/proc/{pid}/cwd").readlink() == campaign.folder
        except OSError:
            continue
        if is_here and words[1].endswith("/decar") and f"results/small/optimise/{batch}.parquet" in words:
            return pid
    return None


def state_of(campaign: Campaign, job: Job) -> str:
    return next(each["state"] for each in campaign.cluster.jobs() if each["id"] == job["id"])


def times_requeued(campaign: Campaign, job: Job) -> int:
    shown = campaign.cluster.client("scontrol", "show", "job", job["id"]).stdout
    return int(shown.split("Restarts=")[1].split()[0])


def kill_worker(campaign: Campaign, job: Job) -> None:
    campaign.cluster.wait_for(lambda: worker_of(campaign, job), 100, "the job has no worker")
    pid = worker_of(campaign, job)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


def test_nothing_is_lost(campaign: Campaign) -> None:
    cluster = campaign.cluster

    # Snakemake is killed; the jobs that it had submitted go on without it.
    process = campaign.start("--until", "optimise")
    four_running(campaign, process, "conformers")
    process.kill()
    process.wait()
    cluster.wait_for(lambda: not cluster.running(), 200, "the jobs do not end")
    conformers = campaign.records("conformers")
    assert len(conformers) == 4

    # It is started again. While the four optimisations run, the node of one loses its power, one is pushed aside by a
    # more important job, one is cancelled, the worker of one is killed, and the controller is away for a while.
    process = campaign.start("--until", "optimise")
    powerless, preempted, cancelled, killed = four_running(campaign, process, "optimise")
    lost = powerless["nodes"]
    assert lost not in {preempted["nodes"], cancelled["nodes"], killed["nodes"]}
    assert preempted["nodes"] not in {cancelled["nodes"], killed["nodes"]}
    cluster.kill_node(lost)
    cluster.client("scancel", cancelled["id"])
    urgent = ["--partition=urgent", "--exclusive", f"--nodelist={preempted['nodes']}", "--output=/dev/null"]
    assert cluster.client("sbatch", *urgent, "--wrap", "sleep 1").returncode == 0
    cluster.wait_for(lambda: state_of(campaign, preempted) != "RUNNING", 30, "the job is not pushed aside")
    kill_worker(campaign, killed)
    cluster.stop_daemon("slurmctld")
    time.sleep(3)
    cluster.start_controller()
    campaign.finish(process)

    states = [state_of(campaign, job) for job in (powerless, preempted, cancelled, killed)]
    assert states == ["COMPLETED", "COMPLETED", "CANCELLED", "FAILED"]
    assert [times_requeued(campaign, job) for job in (powerless, preempted)] == [1, 1]
    assert cluster.node_states()[lost].startswith("down")
    cluster.start_node(lost)
    cluster.wait_for(lambda: cluster.node_states()[lost] == "idle", 30, "the node does not come back")

    assert campaign.records("conformers") == conformers
    assert len(campaign.records("optimise")) == 4
    assert campaign.workspace.planned("--until", "optimise") == {}
