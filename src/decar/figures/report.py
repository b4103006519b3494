"""report.html: one page that needs no network, with every figure, structure and electron cloud inside it."""

import base64
import json
import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from decar import __version__
from decar.atomic import write_text
from decar.config import Study
from decar.figures.catalogue import Entry, entries_of
from decar.figures.report_clouds import clouds
from decar.figures.report_data import report_data
from decar.figures.scene import ELEMENT_COLOUR
from decar.figures.sources import Sources, note
from decar.figures.style import PAGE

FULL = 980  # pixels on the page of a figure as wide as a printed page
LARGEST_SVG = 1_500_000  # bytes above which a page shows the PNG
FORMATS = {"svg": "image/svg+xml", "png": "image/png"}
DENSITIES = ("electron_density", "promolecular_density")  # first seen at figures.isovalue
HERE = Path(__file__).parent


def write_report(study: Study, sources: Sources, figures: Path, names: list[str], output: Path) -> None:
    """Write the report of a study; `figures` is the folder of the figures `names`.

    A figure that is there in no format that a browser shows is named, not shown.
    """
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    data, entries = report_data(study, sources), entries_of(study)
    page = environment.get_template("report.html").render(
        **data,
        figures={name: _figure(figures, name, entries[name], study.figures.dots_per_inch) for name in names},
        css=_text("report.css"),
        script=_text("report_viewer.js") + _text("report.js"),
        # In an element of script no entity is read, and nothing but `</` ends it.
        data=json.dumps(_data(study, data), separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c"),
        clouds=clouds(study, sources),
        version=__version__,
    )
    write_text(output, page)


def _data(study: Study, data: dict[str, Any]) -> dict[str, Any]:
    """Return what the page's script reads."""
    names = {"positive": study.figures.positive_name, "negative": study.figures.negative_name}
    return {
        "molecules": data["molecules"], "models": data["models"], "predicted": data["predicted"], **names,
        "elements": ELEMENT_COLOUR,
        "isovalues": {**dict.fromkeys(DENSITIES, study.figures.isovalue), "electrostatic_potential": 0.03},
    }  # fmt: skip


def _text(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _figure(folder: Path, name: str, about: Entry, dots_per_inch: int) -> dict[str, Any]:
    """Return title, caption, width on the page and data URI ("" where no format of a browser is there) of a figure."""
    paths = [folder / f"{name}.{suffix}" for suffix in FORMATS]
    chosen = [path for path in paths if path.exists() and (path.suffix == ".png" or path.stat().st_size < LARGEST_SVG)]
    uri, width = "", FULL
    if chosen:
        note(chosen[0])
        content = chosen[0].read_bytes()
        width = round(FULL * min(1.0, _inches(content, dots_per_inch) / PAGE))
        data = base64.b64encode(content).decode("ascii")
        uri = f"data:{FORMATS[chosen[0].suffix.removeprefix('.')]};base64,{data}"
    return {"name": name, "title": about.title, "caption": about.caption, "uri": uri, "width": width}


def _inches(content: bytes, dots_per_inch: int) -> float:
    """Return the width of an SVG (points, in its first line of attributes) or a PNG (pixels, bytes 16 to 20)."""
    found = re.search(rb'<svg[^>]* width="([\d.]+)pt"', content[:2000])
    return float(found.group(1)) / 72 if found else int.from_bytes(content[16:20], "big") / dots_per_inch
