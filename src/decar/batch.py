"""Run one per-molecule stage over a batch: look up, compute, keep at once, pack, write the receipt.

A molecule that fails for chemistry becomes a failure record and the batch goes on; any other error stops the job, and
every record finished before it stays in the store.
"""

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from decar.config import Study
from decar.errors import ChemistryError
from decar.provenance import provenance
from decar.receipt import read_receipts, write_receipt
from decar.record import Record
from decar.stages import stage_recipe, stage_settings
from decar.store import Store


@dataclass(frozen=True)
class Molecule:
    """What every stage knows of a molecule: identity and structure, nothing of names, rows or labels."""

    key: str
    smiles: str
    charge: int
    multiplicity: int
    molblock: str | None


# (study, molecule, recipe of the result, record of the stage before or None) -> record of this stage
Compute = Callable[[Study, Molecule, str, Record | None], Record]


def run_batch(
    stage: str, previous: str | None, study: Study, batch: Path, output: Path, compute: Compute,
    report: Callable[[str], None] = lambda _: None,
) -> None:  # fmt: skip
    """Bring every molecule of the receipt `batch` through `stage` and write the receipt `output`."""
    store = Store(study.store)
    settings = stage_settings(study, stage)
    rows: list[dict[str, object]] = []
    for record_row in read_receipts([batch]).to_dict("records"):
        row = {str(name): value for name, value in record_row.items()}
        if row["status"] == "failed":
            rows.append(row)
            continue
        molblock = row["molblock"] if isinstance(row["molblock"], str) else None
        molecule = Molecule(str(row["key"]), str(row["smiles"]), int(row["charge"]), int(row["multiplicity"]), molblock)
        recipe = stage_recipe(stage, settings, molecule.key, str(row["recipe"]))
        record = store.get(stage, molecule.key, recipe)
        if record is not None:
            report(f"{molecule.key[:12]} {molecule.smiles}: in the store")
        else:
            parent = _parent(store, previous, molecule.key, str(row["recipe"]), batch) if previous else None
            start = time.perf_counter()
            record = _attempt(compute, study, molecule, recipe, parent, stage)
            seconds = time.perf_counter() - start
            record = replace(record, provenance={**record.provenance, "wall_seconds": round(seconds, 3)})
            store.save(stage, record)
            report(f"{molecule.key[:12]} {molecule.smiles}: {_outcome(record)} in {seconds:.1f} s")
        rows.append(_receipt_row(row, record, stage))
    # A batch of one stays loose: its file is as good as a pack.
    store.pack(stage, [(str(row["key"]), str(row["recipe"])) for row in rows if row["stage"] in {None, stage}])
    write_receipt(output, rows)


def _parent(store: Store, stage: str, key: str, recipe: str, receipt: Path) -> Record:
    store.require(stage, [(key, recipe)], receipt)
    return store.load(stage, key, recipe)


def _attempt(
    compute: Compute, study: Study, molecule: Molecule, recipe: str, parent: Record | None, stage: str
) -> Record:
    try:
        return compute(study, molecule, recipe, parent)
    except ChemistryError as error:
        return Record(
            "failure",
            recipe,
            {
                "key": molecule.key,
                "smiles": molecule.smiles,
                "stage": stage,
                "reason": error.reason,
                "message": str(error),
                "attempts": error.attempts,
            },
            provenance={**provenance(), "traceback": traceback.format_exc()},
        )


def _outcome(record: Record) -> str:
    return f"failed ({record.metadata['reason']})" if record.is_failure else "done"


def _receipt_row(row: dict[str, object], record: Record, stage: str) -> dict[str, object]:
    failed = record.is_failure
    return {
        **{name: row[name] for name in ("key", "smiles", "charge", "multiplicity", "molblock")},
        "recipe": record.recipe,
        "status": "failed" if failed else "ok",
        "stage": stage if failed else None,
        "reason": record.metadata["reason"] if failed else None,
        "message": record.metadata["message"] if failed else None,
        "num_conformers": 0 if failed else int(record.metadata.get("num_conformers", 1)),
        "wall_seconds": float(record.provenance.get("wall_seconds", 0.0)),
    }
