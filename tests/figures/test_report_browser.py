"""The report in a browser, at the size of a campaign: 3000 molecules, each with its cloud, clicked through."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib.image import imread

from decar.figures.report_clouds import BUDGET, _edge, encode
from tests.docs.commands import ROOT, Line
from tests.figures.browser import Browser
from tests.figures.conftest import Drawn
from tests.figures.study_on_disk import key_of
from tests.figures.test_report import rows_of
from tests.figures.test_report_clouds import records

pytestmark = pytest.mark.chromium
NUMBER = 3000
ROWS = "[...document.querySelectorAll('#molecule-table tbody tr')]"
NAMES = f"{ROWS}.map((row) => row.querySelector('.open').textContent)"
PICTURE = "document.getElementById('cloud').toDataURL()"
TRIANGLES = "Number(document.getElementById('cloud').dataset.triangles)"


@pytest.fixture(scope="module")
def large(drawn: Drawn, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the study with its rows repeated to 3000, each with the cloud of glucose, as coarse as it must be."""
    text = drawn.page.read_text(encoding="utf-8")
    rows = rows_of(text)
    many = [{**rows[place % len(rows)], "row": place + 1} for place in range(NUMBER)]
    for place, row in enumerate(many):
        row.update(id=f"m{place}", key=f"k{place}", name=f"{row['name']} {place}")
        if row["energy_hartree"] is not None:
            row["energy_hartree"] -= place / 1000
    geometry, atoms, fields = records(drawn)
    density = fields.arrays["0/electron_density"]
    potential = density - density[:, ::-1]  # a second field, of both signs
    fields = replace(fields, arrays={"0/electron_density": density, "0/electrostatic_potential": potential})
    cloud = encode(geometry, atoms, fields, _edge([(geometry, atoms, fields)], NUMBER))
    assert len(cloud) * NUMBER <= BUDGET
    data = json.dumps(many, separators=(",", ":")).replace("<", "\\u003c")
    before, rest = text.split('"molecules":[', 1)
    text = f'{before}"molecules":{data},"models"' + rest.split('],"models"', 1)[1]
    clouds = "".join(f'<script type="text/plain" id="cloud-k{place}">{cloud}</script>\n' for place in range(NUMBER))
    head, end = text.split(f'<script type="text/plain" id="cloud-{key_of("glucose")}">')
    path = tmp_path_factory.mktemp("large") / "report.html"
    path.write_text(head + clouds + end.split("</script>", 1)[1], encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def browser(large: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    one = Browser(tmp_path_factory.mktemp("profile"))
    one.open(large.as_uri())
    one.wait("document.readyState === 'complete'")
    yield one
    one.close()


def test_three_thousand_molecules_fit_and_are_soon_there(large: Path, browser: Browser) -> None:
    assert 20e6 < large.stat().st_size < 50e6
    usable = browser.value("Number(document.documentElement.dataset.usable)")  # milliseconds from the start
    whole = browser.value("performance.getEntriesByType('navigation')[0].domComplete")
    print(f"{large.stat().st_size / 1e6:.1f} MB, usable after {usable:.0f} ms, whole after {whole:.0f} ms")
    assert usable < 3000
    assert browser.value(f"{ROWS}.length") == 50
    assert browser.value("document.getElementById('page').textContent") == "1 to 50 of 3000"


def test_a_search_is_answered_while_the_page_is_still_new(large: Path, browser: Browser) -> None:
    browser.open("about:blank")
    browser.open(large.as_uri())
    browser.wait("document.documentElement?.dataset.usable !== undefined")
    browser.type("#search", "m1234")
    assert len(browser.value(NAMES)) == 1
    answered = browser.value("performance.now()")
    print(f"typed and answered {answered:.0f} ms after the start")
    assert answered < 3000
    browser.type("#search", "")
    browser.wait("document.readyState === 'complete'")


def test_search_filter_sort_and_pages(browser: Browser) -> None:
    browser.type("#search", "caffeine")
    found = browser.value("document.getElementById('shown').textContent")
    assert found == f"{len(range(8, NUMBER, 17))} of 3000 rows"
    assert all(name.startswith("caffeine") for name in browser.value(NAMES))
    browser.type("#search", "m1234")
    assert len(browser.value(NAMES)) == 1
    browser.value("document.getElementById('search').value = ''")
    browser.choose("#status", "failed")
    browser.choose("#reason", "element without basis")
    assert all(name.startswith("lead(II) acetate") for name in browser.value(NAMES))
    browser.choose("#reason", "")
    browser.choose("#status", "")
    browser.choose("#class", "sweet")
    classes = f"new Set({ROWS}.map((row) => row.querySelector('.class').textContent)).size"
    assert browser.value(classes) == 1
    browser.choose("#class", "")
    browser.choose("#verdict", "wrong")
    assert 0 < int(browser.value("document.getElementById('shown').textContent").split()[0]) < NUMBER
    browser.choose("#verdict", "")

    # Input reaches the page when it has time for it.
    heading = "document.querySelector('th[data-sort=energy_hartree]').getAttribute('aria-sort')"
    browser.click("th[data-sort=energy_hartree]")
    browser.wait(f"{heading} === 'ascending'")
    # The column as numbers, in the order of the table.
    energies = f"{ROWS}.map((row) => Number(row.querySelector('[data-label^=energy]').textContent.replace('−', '-')))"
    rising = browser.value(energies)
    assert rising == sorted(rising)
    browser.click("#later")
    browser.wait("document.getElementById('page').textContent === '51 to 100 of 3000'")
    assert browser.value(energies)[0] >= rising[-1]
    browser.click("th[data-sort=energy_hartree]")
    browser.wait(f"{heading} === 'descending'")
    falling = browser.value(energies)
    assert falling == sorted(falling, reverse=True)
    assert falling[0] > rising[-1]


def test_a_molecule_in_its_cloud(browser: Browser) -> None:
    browser.type("#search", "glucose 0")
    browser.click("#molecule-table tbody tr .open")
    browser.wait(f"{TRIANGLES} > 0")
    assert browser.value("document.getElementById('molecule').open")
    assert "OC[C@H]1O" in browser.value("document.querySelector('#facts').textContent")
    assert browser.value("document.querySelectorAll('#molecule-structure path').length") > 3
    assert browser.value("document.getElementById('isovalue').textContent") == "0.0020 e/bohr³"
    first, triangles = browser.value(PICTURE), browser.value(TRIANGLES)
    browser.drag("#cloud", 90, 30)
    turned = browser.value(PICTURE)
    assert turned != first
    assert browser.value(TRIANGLES) == triangles
    browser.value("document.getElementById('cloud').dispatchEvent(new MouseEvent('dblclick'))")
    assert browser.value(PICTURE) == first
    browser.press("#share", "Home")  # the least value: the largest surface
    assert browser.value(TRIANGLES) != triangles
    assert browser.value(PICTURE) != first
    least = browser.value("document.getElementById('isovalue').textContent")
    browser.press("#share", "ArrowRight")
    assert browser.value("document.getElementById('isovalue').textContent") != least
    browser.press("#cloud", "Escape")
    browser.wait("!document.getElementById('molecule').open")


def test_the_field_is_changed_and_paints_the_surface(browser: Browser) -> None:
    browser.type("#search", "glucose 0")
    browser.click("#molecule-table tbody tr .open")
    browser.wait(f"{TRIANGLES} > 0 && document.getElementById('field').options.length === 2")
    plain = browser.value(PICTURE)
    browser.choose("#painted", "electrostatic_potential")
    painted = browser.value(PICTURE)
    assert painted != plain
    assert "hartree/e" in browser.value("document.getElementById('legend').textContent")
    browser.choose("#field", "electrostatic_potential")
    assert browser.value(PICTURE) not in {plain, painted}
    assert browser.value("document.getElementById('isovalue').textContent").startswith("±")
    assert browser.value("document.getElementById('legend').textContent") == "positivenegative"
    browser.click("#close")
    browser.wait("!document.getElementById('molecule').open")


def test_a_failure_says_why(browser: Browser) -> None:
    browser.type("#search", "lead(II)")
    browser.click("#molecule-table tbody tr .open")
    browser.wait("document.getElementById('cloud-note').textContent.startsWith('There is no')")
    assert "set quantum.basis to def2-svp" in browser.value("document.getElementById('message').textContent")
    assert browser.value("document.getElementById('cloud').hidden")
    browser.click("#close")


def test_no_script_failed_and_nothing_was_fetched(browser: Browser, large: Path) -> None:
    assert browser.errors == []
    assert {address for address in browser.requests if not address.startswith(("data:", "about:"))} <= {large.as_uri()}


def test_the_page_is_no_wider_than_a_phone(large: Path, browser: Browser) -> None:
    browser.call("Emulation.setDeviceMetricsOverride", width=390, height=844, deviceScaleFactor=1, mobile=True)
    assert browser.value("document.documentElement.scrollWidth") <= 390
    browser.type("#search", "")
    browser.choose("#sort", "name")  # no headings are shown there
    names = browser.value(NAMES)
    assert names == sorted(names)
    assert names[0].startswith("a ring left open")
    browser.choose("#sort", "")
    browser.call("Emulation.clearDeviceMetricsOverride")


def test_pictures_of_the_report_are_taken(documented: list[Line], large: Path, tmp_path: Path) -> None:
    """The commands that made the pictures of docs/report.md, at both widths."""
    names = {"docs/images/report.png": tmp_path / "wide.png", "docs/images/report_phone.png": tmp_path / "phone.png"}
    for line in documented:
        _, *words = line.filled({**names, "results/tastants/report.html": large, "d-glucose": "m0"})
        subprocess.run([sys.executable, *words], cwd=ROOT, check=True, timeout=120)
    wide, phone = (imread(path).shape[1] for path in names.values())
    assert phone <= 390 < wide <= 1120
