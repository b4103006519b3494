"""What a study will cost before it is started: jobs, core-hours, memory and storage by stage, with the error stated.

What is already in the store, and every file of the plan that exists, is deducted. The range of the core-hours is that
within which nine of ten molecules lay that were left out of the fit; a total errs less, another processor more.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from decar.config import Study
from decar.planning.batches import batch_prefix
from decar.planning.cost_jobs import attribution_costs, rendering_seconds, sizes_for, step_costs, training_costs
from decar.planning.cost_model import PSI4_TIMES_SECONDS, constants, optimise_seconds, stage_costs
from decar.planning.cost_sizes import MoleculeSizes
from decar.planning.frozen import Plan
from decar.receipt import read_table
from decar.stages import MOLECULE_STAGES, molecule_recipes
from decar.store import Store

MEGA = 1e6
CUBE_BYTES = 13  # of one voxel in a cube file, as text
# Cost of starting a job: the interpreter and its libraries, and Snakemake's own part of it on a cluster (measured:
# docs/estimate.md).
START_SECONDS = 4.0


@dataclass(frozen=True)
class EstimateRow:
    """One stage. `core_hours` is the expectation; low and high are the range of nine in ten molecules."""

    stage: str
    molecules: int  # to be computed; for a step of the whole study: that it sees
    in_store: int  # already computed
    jobs: int
    core_hours: float
    core_hours_low: float
    core_hours_high: float
    memory_mb: int  # of the largest job, as measured; a job asks for a quarter more and 300 MB
    storage_mb: float


@dataclass(frozen=True)
class Estimate:
    """All stages in order, and what the numbers do not cover."""

    rows: list[EstimateRow]
    notes: list[str]

    @property
    def total(self) -> EstimateRow:
        """Return the sums; the memory is that of the largest job."""
        sums = {
            name: sum(getattr(row, name) for row in self.rows)
            for name in ("jobs", "core_hours", "core_hours_low", "core_hours_high", "storage_mb")
        }
        molecules = max((row.molecules for row in self.rows), default=0)
        stored = max((row.in_store for row in self.rows), default=0)
        memory = max((row.memory_mb for row in self.rows), default=0)
        return EstimateRow("total", molecules=molecules, in_store=stored, memory_mb=memory, **sums)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON-able form."""
        return {
            "stages": [asdict(row) for row in self.rows], "total": asdict(self.total), "notes": self.notes,
            "measured": constants()["measured"],
        }  # fmt: skip


def estimate(study: Study, plan: Plan) -> Estimate:
    """Return the estimate of a planned study."""
    index = read_table(Path(plan.index))
    molecules = index.loc[index["status"] == "ok"].reset_index(drop=True)
    sizes = sizes_for(study, molecules["formula"])
    rows = _molecule_rows(study, plan, molecules, sizes)
    rows += _step_rows(study, plan, sizes)
    return Estimate(rows, _notes(study, sizes))


def _molecule_rows(study: Study, plan: Plan, molecules: pd.DataFrame, sizes: MoleculeSizes) -> list[EstimateRow]:
    stored = stored_molecules(study, molecules)
    size = study.workflow.batch_size
    prefixes = [batch_prefix(key, size, len(molecules)) for key in molecules["key"]]
    rows = []
    for stage, costs in stage_costs(study, sizes).items():
        names = [name for name in plan.parents[stage] if not (Path(plan.folder) / stage / f"{name}.parquet").exists()]
        jobs = len(names)
        # Where the receipt is there, whoever has no record failed before: there is nothing to compute.
        waiting = pd.Series(prefixes).isin({name.split("-")[0] for name in names}).to_numpy()
        to_do = ~stored[stage] & waiting
        seconds = float(costs.seconds[to_do].sum())
        quantity = f"{stage}.seconds" if stage != "optimise" else _dearest_method(study, sizes)
        row = _row(
            stage, int(to_do.sum()), int((~to_do).sum()), jobs, seconds, quantity,
            float(costs.memory_mb[to_do].max(initial=0.0)), float(costs.stored_bytes[to_do].sum()) / MEGA,
        )  # fmt: skip
        rows.append(row)
    return rows


def _dearest_method(study: Study, sizes: MoleculeSizes) -> str:
    """Return the measured quantity of the method that takes most of an optimisation: its error is that of the sum."""
    seconds = {quantity: float(of_each.sum()) for quantity, of_each in optimise_seconds(study, sizes).items()}
    return max(seconds, key=lambda quantity: seconds[quantity], default="optimise.gfn2-xtb.seconds")


def stored_molecules(study: Study, molecules: pd.DataFrame) -> dict[str, np.ndarray[Any, np.dtype[np.bool_]]]:
    """Return for each per-molecule stage which of the molecules have their record in the store, (molecule,)."""
    store = Store(study.store)
    known = {stage: {recipe for recipe, _ in store.places(stage)} for stage in MOLECULE_STAGES}
    if not any(known.values()):
        return {stage: np.zeros(len(molecules), dtype=bool) for stage in MOLECULE_STAGES}
    geometry = molecules["geometry"].fillna("")
    recipes = pd.DataFrame([molecule_recipes(study, key, given) for key, given in zip(molecules["key"], geometry)])
    return {stage: recipes[stage].isin(known[stage]).to_numpy() for stage in MOLECULE_STAGES}


def _step_rows(study: Study, plan: Plan, sizes: MoleculeSizes) -> list[EstimateRow]:
    """Return the rows of the steps that see all molecules; totals go with the mean box, memory with the largest."""
    num, kept = len(sizes), study.conformers.num_kept
    mean, largest = (float(value) for value in (sizes.voxels.mean(), sizes.voxels.max()))
    conformers = num * kept
    folder = Path(plan.folder)
    rows = []
    if study.fields.write_cubes:
        jobs = _missing([folder / "cubes" / f"{name}.txt" for name in plan.parents["fields"]])
        text = conformers * mean * len(study.fields.names) * CUBE_BYTES / MEGA if jobs else 0.0
        rows.append(_row("cubes", num, 0, jobs, 0.0, "fields.seconds", 0.0, text))
    share = _missing([folder / "shards" / f"{name}.h5" for name in plan.shards]) / max(len(plan.shards), 1)
    stored = float(stage_costs(study, sizes)["fields"].stored_bytes.sum()) / MEGA
    seconds, _ = step_costs(study, "shards", conformers, mean)
    _, memory = step_costs(study, "shards", -(-conformers // study.dataset.num_shards), largest)
    rows.append(_row("shards", num, 0, round(share * len(plan.shards)), seconds * share, "shards.seconds",
                     memory, stored * share))  # fmt: skip
    jobs = _missing([Path(plan.dataset) / "manifest.parquet"])
    rows.append(_whole("dataset", study, num, jobs, conformers, mean, largest))
    fields = float(stage_costs(study, sizes)["fields"].seconds.sum())
    rows.append(_training_row(study, plan, num, conformers, mean, largest, fields))
    jobs = _missing([Path(plan.interpretation) / "kernel_tests.parquet"])
    rows.append(_whole("interpret", study, num, jobs, conformers, mean, largest))
    jobs = _missing([Path(plan.attribution) / "kernel_gallery.parquet"])
    seconds = attribution_costs(study, num, mean, float(sizes.atoms.mean())) * jobs
    looked_at = min(study.attribution.num_molecules, num)
    rows.append(_row("attribute", looked_at, 0, jobs, seconds, "train.seconds", rows[-1].memory_mb * jobs, 0.0))
    return rows


def _whole(step: str, study: Study, num: int, jobs: int, conformers: int, mean: float, largest: float) -> EstimateRow:
    seconds, _ = step_costs(study, step, conformers, mean)
    _, memory = step_costs(study, step, conformers, largest)
    return _row(step, num, 0, jobs, seconds * jobs, f"{step}.seconds", memory if jobs else 0.0, 0.0)


def _training_row(
    study: Study, plan: Plan, num: int, conformers: int, mean: float, largest: float, fields: float
) -> EstimateRow:
    seconds = memory = 0.0
    missing = [job for job in plan.trainings if not (Path(job.folder) / "predictions.parquet").exists()]
    for job in missing:
        network = study.training.models[job.model]
        seconds += training_costs(study, network, conformers, mean)[0] + rendering_seconds(study, network, fields)
        memory = max(memory, training_costs(study, network, conformers, largest)[1])
    return _row("train", num, 0, len(missing), seconds, "train.seconds", memory, 0.0)


def _row(
    stage: str, molecules: int, in_store: int, jobs: int, seconds: float, quantity: str, memory_mb: float,
    storage_mb: float,
) -> EstimateRow:  # fmt: skip
    factor = float(constants()["quantities"][quantity]["factor_90"])
    start = jobs * START_SECONDS
    expected, low, high = ((seconds * scale + start) / 3600 for scale in (1.0, 1 / factor, factor))
    return EstimateRow(stage, molecules, in_store, jobs, expected, low, high, round(memory_mb), round(storage_mb, 3))


def _missing(paths: Sequence[Path]) -> int:
    return sum(not path.exists() for path in paths)


def _notes(study: Study, sizes: MoleculeSizes) -> list[str]:
    """Return what the numbers assume, and where the study leaves what was measured."""
    notes = [
        f"training is counted with all {study.training.max_epochs} epochs, on CPU; patience usually ends it sooner",
        "evaluation, figures, report and benchmark are not counted",
    ]
    if study.quantum.backend != "pyscf":
        notes.append(
            f"Psi4 is counted as {PSI4_TIMES_SECONDS:g} times PySCF, as measured for 28 molecules of the example"
        )
    measured = constants()["range"]
    largest = float(sizes.functions.max(initial=0.0))
    if largest > measured["functions"]:
        notes.append(f"{largest:.0f} basis functions, measured up to {measured['functions']}: extrapolated")
    if float(sizes.atoms.max(initial=0.0)) > measured["atoms"]:
        notes.append(f"{sizes.atoms.max():.0f} atoms, measured up to {measured['atoms']}: extrapolated")
    lacking = int((sizes.functions == 0).sum())
    if lacking:
        notes.append(f"{lacking} molecules have no functions in {study.quantum.basis}")
    return notes
