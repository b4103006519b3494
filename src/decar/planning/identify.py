"""Identify rows of a table: standardisation, InChI, key, in this process or in several; results do not depend on it.

One core identifies about 800 drug-like molecules a second; the InChI is most of it.
"""

import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Any, Literal

from decar.errors import InputMoleculeError
from decar.molecules.identity import identify
from decar.molecules.standardise import standardised

IDENTITY = (
    "status", "reason", "message", "key", "smiles", "charge", "multiplicity", "inchikey", "split_group", "scaffold",
    "num_heavy_atoms", "formula",
)  # fmt: skip
TASK = 250  # rows of one task of a process
Protonation = Literal["as_given", "neutral"]
Written = tuple[str, int | None]  # a structure as written, and its multiplicity where the table gives one


def identify_row(protonation: Protonation, row: Written) -> dict[str, Any]:
    """Standardise and identify one row; a chemistry error becomes a row of status `failed`. Columns: IDENTITY."""
    try:
        parent, molecule = standardised(row[0], protonation, row[1])
        identity = identify(parent, molecule)
    except InputMoleculeError as error:
        return {**dict.fromkeys(IDENTITY), "status": "failed", "reason": error.reason, "message": str(error)}
    return {
        "status": "ok",
        "reason": None,
        "message": None,
        "key": identity.key,
        "smiles": parent.smiles,
        "charge": parent.charge,
        "multiplicity": parent.multiplicity,
        "inchikey": identity.inchikey,
        "split_group": identity.split_group,
        "scaffold": identity.scaffold,
        "num_heavy_atoms": parent.num_heavy_atoms,
        "formula": parent.formula,
    }


def identify_rows(
    parts: Iterator[list[Written]], num_rows: int, protonation: Protonation, processes: int,
    report: Callable[[str], None],
) -> Iterator[tuple[list[Written], list[dict[str, Any]]]]:  # fmt: skip
    """Yield each part of the rows with its identities, in order; `report` is told the progress after each part."""
    if processes == 1 or num_rows <= TASK:
        yield from _with_progress(parts, num_rows, lambda part: _task(protonation, part), report)
        return
    # Not fork: this process may have threads, and a fork of one that holds a lock hangs.
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:

        def spread(part: list[Written]) -> list[dict[str, Any]]:
            tasks = [part[start : start + TASK] for start in range(0, len(part), TASK)]
            return [row for done in pool.map(partial(_task, protonation), tasks) for row in done]

        yield from _with_progress(parts, num_rows, spread, report)


def _with_progress(
    parts: Iterator[list[Written]], num_rows: int, work: Callable[[list[Written]], list[dict[str, Any]]],
    report: Callable[[str], None],
) -> Iterator[tuple[list[Written], list[dict[str, Any]]]]:  # fmt: skip
    start, done = time.perf_counter(), 0
    for part in parts:
        yield part, work(part)
        done += len(part)
        rate = done / max(time.perf_counter() - start, 1e-9)
        if done < num_rows:
            left = (num_rows - done) / rate / 60
            report(f"identified {done} of {num_rows} new rows ({rate:.0f} a second, {left:.1f} min left)")


def _task(protonation: Protonation, rows: Sequence[Written]) -> list[dict[str, Any]]:
    return [identify_row(protonation, row) for row in rows]
