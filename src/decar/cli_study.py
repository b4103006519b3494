"""Studies as a whole: `decar doctor`, `config`, `import`, `plan`, `summary`, `figures`."""

import shutil
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from decar.config_file import load_study
from decar.errors import DecarError

PANEL = "Studies"
app = typer.Typer()
console = Console(highlight=False)

StudyFile = Annotated[Path, typer.Option("--study", help="Study file (YAML).")]


@app.command(rich_help_panel=PANEL)
def doctor() -> None:
    """Say what is installed, in which version, and how to install what is not; list the fields that can be computed."""
    from decar.doctor import examine
    from decar.fields.registry import FIELDS

    table = Table("", "component", "version", "needed for", "if it is absent")
    findings = examine(shutil.which)
    for finding in findings:
        mark = (
            "[green]ok[/]" if finding.version else ("[red]missing[/]" if finding.is_required else "[yellow]absent[/]")
        )
        table.add_row(
            mark, finding.name, finding.version or "", finding.purpose, "" if finding.version else finding.install
        )
    console.print(table)
    fields = Table("field", "symbol", "unit", "channels", title="fields of the registry", title_justify="left")
    for name, field in FIELDS.items():
        fields.add_row(name, field.symbol, field.unit, str(field.channels))
    console.print(fields)
    missing = [finding.name for finding in findings if finding.is_required and not finding.version]
    if missing:
        raise DecarError(f"missing: {', '.join(missing)}", remedy="make setup")


@app.command(rich_help_panel=PANEL)
def config(
    study: Annotated[Path | None, typer.Option("--study", help="Check this study file.")] = None,
    write: Annotated[Path | None, typer.Option(help="Write README.md and schema.json into this folder.")] = None,
) -> None:
    """Check a study file, or write the documentation of every key (`config/`)."""
    from decar.config_docs import write_documentation
    from decar.planning.study_check import check_study

    if study is not None:
        found = load_study(study)
        check_study(found)
        console.print(f"{study}: study [bold]{found.study}[/] is well-formed")
    if write is not None:
        for path in write_documentation(write):
            console.print(f"wrote {path}")
    if study is None and write is None:
        raise typer.BadParameter("say what to do: --study FILE or --write FOLDER")


@app.command(name="import", rich_help_panel=PANEL)
def import_(
    source: Annotated[str, typer.Argument(help="Which data set: chemtastesdb.")],
    file: Annotated[Path, typer.Argument(help="The published file (CSV or XLSX).")],
    output: Annotated[Path, typer.Option(help="The table to write.")] = Path("chemtastesdb.csv"),
) -> None:
    """Turn a published data set into a table for decar, and count the traps in it."""
    from decar.molecules.chemtastesdb import import_chemtastesdb

    if source != "chemtastesdb":
        raise typer.BadParameter(f"{source!r} is not known; known: chemtastesdb")
    report = import_chemtastesdb(file, output, console.print)
    table = Table("in the published table", "count")
    for row in report.rows():
        table.add_row(*(str(cell) for cell in row))
    console.print(table)
    console.print(f"wrote {output}; next: snakemake --profile local --configfile examples/paper.yaml")


@app.command(rich_help_panel=PANEL)
def plan(study: StudyFile = Path("config.yaml")) -> None:
    """Read the table, identify every row, name every file of the study; compute nothing."""
    from decar.planning.plan import load_plan, make_plan

    path = make_plan(study, load_study(study), console.print)
    planned = load_plan(path)
    counts = ", ".join(f"{count} {status}" for status, count in planned.counts.items())
    console.print(f"{path}\nrows of the table: {counts}")
    console.print(
        f"batches: {len(planned.sources)}, shards: {len(planned.shards)}, training jobs: {len(planned.trainings)}"
    )


@app.command(rich_help_panel=PANEL)
def summary(study: StudyFile = Path("config.yaml")) -> None:
    """Say, stage by stage, what a study has made, what failed and where the report is."""
    from decar.figures.summary import summarise
    from decar.planning.plan import load_plan, make_plan

    found = load_study(study)
    planned = load_plan(make_plan(study, found))
    table = Table("stage", "what", "count", "detail", title=f"study {found.study}", title_justify="left")
    for row in summarise(planned):
        table.add_row(*(str(cell) for cell in row))
    console.print(table)
    report = Path(planned.folder) / "report.html"
    if report.exists():
        console.print(f"report: [bold]{report}[/]")


@app.command(rich_help_panel=PANEL)
def figures(
    study: StudyFile = Path("config.yaml"),
    verify: Annotated[
        bool, typer.Option("--verify", help="Compare figures, tables, report and records with figures/manifest.json.")
    ] = False,
) -> None:
    """List the figures of a study; with --verify, name each file that is missing, changed or stale, and the remedy."""
    from decar.figures.catalogue import CATALOGUE, figure_names
    from decar.figures.manifest import check
    from decar.planning.plan import load_plan, make_plan
    from decar.store import Store

    found = load_study(study)
    planned = load_plan(make_plan(study, found))
    names, folder = figure_names(found), Path(planned.folder) / "figures"
    if not verify:
        table = Table("figure", "title", "drawn", title=str(folder), title_justify="left")
        for name in names:
            kinds = [kind for kind in planned.formats if (folder / f"{name}.{kind}").exists()]
            table.add_row(name, CATALOGUE[name].title, ", ".join(kinds) or "no")
        console.print(table)
        return
    problems = check(planned, Store(found.store), [*names, "tables", "report"])
    for problem in problems:
        console.print(f"[red]{problem}[/]", soft_wrap=True)
    if problems:
        raise DecarError(f"{len(problems)} problems with figures, tables and report", where=folder)
    said = folder / "manifest.json"
    console.print(f"{len(names)} figures, the tables and the report are what {said} says; so are their sources")
