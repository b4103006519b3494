"""The report: whole, self-contained, honest; its script works in a browser where one is installed."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from decar.figures.catalogue import figure_names
from decar.figures.performance import read_metrics
from decar.figures.report import write_report
from decar.figures.report_data import duration, performance_rows, stage_rows, summary_sentences
from tests.figures.conftest import Drawn
from tests.figures.study_on_disk import MOLECULES


class Page(HTMLParser):
    """References, identifiers and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.references: list[str] = []
        self.identifiers: set[str] = set()
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in {"src", "href", "xlink:href", "data", "action"}:
                self.references.append(value or "")
            if name == "id":
                self.identifiers.add(value or "")
        if tag not in {"meta", "img", "br", "input", "path"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag != "path":
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def rows_of(text: str) -> list[dict[str, Any]]:
    """Return the rows of the table of molecules, as the page's script reads them."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, flags=re.DOTALL)
    assert found is not None
    rows: list[dict[str, Any]] = json.loads(found[1])["molecules"]
    return rows


def test_page_refers_to_nothing_outside_itself(drawn: Drawn) -> None:
    page = Page(drawn.page.read_text(encoding="utf-8"))
    assert page.open == []
    assert page.references
    for reference in page.references:
        assert reference.startswith("data:") or reference.removeprefix("#") in page.identifiers
    assert drawn.page.stat().st_size < 5_500_000  # of 23 figures


def test_page_holds_every_molecule_figure_and_failure(drawn: Drawn) -> None:
    text = drawn.page.read_text(encoding="utf-8")
    page = Page(text)
    words = " ".join(page.words)
    found = [row["name"] for row in rows_of(text)]
    assert {name for _, name, _, _ in MOLECULES} <= set(found)
    assert len(found) == 17
    for name in figure_names(drawn.study):
        assert text.count(f'id="figure-{name}"') == 1
    assert "element without basis" in words
    assert "remedy:   set quantum.basis to def2-svp" in words
    assert "With 14 molecules no metric means anything" in words
    assert "def2-universal-jkfit" in words


def test_what_a_user_wrote_is_text_not_markup(drawn: Drawn, tmp_path: Path) -> None:
    index = pd.read_parquet(drawn.sources.index)
    index.loc[0, "name"] = "</script><script>alert('x')</script>"
    index.loc[3, "name"] = "<b>bold</b>"  # a failure: it stands in the page's own markup
    index.to_parquet(tmp_path / "index.parquet")
    from dataclasses import replace

    sources = replace(drawn.sources, index=tmp_path / "index.parquet")
    write_report(drawn.study, sources, drawn.figures, figure_names(drawn.study), tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<script>alert" not in text
    assert rows_of(text)[0]["name"] == "</script><script>alert('x')</script>"
    assert "<b>bold</b>" not in text
    assert "&lt;b&gt;bold&lt;/b&gt;" in text


def test_summary_gives_the_numbers_of_the_tables(drawn: Drawn) -> None:
    from decar.figures.molecule_table import molecule_table

    metrics = read_metrics(drawn.sources)
    sentences = summary_sentences(drawn.study, molecule_table(drawn.study, drawn.sources), metrics)
    assert sentences[0].startswith("Of 17 rows of table.csv, 14 became molecules with an electron cloud (B3LYP/6-31G*")
    chosen = (metrics["metric"] == "auroc") & (metrics["scheme"] == "random")
    own = metrics[chosen & (metrics["model"] == "electron_cloud")].iloc[0]
    assert f"AUROC {own['value']:.2f} [{own['low']:.2f}, {own['high']:.2f}]" in sentences[1]
    assert "no difference is shown" in sentences[2]


def test_rows_of_stages_and_performance(drawn: Drawn) -> None:
    stages = {row["stage"]: row for row in stage_rows(drawn.sources)}
    assert stages["rows of the table"]["lost"] == ["1 duplicate", "1 invalid SMILES"]
    assert stages["wavefunction"]["ok"] == 14
    rows = performance_rows(read_metrics(drawn.sources))
    assert len(rows) == 8
    assert all(any(row["cells"][column]["best"] for row in rows if row["scheme"] == "random") for column in range(6))


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.421, "0.42 s"), (12.4, "12 s"), (119, "119 s"), (210, "3.5 min"), (7560, "2.1 h")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_figure_is_as_wide_on_the_page_as_in_print(drawn: Drawn, tmp_path: Path) -> None:
    text = drawn.page.read_text(encoding="utf-8")
    assert 'alt="Performance" style="--width: 980px"' in text
    table = read_metrics(drawn.sources)
    from decar.figures import roc
    from decar.figures.save import Drawing, save_drawing
    from decar.figures.style import COLUMN, PAGE

    points = roc.tabulate(drawn.sources)
    figure = roc.draw(points[points["scheme"] == "random"], drawn.study.figures)
    for suffix in ("svg", "png"):
        settings = drawn.study.figures.model_copy(update={"formats": (suffix,)})
        save_drawing(Drawing(figure, table), "roc", tmp_path / suffix, settings)
        write_report(drawn.study, drawn.sources, tmp_path / suffix, ["roc"], tmp_path / "report.html")
        width = re.search(r'alt="ROC curves" style="--width: (\d+)px"', (tmp_path / "report.html").read_text("utf-8"))
        assert width is not None
        assert int(width.group(1)) == pytest.approx(980 * COLUMN / PAGE, rel=0.04)
