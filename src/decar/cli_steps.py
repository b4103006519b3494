"""The steps of the workflow, one command each: read files, call one pure function, write files."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from decar.config_file import load_study

if TYPE_CHECKING:
    from decar.batch import Compute

PANEL = "Steps of the workflow"
app = typer.Typer()

StudyFile = Annotated[Path, typer.Option("--study", help="Study file (YAML).")]
Batch = Annotated[Path, typer.Option("--batch", help="Receipt of the stage before (Parquet).")]
PlanFile = Annotated[Path, typer.Option("--plan", help="Frozen plan (results/<study>/plan/plan-<hash>.json).")]
Output = Annotated[Path, typer.Option("--output", help="What this step writes.")]


def log(line: str) -> None:
    """Write a line of progress at once, so that a job's log can be followed."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def _run(stage: str, previous: str | None, study: Path, batch: Path, output: Path, compute: "Compute") -> None:
    from decar.batch import run_batch
    from decar.threads import limit_threads

    with limit_threads(int(os.environ.get("OMP_NUM_THREADS", "1"))):
        run_batch(stage, previous, load_study(study), batch, output, compute, log)


@app.command(rich_help_panel=PANEL)
def molecules(study: StudyFile, index: Annotated[Path, typer.Option(help="Frozen index.")], output: Output) -> None:
    """Merge the rows of the table into molecules and labels; list what was changed, merged or refused."""
    from decar.molecules.tables import write_molecules

    write_molecules(load_study(study).molecules, index, output)


@app.command(rich_help_panel=PANEL)
def conformers(study: StudyFile, batch: Batch, output: Output) -> None:
    """Embed (ETKDG v3), relax (MMFF94s), prune and rank the conformers of a batch."""
    from decar.molecules.conformers import compute

    _run("conformers", None, study, batch, output, compute)


@app.command(rich_help_panel=PANEL)
def optimise(study: StudyFile, batch: Batch, output: Output) -> None:
    """Optimise the geometries of a batch and check that the bonds are still those of the SMILES."""
    from decar.quantum.optimise import compute

    _run("optimise", "conformers", study, batch, output, compute)


@app.command(rich_help_panel=PANEL)
def wavefunction(study: StudyFile, batch: Batch, output: Output) -> None:
    """Converge the self-consistent field of each conformer at the level of theory and keep the wavefunction."""
    from decar.quantum.single_point import compute

    _run("wavefunction", "optimise", study, batch, output, compute)


@app.command(rich_help_panel=PANEL)
def fields(study: StudyFile, batch: Batch, output: Output) -> None:
    """Render the fields of a batch on voxel grids from its wavefunctions."""
    from decar.fields.compute import compute

    _run("fields", "wavefunction", study, batch, output, compute)


@app.command(rich_help_panel=PANEL)
def cubes(
    study: StudyFile, batch: Batch,
    wavefunctions: Annotated[Path, typer.Option(help="Receipt of the same molecules' wavefunctions.")],
    folder: Annotated[Path, typer.Option(help="Where the cube files go.")], output: Output,
) -> None:  # fmt: skip
    """Write the fields of a batch as Gaussian cube files, `<folder>/<recipe>/<key>-<conformer>-<field>.cube`."""
    from decar.atomic import write_text
    from decar.fields.compute import write_cubes
    from decar.receipt import read_receipts
    from decar.store import Store

    store = Store(load_study(study).store)
    parents = read_receipts([wavefunctions]).set_index("key")["recipe"]
    rows = read_receipts([batch])
    written: list[Path] = []
    for row in rows.loc[rows["status"] == "ok"].to_dict("records"):
        key = str(row["key"])
        parent = store.load("wavefunction", key, str(parents.loc[key]))
        # A folder a recipe: cubes of other settings never stand under the receipt of these.
        written += write_cubes(store.load("fields", key, recipe := str(row["recipe"])), parent, folder / recipe[:16])
    write_text(output, "".join(f"{path}\n" for path in written))


@app.command(rich_help_panel=PANEL)
def shards(
    plan: PlanFile, shard: Annotated[str, typer.Option(help="Name of the shard in the plan.")], output: Output
) -> None:
    """Pack the field records of one hash bucket into a shard."""
    from decar.dataset.shards import bucket, write_shard
    from decar.planning.frozen import load_plan
    from decar.receipt import read_receipts
    from decar.store import Store

    planned = load_plan(plan)
    study = load_study(Path(planned.study))
    store = Store(study.store)
    members = []
    # The plan names them: thousands of receipts would not fit on a command line.
    for name in planned.shards[shard]:
        receipt = Path(planned.folder) / "fields" / f"{name}.parquet"
        rows = read_receipts([receipt], ["key", "recipe", "status"])
        sound = rows.loc[rows["status"] == "ok"]
        here = sound["key"].map(lambda key: bucket(key, study.dataset.num_shards)) == shard.split("-")[0]
        named = list(zip(sound.loc[here, "key"], sound.loc[here, "recipe"]))
        store.require("fields", named, receipt)
        members += [(key, store.place("fields", key, recipe)) for key, recipe in named]
    write_shard(output, members, {"study": study.study, "fields": study.fields.model_dump(mode="json")})


@app.command(rich_help_panel=PANEL)
def dataset(plan: PlanFile) -> None:
    """Join shards, labels and splits into a dataset; list the failures."""
    from decar.dataset.assemble import assemble
    from decar.planning.frozen import load_plan

    planned = load_plan(plan)
    folder = Path(planned.folder)
    assemble(
        load_study(Path(planned.study)),
        Path(planned.index),
        [folder / "fields" / f"{name}.parquet" for name in planned.receipts["fields"]],
        Path(planned.molecules),
        [folder / "shards" / f"{name}.h5" for name in planned.shards],
        Path(planned.dataset),
    )


@app.command(rich_help_panel=PANEL)
def train(
    study: StudyFile, dataset: Annotated[Path, typer.Option(help="Dataset folder.")],
    shards: Annotated[Path, typer.Option(help="Folder of the shards.")],
    model: Annotated[str, typer.Option(help="Name of the network in training.models.")],
    scheme: Annotated[str, typer.Option(help="Split scheme.")],
    fold: Annotated[int, typer.Option(help="Fold that is kept for the test.")],
    output: Output,
    initial: Annotated[
        str | None, typer.Option("--from", help="Model package to begin with, in place of the model's `initial`.")
    ] = None,
    repeat: Annotated[
        int, typer.Option(help="Number of this training: each begins with other weights, in another order.")
    ] = 0,
    progress: Annotated[bool, typer.Option(help="Show a progress bar.")] = sys.stderr.isatty(),
) -> None:  # fmt: skip
    """Train one network on one fold; under `torchrun`, with DDP over its processes.

    With `--from MODEL` it goes on from the weights of another network; which parts are new (other properties, other
    fields) and which stay as they are (`frozen`) is said, and kept in the lineage of the package (docs/transfer.md).
    """
    from decar.threads import limit_threads
    from decar.training.train import train as run
    from decar.training.transfer import begin_with

    settings = load_study(study)
    if initial is not None:
        settings = begin_with(settings, model, initial)
    with limit_threads(settings.training.threads):
        run(
            settings, dataset, shards, model, scheme, fold, output, log,
            world_size=int(os.environ.get("WORLD_SIZE", "1")),
            num_nodes=int(os.environ.get("GROUP_WORLD_SIZE", "1")), show_progress=progress, repeat=repeat,
        )  # fmt: skip


@app.command(rich_help_panel=PANEL)
def evaluate(
    study: StudyFile, dataset: Annotated[Path, typer.Option(help="Dataset folder.")],
    predictions: Annotated[list[Path], typer.Argument(help="predictions.parquet of every training job.")],
    output: Output,
) -> None:  # fmt: skip
    """Compute the metrics of networks, controls and baselines on the same folds, with intervals."""
    from decar.evaluate.run import evaluate as run

    run(load_study(study), dataset, predictions, output, log)


@app.command(rich_help_panel=PANEL)
def interpret(
    study: StudyFile, dataset: Annotated[Path, typer.Option(help="Dataset folder.")],
    shards: Annotated[Path, typer.Option(help="Folder of the shards.")],
    model: Annotated[Path, typer.Option(help="Folder of a training job.")],
    output: Output,
    permuted: Annotated[Path | None, typer.Option(help="Folder of the same job on permuted labels.")] = None,
) -> None:  # fmt: skip
    """Correlate each kernel of the last layer with every molecule (the published explanation), by class."""
    from decar.interpret.run import interpret as run

    run(load_study(study), dataset, shards, model, permuted, output, log)


@app.command(rich_help_panel=PANEL)
def attribute(plan: PlanFile) -> None:
    """Show where the networks look: attributions by voxel, atom and functional group, with controls; kernel shapes."""
    from decar.interpret.attribute import Places, attribute_study
    from decar.planning.frozen import load_plan
    from decar.planning.index import key_of
    from decar.threads import limit_threads

    planned = load_plan(plan)
    settings = load_study(Path(planned.study))
    example = key_of(Path(planned.index), settings.figures.example)
    places = Places(
        Path(planned.dataset), Path(planned.folder) / "shards", Path(planned.records), Path(planned.interpretation),
        tuple(Path(job) for job in planned.attributed), Path(planned.permuted) if planned.permuted else None,
        tuple(Path(job.folder) for job in planned.repeated),
    )  # fmt: skip
    with limit_threads(int(os.environ.get("OMP_NUM_THREADS", "1"))):
        attribute_study(settings, places, example, Path(planned.attribution), log)


@app.command(rich_help_panel=PANEL)
def collect(plan: PlanFile) -> None:
    """Collect times, sizes and quality figures of all records into two small tables."""
    from decar.figures.records import collect_records
    from decar.planning.frozen import load_plan

    planned = load_plan(plan)
    collect_records(load_study(Path(planned.study)), planned, Path(planned.records))


@app.command(rich_help_panel=PANEL)
def figure(name: Annotated[str, typer.Argument(help="Name of the figure.")], plan: PlanFile) -> None:
    """Draw one figure (SVG, PDF, PNG) from the tables of a study, and the receipt that names what it was drawn from."""
    from decar.figures.build import build_figure
    from decar.planning.frozen import load_plan

    build_figure(name, load_plan(plan))


@app.command(rich_help_panel=PANEL)
def tables(plan: PlanFile) -> None:
    """Write every table of a study as CSV, LaTeX and Markdown."""
    from decar.figures.build import build_tables
    from decar.planning.frozen import load_plan

    build_tables(load_plan(plan))


@app.command(rich_help_panel=PANEL)
def manifest(plan: PlanFile) -> None:
    """Write figures/manifest.json: the hashes of figures, tables and report, and of what each was made from."""
    from decar.figures.catalogue import figure_names
    from decar.figures.manifest import write_manifest
    from decar.planning.frozen import load_plan

    planned = load_plan(plan)
    write_manifest(planned, [*figure_names(load_study(Path(planned.study))), "tables", "report"])


@app.command(rich_help_panel=PANEL)
def report(plan: PlanFile) -> None:
    """Write report.html, one self-contained page, and its receipt."""
    from decar.figures.build import build_report
    from decar.planning.frozen import load_plan

    build_report(load_plan(plan))
