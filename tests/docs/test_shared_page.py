"""Every table of docs/benchmark.md that comes from kept predictions is what they say."""

import shutil
from pathlib import Path

import pytest
from benchmarks import shared_page

from .commands import ROOT, Line


def test_the_page_says_what_the_kept_predictions_say(
    documented: list[Line], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (line,) = documented
    assert line.command == "python -m benchmarks.shared_page docs/benchmark.md"
    copy, page = tmp_path / "docs" / "benchmark.md", ROOT / "docs" / "benchmark.md"
    (copy.parent / "images").mkdir(parents=True)
    shutil.copy(page, copy)
    kept = tmp_path / "shared_benchmark"
    shutil.copytree(ROOT / "benchmarks" / "shared_benchmark", kept)
    monkeypatch.setattr(shared_page, "KEPT", kept)
    assert {"contenders", "pairs", "growth", "heads", "tuned"} <= set(shared_page.sections())
    shared_page.main(copy)
    assert copy.read_text(encoding="utf-8") == page.read_text(encoding="utf-8")
