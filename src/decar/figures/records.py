"""Collect what the report tells of records: times and outcomes of every stage, quality figures of every molecule."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from decar.config import Study
from decar.planning.frozen import Plan
from decar.planning.used import UsedRecipes, receipts_of, study_folders, use_of_receipts
from decar.receipt import read_receipts, table_writer, write_table
from decar.record import Record, read_header
from decar.stages import MOLECULE_STAGES
from decar.store import Store
from decar.units import DEBYE_PER_E_BOHR, EV_PER_HARTREE

STORAGE_COLUMNS = ["stage", "num_records", "num_bytes", "num_shared"]
TEXT, WHOLE, REAL = pa.string(), pa.int64(), pa.float64()
STAGES = pa.schema([
    ("key", TEXT), ("stage", TEXT), ("status", TEXT), ("reason", TEXT), ("wall_seconds", REAL), ("recipe", TEXT),
])  # fmt: skip
QUALITY = pa.schema([
    ("key", TEXT), ("num_conformers", WHOLE), ("num_electrons", WHOLE), ("energy_hartree", REAL), ("gap_ev", REAL),
    ("dipole_debye", REAL), ("electron_count_error", REAL), ("num_basis_functions", WHOLE), ("num_voxels", WHOLE),
    ("wall_seconds", REAL), ("content_hash", TEXT), ("level", TEXT), ("versions", TEXT),
])  # fmt: skip


def collect_records(study: Study, plan: Plan, output: Path) -> None:
    """Write `stages.parquet` (a row a molecule and stage that was attempted), `storage.parquet` (a row a stage) and
    `quality.parquet` (a row a molecule) into `output`.

    Sorted by stage and key, as batches are: one batch at a time is in memory.
    """
    store = Store(study.store)
    batches = list(_receipts_of_batches(plan))
    used, storage = used_by_others(study), []
    with table_writer(output / "stages.parquet", STAGES) as add:
        for stage in MOLECULE_STAGES:
            row: Counter[str] = Counter()
            for paths in batches:
                table = attempted(stage, read_receipts([paths[stage]]))
                add(table)
                row.update(storage_of(store, stage, table, used))
            storage.append({"stage": stage, **row})
    write_table(output / "storage.parquet", pd.DataFrame(storage, columns=STORAGE_COLUMNS))
    with table_writer(output / "quality.parquet", QUALITY) as add:
        for paths in batches:
            receipts = {stage: read_receipts([path]) for stage, path in paths.items()}
            for stage in ("wavefunction", "fields"):
                sound = receipts[stage].loc[receipts[stage]["status"] == "ok"]
                store.require(stage, zip(sound["key"], sound["recipe"]), paths[stage])
            add(quality_table(store, receipts))


def _receipts_of_batches(plan: Plan) -> Iterator[dict[str, Path]]:
    """Yield the receipts of each batch, by stage in order, batches in the order of their keys."""
    for last in sorted(plan.receipts[MOLECULE_STAGES[-1]]):
        paths, name = {}, last
        for stage in reversed(MOLECULE_STAGES):
            paths[stage] = Path(plan.folder) / stage / f"{name}.parquet"
            name = plan.parents[stage][name]
        yield dict(reversed(paths.items()))


def attempted(stage: str, receipt: pd.DataFrame) -> pd.DataFrame:
    """Return a row a molecule that was attempted at a stage; one that failed before is not listed again."""
    rows = receipt[(receipt["status"] == "ok") | (receipt["stage"] == stage)]
    table: pd.DataFrame = rows.assign(stage=stage)[STAGES.names]
    return table


def used_by_others(study: Study) -> UsedRecipes:
    """Return what the receipts of the other studies below `results` name."""
    used = UsedRecipes()
    for folder in study_folders(study.results):
        if folder.resolve() != study.folder.resolve():
            for stage in MOLECULE_STAGES:
                use_of_receipts(used, receipts_of(folder, stage), stage)
    return used


def storage_of(store: Store, stage: str, table: pd.DataFrame, used: UsedRecipes) -> dict[str, int]:
    """Return number of records (failures are records), bytes on disk, and how many other studies use, too.

    A pack's bytes are those of its records in equal parts.
    """
    size, of_record = 0.0, {}
    for key, recipe in zip(table["key"], table["recipe"]):
        place = store.find(stage, key, recipe)
        if place is None:
            continue
        if place.file not in of_record:
            of_record[place.file] = place.file.stat().st_size / len(store.places_in(place.file))
        size += of_record[place.file]
    shared = sum(used.has(stage, recipe) for recipe in table["recipe"])
    return {"num_records": len(table), "num_bytes": round(size), "num_shared": shared}


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
    return pd.DataFrame(rows, columns=QUALITY.names).sort_values("key", ignore_index=True)


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
