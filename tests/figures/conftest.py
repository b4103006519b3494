"""A study on disk of either kind of property, its figures and its report, made once for the tests of this folder."""

from pathlib import Path
from typing import NamedTuple

import pytest

from decar.config import Study
from decar.figures.build import build
from decar.figures.catalogue import figure_names
from decar.figures.report import write_report
from decar.figures.sources import Sources
from decar.figures.table_catalogue import write_tables
from tests.figures.study_on_disk import write_study


class Drawn(NamedTuple):
    study: Study
    sources: Sources
    figures: Path
    page: Path


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Drawn:
    return draw(tmp_path_factory.mktemp("study"), "binary")


@pytest.fixture(scope="session")
def drawn_values(tmp_path_factory: pytest.TempPathFactory) -> Drawn:
    """The same molecules with a property that is a regression."""
    return draw(tmp_path_factory.mktemp("values"), "regression")


def draw(folder: Path, kind: str) -> Drawn:
    study, sources = write_study(folder, kind)
    names = figure_names(study)
    for name in names:
        build(name, study, sources, folder / "figures")
    write_tables(study, sources, folder / "tables")
    write_report(study, sources, folder / "figures", names, folder / "report.html")
    return Drawn(study, sources, folder / "figures", folder / "report.html")
