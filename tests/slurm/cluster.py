"""A SLURM cluster of several virtual nodes on this machine, for tests: real daemons, everything in one folder.

munged, slurmctld and a slurmd for each node run as children of the test with a key, sockets, ports and spool folders
of their own; nothing is written elsewhere, no service manager is asked, and each is stopped by its own process id
(and by the kernel, should the test die first). There is no accounting, as on many small clusters. The graphics cards
are devices that every machine has: SLURM grants and counts them, no program can compute on them.
"""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

NUM_NODES = 3
CPUS, MEMORY_MB = 2, 12000  # that a node claims to have
CARDS = ("/dev/null", "/dev/zero")
CLIENTS = ("sbatch", "scancel", "scontrol", "sinfo", "srun")
CONFIGURATION = """\
ClusterName=decar
SlurmctldHost=localhost(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
# A job that is sent back into the queue waits for the end of its credential, 120 s by default.
AuthInfo=socket={folder}/munge.socket,cred_expire=15
CredType=cred/munge
SlurmctldPort={controller_port}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdPidFile={folder}/%n.pid
SlurmdLogFile={folder}/%n.log
SlurmdSpoolDir={folder}/spool-%n
StateSaveLocation={folder}/state
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
ReturnToService=2
SlurmdParameters=config_overrides
SelectType=select/cons_tres
# The node with the least load first, so that few jobs are on many nodes.
SelectTypeParameters=CR_Core_Memory,CR_LLN
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0,bf_interval=1
PriorityType=priority/basic
# A job of the partition `urgent` sends one of `standard` back into the queue.
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
MinJobAge=3600
KillWait=1
# A node that is silent for this long is down.
SlurmdTimeout=5
MessageTimeout=10
TCPTimeout=2
# Memory is measured each second; a job above what it asked for is killed.
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
GresTypes=gpu
DefMemPerCPU=500
{nodes}
PartitionName=standard Nodes=ALL Default=YES MaxTime=INFINITE State=UP PriorityTier=1
PartitionName=urgent Nodes=ALL Default=NO MaxTime=INFINITE State=UP PriorityTier=10
PartitionName=night Nodes=ALL Default=NO MaxTime=INFINITE State=UP PriorityTier=1
PartitionName=cards Nodes={last_node} Default=NO MaxTime=INFINITE State=UP PriorityTier=1
"""
NODE = (
    "NodeName={name} NodeHostname=localhost NodeAddr=127.0.0.1 Port={port} CPUs={cpus} RealMemory={memory} "
    "Gres=gpu:fake:{gpus} Feature={features} State=UNKNOWN"
)
# The plugin that runs a job strips every SLURM_ variable, so each client is told again where its cluster is.
SHIM = """\
#!/bin/sh
export SLURM_CONF={configuration}
exec {program} "$@"
"""
# Snakemake waits ten seconds longer after each answer without news, so it is answered when there is news.
SQUEUE = """\
#!/bin/sh
export SLURM_CONF={configuration}
case "$*" in *--states=all*--name*) ;; *) exec {program} "$@" ;; esac
for run; do :; done
before=$(cat {folder}/run/$run 2> /dev/null || echo 0)
for _ in $(seq 150); do
    answer=$({program} "$@") || exit
    ended=$(echo "$answer" | grep -vc -E 'PENDING|RUNNING|COMPLETING|CONFIGURING')
    [ "$ended" = "$before" ] || break
    sleep 0.3
done
echo "$ended" > {folder}/run/$run
echo "$answer"
"""


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def all_processes() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def open_files(pid: int) -> list[str]:
    with contextlib.suppress(OSError):
        return [str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir()]
    return []


def parent_of(pid: int) -> int:
    with contextlib.suppress(OSError):
        # The name of the program, in parentheses, may itself hold spaces and parentheses.
        return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    return 0


def with_descendants(pids: list[int]) -> list[int]:
    """Return these processes and everything below them, parents first."""
    parents = {pid: parent_of(pid) for pid in all_processes()}
    family = list(pids)
    while grown := [pid for pid, parent in parents.items() if parent in family and pid not in family]:
        family += grown
    return family


@dataclass
class Cluster:
    """Start with `start`, stop with `stop`; `environment` is what a user's shell on its login node has."""

    folder: Path
    daemons: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def nodes(self) -> list[str]:
        return [f"node{number}" for number in range(1, NUM_NODES + 1)]

    @property
    def configuration(self) -> Path:
        return self.folder / "slurm.conf"

    def environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")}
        path = [str(self.folder / "bin"), str(Path(sys.executable).parent), inherited["PATH"]]
        return {**inherited, "PATH": ":".join(path), "SLURM_CONF": str(self.configuration), "OMP_NUM_THREADS": "1"}

    def start(self) -> None:
        """Write the configuration, start every daemon and wait until the nodes are idle."""
        self._write_configuration()
        self._write_clients()
        self._start_munge()
        self.start_controller()
        for node in self.nodes:
            self.start_node(node)
        self.wait_for(lambda: set(self.node_states().values()) == {"idle"}, 30, "the nodes are not idle")

    def _write_configuration(self) -> None:
        for name in ("state", "bin", "run", *(f"spool-{node}" for node in self.nodes)):
            (self.folder / name).mkdir(parents=True)
        controller_port, *ports = free_ports(NUM_NODES + 1)
        nodes = [
            NODE.format(
                name=name,
                port=port,
                cpus=CPUS,
                memory=MEMORY_MB,
                gpus=len(CARDS),
                features="fast,linked" if name == self.nodes[-1] else "fast",
            )
            for name, port in zip(self.nodes, ports)
        ]
        self.configuration.write_text(
            CONFIGURATION.format(
                folder=self.folder, controller_port=controller_port, nodes="\n".join(nodes), last_node=self.nodes[-1]
            )
        )
        lines = [f"NodeName={node} Name=gpu Type=fake File={card}\n" for node in self.nodes for card in CARDS]
        (self.folder / "gres.conf").write_text("".join(lines))

    def _write_clients(self) -> None:
        for client in (*CLIENTS, "squeue"):
            shim = self.folder / "bin" / client
            text = SQUEUE if client == "squeue" else SHIM
            shim.write_text(
                text.format(configuration=self.configuration, folder=self.folder, program=shutil.which(client))
            )
            shim.chmod(0o755)

    def _start_munge(self) -> None:
        key = self.folder / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(1024))
        files = {"key-file": key.name, "socket": "munge.socket", "pid-file": "munged.pid", "log-file": "munged.log",
                 "seed-file": "munge.seed"}  # fmt: skip
        options = [f"--{name}={self.folder / path}" for name, path in files.items()]
        self._start("munged", "--foreground", "--force", *options)
        self.wait_for((self.folder / "munge.socket").exists, 10, "munged has no socket")

    def start_controller(self) -> None:
        self._start("slurmctld", "-D")
        self.wait_for(lambda: self.client("scontrol", "ping").returncode == 0, 20, "slurmctld does not answer")

    def start_node(self, node: str) -> None:
        self._start("slurmd", "-D", "-N", node, name=node)

    def _start(self, program: str, *options: str, name: str = "") -> None:
        name = name or program
        path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
        setpriv, found = shutil.which("setpriv", path=path), shutil.which(program, path=path)
        assert setpriv is not None, "setpriv"
        assert found is not None, program
        with (self.folder / f"{name}.out").open("ab") as output:
            self.daemons[name] = subprocess.Popen(
                [setpriv, "--pdeathsig", "KILL", found, *options], env=self.environment(), stdin=subprocess.DEVNULL,
                stdout=output, stderr=output, start_new_session=True, cwd=self.folder,
            )  # fmt: skip

    def stop_daemon(self, name: str, number: int = signal.SIGTERM) -> None:
        """Send a signal to one daemon and wait for its end."""
        daemon = self.daemons.pop(name)
        daemon.send_signal(number)
        try:
            daemon.wait(timeout=15)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait(timeout=15)

    def kill_node(self, node: str) -> None:
        """Kill everything that runs on a node at once, as a power failure does."""
        del self.daemons[node]
        log = str(self.folder / f"{node}.log")
        # slurmd and the keepers of its jobs (slurmstepd) hold the node's log open; the jobs are below them.
        for pid in with_descendants([pid for pid in all_processes() if log in open_files(pid)]):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def cancel_all(self) -> None:
        """Cancel every job and wait until none is left."""
        self.client("scancel", "--user", "root")
        self.wait_for(lambda: not self.client("squeue", "--noheader").stdout.strip(), 20, "jobs do not end")

    def stop(self) -> None:
        """Cancel what runs, then stop every daemon by its process id."""
        if "slurmctld" in self.daemons:
            with contextlib.suppress(TimeoutError):  # a node that was killed cannot end its jobs
                self.cancel_all()
        for name in [*self.nodes, "slurmctld", "munged"]:
            if name in self.daemons:
                self.stop_daemon(name)

    def processes(self) -> list[int]:
        """Return the processes that have a file of the cluster open: its daemons, and the keepers of its jobs."""
        place = f"{self.folder}/"
        return [pid for pid in all_processes() if any(path.startswith(place) for path in open_files(pid))]

    def client(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command as a user on the login node would."""
        return subprocess.run(
            command, env=self.environment(), cwd=self.folder, capture_output=True, text=True, check=False, timeout=120
        )

    def node_states(self) -> dict[str, str]:
        lines = self.client("sinfo", "--Node", "--noheader", "--partition=standard", "--format=%N %T").stdout
        return dict(line.split() for line in lines.splitlines())

    def jobs(self) -> list[dict[str, str]]:
        """Return what squeue says of every job since the start, oldest first: id, state, nodes, rule and wildcards."""
        lines = self.client("squeue", "--states=all", "--noheader", "--format=%i|%T|%N|%k").stdout.splitlines()
        jobs = [dict(zip(("id", "state", "nodes", "comment"), line.split("|"))) for line in lines]
        return sorted(jobs, key=lambda job: int(job["id"]))  # squeue begins with the partition

    def running(self) -> list[dict[str, str]]:
        return [job for job in self.jobs() if job["state"] == "RUNNING"]

    def wait_for(self, condition: Callable[[], object], seconds: float, message: str) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                logs = "".join(f"\n== {log.name}\n{log.read_text()[-1500:]}" for log in self.folder.glob("*.log"))
                raise TimeoutError(f"{message}{logs}")
            time.sleep(0.05)
