"""The receipt of a figure: what was written, and the tables, records and settings that it was drawn from, by hash.

A receipt is `figures/receipts/<name>-<hash>.json`; its hash is the plan's, of all that decides the figures. Paths are
relative to the study's folder, records are named by stage, key and recipe: a study that is moved keeps its receipts.
"""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from decar.atomic import write_text
from decar.errors import DataFormatError
from decar.figures.sources import Noted
from decar.planning.frozen import Plan
from decar.record import Place, read_header
from decar.stages import STAGE_VERSION


def receipt_path(name: str, plan: Plan) -> Path:
    """Return where the receipt of a figure lies."""
    return Path(plan.folder) / "figures" / "receipts" / f"{name}-{plan.figures_hash}.json"


def write_receipt(name: str, plan: Plan, written: Iterable[Path], read: Noted) -> None:
    """Tie what was written to what was read, by SHA-256.

    The receipts of earlier settings go: they would say of the file that lies here now that it is theirs.
    """
    folder = Path(plan.folder)
    receipt = {
        "name": name,
        "version": STAGE_VERSION["figures"],
        "files": hashes(written, folder),
        "made_from": hashes([Path(plan.study), *(path for path in read.files if path.exists())], folder),
        "records": sorted((_record(place) for place in read.records), key=lambda record: record["stage"]),
    }
    path = receipt_path(name, plan)
    for earlier in path.parent.glob(f"{name}-{'?' * len(plan.figures_hash)}.json"):
        earlier.unlink()
    write_text(path, json.dumps(receipt, indent=1, sort_keys=True) + "\n")


def read_receipt(name: str, plan: Plan) -> dict[str, Any]:
    """Return the receipt of a figure; raises DataFormatError when it is missing or damaged."""
    return read_json(receipt_path(name, plan))


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; raises DataFormatError when it is missing or damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataFormatError(
            "the file cannot be read", where=path, seen=str(error),
            remedy="delete it and run: snakemake --profile local figures",
        ) from error  # fmt: skip
    return dict(content)


def hashes(paths: Iterable[Path], folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file, by its path relative to the study's folder."""
    return {named(path, folder): file_hash(path) for path in sorted(paths)}


def named(path: Path, folder: Path) -> str:
    """Return a path relative to the study's folder; one that lies elsewhere stays as it is."""
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _record(place: Place) -> dict[str, str]:
    """Return a record's stage, key, recipe and content hash; `<store>/<stage>/<shelf>/<file>` names the stage."""
    header = read_header(place)
    return {
        "stage": place.file.parent.parent.name, "key": str(header["metadata"]["key"]), "recipe": str(header["recipe"]),
        "content_hash": str(header["content_hash"]),
    }  # fmt: skip
