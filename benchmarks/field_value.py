"""What each field, spacing and split brings a head on kernels that nobody trained: AUROC by `decar benchmark`'s folds.

    python -m benchmarks.shared_study wavefunctions-b3lyp-631gs.h5 FOLDER
    snakemake dataset --profile local --configfile FOLDER/fields.yaml   # and of each other study file named below
    python -m benchmarks.field_value FOLDER benchmarks/field_value.json docs/benchmark.md

Heads as in `benchmarks/untrained_features.py`: MEMBERS steerable networks of other random weights (16 and 64 channels,
all layers read), each with a head whose epoch of the highest validation AUROC is kept; the mean of their probabilities.
A row is kept in the JSON file as soon as it is there, and a second run computes what is missing.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from benchmarks.shared_page import insert
from benchmarks.shared_study import FIELDS, SCALARS
from benchmarks.untrained_features import KEPT, MEMBERS, Table, head, tables_of
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from decar.atomic import write_text
from decar.benchmark.split_dataset import split_dataset
from decar.config import ModelSettings
from decar.config_file import load_study
from decar.evaluate.paired import corrected_interval
from decar.planning.plan import load_plan, make_plan
from decar.provenance import provenance
from decar.threads import limit_threads

DENSITY, *OTHERS = SCALARS
SETS = tuple(tuple(one["fields"]) for one in FIELDS.values())


class Row(NamedTuple):
    """What is asked: a block of the page, the study file, the split and the fields."""

    block: str
    study: str
    split: str
    fields: tuple[str, ...]

    @property
    def name(self) -> str:
        """Return its name in the JSON file."""
        return f"{self.study} {self.split} {' '.join(self.fields)}"


def rows() -> Iterator[Row]:
    """Yield all rows, block by block."""
    for field in (DENSITY, *OTHERS):
        yield Row("fields", "fields", "scaffold", (field,))
    for field in OTHERS:
        yield Row("fields", "fields", "scaffold", (DENSITY, field))
    for spacing in ("0.4", "0.9"):
        for fields in SETS:
            yield Row("spacings", f"spacing_{spacing}", "scaffold", fields)
    for split in ("random", "cluster"):
        for fields in SETS:
            yield Row("other splits", "splits", split, fields)


def by_fold(tables: list[list[Table]], settings: ModelSettings, study: Any) -> dict[str, list[float]]:
    """Return the AUROC of the mean of the members' probabilities, of validation and test molecules of each fold."""
    found: dict[str, list[float]] = {"validation": [], "test": []}
    for members in tables:
        logits = [head(table, study, settings, seed)[KEPT[1]] for seed, table in enumerate(members)]
        probability = expit(np.stack(logits)).mean(axis=0)
        for name, values in found.items():
            own = members[0].subset == name
            values.append(float(roc_auc_score(members[0].label[own], probability[own])))
    return found


def measured(folder: Path, row: Row) -> dict[str, Any]:
    """Return the figures of a row."""
    file = folder / f"{row.study}.yaml"
    study = load_study(file)
    plan = load_plan(make_plan(file, study))
    shards = Path(plan.folder) / "shards"
    dataset = split_dataset(study, Path(plan.dataset), shards, row.split, 0, 1.0)
    settings = ModelSettings(
        architecture="steerable", fields=row.fields, channels=(16, 64), readout="all", kernel_size=5
    )  # fmt: skip
    tables = tables_of(study, dataset, shards, row.split, settings)
    found = by_fold(tables, settings, study)
    subsets = [members[0].subset for members in tables]
    share = float(np.mean([(subset == "test").sum() / (subset == "train").sum() for subset in subsets]))
    low, high = corrected_interval(np.array(found["test"]), share, 0.95)
    return {**row._asdict(), **found, "low": low, "high": high}


def page(found: dict[str, dict[str, Any]]) -> str:
    """Return the tables of the page."""
    lines = ["| fields | study | AUROC in the test, mean of folds (95 %) | in validation |", "|---|---|---|---:|"]
    for row in rows():
        if row.name in found:
            one = found[row.name]
            test, validation = np.mean(one["test"]), np.mean(one["validation"])
            where = {"fields": "scaffold", "spacings": row.study.replace("spacing_", "scaffold, ") + " Å"}
            names = ", ".join(name.replace("_", " ") for name in row.fields)
            interval = f"{test:.3f} ({one['low']:.2f} to {one['high']:.2f})"
            lines.append(f"| {names} | {where.get(row.block, row.split)} | {interval} | {validation:.3f} |")
    return "\n".join(lines) + "\n"


def main(folder: Path, output: Path, document: Path) -> None:
    """Compute what is missing, and write the page."""
    report = json.loads(output.read_text()) if output.exists() else {"members": MEMBERS, "rows": {}}
    for row in rows():
        if row.name not in report["rows"]:
            report["rows"][row.name] = measured(folder, row)
            print(row.name, report["rows"][row.name]["test"], flush=True)
            write_text(output, json.dumps({**report, "provenance": provenance("torch")}, indent=1) + "\n")
    insert(document, "field_value", page(report["rows"]))


if __name__ == "__main__":
    with limit_threads(1):
        main(*(Path(argument) for argument in sys.argv[1:4]))
