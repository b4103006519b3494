"""Tables are rounded to what an interval supports, and say the same in CSV, LaTeX and Markdown."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from decar.figures.performance import read_metrics
from decar.figures.table_catalogue import TABLES, performance
from decar.figures.tables import Column, Table, decimals, write_table
from tests.figures.conftest import Drawn


@pytest.mark.parametrize(
    ("half_width", "places"),
    [(0.827, 1), (0.119, 2), (0.36, 1), (0.034, 3), (0.0096, 3), (0.97, 1), (4.7, 0), (120.0, 0), (float("nan"), 2)],
)
def test_decimals_are_those_that_the_half_width_supports(half_width: float, places: int) -> None:
    assert decimals(half_width) == places


def test_one_table_in_three_forms(tmp_path: Path) -> None:
    rows = pd.DataFrame({
        "name": ["a_b & c|d", "β-ÅÅ"], "n": [3, 4], "e": [-1.23456, np.nan],
        "v": [0.71234, 0.5], "low": [0.6, np.nan], "high": [0.85, np.nan],
    })  # fmt: skip
    columns = (Column("name", "name"), Column("n", "molecules", form="d"), Column("e", "E", "hartree", ".2f"),
               Column("v", "AUROC", low="low", high="high"))  # fmt: skip
    paths = write_table(Table("Caption, 5 %.", columns, rows), "t", tmp_path)
    csv, tex, md = (path.read_text(encoding="utf-8") for path in paths)
    assert csv.splitlines() == [
        'name,molecules,E / hartree,AUROC,"AUROC, low","AUROC, high"',
        "a_b & c|d,3,-1.23,0.71,0.60,0.85", "β-ÅÅ,4,,0.50,,",
    ]  # fmt: skip
    assert r"a\_b \& c\textbar{}d & 3 & $-$1.23 & 0.71 [0.60, 0.85] \\" in tex
    assert r"$\beta$-\AA{}\AA{} & 4 & -- & 0.50 \\" in tex
    assert tex.index(r"\toprule") < tex.index(r"\midrule") < tex.index(r"\bottomrule")
    assert r"5 \%" in tex
    assert r"| a_b & c\|d | 3 | −1.23 | 0.71 [0.60, 0.85] |" in md
    assert "| --- | ---: | ---: | ---: |" in md


def test_every_table_is_written_and_performance_is_that_of_the_evaluation(drawn: Drawn) -> None:
    folder = drawn.figures.with_name("tables")
    assert {path.name for path in folder.iterdir()} == {
        f"{name}.{kind}" for name in TABLES for kind in ("csv", "tex", "md")
    }
    for name in TABLES:
        assert len(pd.read_csv(folder / f"{name}.csv")) > 0
        lines = [line for line in (folder / f"{name}.tex").read_text().splitlines() if line.endswith(r"\\")][1:]
        assert len({line.replace(r"\&", "").count(" & ") for line in lines}) == 1, name
    table = pd.read_csv(folder / "performance.csv")
    metrics = read_metrics(drawn.sources)
    assert len(table) == len(performance(drawn.study, drawn.sources).rows) == 8
    of_counts = metrics[(metrics["model"] == "atom_counts") & (metrics["scheme"] == "scaffold")]
    chosen = of_counts[of_counts["metric"] == "auroc"]
    row = table[(table["model"] == "atom counts") & (table["split"] == "scaffold")]
    assert row["AUROC"].item() == pytest.approx(chosen["value"].item(), abs=0.06)
