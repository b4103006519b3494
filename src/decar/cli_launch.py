"""`decar launch`: what srun starts on each node of a training over several nodes."""

import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

app = typer.Typer()


def _output(command: Sequence[str]) -> str | None:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None


@app.command(hidden=True, context_settings={"allow_extra_args": True, "allow_interspersed_args": False})
def launch(
    context: typer.Context, processes: Annotated[int, typer.Option(min=1, help="Processes of this node.")] = 1
) -> None:
    """Start torchrun on this node of a SLURM step, with `decar <the other arguments>` in each of its processes."""
    from decar.training.launch import find_rendezvous, torchrun_command

    command = torchrun_command(find_rendezvous(os.environ, _output), processes, context.args)
    sys.stderr.write(f"{' '.join(command[:11])}\n")
    sys.stderr.flush()
    os.execvp(command[0], command)
