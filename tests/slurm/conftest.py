"""A cluster for all tests of this folder, and workspaces from which `snakemake --profile slurm` is typed."""

import os
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.conftest import required, skip_unless
from tests.workflow.conftest import STUDY, Workspace, make_workspace

from .cluster import Cluster

# One poll a second instead of one in 40: the virtual cluster answers when there is news.
QUICK = ("--slurm-init-seconds-before-status-checks", "1", "--max-status-checks-per-second", "2")


@dataclass(frozen=True)
class Campaign:
    """A workspace laid out like the repository, on the login node of a cluster."""

    cluster: Cluster
    workspace: Workspace

    @property
    def folder(self) -> Path:
        return self.workspace.folder

    def configure(self, **changes: object) -> None:
        """Change settings of the study: section=dict(key=value)."""
        study = self.workspace.study()
        for section, values in changes.items():
            study[section] = {**study.get(section, {}), **values}  # type: ignore[dict-item]
        self.workspace.write_study(study)

    def start(self, *arguments: str, environment: dict[str, str] | None = None) -> subprocess.Popen[str]:
        """Start `snakemake --profile slurm` and let it run."""
        return self.typed(["snakemake", "--profile", "slurm", *arguments], environment)

    def typed(self, command: Sequence[str], environment: dict[str, str] | None = None) -> subprocess.Popen[str]:
        """Start a command of Snakemake as somebody types it here, but for how often the cluster is asked."""
        with (self.folder / "snakemake.out").open("a") as output:
            return subprocess.Popen(
                [*command, *QUICK], cwd=self.folder, stdout=output, stderr=output,
                env={**self.cluster.environment(), **(environment or {})}, text=True,
            )  # fmt: skip

    def finish(self, process: subprocess.Popen[str], timeout: float = 500) -> None:
        """Wait for Snakemake; what it and the jobs wrote goes into the message of a failure."""
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            code = None
        assert code == 0, f"exit code {code}, jobs {self.cluster.jobs()}\n{self.logs()}"

    def logs(self) -> str:
        output = (self.folder / "snakemake.out").read_text()[-6000:]
        logs = [*self.folder.glob("results/*/logs/**/*.log"), *self.folder.glob(".snakemake/slurm_logs/**/*.log")]
        return output + "".join(f"\n== {log}\n{log.read_text()[-1500:]}" for log in logs)[-9000:]

    def records(self, stage: str = "*") -> dict[Path, int]:
        """Return the files of the store and their times."""
        return {path: path.stat().st_mtime_ns for path in (self.folder / "results/store").glob(f"{stage}/**/*.h5")}


@dataclass
class Watch:
    """What squeue showed while something ran."""

    cluster: Cluster
    seen: list[list[dict[str, str]]] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "Watch":
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stop.wait(1.0):
            self.seen.append(self.cluster.running())

    def most_nodes(self) -> int:
        """Return the largest number of nodes on which jobs ran at the same time."""
        return max(len({job["nodes"] for job in jobs}) for jobs in self.seen)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    if os.geteuid() != 0:
        reason = "the daemons of the test cluster need root: run the tests of SLURM in a container"
        skip_unless("slurm" in required(), reason)
    # A short path: that of a socket has at most 107 letters.
    with tempfile.TemporaryDirectory(prefix="decar-slurm-") as folder:
        found = Cluster(Path(folder))
        try:
            found.start()
            yield found
        finally:
            found.stop()
        # Every process of it was ended by its own id: none is left that has a file of it open.
        found.wait_for(lambda: not found.processes(), 5, "processes of the cluster are left")


def make_campaign(cluster: Cluster, folder: Path) -> Campaign:
    campaign = Campaign(cluster, make_workspace(folder))
    campaign.configure(workflow={**STUDY["workflow"], "batch_size": 4})
    return campaign
