"""The command line: `decar <step>`. Only here are things printed, exits taken and the environment read."""

import os
import sys
from typing import Annotated

import typer
from rich.console import Console

from decar import __version__
from decar.cli_benchmark import app as benchmarking
from decar.cli_estimate import app as estimating
from decar.cli_launch import app as launching
from decar.cli_predict import app as predicting
from decar.cli_records import app as records
from decar.cli_steps import app as steps
from decar.cli_store import app as stores
from decar.cli_study import app as studies
from decar.errors import ConfigError, DecarError

app = typer.Typer(
    name="decar",
    help="From a table of molecules to a trained, explained electron-cloud model.\n\n"
    "The workflow runs the steps for you: `snakemake --profile local`. Each can be run by hand, too.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
for part in (studies, benchmarking, estimating, records, stores, steps, launching, predicting):
    app.registered_commands.extend(part.registered_commands)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"decar {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Read the options that stand before the command."""


def main() -> None:
    """Run the command line; a known error ends without a traceback, with status 2 (the user's) or 1 (the machine's)."""
    try:
        app()
    except DecarError as error:
        Console(stderr=True, highlight=False).print(f"[bold red]{type(error).__name__}:[/] ", end="")
        sys.stderr.write(f"{error}\n")
        if os.environ.get("DECAR_TRACEBACK"):
            raise
        sys.exit(2 if isinstance(error, ConfigError) else 1)


if __name__ == "__main__":
    main()
