"""Stores as a whole: `decar merge`, `decar bundle`, `decar gc`, `decar forget-failed`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from decar.config_file import load_study
from decar.errors import ConfigError, DecarError

if TYPE_CHECKING:
    from decar.exchange.merge import MergeReport
    from decar.planning.forget import Forgotten
    from decar.planning.gc import Garbage

PANEL = "Stores"
SHOWN = 20  # rows of a table in the terminal; the file has all
app = typer.Typer()
console = Console(highlight=False)

StoreFolder = Annotated[Path | None, typer.Option("--store", help="Folder of records; default: that of --study.")]
DEFAULT_STUDY = Path("config.yaml")


@app.command(rich_help_panel=PANEL)
def merge(
    sources: Annotated[list[Path], typer.Argument(help="Stores, or bundles (folder or .zip).")],
    into: Annotated[Path | None, typer.Option(help="Store that takes them in; default: that of --study.")] = None,
    study: Annotated[Path, typer.Option(help="Study whose store takes them in.")] = DEFAULT_STUDY,
    report: Annotated[Path, typer.Option(help="Machine-readable report.")] = Path("merge-report.json"),
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, write no record.")] = False,
    physics: Annotated[bool, typer.Option("--physics", help="Also one Fock build for each wavefunction.")] = False,
) -> None:
    """Bring records computed elsewhere into a store: checked, each once, never written over another."""
    from rich.progress import Progress

    from decar.atomic import write_text
    from decar.exchange.merge import merge as run
    from decar.planning.lock import held
    from decar.store import Store
    from decar.threads import limit_threads

    store = Store(into if into is not None else load_study(study).store)
    for path in sources:
        if not path.exists():
            raise ConfigError("the source does not exist", where=path)
        if path.resolve() == store.root.resolve():
            raise ConfigError("a store is not merged into itself", where=path)
    with held([store.root], "another merge or gc is at work in this store"), limit_threads(1):
        with Progress(console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("merging", total=None)
            found = run(
                sources, store, dry_run=dry_run, with_physics=physics,
                progress=lambda done, total: bar.update(task, completed=done, total=total),
            )  # fmt: skip
        write_text(report, json.dumps(found.to_json(), indent=1) + "\n")
    _show_merge(found)
    if found.findings:
        raise DecarError(
            f"{found.total('conflict')} conflicts, {found.total('refused')} records refused: nothing was overwritten",
            where=report, remedy="everything else is in the store; compare the records named in the report",
        )  # fmt: skip


def _show_merge(found: "MergeReport") -> None:
    outcomes = ("added", "present", "agrees", "conflict", "refused")
    table = Table("stage", *outcomes, title="dry run: nothing written" if found.dry_run else f"into {found.into}")
    stages = sorted({stage for of_stage in found.counts.values() for stage in of_stage})
    for stage in stages:
        table.add_row(stage, *(str(found.counts.get(outcome, {}).get(stage, 0)) for outcome in outcomes))
    console.print(table)
    if found.findings:
        table = Table("outcome", "stage", "key", "recipe", "why", title="not taken in", title_justify="left")
        for finding in found.findings[:SHOWN]:
            why = "; ".join(reason.splitlines()[0] for reason in finding.reasons)
            table.add_row(finding.outcome, finding.stage, finding.key[:12], finding.recipe[:12], why)
        console.print(table)


@app.command(rich_help_panel=PANEL)
def bundle(
    output: Annotated[Path, typer.Argument(help="What is written: a folder, or a file that ends in .zip.")],
    store: StoreFolder = None,
    study: Annotated[Path | None, typer.Option(help="Only records that this study uses now.")] = None,
    stage: Annotated[list[str] | None, typer.Option(help="Only these stages; default: all but fields.")] = None,
    key: Annotated[list[str] | None, typer.Option(help="Only these molecules: beginnings of keys.")] = None,
    licence: Annotated[list[str] | None, typer.Option(help="Only molecules with wavefunctions under these.")] = None,
    failures: Annotated[bool, typer.Option("--failures", help="Failures as well.")] = False,
    title: Annotated[str, typer.Option(help="Title of the bundle in its RO-Crate metadata.")] = "decar records",
) -> None:
    """Pack a selection of records for sending: JSON, safetensors and RO-Crate metadata; `decar merge` takes it in."""
    from rich.progress import Progress

    from decar.exchange.bundle import write_bundle
    from decar.exchange.catalogue import Catalogue
    from decar.exchange.selection import Selection, select
    from decar.planning.plan import make_plan
    from decar.planning.used import UsedRecipes, use_of_plan
    from decar.store import Store

    used = None
    if study is not None:
        used = UsedRecipes()
        use_of_plan(used, make_plan(study, load_study(study)))
    root = store if store is not None else load_study(study or DEFAULT_STUDY).store
    wanted = Selection(tuple(stage or ()), tuple(key or ()), tuple(licence or ()), failures)
    with Catalogue() as catalogue:
        entries = select(Store(root), catalogue, wanted, used.has if used else lambda _stage, _recipe: True)
        with Progress(console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("bundling", total=len(catalogue))
            made = write_bundle(output, entries, title, lambda _: bar.advance(task))
    table = Table("stage", "records", title=str(output), title_justify="left")
    for name, number in made.num_of_stage.items():
        table.add_row(name, str(number))
    console.print(table)
    console.print(f"{made.num_bytes / 1e6:.1f} MB; licences: {', '.join(sorted(made.licences)) or 'none stated'}")
    if made.num_without_licence:
        console.print(
            f"[yellow]{made.num_without_licence} wavefunctions state no licence: nobody may use them. "
            "Set contribution.licence before they are computed.[/]"
        )


@app.command(rich_help_panel=PANEL)
def gc(
    study: Annotated[list[Path] | None, typer.Option(help="Study that counts as its file stands now.")] = None,
    store: StoreFolder = None,
    results: Annotated[list[Path] | None, typer.Option(help="Folders in which studies are looked for.")] = None,
    fields: Annotated[bool, typer.Option("--fields", help="Also voxels that can be rendered again.")] = False,
    delete: Annotated[bool, typer.Option("--delete", help="Remove what is listed.")] = False,
) -> None:
    """List (with --delete remove) the records that no study uses, and what killed processes left behind."""
    from contextlib import ExitStack

    from decar.planning.gc import find_garbage
    from decar.planning.lock import held
    from decar.planning.plan import make_plan
    from decar.planning.used import study_folders
    from decar.store import Store

    studies = {path: load_study(path) for path in study or ()}
    roots = {found.store for found in studies.values()} | ({store} if store else set())
    if len({root.resolve() for root in roots}) > 1:
        raise ConfigError("the studies have different stores", seen=", ".join(map(str, sorted(roots))))
    target = Store(next(iter(roots), Path("results/store")))
    if not target.root.is_dir():
        raise ConfigError("there is no store", where=target.root, remedy="name it: --store FOLDER")
    named = {found.folder: make_plan(path, found) for path, found in studies.items()}
    below = {*(results or ()), *(found.results for found in studies.values())} or {Path("results")}
    others = sorted({folder for root in below for folder in study_folders(root)} - set(named))
    with ExitStack() as locks:
        if delete:
            locks.enter_context(held([*named, *others, target.root], "a workflow, a merge or a gc is at work"))
        found = find_garbage(target, named, others, with_fields=fields, report=console.print)
        _show_garbage(found, delete)
        if delete:
            found.remove(target)


def _show_garbage(found: "Garbage", delete: bool) -> None:
    table = Table("stage", "records", "MB", title="removed" if delete else "may go (--delete)", title_justify="left")
    for stage, (number, size) in found.by_stage().items():
        table.add_row(stage, str(number), f"{size / 1e6:.2f}")
    table.add_row("leftovers", str(len(found.leftovers)), f"{sum(found.leftovers.values()) / 1e6:.2f}")
    console.print(table)
    if found.receipts:
        console.print(f"receipts that name them: {len(found.receipts)}")


@app.command("forget-failed", rich_help_panel=PANEL)
def forget_failed(
    study: Annotated[Path, typer.Option("--study", help="Study file (YAML).")] = DEFAULT_STUDY,
    reason: Annotated[list[str] | None, typer.Option(help="Only failures for these reasons.")] = None,
    key: Annotated[list[str] | None, typer.Option(help="Only these molecules, by key.")] = None,
    identifier: Annotated[list[str] | None, typer.Option("--id", help="Only these rows of the table.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be tried again.")] = False,
) -> None:
    """Let failed molecules be tried again: the next run computes them, and what is made of all molecules together."""
    from decar.planning.forget import find_failures, forget, keys_of
    from decar.planning.lock import held
    from decar.planning.plan import load_plan, make_plan
    from decar.store import Store

    found = load_study(study)
    with held([found.folder], "a workflow of this study is going on"):
        plan = load_plan(make_plan(study, found))
        keys = {*(key or ()), *keys_of(plan, identifier or ())}
        forgotten = find_failures(plan, found.dataset.num_shards, reason or (), keys)
        _show_forgotten(forgotten)
        if not dry_run:
            forget(Store(found.store), forgotten)


def _show_forgotten(found: "Forgotten") -> None:
    table = Table("stage", "reason", "molecules", title="to be tried again", title_justify="left")
    counts: dict[tuple[str, str], int] = {}
    for failure in found.failures:
        counts[failure.stage, failure.reason] = counts.get((failure.stage, failure.reason), 0) + 1
    for (stage, reason), number in sorted(counts.items()):
        table.add_row(stage, reason, str(number))
    console.print(table)
    console.print(f"receipts withdrawn: {len(found.receipts)}, products to be made again: {len(found.products)}")
