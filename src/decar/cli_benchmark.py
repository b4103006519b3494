"""Networks against baselines on the same folds: `decar benchmark`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from decar.cli_steps import log
from decar.config_file import load_study

if TYPE_CHECKING:
    from decar.config import Study

app = typer.Typer()
console = Console(highlight=False)


@app.command(rich_help_panel="Studies")
def benchmark(
    study: Annotated[Path, typer.Option("--study", help="Study file (YAML).")] = Path("config.yaml"),
    dataset: Annotated[Path | None, typer.Option(help="Dataset folder; that of the study's plan unless named.")] = None,
    only: Annotated[
        list[str] | None, typer.Option(help="Compute only parts whose name begins like this, such as CONTENDER-SPLIT-.")
    ] = None,
    tables_only: Annotated[
        bool, typer.Option("--tables-only", help="Compute nothing: tables of what is there.")
    ] = False,
    no_tables: Annotated[bool, typer.Option("--no-tables", help="Compute only, as one job of many does.")] = False,
) -> None:
    """Compare every network of a study with baselines and controls on the same folds of several splits and seeds.

    Splits, seeds, shares of the training molecules and contenders are those of `benchmark` in the study file. Fields
    and dataset have to be there: `snakemake dataset`. What is computed already is kept, so it may be stopped and
    started at any time; `snakemake benchmark` runs the same parts as jobs of their own, also on a cluster.

    Writes results/<study>/benchmark/<hash>/: benchmark.md and .csv, pairs.csv (paired tests, and the smallest
    difference in AUROC or RMSE that so many molecules show), folds.csv, calibration.csv, trainings.csv (epochs),
    settings.csv (what was tuned), not_run.csv, predictions.parquet and the figure.
    """
    from decar.benchmark.parts import benchmark_folder, parts_of
    from decar.benchmark.write import write_tables
    from decar.planning.frozen import load_plan
    from decar.planning.plan import make_plan
    from decar.receipt import read_table
    from decar.threads import limit_threads

    settings = load_study(study)
    folder = dataset or Path(load_plan(make_plan(study, settings)).dataset)
    read_table(folder / "manifest.parquet", columns=["key"])  # says what to do where it is missing
    with limit_threads(settings.training.threads):
        if not tables_only:
            from decar.benchmark.compute import choose, compute_parts  # torch: tables do not need it

            chosen = choose(parts_of(settings, folder), only or [])
            compute_parts(settings, folder, settings.folder / "shards", chosen, log)
        if no_tables:
            return
        output = benchmark_folder(settings, folder)
        write_tables(settings, folder, output)
        _draw(output, settings)
    typer.echo((output / "benchmark.md").read_text(encoding="utf-8"))
    console.print(f"wrote {output}")


def _draw(output: Path, study: "Study") -> None:
    import pandas as pd

    from decar.figures.benchmark import draw_benchmark
    from decar.figures.save import save_drawing
    from decar.predictions import score_of, unit_of

    contenders, calibration = (pd.read_csv(output / f"{name}.csv") for name in ("benchmark", "calibration"))
    drawing = draw_benchmark(contenders, calibration, score_of(study), unit_of(study))
    save_drawing(drawing, "benchmark_figure", output, study.figures)
