"""`figures/manifest.json`: figures, tables and report of a study, with what each was made from, by hash; do they hold?

The manifest joins the receipts of all of them. `check` compares it with what lies on disk now: a file that is missing,
changed or left over from earlier settings is named with its remedy.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from decar.atomic import write_text
from decar.errors import DataFormatError
from decar.figures.receipts import file_hash, read_json, read_receipt
from decar.planning.frozen import Plan
from decar.receipt import read_table
from decar.record import read_header
from decar.store import Store

AGAIN = "snakemake --profile local figures"
# Collecting the tables withdraws the receipt of a record that is gone, so that the run after it makes the record.
AS_COLLECTED = "delete {} and run, twice if it says so: snakemake --profile local"


def manifest_path(plan: Plan) -> Path:
    """Return where the manifest of a study's figures lies."""
    return Path(plan.folder) / "figures" / "manifest.json"


def write_manifest(plan: Plan, names: list[str]) -> None:
    """Join the receipts of the figures `names`; raises DataFormatError where one is missing."""
    figures = {}
    for name in names:
        receipt = read_receipt(name, plan)
        figures[name] = {part: receipt[part] for part in ("version", "files", "made_from", "records")}
    manifest = {"settings": plan.figures_hash, "figures": figures}
    write_text(manifest_path(plan), json.dumps(manifest, indent=1, sort_keys=True) + "\n")


def check(plan: Plan, store: Store, names: list[str]) -> list[str]:
    """Return what is wrong with the figures `names` of a study, each with its remedy; [] when all hold."""
    path = manifest_path(plan)
    if not path.exists():
        return [f"{path}: missing; run: {AGAIN}"]
    try:
        manifest = read_json(path)
    except DataFormatError as error:
        return [str(error)]
    if manifest["settings"] != plan.figures_hash:
        return [f"{path}: stale, the study has changed since its figures were drawn; run: {AGAIN}"]
    figures, folder = manifest["figures"], Path(plan.folder)
    again = f"delete that file and run: {AGAIN}"
    problems = [f"{name}: missing in {path}; {again}" for name in names if name not in figures]
    sources: dict[tuple[str, str], str] = {}  # file and hash -> a figure that was drawn from it
    records: dict[tuple[str, ...], None] = {}
    for name, about in figures.items():
        problems += _wrong_files(name, about["files"], folder)
        sources |= dict.fromkeys(about["made_from"].items(), name)
        records |= dict.fromkeys(tuple(record[part] for part in _RECORD) for record in about["records"])
    problems += _wrong_sources(sources, figures, folder)
    records |= dict.fromkeys(_wavefunctions(Path(plan.records)))
    problems += _wrong_records(list(records), store, Path(plan.records) / "quality.parquet")
    return [*problems, *_leftovers(figures, folder)]


_RECORD = ("stage", "key", "recipe", "content_hash")


def _wrong_files(name: str, files: dict[str, str], folder: Path) -> Iterator[str]:
    for file, sha256 in files.items():
        path = folder / file
        if not path.exists():
            yield f"{path}: missing; run: {AGAIN}"
        elif file_hash(path) != sha256:
            yield f"{path}: changed since {name} was drawn; delete it and run: {AGAIN}"


def _wrong_sources(sources: dict[tuple[str, str], str], figures: dict[str, Any], folder: Path) -> Iterator[str]:
    """Yield what is not as it was when a figure was drawn from it, or the report made."""
    made = {file: sha256 for about in figures.values() for file, sha256 in about["files"].items()}
    for (file, sha256), name in sources.items():
        path = folder / file
        if file in made:  # a figure in the report; whether it is as it was drawn is said above
            if made[file] != sha256:
                (page,) = figures[name]["files"]
                yield f"{folder / page}: stale, {path} has been drawn anew since; delete it and run: {AGAIN}"
        elif not path.exists():
            yield f"{path}: missing, {name} was drawn from it; run: snakemake --profile local"
        elif file_hash(path) != sha256:
            yield (
                f"{path}: changed since {name} was drawn from it; if it was made anew, delete {folder / 'figures'} and "
                f"run: {AGAIN}; if it was edited, delete it too"
            )


def _wavefunctions(records: Path) -> list[tuple[str, str, str, str]]:
    """Return stage, key, recipe and content hash of every wavefunction that the collected tables tell of."""
    stages, quality = (read_table(records / f"{name}.parquet") for name in ("stages", "quality"))
    sound = stages[(stages["stage"] == "wavefunction") & (stages["status"] == "ok")]
    joined = sound[["key", "recipe"]].merge(quality[["key", "content_hash"]], on="key")
    return [("wavefunction", *map(str, row)) for row in joined.itertuples(index=False)]  # type: ignore[misc]


def _wrong_records(records: list[tuple[Any, ...]], store: Store, table: Path) -> Iterator[str]:
    for stage, key, recipe, content_hash in records:
        place = store.find(stage, key, recipe)
        if place is None:
            yield f"{store.path(stage, recipe)}: missing or damaged; {AS_COLLECTED.format(table)}"
        elif read_header(place)["content_hash"] != content_hash:
            yield f"{place}: another result than the one that was drawn; {AS_COLLECTED.format(table)}"


def _leftovers(figures: dict[str, Any], folder: Path) -> Iterator[str]:
    known = {folder / file for about in figures.values() for file in about["files"]}
    for path in sorted([*(folder / "figures").glob("*.*"), *(folder / "tables").glob("*.*")]):
        if path not in known and path.name != "manifest.json" and not path.name.startswith("."):
            yield f"{path}: stale, no figure of these settings; delete it"
