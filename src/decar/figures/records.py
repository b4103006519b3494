"""Collect what the report tells of records: times and outcomes of every stage, quality figures of every molecule."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from decar.config import Study
from decar.planning.plan import Plan
from decar.receipt import read_receipts, write_table
from decar.record import Record, read_header
from decar.stages import MOLECULE_STAGES
from decar.store import Store
from decar.units import DEBYE_PER_E_BOHR, EV_PER_HARTREE

STAGE_COLUMNS = ["key", "stage", "status", "reason", "wall_seconds", "recipe"]
QUALITY_COLUMNS = [
    "key", "num_conformers", "num_electrons", "energy_hartree", "gap_ev", "dipole_debye", "electron_count_error",
    "num_basis_functions", "num_voxels", "wall_seconds", "content_hash", "level", "versions",
]  # fmt: skip


def collect_records(study: Study, plan: Plan, output: Path) -> None:
    """Write `stages.parquet` (a row a molecule and stage that was attempted) and `quality.parquet` into `output`."""
    store = Store(study.store)
    stages, quality = [], []
    # A batch at a time: of a large study only two tables of numbers are ever whole in memory.
    for paths in _receipts_of_batches(plan):
        receipts = {stage: read_receipts([path]) for stage, path in paths.items()}
        for stage in ("wavefunction", "fields"):
            sound = receipts[stage].loc[receipts[stage]["status"] == "ok"]
            store.require(stage, zip(sound["key"], sound["recipe"]), paths[stage])
        stages.append(stage_table(receipts))
        quality.append(quality_table(store, receipts))
    joined = pd.concat(stages, ignore_index=True)
    joined["stage"] = pd.Categorical(joined["stage"], categories=MOLECULE_STAGES, ordered=True)
    joined = joined.sort_values(["stage", "key"], ignore_index=True).astype({"stage": "str"})
    write_table(output / "stages.parquet", joined)
    table = pd.concat([part for part in quality if len(part)] or quality[:1], ignore_index=True)
    write_table(output / "quality.parquet", table.sort_values("key", ignore_index=True))


def _receipts_of_batches(plan: Plan) -> Iterator[dict[str, Path]]:
    """Yield the receipts of each batch, by stage in order."""
    for last in plan.receipts[MOLECULE_STAGES[-1]]:
        paths, name = {}, last
        for stage in reversed(MOLECULE_STAGES):
            paths[stage] = Path(plan.folder) / stage / f"{name}.parquet"
            name = plan.parents[stage][name]
        yield dict(reversed(paths.items()))


def stage_table(receipts: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Return a row a molecule and stage that was attempted; a molecule that failed before is not listed again."""
    tables = []
    for stage, rows in receipts.items():
        attempted = rows[(rows["status"] == "ok") | (rows["stage"] == stage)]
        tables.append(attempted.assign(stage=stage)[STAGE_COLUMNS])
    return pd.concat(tables, ignore_index=True)


def quality_table(store: Store, receipts: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the quality figures of every molecule with a wavefunction (of its conformer of lowest energy)."""
    seconds = pd.concat(list(receipts.values())).groupby("key")["wall_seconds"].sum()
    fields = receipts["fields"].set_index("key")
    rows = []
    for row in receipts["wavefunction"].to_dict("records"):
        if row["status"] != "ok":
            continue
        key = str(row["key"])
        record = store.load("wavefunction", key, str(row["recipe"]))
        quality = quality_of(record)
        quality |= {"key": key, "num_voxels": None, "wall_seconds": float(seconds[key])}
        if key in fields.index and fields.loc[key, "status"] == "ok":
            header = read_header(store.place("fields", key, str(fields.loc[key, "recipe"])))["metadata"]
            quality["num_voxels"] = int(np.prod(header["conformers"][0]["grid"]["shape"]))
        rows.append(quality)
    return pd.DataFrame(rows, columns=QUALITY_COLUMNS).sort_values("key", ignore_index=True)


def quality_of(record: Record) -> dict[str, Any]:
    """Return energy, gap, dipole and electron count of the conformer of lowest energy of a wavefunction record."""
    conformers = record.metadata["conformers"]
    lowest = min(range(len(conformers)), key=lambda c: float(conformers[c]["energy_hartree"]))
    conformer = conformers[lowest]
    quality = conformer["quality"]
    dipole = float(np.linalg.norm(record.arrays[f"{lowest}/dipole_e_bohr"])) * DEBYE_PER_E_BOHR
    alpha = record.arrays[f"{lowest}/alpha/coefficients"]
    electrons = sum(
        float(record.arrays[name].sum())
        for name in (f"{lowest}/alpha/occupations", f"{lowest}/beta/occupations")
        if name in record.arrays
    )
    gap = quality.get("gap_hartree")
    count = quality.get("num_electrons_quadrature")
    return {
        "num_conformers": len(conformers),
        "num_electrons": round(electrons),
        "energy_hartree": float(conformer["energy_hartree"]),
        "gap_ev": None if gap is None else float(gap) * EV_PER_HARTREE,
        "dipole_debye": dipole,
        "electron_count_error": None if count is None else float(count) - electrons,
        "num_basis_functions": int(alpha.shape[0]),
        "content_hash": record.content_hash,
        "level": json.dumps(conformer["level"], sort_keys=True),
        "versions": json.dumps(record.provenance.get("versions", {}), sort_keys=True),
    }
