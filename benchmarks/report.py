"""Size and time of the report of many molecules: `python -m benchmarks.report benchmarks/report.json`.

The study of tests/figures, its rows repeated under new keys, each molecule with records of its own in the store
(D-glucose with two fields); no figures. The page is opened in headless Chromium.
"""

import argparse
import json
import os
import platform
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from tests.figures.browser import Browser
from tests.figures.study_on_disk import write_study

from decar.atomic import write_text
from decar.config import Study
from decar.figures.report import write_report
from decar.figures.sources import Sources
from decar.record import read_record
from decar.stages import digest
from decar.store import Store

RECORDED = ("optimise", "wavefunction", "fields")
TABLES = (("records", "quality.parquet"), ("dataset", "labels.parquet"), ("evaluation", "predictions.parquet"))


def enlarge(study: Study, sources: Sources, number: int) -> None:
    """Repeat the rows of the tables that can be computed until there are `number`, with a record each."""
    index = pd.read_parquet(sources.index)
    ok = index[index["status"] == "ok"]
    turn = [ok.iloc[place % len(ok)] for place in range(number)]
    keys = [digest(["copy", place]) for place in range(number)]
    rows = [
        {**row, "row": place + 1, "id": f"m{place}", "key": key} for place, (row, key) in enumerate(zip(turn, keys))
    ]
    pd.DataFrame(rows, columns=index.columns).to_parquet(sources.index)
    for folder, name in TABLES:
        path = getattr(sources, folder) / name
        by_key = dict(iter(pd.read_parquet(path).groupby("key")))
        copies = [by_key[row["key"]].assign(key=key) for row, key in zip(turn, keys) if row["key"] in by_key]
        pd.concat(copies, ignore_index=True).to_parquet(path)
    _write_records(study, sources, keys)


def _write_records(study: Study, sources: Sources, keys: list[str]) -> None:
    places = (sources.example_geometry, sources.example_wavefunction, sources.example_fields)
    records = dict(zip(RECORDED, (read_record(place) for place in places if place is not None)))
    density = records["fields"].arrays["0/electron_density"]
    arrays = {"0/electron_density": density, "0/electrostatic_potential": density - density[:, ::-1]}
    records["fields"] = replace(records["fields"], arrays=arrays)
    store, stages = Store(study.store), []
    for key in keys:
        for stage, record in records.items():
            recipe = digest([key, stage])
            store.save(stage, replace(record, recipe=recipe, metadata={**record.metadata, "key": key}))
            stages.append(
                {"key": key, "stage": stage, "status": "ok", "reason": None, "recipe": recipe, "wall_seconds": 1}
            )
    pd.DataFrame(stages).to_parquet(sources.records / "stages.parquet")


def measure(number: int, folder: Path) -> dict[str, Any]:
    """Return size of the page, seconds to write it, and milliseconds until it can be used and until it is whole."""
    study, sources = write_study(folder)
    enlarge(study, sources, number)
    page = folder / "report.html"
    start, used = time.perf_counter(), time.process_time()
    write_report(study, sources, folder / "figures", [], page)
    found: dict[str, Any] = {
        "molecules": number, "megabytes": round(page.stat().st_size / 1e6, 1),
        "seconds_to_write": round(time.perf_counter() - start, 1),
        "processor_seconds_to_write": round(time.process_time() - used, 1),
    }  # fmt: skip
    browser = Browser(folder / "profile")
    browser.open(page.as_uri())
    browser.wait("document.readyState === 'complete'", 120)
    found["usable_after_ms"] = browser.value("Number(document.documentElement.dataset.usable)")
    found["whole_after_ms"] = browser.value("performance.getEntriesByType('navigation')[0].domComplete")
    browser.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("--molecules", type=int, default=3000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = {**measure(arguments.molecules, Path(folder) / "study"), "machine": platform.machine(),
                 "cores": os.cpu_count(), "load": round(os.getloadavg()[0], 1)}  # fmt: skip
    write_text(arguments.output, json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
