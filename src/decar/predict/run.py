"""`decar predict`: every row of a table to a row of predictions, in its order; a row that cannot be used says why."""

import json
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pandas as pd

from decar.atomic import atomic_path, write_text
from decar.config import Study
from decar.errors import ResourceError
from decar.models.domain import SHARE
from decar.models.package import Package
from decar.models.task import all_columns
from decar.planning.identify import identify_row
from decar.predict.compute import compute_molecule
from decar.predict.ensemble import SOURCES, predict_molecule
from decar.provenance import provenance
from decar.store import Store
from decar.threads import limit_threads

Row = dict[str, Any]
FIRST = ("row", "id", "raw", "status", "reason", "message", "smiles", "key")
NEAR = ("similarity", "distance_ratio", "in_domain", "num_models", "num_conformers", "num_rotations")


def predict(
    members: Sequence[Package], study: Study, table: pd.DataFrame, output: Path, *, num_rotations: int = 6,
    processes: int = 1, report: Callable[[str], None] = lambda _: None,
    advance: Callable[[int, int], None] = lambda _done, _of: None,
) -> pd.DataFrame:  # fmt: skip
    """Predict every row of a table of `read_molecules`, write `output` (CSV) and `output`.json (how), return the rows.

    A molecule that stands in several rows is computed once. `advance` is told how many molecules are done, of how many.
    """
    rows = [_identified(study, {str(name): row[name] for name in row}) for row in table.to_dict("records")]
    molecules = {str(row["key"]): row for row in rows if row["status"] == "ok"}
    store, found = Store(study.store), dict[str, Row]()
    advance(0, len(molecules))
    for key, receipt in _computed(study, molecules, processes, report):
        if receipt["status"] == "failed":
            found[key] = {name: receipt[name] for name in ("status", "reason", "message")}
        else:
            record = store.load("fields", key, str(receipt["recipe"]))
            with limit_threads(max(processes, 1)):
                found[key] = predict_molecule(members, record, str(molecules[key]["smiles"]), num_rotations)
        advance(len(found), len(molecules))
    complete = [{**row, **found.get(str(row["key"]), {})} for row in rows]
    predictions = pd.DataFrame(complete, columns=[*FIRST, *value_columns(members[0]), *NEAR])
    with atomic_path(output) as temporary:
        predictions.to_csv(temporary, index=False)
    write_text(output.with_name(f"{output.name}.json"), json.dumps(_account(members, study, num_rotations), indent=1))
    return predictions


def value_columns(member: Package) -> list[str]:
    """Return the columns of values and their spread, in order."""
    parts = ("", "_sd", *(f"_sd_{source}" for source in SOURCES))
    return [f"{name}{part}" for name in all_columns(member.tasks) for part in parts]


def _identified(study: Study, row: Row) -> Row:
    if isinstance(row["problem"], str):
        return {**row, "status": "failed", "reason": "ragged_row", "message": row["problem"], "key": None}
    if not str(row["raw"]).strip():
        return {**row, "status": "failed", "reason": "no_structure", "message": "the row has no SMILES", "key": None}
    return {**row, **identify_row(study.molecules.protonation, (str(row["raw"]), None))}


def _computed(
    study: Study, molecules: dict[str, Row], processes: int, report: Callable[[str], None]
) -> Iterator[tuple[str, Row]]:
    """Yield the key and the receipt of each molecule as it is finished; each process has one thread and one molecule.

    An error of the machine ends the run; what is finished is in the store.
    """
    wanted = ("key", "smiles", "charge", "multiplicity", "molblock")
    tasks = {key: {name: row[name] for name in wanted} for key, row in molecules.items()}
    if processes == 1 or len(tasks) < 2:
        with limit_threads(1):
            for key, molecule in tasks.items():
                yield key, compute_molecule(study, molecule, report)
        return
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        running = {pool.submit(_in_a_process, study, molecule): key for key, molecule in tasks.items()}
        try:
            for done in as_completed(running):
                receipt = done.result()
                report(f"{running[done][:12]} {receipt['smiles']}: {receipt['status']}")
                yield running[done], receipt
        except BrokenProcessPool as error:
            raise ResourceError(
                "a process was killed, most likely for want of memory", where="--processes", seen=processes,
                remedy="use fewer processes and run again: everything finished is kept",
            ) from error  # fmt: skip
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _in_a_process(study: Study, molecule: Row) -> Row:
    with limit_threads(1):
        return compute_molecule(study, molecule)


def _account(members: Sequence[Package], study: Study, num_rotations: int) -> dict[str, Any]:
    """Return what the predictions were made by, and what the columns mean."""
    return {
        "models": [
            {"folder": str(member.folder), "name": member.config["name"], "domain": member.config["domain"],
             **{name: member.config[name] for name in ("weights_sha256", "licence", "contributor")}}
            for member in members
        ],
        "tasks": [task.to_json() for task in members[0].tasks],
        "conditions": study.model_dump(
            mode="json", include={"seed", "store", "conformers", "optimise", "quantum", "fields"}
        ),
        "num_rotations": num_rotations,
        "columns": {
            "<property>": "mean over models, conformers and rotations: a probability, or a value in the unit",
            "<property>_sd": "sd^2 = sd_models^2 + sd_conformers^2 + sd_rotations^2; empty where nothing varies",
            "similarity": "ECFP4 Tanimoto to the nearest training molecule, the least over the models",
            "distance_ratio": "distance to the nearest training molecule in the last hidden layer, over the threshold, "
            "the largest over the models",
            "in_domain": f"similarity and distance are within the thresholds of every model: what {SHARE:.0%} of its "
            "validation molecules meet in each measure",
        },
        "provenance": provenance("torch", "rdkit", "pyscf", "tblite"),
    }  # fmt: skip
