"""The shape of a training job follows from nodes, GPUs and processes alone."""

import pytest

from decar.config import TrainingSettings
from decar.errors import ConfigError
from decar.training.launch import Rendezvous, find_rendezvous, launch_command, launch_resources, torchrun_command

from .cluster import Cluster


def settings(**shape: int) -> TrainingSettings:
    return TrainingSettings.model_validate({"property": "sweet", "models": {"decar": {}}, **shape})


def test_one_node_needs_no_cluster() -> None:
    training = settings(processes_per_node=3)
    assert launch_resources(training) == {}
    assert launch_command(training) == "torchrun --standalone --nproc-per-node 3 -m decar.cli"


def test_cards_of_one_node_are_asked_for() -> None:
    training = settings(gpus_per_node=4, processes_per_node=4)
    assert launch_resources(training) == {"gpu": 4}
    assert launch_command(training) == "torchrun --standalone --nproc-per-node 4 -m decar.cli"


def test_several_nodes_are_one_task_each() -> None:
    training = settings(nodes=2, gpus_per_node=2, processes_per_node=2, threads=3)
    assert launch_resources(training) == {"mpi": "srun", "nodes": 2, "tasks": 2, "tasks_per_gpu": 0, "gpu": 4}
    assert launch_command(training) == (
        "srun --nodes=2 --ntasks=2 --ntasks-per-node=1 --cpus-per-task=6 --gpus-per-node=2 --kill-on-bad-exit=1"
        " decar launch --processes 2"
    )
    assert "gpu" not in launch_resources(settings(nodes=2))


STEP = {
    "SLURM_STEP_NODELIST": "gpu[07-08]", "SLURM_NODEID": "1", "SLURM_STEP_NUM_NODES": "2", "SLURM_JOB_ID": "70123",
    "SLURM_LAUNCH_NODE_IPADDR": "10.0.1.7",
}  # fmt: skip
ANSWERS = {
    "hostnames": "gpu07\ngpu08\n",
    "node": "NodeName=gpu07 Arch=x86_64\n   NodeAddr=10.0.0.7 NodeHostName=gpu07\n",
}


def test_nodes_meet_at_the_first_ones_address() -> None:
    asked: list[list[str]] = []

    def run(command: object) -> str:
        asked.append(list(command))  # type: ignore[call-overload]
        return ANSWERS[asked[-1][2]]

    meeting = find_rendezvous(STEP, run)
    assert asked == [["scontrol", "show", "hostnames", "gpu[07-08]"], ["scontrol", "show", "node", "gpu07"]]
    assert meeting == Rendezvous(2, 1, "10.0.0.7", 12000 + 70123 % 20000)
    command = torchrun_command(meeting, 4, ["train", "--fold", "0"])
    assert command[1:9] == [
        "--nnodes", "2", "--node-rank", "1", "--master-addr", "10.0.0.7", "--master-port", "22123",
    ]  # fmt: skip
    assert command[-5:] == ["-m", "decar.cli", "train", "--fold", "0"]


def test_without_scontrol_they_meet_where_srun_was_typed() -> None:
    assert find_rendezvous(STEP, lambda _: None).address == "10.0.1.7"


def test_outside_a_step_the_remedy_is_named() -> None:
    with pytest.raises(ConfigError, match="not a step of a SLURM job") as caught:
        find_rendezvous({"SLURM_JOB_ID": "1"}, lambda _: "")
    assert "torchrun --standalone" in str(caught.value)


@pytest.mark.slurm
def test_a_step_on_two_nodes_gets_its_cards_and_one_meeting_point(cluster: Cluster) -> None:
    """What SLURM really grants to the step of two nodes with two cards each, and what its tasks find out."""
    find = (
        "import os, subprocess; from decar.training.launch import find_rendezvous as f;"
        "print(f(os.environ, lambda c: subprocess.check_output(c, text=True)), os.environ['CUDA_VISIBLE_DEVICES'])"
    )
    resources = ["--nodes=2", "--ntasks=2", "--ntasks-per-node=1", "--gpus-per-node=2"]
    done = cluster.client("srun", *resources, "python", "-c", find)
    assert done.returncode == 0, done.stderr
    lines = sorted(done.stdout.split("\n"))[1:]
    assert [line.rsplit(" ", 1)[1] for line in lines] == ["0,1", "0,1"]
    ranks = [f"Rendezvous(num_nodes=2, node_rank={rank}, address='127.0.0.1', port=" for rank in (0, 1)]
    assert [line.startswith(rank) for line, rank in zip(lines, ranks)] == [True, True]
    assert len({line.split("port=")[1] for line in lines}) == 1
