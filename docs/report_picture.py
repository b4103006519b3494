"""A picture of a molecule as the report shows it: `python docs/report_picture.py REPORT.html ID OUTPUT.png [WIDTH]`.

The width of the window in pixels is 1120 unless said otherwise; 390 is that of a phone.
"""

import base64
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.figures.browser import Browser  # noqa: E402

TRIANGLES = "Number(document.getElementById('cloud').dataset.triangles)"


def main(report: Path, identifier: str, output: Path, width: int = 1120) -> None:
    """Open the molecule, colour its cloud by the potential, and save what is seen."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Browser(Path(profile), width, 1200)
        # A window cannot be as narrow as a phone.
        browser.call("Emulation.setDeviceMetricsOverride", width=width, height=1200, deviceScaleFactor=1, mobile=False)
        browser.open(f"{report.resolve().as_uri()}#molecule={identifier}")
        browser.wait(f"document.readyState === 'complete' && {TRIANGLES} > 0")
        browser.choose("#painted", "electrostatic_potential")
        box = browser.value("(({x, y, width, height}) => ({x, y, width, height}))(molecule.getBoundingClientRect())")
        picture = browser.call("Page.captureScreenshot", format="png", clip={**box, "scale": 1})
        output.write_bytes(base64.b64decode(picture["data"]))
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), *map(int, sys.argv[4:5]))
