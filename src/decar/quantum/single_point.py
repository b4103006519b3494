"""The wavefunction stage: a single point at the study's level of theory for every conformer of a molecule."""

import time
from typing import Any

import numpy as np

from decar.batch import Molecule
from decar.config import ContributionSettings, Study
from decar.errors import ConvergenceError, DataFormatError
from decar.provenance import provenance
from decar.quantum.backend import Backend, System, get_backend
from decar.quantum.level import Level
from decar.quantum.record_checks import ELECTRON_COUNT, check_wavefunction
from decar.quantum.wavefunction import Wavefunction
from decar.record import Record


def compute(study: Study, molecule: Molecule, recipe: str, parent: Record | None) -> Record:
    """Return the record of kind `wavefunction` for the conformers of a geometry record.

    A conformer whose SCF does not converge is left out and named in `failed_conformers`; the molecule fails with the
    last ConvergenceError when none is left. `geometry_conformer` says which geometry each wavefunction has.
    """
    if parent is None:
        raise DataFormatError("a single point needs the record of a geometry", where=molecule.key)
    backend, level = get_backend(study.quantum), Level.from_settings(study.quantum)
    done: list[tuple[int, Wavefunction]] = []
    failed: list[dict[str, Any]] = []
    last: ConvergenceError | None = None
    seconds = []
    for conformer, geometry in enumerate(parent.arrays["geometry_bohr"]):
        start = time.perf_counter()
        try:
            done.append((conformer, _single_point(backend, level, molecule, parent.arrays["atomic_numbers"], geometry)))
        except ConvergenceError as error:
            last = error
            failed.append({"geometry_conformer": conformer, "reason": error.reason, "attempts": error.attempts})
        seconds.append(round(time.perf_counter() - start, 3))
    if not done and last is not None:
        raise last
    arrays = {}
    for place, (_, wavefunction) in enumerate(done):
        arrays.update(wavefunction.to_arrays(f"{place}/"))
    metadata = {
        "key": molecule.key,
        "smiles": molecule.smiles,
        "charge": molecule.charge,
        "multiplicity": molecule.multiplicity,
        "num_conformers": len(done),
        "conformers": [
            {**wavefunction.to_metadata(), "geometry_conformer": conformer, "annotations": []}
            for conformer, wavefunction in done
        ],
        "failed_conformers": failed,
        **publication(study.contribution),
    }
    made_by = {
        **provenance("pyscf", "numpy", "scipy"),
        "engine": {"name": backend.name, "versions": backend.version()},
        "seconds_per_conformer": seconds,
    }
    return Record("wavefunction", recipe, metadata, arrays, made_by)


def _single_point(
    backend: Backend, level: Level, molecule: Molecule, atomic_numbers: np.ndarray[Any, Any], geometry_bohr: Any
) -> Wavefunction:
    system = System(
        np.asarray(atomic_numbers, dtype=np.int32),
        np.asarray(geometry_bohr, dtype=np.float64),
        molecule.charge,
        molecule.multiplicity,
    )
    wavefunction = backend.single_point(system, level)
    check_wavefunction(wavefunction, where=molecule.key)
    count, expected = wavefunction.quality["num_electrons_quadrature"], wavefunction.num_electrons
    if abs(count - expected) > ELECTRON_COUNT * max(expected, 1.0):
        raise ConvergenceError(
            "the quadrature does not find the electrons",
            reason="inaccurate_quadrature",
            seen=count,
            expected=expected,
            remedy="raise quantum.quadrature_level",
            attempts=wavefunction.quality["attempts"],
        )
    return wavefunction


def publication(contribution: ContributionSettings) -> dict[str, Any]:
    """Return what a shared collection keeps of a record: who gave it and how; a new one is not reviewed."""
    return {**contribution.model_dump(), "review_state": "unreviewed", "supersedes": None}
