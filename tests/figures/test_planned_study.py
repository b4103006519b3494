"""The entry points of the workflow: figure, report and summary of a plan, with receipts."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import yaml

from decar.errors import ConfigError
from decar.figures.build import build_figure, build_report, sources_of
from decar.figures.catalogue import CATALOGUE, figure_names
from decar.figures.manifest import check, write_manifest
from decar.figures.receipts import read_receipt, write_receipt
from decar.figures.sources import Noted
from decar.figures.summary import summarise
from decar.planning.plan import Plan, TrainingJob
from decar.record import read_record, write_record
from decar.stages import MOLECULE_STAGES
from decar.store import Store
from tests.figures.conftest import Drawn


@pytest.fixture
def plan(drawn: Drawn, tmp_path: Path) -> Plan:
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(drawn.study.model_dump(mode="json")))
    jobs = [
        TrainingJob("electron_cloud", "random", number, str(path)) for number, path in enumerate(drawn.sources.models)
    ]
    return Plan(
        study=str(tmp_path / "study.yaml"), folder=str(tmp_path), index=str(drawn.sources.index), sources={},
        parents={stage: {"0-a": ""} for stage in MOLECULE_STAGES}, shards={"0-a": ["0-a"]}, molecules="",
        dataset=str(drawn.sources.dataset), records=str(drawn.sources.records), training=jobs,
        evaluation=str(drawn.sources.evaluation), interpretation=str(drawn.sources.interpretation),
        explained=jobs[0].folder, permuted="", attribution=str(drawn.sources.attribution),
        attributed=[], figures_hash="0123456789abcdef", formats=["svg", "png", "pdf"], counts={},
    )  # fmt: skip


def test_a_figure_has_a_receipt_of_exactly_what_it_was_drawn_from(plan: Plan) -> None:
    build_figure("roc", plan)
    receipt = read_receipt("roc", plan)
    assert set(receipt["files"]) == {f"figures/roc.{suffix}" for suffix in ("svg", "png", "pdf", "csv")}
    evaluation = Path(plan.evaluation)
    read = {str(evaluation / name) for name in ("roc.parquet", "metrics.parquet")}
    assert set(receipt["made_from"]) == {"study.yaml", *read}
    for name, sha256 in {**receipt["files"], **receipt["made_from"]}.items():
        assert hashlib.sha256((Path(plan.folder) / name).read_bytes()).hexdigest() == sha256


def test_what_is_missing_changed_or_stale_is_named_with_its_remedy(drawn: Drawn, plan: Plan) -> None:
    names, store, folder = ["roc", "structure_and_cloud"], Store(drawn.study.store), Path(plan.folder) / "figures"
    for name in names:
        build_figure(name, plan)
    assert "missing" in check(plan, store, names)[0]
    write_manifest(plan, names)
    assert check(plan, store, names) == []
    assert "performance: missing" in check(plan, store, [*names, "performance"])[0]
    other = replace(plan, figures_hash="f" * 16)
    assert "stale" in check(other, store, names)[0]

    (folder / "roc.svg").write_text("drawn by hand")
    (folder / "roc.csv").unlink()
    (folder / "roc.tiff").touch()
    geometry = read_receipt("structure_and_cloud", plan)["records"][1]
    assert geometry["stage"] == "optimise"
    path = store.path("optimise", geometry["recipe"])
    kept = read_record(path)
    write_record(path, replace(kept, metadata={**kept.metadata, "smiles": "C"}))
    table = Path(plan.evaluation) / "roc.parquet"
    content = table.read_bytes()
    table.write_bytes(content + b"x")
    try:
        problems = check(plan, store, names)
    finally:
        table.write_bytes(content)
        write_record(path, kept)
    wanted = {"roc.svg: changed": "delete it", "roc.csv: missing": "run: snakemake", "roc.tiff: stale": "delete it",
              "roc.parquet: changed": "delete it too", ".h5: another result": "run, twice"}  # fmt: skip
    assert len(problems) == len(wanted)
    for what, remedy in wanted.items():
        (found,) = [problem for problem in problems if what in problem]
        assert remedy in found


def test_a_report_that_was_changed_or_shows_an_earlier_figure_is_named(drawn: Drawn, plan: Plan) -> None:
    names, store, folder = ["roc", "report"], Store(drawn.study.store), Path(plan.folder)
    build_figure("roc", plan)
    build_report(plan)
    write_manifest(plan, names)
    assert check(plan, store, names) == []
    receipt = read_receipt("report", plan)
    # Made from the figure that it shows and from tables, two of which name the records of the clouds in it.
    tables = [Path(plan.records) / name for name in ("stages.parquet", "quality.parquet")]
    tables.append(Path(plan.evaluation) / "predictions.parquet")
    assert {"study.yaml", "figures/roc.svg", *map(str, tables)} <= set(receipt["made_from"])

    page = folder / "report.html"
    content = bytearray(page.read_bytes())
    content[len(content) // 2] ^= 1
    page.write_bytes(content)
    (problem,) = check(plan, store, names)
    assert "report.html: changed" in problem
    build_report(plan)
    assert check(plan, store, names) == []
    page.unlink()
    (problem,) = check(plan, store, names)
    assert "report.html: missing" in problem

    build_report(plan)
    svg = folder / "figures" / "roc.svg"
    svg.write_text(svg.read_text() + "<!-- another version of the program -->")
    written = [folder / "figures" / f"roc.{suffix}" for suffix in ("svg", "png", "pdf", "csv")]
    write_receipt("roc", plan, written, Noted())
    write_manifest(plan, names)
    (problem,) = check(plan, store, names)
    assert "report.html: stale" in problem
    assert "roc.svg has been drawn anew" in problem


def test_the_report_shows_figures_that_are_there_and_names_those_that_are_not(drawn: Drawn, plan: Plan) -> None:
    build_figure("roc", plan)
    build_report(plan)
    text = (Path(plan.folder) / "report.html").read_text(encoding="utf-8")
    assert text.count("<img ") == 1
    assert text.count("drawn as figures/") == len(figure_names(drawn.study)) - 1
    assert (Path(plan.folder) / "figures/receipts/report-0123456789abcdef.json").exists()


def test_the_records_of_the_example_are_found_by_their_recipes(drawn: Drawn, plan: Plan) -> None:
    sources = sources_of(drawn.study, plan)
    stages = pd.read_parquet(drawn.sources.records / "stages.parquet")
    index = pd.read_parquet(drawn.sources.index).set_index("id")
    chosen = (stages["key"] == index.loc["glucose", "key"]) & (stages["stage"] == "fields")
    assert sources.example_fields is not None
    assert sources.example_fields.file.stem == stages.loc[chosen, "recipe"].iloc[0]
    figures = drawn.study.figures
    failed = drawn.study.model_copy(update={"figures": figures.model_copy(update={"example": "lead"})})
    assert sources_of(failed, plan).example_fields is None
    unknown = drawn.study.model_copy(update={"figures": figures.model_copy(update={"example": "gluco"})})
    with pytest.raises(ConfigError, match=r"figures\.example"):
        sources_of(unknown, plan)


def test_summary_counts_what_was_made(plan: Plan) -> None:
    rows = {(row.stage, row.what): row for row in summarise(plan)}
    assert rows["molecules", "molecules"].number == "15"
    assert rows["molecules", "failures"].number == "2"
    assert "lead: element without basis (wavefunction)" in rows["molecules", "failures"].detail
    assert rows["wavefunction", "records"].number == "14"
    assert rows["shards", "HDF5 files"].detail.startswith("14 samples")
    assert rows["train", "electron cloud, random split"].number == "3 folds"
    assert rows["interpret", "kernels, input form"].number == "16"
    assert ("evaluate", "electron cloud, random split") in rows
    assert rows["report", "page"].number == "0"


def test_summary_names_molecules_whose_rows_disagree(plan: Plan, tmp_path: Path) -> None:
    names = [f"m{number}" for number in range(7)]
    conflicts = {"key": names, "property": "sweet", "ids": [[name, f"{name}b"] for name in names],
                 "values": [[0.0, 1.0]] * 7}  # fmt: skip
    pd.DataFrame(conflicts).to_parquet(tmp_path / "conflicts.parquet")
    rows = {(row.stage, row.what): row for row in summarise(replace(plan, molecules=str(tmp_path)))}
    found = rows["molecules", "conflicting labels"]
    assert found.number == "7"
    assert found.detail.startswith("rows of one molecule disagree, drop_label: sweet of m0, m0b; ")
    assert found.detail.endswith("sweet of m4, m4b; and 2 more")


def test_summary_of_an_unfinished_study_says_what_is_missing(plan: Plan, tmp_path: Path) -> None:
    names = ("dataset", "records", "evaluation", "interpretation")
    unfinished = replace(plan, **{name: str(tmp_path / name) for name in names},
                         training=[replace(job, folder=f"{job.folder}-new") for job in plan.training])  # fmt: skip
    rows = summarise(unfinished)
    details = {row.stage: (row.number, row.detail) for row in rows}
    assert details["molecules"] == ("0", "not made yet")
    assert details["wavefunction"] == ("0 of 1", "")
    assert details["train"] == ("0 of 12", "not finished")
    assert details["evaluate"] == ("0", "not made yet")


def test_captions_of_the_snakemake_report_are_those_of_the_catalogue(root: Path) -> None:
    from types import SimpleNamespace

    from jinja2 import Environment, StrictUndefined

    template = Environment(undefined=StrictUndefined).from_string(
        (root / "workflow" / "report" / "figure.rst").read_text(encoding="utf-8")
    )
    for name, about in CATALOGUE.items():
        for kind in about.kinds:
            job = SimpleNamespace(wildcards=SimpleNamespace(figure=name), params=SimpleNamespace(kind=kind))
            assert template.render(snakemake=job).strip() == f"{about.title}. {about.caption_of(kind)}"
