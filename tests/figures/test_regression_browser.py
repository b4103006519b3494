"""The report of a regression in a browser: values with their unit, sorted as numbers; halves in place of classes."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.figures.browser import Browser
from tests.figures.conftest import Drawn
from tests.figures.study_on_disk import MOLECULES, VALUES

pytestmark = pytest.mark.chromium
ROWS = "[...document.querySelectorAll('#molecule-table tbody tr')]"
MEASURED = f"{ROWS}.map((row) => row.querySelector('[data-label=\"solvation energy\"]').textContent)"


@pytest.fixture(scope="module")
def browser(drawn_values: Drawn, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    one = Browser(tmp_path_factory.mktemp("profile"))
    one.open(Path(drawn_values.page).as_uri())
    one.wait("document.readyState === 'complete'")
    yield one
    one.close()


def numbers(texts: list[str]) -> list[float]:
    return [float(text.removesuffix(" kJ/mol").replace("−", "-")) for text in texts if text != "–"]


def test_values_are_sorted_as_numbers_and_filtered_by_half(browser: Browser) -> None:
    browser.click("th[data-sort=value]")
    browser.wait("document.querySelector('th[data-sort=value]').getAttribute('aria-sort') === 'ascending'")
    shown = numbers(browser.value(MEASURED))
    assert shown == sorted(shown)
    assert set(shown) == set(VALUES)
    browser.choose("#class", "above the median")
    assert set(numbers(browser.value(MEASURED))) == set(VALUES[np.median(VALUES) < VALUES])
    browser.choose("#class", "")
    assert browser.value("document.getElementById('verdict').parentNode.hidden")


def test_a_prediction_is_a_number_with_its_unit_and_no_bar(browser: Browser) -> None:
    browser.type("#search", MOLECULES[0][1])
    browser.click("#molecule-table tbody tr .open")
    browser.wait("document.getElementById('molecule').open")
    facts = browser.value("document.getElementById('facts').textContent")
    assert f"{VALUES[0]:g} kJ/mol".replace("-", "−") in facts
    assert "class" not in facts
    assert browser.value("document.querySelectorAll('#facts .bar-of').length") == 0
    assert browser.value("[...document.querySelectorAll('#facts dd')].filter((one) => / kJ.mol$/.test(one.textContent))"
                         ".length") == 5  # the label and four predictions  # fmt: skip
    browser.click("#close")
    assert browser.errors == []
