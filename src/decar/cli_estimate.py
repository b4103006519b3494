"""What a study will cost: `decar estimate`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from decar.config_file import load_study

if TYPE_CHECKING:
    from decar.planning.cost_estimate import EstimateRow

app = typer.Typer()
console = Console(highlight=False)


@app.command(rich_help_panel="Studies")
def estimate(
    study: Annotated[Path, typer.Option("--study", help="Study file (YAML).")] = Path("config.yaml"),
    cores: Annotated[int, typer.Option(min=1, help="Cores at your disposal, for the time on the clock.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Say what a study will cost before it is started: jobs, core-hours, memory and storage, stage by stage.

    The table of molecules is read and planned (nothing is computed). Costs follow from the formula of each molecule:
    atoms, basis functions, fitting functions and voxels, with coefficients measured on real molecules, one thread.
    What the store already holds is deducted.

    The range is that of nine molecules in ten that were left out of the fit. Your processor may be twice as fast or
    slow as the one measured on: compare after the first hundred molecules (`decar summary`), and scale.

    Try: `decar estimate --study my_study.yaml --cores 64`, then change quantum.basis or fields.spacing_angstrom.
    """
    from decar.planning.cost_estimate import estimate as run
    from decar.planning.plan import load_plan, make_plan

    found = load_study(study)
    result = run(found, load_plan(make_plan(study, found)))
    if as_json:
        typer.echo(json.dumps(result.to_json(), indent=1))
        return
    columns = ("stage", "to compute", "in the store", "jobs", "core-hours", "range", "largest job", "storage")
    table = Table(*columns, title=f"study {found.study}", title_justify="left")
    for row in result.rows:
        table.add_row(*_cells(row))
    table.add_section()
    table.add_row(*_cells(result.total), style="bold")
    console.print(table)
    low, high = (hours / cores for hours in (result.total.core_hours_low, result.total.core_hours_high))
    console.print(
        f"on {cores} core{'s' if cores > 1 else ''}: {_duration(low)} to {_duration(high)}, if jobs fill them"
    )
    for note in result.notes:
        console.print(f"- {note}")


def _cells(row: "EstimateRow") -> list[str]:
    return [
        row.stage, str(row.molecules), str(row.in_store), str(row.jobs), f"{row.core_hours:.3g}",
        f"{row.core_hours_low:.3g} to {row.core_hours_high:.3g}", f"{row.memory_mb} MB" if row.memory_mb else "",
        _size(row.storage_mb),
    ]  # fmt: skip


def _size(mb: float) -> str:
    for unit, factor in (("TB", 1e6), ("GB", 1e3)):
        if mb >= factor:
            return f"{mb / factor:.3g} {unit}"
    return f"{mb:.3g} MB" if mb else ""


def _duration(hours: float) -> str:
    if hours < 1:
        return f"{max(hours * 60, 1):.0f} min"
    return f"{hours:.3g} h" if hours < 72 else f"{hours / 24:.3g} days"
