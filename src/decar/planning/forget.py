"""Let failures be tried again: the failure records go, and every product whose name would promise that they are there.

The names of shards, dataset, networks and figures come from recipes, not from outcomes. So a molecule that succeeds at
the second try would be missing from products that look complete: they are withdrawn, and the next run makes them again.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from decar.dataset.shards import bucket
from decar.errors import ConfigError
from decar.planning.frozen import Plan
from decar.planning.plan import read_index
from decar.receipt import read_receipts
from decar.record import read_header
from decar.stages import MOLECULE_STAGES
from decar.store import Store


@dataclass(frozen=True)
class Failure:
    """One molecule that failed, as its receipt tells it."""

    key: str
    stage: str
    reason: str
    recipe: str


@dataclass
class Forgotten:
    """What is taken away, so that the next run tries these molecules again."""

    failures: list[Failure] = field(default_factory=list)
    receipts: list[Path] = field(default_factory=list)
    products: list[Path] = field(default_factory=list)  # shards, dataset, networks, tables, receipts of figures


def find_failures(plan: Plan, num_shards: int, reasons: Collection[str] = (), keys: Collection[str] = ()) -> Forgotten:
    """Return the failures of a study with one of these reasons and keys (any, where none is given).

    Nothing is removed before `forget`.
    """
    found = Forgotten()
    folder = Path(plan.folder)
    failures: dict[str, Failure] = {}
    for stage in MOLECULE_STAGES:
        for name in plan.receipts[stage]:
            path = folder / stage / f"{name}.parquet"
            if not path.exists():
                continue
            rows = read_receipts([path])
            wanted = rows["status"] == "failed"
            if reasons:
                wanted &= rows["reason"].isin(list(reasons))
            if keys:
                wanted &= rows["key"].isin(list(keys))
            if wanted.any():
                found.receipts.append(path)
            for row in rows.loc[wanted].to_dict("records"):
                failures[str(row["recipe"])] = Failure(
                    str(row["key"]), str(row["stage"]), str(row["reason"]), str(row["recipe"])
                )
    found.failures = sorted(failures.values(), key=lambda failure: (failure.stage, failure.reason, failure.key))
    if failures:
        buckets = {bucket(failure.key, num_shards) for failure in found.failures}
        withdrawn = {path.stem for path in found.receipts if path.parent.name == "fields"}
        found.products = [path for path in _products(plan, buckets, withdrawn) if path.exists()]
    return found


def forget(store: Store, found: Forgotten) -> None:
    """Remove failure records, products and receipts; receipts last, since a second try starts from them."""
    for failure in found.failures:
        place = store.find(failure.stage, failure.key, failure.recipe)
        if place is not None and read_header(place)["kind"] == "failure":
            store.remove(place.file, {failure.recipe})
    for path in [*found.products, *found.receipts]:
        path.unlink(missing_ok=True)


def keys_of(plan: Plan, identifiers: Collection[str]) -> set[str]:
    """Return the keys of rows of the table; raises ConfigError for one that is not there or was never a molecule."""
    index = read_index(plan)
    rows = dict(zip(index["id"].astype(str), index["key"]))
    for identifier in identifiers:
        if not isinstance(rows.get(identifier), str):
            raise ConfigError(
                "no molecule of the table has this identifier", where=plan.study, seen=identifier,
                remedy="a row that cannot be read is corrected in the table: it is looked at on every run",
            )  # fmt: skip
    return {str(rows[identifier]) for identifier in identifiers}


def _products(plan: Plan, buckets: set[str], receipts: set[str]) -> list[Path]:
    """Return the files whose absence makes the workflow remake a product of these molecules."""
    folder = Path(plan.folder)
    return [
        *(folder / "shards" / f"{name}.h5" for name in plan.shards if name.split("-")[0] in buckets),
        *(folder / "cubes" / f"{name}.txt" for name in sorted(receipts)),
        Path(plan.dataset) / "manifest.parquet",
        Path(plan.records) / "quality.parquet",
        *(Path(job.folder) / "predictions.parquet" for job in plan.trainings),
        Path(plan.evaluation) / "metrics.parquet",
        Path(plan.interpretation) / "kernel_tests.parquet",
        Path(plan.attribution) / "kernel_gallery.parquet",
        *sorted((folder / "figures" / "receipts").glob(f"*-{plan.figures_hash}.json")),
        folder / "figures" / "manifest.json",
    ]
