"""Build one figure, the tables or the report of a planned study; a receipt names what it was made from."""

from pathlib import Path

from decar.benchmark.parts import benchmark_folder
from decar.config import FiguresSettings, Study
from decar.config_file import load_study
from decar.errors import ConfigError
from decar.figures.catalogue import entry, figure_names
from decar.figures.receipts import write_receipt
from decar.figures.save import save_drawing
from decar.figures.sources import Sources, noting
from decar.figures.style import style
from decar.planning.frozen import Plan
from decar.receipt import read_table
from decar.record import Place
from decar.store import Store


def sources_of(study: Study, plan: Plan) -> Sources:
    """Return where the tables of a planned study lie."""
    geometry, wavefunction, fields = _example(study, plan) or (None, None, None)
    return Sources(
        index=Path(plan.index),
        records=Path(plan.records),
        dataset=Path(plan.dataset),
        models=tuple(Path(job.folder) for job in plan.training),
        evaluation=Path(plan.evaluation),
        interpretation=Path(plan.interpretation),
        attribution=Path(plan.attribution),
        benchmark=benchmark_folder(study, Path(plan.dataset)),
        example_geometry=geometry,
        example_wavefunction=wavefunction,
        example_fields=fields,
    )


def _example(study: Study, plan: Plan) -> list[Place] | None:
    """Return the records of the example's geometry, wavefunction and fields, or None when that molecule failed."""
    index = read_table(Path(plan.index))
    keys = index.loc[index["id"].astype(str) == study.figures.example, "key"]
    if keys.empty:
        raise ConfigError(
            "figures.example is not an identifier of the table", seen=study.figures.example,
            expected=f"one of column {study.molecules.id_column!r} of {study.molecules.table}",
        )  # fmt: skip
    path = Path(plan.records) / "stages.parquet"
    if not path.exists():
        return None
    stages = read_table(path)
    of_example = stages[(stages["key"] == keys.iloc[0]) & (stages["status"] == "ok")]
    recipes = dict(zip(of_example["stage"], of_example["recipe"]))
    wanted = ("optimise", "wavefunction", "fields")
    if not all(stage in recipes for stage in wanted):
        return None
    store = Store(study.store)
    return [store.place(stage, str(keys.iloc[0]), str(recipes[stage])) for stage in wanted]


def build(
    name: str, study: Study, sources: Sources, folder: Path, settings: FiguresSettings | None = None
) -> list[Path]:
    """Draw the figure `name` into `folder`, in every format of the settings, with its table; return the paths."""
    with style():
        drawing = entry(name, study).load()(study, sources)
    return save_drawing(drawing, name, folder, settings or study.figures)


def build_figure(name: str, plan: Plan) -> None:
    """Draw one figure of a planned study into `<folder>/figures/` and write its receipt."""
    study = load_study(Path(plan.study))
    with noting() as read:
        written = build(name, study, sources_of(study, plan), Path(plan.folder) / "figures")
    write_receipt(name, plan, written, read)


def build_tables(plan: Plan) -> None:
    """Write every table of a planned study into `<folder>/tables/`, and their receipt."""
    from decar.figures.table_catalogue import write_tables  # noqa: PLC0415  RDKit is not needed by every figure

    study = load_study(Path(plan.study))
    with noting() as read:
        written = write_tables(study, sources_of(study, plan), Path(plan.folder) / "tables")
    write_receipt("tables", plan, written, read)


def build_report(plan: Plan) -> None:
    """Write `<folder>/report.html` and its receipt; the figures must have been drawn."""
    from decar.figures.report import write_report  # noqa: PLC0415  RDKit is not needed by every figure

    study = load_study(Path(plan.study))
    page = Path(plan.folder) / "report.html"
    with noting() as read:
        write_report(study, sources_of(study, plan), Path(plan.folder) / "figures", figure_names(study), page)
    write_receipt("report", plan, [page], read)
