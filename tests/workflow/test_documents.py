"""The commands of `console` blocks are run, page by page, in a copy of the finished study; so are `python` blocks.

tests/docs/run_by.py says which test runs a command of a `bash` block; many are here.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from decar.benchmark.tables import contenders_table
from decar.cli import app
from decar.config import Study
from decar.figures.catalogue import CATALOGUE
from decar.predictions import read_predictions
from tests.docs.commands import DOCUMENTS, ROOT, Line, commands
from tests.workflow.conftest import Workspace, jobs_in, make_workspace

CONSOLE = [page for page in DOCUMENTS if any(line.tag == "console" for line in commands(page))]
PYTHON = [page for page in DOCUMENTS if "```python\n" in page.read_text(encoding="utf-8")]


def named(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.fixture
def reader(copied: Callable[[], Workspace], monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """What a reader has who followed the page: a finished study, a copy of its file under another name."""
    workspace = copied()
    shutil.copy(workspace.folder / "config.yaml", workspace.folder / "my_study.yaml")
    monkeypatch.chdir(workspace.folder)
    return workspace


@pytest.mark.parametrize("page", CONSOLE, ids=named)
def test_console_blocks_run(page: Path, reader: Workspace) -> None:
    for line in commands(page):
        if line.tag == "console":
            # A record has another name in every study.
            record = min((reader.folder / "results/store/wavefunction").rglob("*.h5"))
            words = [re.sub(r"results/store/wavefunction/\S+\.h5", str(record), word) for word in line.filled({})]
            status, output = run(words, reader)
            assert status == 0, f"{line.document}:{line.number}: {line.text}\n{output[-3000:]}"
            assert words[0] == "decar" or "Nothing to be done" in output


def run(words: Sequence[str], workspace: Workspace) -> tuple[int, str]:
    """Run a command of decar or Snakemake; return its exit code and what it says."""
    program, *arguments = words
    if program == "snakemake":
        return 0, workspace.typed(words)
    assert program == "decar"
    result = CliRunner().invoke(app, arguments, env={**os.environ, "COLUMNS": "120"})
    return result.exit_code, f"{result.output}\n{result.exception!r}"


# What a reader puts in the place of names: here all is of the one finished study.
PLACES = {"examples/paper.yaml": "my_study.yaml", "PATH": "results/store/wavefunction"}


def test_commands_run_on_a_finished_study(documented: list[Line], reader: Workspace) -> None:
    said = {line.command: run(line.filled(PLACES), reader) for line in documented}
    assert {command: found for command, found in said.items() if found[0]} == {}
    assert "orbitals solutions of their level" in said["decar verify --physics PATH"][1]
    assert (
        "figures, the tables and the report are what" in said["decar figures --study examples/paper.yaml --verify"][1]
    )
    for name in ("README.md", "schema.json"):  # decar config --write config
        assert (reader.folder / "config" / name).read_bytes() == (ROOT / "config" / name).read_bytes()


def test_benchmark_commands_run(documented: list[Line], reader: Workspace) -> None:
    """One network first, then all, then the tables alone; Snakemake makes what is missing. Then the page."""
    settings = {"splits": {"scaffold": {"scheme": "scaffold", "num_folds": 2}}, "networks": ["decar"],
                "baselines": ["tuned_lightgbm_atom_counts"]}  # fmt: skip
    study = yaml.safe_dump({**reader.study(), "benchmark": settings})
    (reader.folder / "my_study.yaml").write_text(study)
    only, whole, tables_only, snakemake, keep = (
        next(line for line in documented if text in line.command)
        for text in ("--only", "decar benchmark --study", "--tables-only", "snakemake", "shared_keep")
    )
    outputs = []
    for line in (only, whole, tables_only):
        status, output = run(line.filled({}), reader)
        assert status == 0, output[-3000:]
        (folder,) = (path.parent for path in (reader.folder / "results/small/benchmark").glob("*/benchmark.md"))
        outputs.append({path.name: path.read_bytes() for path in folder.glob("*.csv")})
    first, second, third = outputs
    assert pd.read_csv(BytesIO(first["benchmark.csv"]))["contender"].tolist() == ["decar"]
    assert len(pd.read_csv(BytesIO(first["not_run.csv"]))) == 2  # folds of the baseline
    assert set(pd.read_csv(BytesIO(second["benchmark.csv"]))["contender"]) == {"decar", *settings["baselines"]}
    assert second == third
    assert "Nothing to be done" in run(snakemake.filled({}), reader)[1]
    (part,) = (reader.folder / "results/small/benchmark/parts").glob("tuned_lightgbm_atom_counts-*-fold1-*")
    shutil.rmtree(part)
    for name in ("benchmark.md", "benchmark.csv", "predictions.parquet"):
        (folder / name).unlink()
    assert run(snakemake.filled({}), reader)[0] == 0
    assert (part / "predictions.parquet").exists()
    assert {path.name: path.read_bytes() for path in folder.glob("*.csv")} == third
    kept = reader.folder / "kept"
    run_script(keep.filled({"FOLDER/results/shared/benchmark/HASH": folder, "benchmarks/shared_benchmark": kept}))
    table = contenders_table(Study.model_validate(yaml.safe_load(study)), read_predictions(kept / "study.parquet"))
    found, written = (one.set_index("contender")["auroc"] for one in (table, pd.read_csv(folder / "benchmark.csv")))
    assert found.to_dict() == pytest.approx(written.to_dict(), abs=1e-6)


def run_script(words: Sequence[str]) -> None:
    done = subprocess.run([sys.executable, *words[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


def test_records_of_two_engines_are_compared(documented: list[Line], finished: Workspace, tmp_path: Path) -> None:
    """Here both are one: no difference, and the molecule that failed is named."""
    for engine in ("pyscf", "psi4"):
        folder = tmp_path / engine / "results"
        folder.mkdir(parents=True)
        for name, place in {"store": "store", "small": "small", "tastants": "small"}.items():
            (folder / name).symlink_to(finished.folder / "results" / place)
    (line,) = documented
    run_script(line.filled({"FOLDER": tmp_path, "docs/slurm": tmp_path / "page"}))
    table = pd.read_csv(tmp_path / "page" / "records.csv").set_index("name")
    assert table.pop("status").to_dict() == {
        **dict.fromkeys(table.index, "ok"), "lead acetate": "failed: pyscf, psi4",
    }  # fmt: skip
    assert len(table) == 7
    assert (table.drop("lead acetate").drop(columns="atoms") == 0).all(axis=None)


def test_the_paper_is_planned_from_a_table_of_the_published_form(
    documented: list[Line], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fourteen rows in place of 2944: the import, what it would cost, and the jobs by rule."""
    assert len(documented) == 3
    workspace = make_workspace(tmp_path / "paper")
    (workspace.folder / "examples").symlink_to(ROOT / "examples")
    rows = [[f"{573 + number:04d}", f"tastant {number}", "C" * (number % 7 + 1) + "OSN"[number % 3], number % 2]
            for number in range(14)]  # fmt: skip
    table = pd.DataFrame(rows, columns=["ID", "Name", "canonical SMILES", "Class taste"])
    table["Class taste"] = table["Class taste"].map({0: "Bitterness", 1: "Sweetness"})
    table.assign(**{"Taste": "", "Reference_(cod)/[pp]": "A"}).to_excel(
        workspace.folder / "ChemTastesDB.xlsx", index=False
    )
    monkeypatch.chdir(workspace.folder)
    for line in documented:
        status, output = run(line.filled({}), workspace)
        assert status == 0, f"{line.command}\n{output[-3000:]}"
    counts = jobs_in(output)
    assert counts["train"] == 5 * 2 * 5 + 2  # networks, splits and folds; two more seeds of one of them
    assert counts["benchmark_part"] % (5 * 3) == 0  # folds and shares of each contender
    assert counts["figure"] == sum("binary" in entry.kinds for entry in CATALOGUE.values())


@pytest.mark.parametrize("page", PYTHON, ids=named)
def test_python_blocks_run(page: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    # In a process of its own: a page may register a field.
    subprocess.run([sys.executable, "-c", "\n".join(blocks)], check=True, timeout=120)


def test_commands_that_fail_are_seen(reader: Workspace) -> None:
    assert run(["decar", "show", "nothing.h5"], reader)[0] != 0


def test_snakemake_reports_every_figure_with_its_caption(
    documented: list[Line], finished: Workspace, tmp_path: Path
) -> None:
    (line,) = documented
    finished.typed(line.filled({"my_study.yaml": "config.yaml", "report.zip": tmp_path / "report.zip"}))
    with ZipFile(tmp_path / "report.zip") as archive:
        names = {Path(name).name for name in archive.namelist()}
        page = archive.read("report/report.html").decode()
    for name, entry in CATALOGUE.items():
        if (finished.folder / "results" / "small" / "figures" / f"{name}.svg").exists():
            assert f"{name}.svg" in names
            assert f"{entry.title}. {entry.caption[:20]}" in page
