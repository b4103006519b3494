"""How one training job is started, chosen from training.nodes, gpus_per_node and processes_per_node alone.

    one node         torchrun --standalone --nproc-per-node P -m decar.cli train ...
    several nodes    srun --nodes=N --ntasks=N ... decar launch --processes P train ...
                       which becomes, on each node of the step,
                     torchrun --nnodes N --node-rank R --master-addr A --master-port M --nproc-per-node P ...

The address A is found inside the step, because the job's script sees hardly any of SLURM's variables: it is what the
controller has on the first node of the step (NodeAddr, which is an address even where the node's name is none). Inside
a container there is no scontrol: there A is the node on which srun was typed, the first one of a job.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from decar.config import TrainingSettings
from decar.errors import ConfigError

# Below the ephemeral ports of Linux (32768 and above), above those of services.
FIRST_PORT, NUM_PORTS = 12000, 20000


def launch_resources(training: TrainingSettings) -> dict[str, int | str]:
    """Return the resources that tell SLURM the shape of a training job; nothing for one node without GPUs.

    One task a node: torchrun, which starts the processes. `tasks_per_gpu` is 0 so that the plugin does not take the
    number of nodes for the number of tasks of each GPU.
    """
    gpus = {"gpu": training.nodes * training.gpus_per_node} if training.gpus_per_node else {}
    if training.nodes == 1:
        return {**gpus}
    return {"mpi": "srun", "nodes": training.nodes, "tasks": training.nodes, "tasks_per_gpu": 0, **gpus}


def launch_command(training: TrainingSettings) -> str:
    """Return the words that stand before `train ...` in the shell line of a training job."""
    processes = training.processes_per_node
    if training.nodes == 1:
        return f"torchrun --standalone --nproc-per-node {processes} -m decar.cli"
    gpus = f" --gpus-per-node={training.gpus_per_node}" if training.gpus_per_node else ""
    return (
        f"srun --nodes={training.nodes} --ntasks={training.nodes} --ntasks-per-node=1"
        f" --cpus-per-task={processes * (training.threads + training.num_workers)}{gpus} --kill-on-bad-exit=1"
        f" decar launch --processes {processes}"
    )


@dataclass(frozen=True)
class Rendezvous:
    """Where the processes of a training meet, and which of its nodes this one is."""

    num_nodes: int
    node_rank: int
    address: str
    port: int


def find_rendezvous(environment: Mapping[str, str], run: Callable[[Sequence[str]], str | None]) -> Rendezvous:
    """Read the rendezvous from the variables of a SLURM step; `run` returns a command's output, None without scontrol.

    The port follows from the job's number: two trainings on one node meet at different ports, and a retry (another
    job) tries another one. Raises ConfigError outside a SLURM step.
    """
    try:
        nodes = environment["SLURM_STEP_NODELIST"]
        rank, count = int(environment["SLURM_NODEID"]), int(environment["SLURM_STEP_NUM_NODES"])
        job, launched_from = int(environment["SLURM_JOB_ID"]), environment["SLURM_LAUNCH_NODE_IPADDR"]
    except KeyError as missing:
        raise ConfigError(
            "this is not a step of a SLURM job", where="decar launch", expected=f"the variable {missing}",
            remedy="start it with srun, or train on one node: torchrun --standalone ... -m decar.cli train",
        ) from None  # fmt: skip
    names = (run(["scontrol", "show", "hostnames", nodes]) or "").split()
    words = (run(["scontrol", "show", "node", names[0]]) or "").split() if names else []
    described = dict(word.split("=", 1) for word in words if "=" in word)
    return Rendezvous(count, rank, described.get("NodeAddr", launched_from), FIRST_PORT + job % NUM_PORTS)


def torchrun_command(meeting: Rendezvous, processes: int, arguments: Sequence[str]) -> list[str]:
    """Return the command of this node: torchrun, which starts `decar <arguments>` in each of its processes."""
    return [
        "torchrun", "--nnodes", str(meeting.num_nodes), "--node-rank", str(meeting.node_rank),
        "--master-addr", meeting.address, "--master-port", str(meeting.port),
        "--nproc-per-node", str(processes), "-m", "decar.cli", *arguments,
    ]  # fmt: skip
