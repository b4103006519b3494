"""One molecule through the stages of the workflow, by the function that the workflow's own jobs run.

Nothing is computed twice: what the store holds is taken from it, whoever put it there, and each stage's record is kept
at once.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from decar.batch import Compute, run_batch
from decar.config import Study
from decar.receipt import read_receipts, write_receipt
from decar.stages import digest


def stage_functions() -> list[tuple[str, str | None, Compute]]:
    """Return the per-molecule stages in order: name, the stage before, function."""
    from decar.fields.compute import compute as fields  # noqa: PLC0415 - what a finished store does not need
    from decar.molecules.conformers import compute as conformers  # noqa: PLC0415
    from decar.quantum.optimise import compute as optimise  # noqa: PLC0415
    from decar.quantum.single_point import compute as wavefunction  # noqa: PLC0415

    return [
        ("conformers", None, conformers), ("optimise", "conformers", optimise),
        ("wavefunction", "optimise", wavefunction), ("fields", "wavefunction", fields),
    ]  # fmt: skip


def compute_molecule(
    study: Study, molecule: Mapping[str, object], report: Callable[[str], None] = lambda _: None
) -> dict[str, object]:
    """Bring a molecule (key, smiles, charge, multiplicity, molblock) to its fields; return the row of its receipt."""
    block = molecule["molblock"] if isinstance(molecule["molblock"], str) else None
    start = {**molecule, "molblock": block, "recipe": digest(block) if block else "", "status": "ok"}
    with TemporaryDirectory(prefix="decar-predict-") as folder:
        before = Path(folder) / "molecule.parquet"
        write_receipt(before, [start])
        for stage, previous, compute in stage_functions():
            after = Path(folder) / f"{stage}.parquet"
            run_batch(stage, previous, study, before, after, compute, _named(stage, report))
            before = after
        row = read_receipts([before]).to_dict("records")[0]
    return {str(name): value for name, value in row.items()}


def _named(stage: str, report: Callable[[str], None]) -> Callable[[str], None]:
    return lambda line: report(f"{stage}: {line}")
