"""`decar predict`: from a table of SMILES to predictions of trained models."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from decar.cli_steps import log

app = typer.Typer()
console = Console(highlight=False)


@app.command(rich_help_panel="Models")
def predict(
    models: Annotated[
        list[Path], typer.Argument(help="Model packages (or folders of training jobs); several are an ensemble.")
    ],
    molecules: Annotated[Path, typer.Argument(help="CSV (or TSV, SMI, SDF) with a column of SMILES.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the predictions go (CSV).")] = Path(
        "predictions.csv"
    ),
    store: Annotated[Path | None, typer.Option(help="Folder of records; results/store, or that of --study.")] = None,
    smiles_column: Annotated[str | None, typer.Option(help="Column of SMILES, where it cannot be guessed.")] = None,
    id_column: Annotated[
        str | None, typer.Option(help="Column of identifiers; else guessed, else row numbers.")
    ] = None,
    conformers: Annotated[
        int | None, typer.Option(min=1, help="Conformers of each molecule; without it as in training.")
    ] = None,
    rotations: Annotated[int, typer.Option(help="Orientations averaged over: 1, 6 or 24.")] = 6,
    processes: Annotated[int, typer.Option(min=1, help="Molecules computed at the same time, a core each.")] = 1,
    study: Annotated[
        Path | None, typer.Option(help="Compute as this study does, and find its records; refused where it differs.")
    ] = None,
    allow_mismatch: Annotated[
        bool, typer.Option("--allow-mismatch", help="Go on at another spacing or level of theory than in training.")
    ] = False,
) -> None:
    """Predict molecules with trained models: the whole path from SMILES, with uncertainty.

    The models say how: each SMILES is standardised, embedded, optimised, its wavefunction converged and its fields
    rendered exactly as for the training molecules, then every model looks at every conformer in every orientation.
    That takes a minute or more a molecule at B3LYP/6-31G*. Everything computed stays in the store: press Ctrl-C
    whenever you like, type the command again, and it goes on.

    One row of the result is one row of your table. `<property>` is the mean probability (or value), `<property>_sd` how
    far models, conformers and orientations disagree, `in_domain` whether the molecule is as near to the training
    molecules as their own validation molecules are. A row that cannot be used has `status` failed and a reason.

    Try: `decar predict results/tastants/models/decar-*/ my.csv -o predictions.csv --processes 4`
    """
    from decar.config_file import load_study
    from decar.errors import ConfigError
    from decar.predict.conditions import conditions, load_members
    from decar.predict.ensemble import ROTATIONS
    from decar.predict.run import predict as run
    from decar.predict.table import read_molecules

    if rotations not in ROTATIONS:
        raise ConfigError("no such number of orientations", where="--rotations", seen=rotations, expected="1, 6 or 24")
    table = read_molecules(molecules, smiles_column, id_column)
    members = load_members(models)
    own = load_study(study) if study else None
    settings = conditions(members, molecules, store, own, conformers, allow_mismatch, log)
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn()
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True) as bar:
        shown = bar.add_task("molecules", total=None)
        found = run(
            members, settings, table, output, num_rotations=rotations, processes=processes,
            report=log if bar.disable else lambda line: bar.console.print(line, highlight=False, markup=False),
            advance=lambda done, of: bar.update(shown, completed=done, total=of),
        )  # fmt: skip
    failed = found.loc[found["status"] == "failed", "reason"].value_counts()
    outside = int((found["in_domain"] == False).sum())  # noqa: E712 - it is empty for a row that failed
    console.print(f"{len(found) - int(failed.sum())} of {len(found)} rows predicted, {outside} outside the domain")
    for reason, count in failed.items():
        console.print(f"- {count} failed: {reason}")
    console.print(f"wrote {output} and {output}.json")
