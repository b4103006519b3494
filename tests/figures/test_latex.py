"""Tables in LaTeX are compiled: every one of a study, and one whose texts are hard to set."""

import re
import subprocess
from pathlib import Path

import pytest

from decar.figures.catalogue import table_names
from decar.figures.latex import PACKAGES, Grid, escaped, latex
from tests.figures.conftest import Drawn

# Latin, Greek, subscripts and superscripts.
LETTERS = " ".join(map(chr, (*range(0xA1, 0x180), *range(0x370, 0x400), *range(0x2070, 0x20A0))))
HARD = Grid(
    ["id", "the name of a molecule", "SMILES", "μ / D", "difference [95 %]", "remark"],
    [
        ["[Na+]", "α-D-glucopyranosyl-(1→2)-β-D-fructofuranoside", r"F/C=C\F", "−1.5", "0.1 [−0.4, 0.7]", "5 % & #1"],
        ["*", "5′-guanylate ~^_{}", "C" * 150, "–", "–", "Å³, x², H₂O, 10⁻⁵ e·Å, “so”, ‘so’ <2 >1 |x| \"q\""],
        ["$", "iodonitroaniline" * 3, "", "2.0", "1.000", "甘い Ünïcödé\nof two lines"],
        ["all", "", "", "", "", LETTERS],
    ],
    [False, False, False, True, True, False],
)  # fmt: skip


def compiled(names: list[str], folder: Path) -> str:
    """Compile a document of nothing but these tables; return what LaTeX says."""
    lines = [r"\documentclass{article}", rf"\usepackage{{{PACKAGES}}}", r"\begin{document}",
             *(rf"\input{{{name}}}" for name in names), r"\end{document}"]  # fmt: skip
    (folder / "all.tex").write_text("\n".join(lines))
    for _ in range(3):  # longtable measures its columns over several runs
        done = subprocess.run(
            ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"],
            cwd=folder, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-2000:]
    return (folder / "all.log").read_text(encoding="latin-1")


def too_wide(log: str) -> list[str]:
    """Return what sticks out by a point or more, at which it is seen."""
    found = re.findall(r"Overfull \\hbox \(([\d.]+)pt too wide\) (.*)", log)
    return [f"{points} pt {place}" for points, place in found if float(points) >= 1]


@pytest.mark.latex
@pytest.mark.parametrize("study", ["drawn", "drawn_values"])
def test_every_table_of_a_study_is_set_within_the_text(
    study: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    drawn: Drawn = request.getfixturevalue(study)
    names = table_names(drawn.study)
    for name in names:
        text = (drawn.figures.with_name("tables") / f"{name}.tex").read_text(encoding="utf-8")
        (tmp_path / f"{name}.tex").write_text(text, encoding="utf-8")
    log = compiled(names, tmp_path)
    assert too_wide(log) == []
    assert "Missing character" not in log


@pytest.mark.latex
def test_long_words_and_signs_of_any_script_are_set(tmp_path: Path) -> None:
    upright = Grid(HARD.heads[3:], [line[3:] for line in HARD.lines], HARD.are_numbers[3:])
    for name, grid in (("turned", HARD), ("upright", upright)):
        (tmp_path / f"{name}.tex").write_text(latex(grid, "Å & 100 % of {it}", name), encoding="utf-8")
    log = compiled(["turned", "upright"], tmp_path)
    assert too_wide(log) == []
    assert "Missing character" not in log


def test_a_table_is_turned_and_wrapped_only_where_it_has_to_be() -> None:
    short = latex(Grid(["a", "n / eV"], [["x", "1"]], [False, True]), "C", "t")
    assert r"\begin{longtable}{lr}" in short
    assert "landscape" not in short
    numbers = [f"{n}.12 [0.12, 0.12]" for n in range(10)]
    wide = latex(Grid(["x"] * 10, [numbers], [True] * 10), "C", "t")
    assert wide.splitlines()[1] == r"\begin{landscape}"
    shares = [float(share) for share in re.findall(r"p\{([\d.]+)\\linewidth\}", wide)]
    assert len(shares) == 10
    assert sum(shares) < 1


def test_signs() -> None:
    assert escaped(r"C\C 5 % a_b") == r"C\textbackslash{}C 5 \% a\_b"
    assert escaped("ΔΑλς") == r"$\Delta$A$\lambda$$\varsigma$"
    assert escaped("x²é甘") == r"x$^{2}$\'{e}[U+7518]"
    assert escaped("Źßµ") == r"\'{Z}\ss{}$\mu$"
    assert latex(Grid(["a"], [["[x]"]], [False]), "C", "t").count("{}[x]") == 1
