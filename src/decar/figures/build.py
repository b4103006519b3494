"""Build one figure, or the report, of a planned study; a receipt names what it was drawn from."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from decar.atomic import write_text
from decar.config import FiguresSettings, Study
from decar.config_file import load_study
from decar.errors import ConfigError
from decar.figures.catalogue import entry, figure_names
from decar.figures.save import save_drawing
from decar.figures.sources import Sources
from decar.figures.style import style
from decar.planning.plan import Plan, read_index
from decar.receipt import read_table
from decar.record import Place
from decar.stages import STAGE_VERSION
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
        example_geometry=geometry,
        example_wavefunction=wavefunction,
        example_fields=fields,
    )


def _example(study: Study, plan: Plan) -> list[Place] | None:
    """Return the records of the example's geometry, wavefunction and fields, or None when that molecule failed."""
    index = read_index(plan)
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
        drawing = entry(name).load()(study, sources)
    return save_drawing(drawing, name, folder, settings or study.figures)


def build_figure(name: str, plan: Plan) -> None:
    """Draw one figure of a planned study into `<folder>/figures/` and write its receipt."""
    study = load_study(Path(plan.study))
    sources = sources_of(study, plan)
    written = build(name, study, sources, Path(plan.folder) / "figures")
    _write_receipt(name, study, plan, sources, written)


def build_report(plan: Plan) -> None:
    """Write `<folder>/report.html` and its receipt; the figures must have been drawn."""
    from decar.figures.report import write_report  # noqa: PLC0415  RDKit is not needed by every figure

    study = load_study(Path(plan.study))
    sources = sources_of(study, plan)
    page = Path(plan.folder) / "report.html"
    write_report(study, sources, Path(plan.folder) / "figures", figure_names(study), page)
    _write_receipt("report", study, plan, sources, [page])


def _write_receipt(name: str, study: Study, plan: Plan, sources: Sources, written: Iterable[Path]) -> None:
    """Tie what was written to the tables and settings that it was made from, by SHA-256.

    The receipts of earlier settings go: they would say of the file that lies here now that it is theirs.
    """
    receipt = {
        "name": name,
        "version": STAGE_VERSION["figures"],
        "written": _hashes(written),
        "made_from": _hashes(path for path in _tables(sources) if path.exists()),
        "settings": study.figures.model_dump(mode="json"),
    }
    path = Path(plan.folder) / "figures" / "receipts" / f"{name}-{plan.figures_hash}.json"
    for earlier in path.parent.glob(f"{name}-{'?' * len(plan.figures_hash)}.json"):
        earlier.unlink()
    write_text(path, json.dumps(receipt, indent=1, sort_keys=True) + "\n")


def _tables(sources: Sources) -> Iterable[Path]:
    yield sources.index
    for folder in (sources.records, sources.dataset, sources.evaluation, sources.interpretation, sources.attribution):
        yield from sorted(path for path in folder.iterdir() if path.suffix in {".parquet", ".csv", ".json", ".h5"})
    for folder in sources.models:
        yield folder / "metrics.csv"


def _hashes(paths: Iterable[Path]) -> dict[str, str]:
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
