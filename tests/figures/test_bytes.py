"""The same tables give the same bytes, in another process, folder and hash seed."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

from tests.figures.conftest import Drawn

SCRIPT = """
import pickle, sys
from pathlib import Path
import matplotlib
matplotlib.rcParams["font.size"] = 20  # what a user's matplotlibrc may hold must not matter
from decar.figures.build import build
from decar.figures.catalogue import figure_names
from decar.figures.report import write_report
from decar.figures.table_catalogue import write_tables
study, sources = pickle.loads(sys.stdin.buffer.read())
for name in reversed(figure_names(study)):
    build(name, study, sources, Path("figures"))
write_tables(study, sources, Path("tables"))
write_report(study, sources, Path("figures"), figure_names(study), Path("report.html"))
"""


def test_figures_tables_and_report_are_byte_identical_in_two_processes(drawn: Drawn, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONHASHSEED": "12345", "MPLCONFIGDIR": str(tmp_path / "matplotlib")}
    subprocess.run(
        [sys.executable, "-c", SCRIPT], input=pickle.dumps((drawn.study, drawn.sources)), cwd=tmp_path,
        env=environment, check=True, timeout=300,
    )  # fmt: skip
    for folder in (drawn.figures, drawn.figures.with_name("tables")):
        names, again = sorted(path.name for path in folder.iterdir()), tmp_path / folder.name
        assert names == sorted(path.name for path in again.iterdir())
        different = [name for name in names if (folder / name).read_bytes() != (again / name).read_bytes()]
        assert different == []
    assert (tmp_path / "report.html").read_bytes() == drawn.page.read_bytes()


def test_no_date_no_path_and_no_program_version_in_a_figure(drawn: Drawn) -> None:
    for path in drawn.figures.iterdir():
        content = path.read_bytes()
        for unwanted in (b"<dc:date>", b"CreationDate", b"Matplotlib v", b"tEXtSoftware", str(path.parent).encode()):
            assert unwanted not in content, (path.name, unwanted)
