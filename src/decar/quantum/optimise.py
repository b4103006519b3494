"""Geometry optimisation of the conformers of a molecule: methods in a chain, then the checks, then the frame.

Each conformer goes through `optimise.methods` in order. A conformer whose bonds or stereochemistry are no longer those
of the SMILES, or that does not converge, is dropped with its reason; the molecule fails, with the first reason, when
none is left. Conformers that became one (heavy-atom RMSD below `conformers.rmsd_angstrom`) are kept once. A geometry
that the user brought is checked and passed through untouched. A DFT optimisation that was cut off goes on from the best
geometry that it had reached (`decar.quantum.optimise_progress`).
"""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from decar.batch import Molecule
from decar.config import OptimiseSettings, Study
from decar.errors import ChemistryError
from decar.molecules.given_geometry import read_given_geometry
from decar.molecules.graph import (
    atomic_numbers_of,
    bonds_of,
    contradicted_stereo,
    molecular_graph,
    specified_stereo,
    stereo_of_geometry,
    stereoisomer_smiles,
)
from decar.molecules.rmsd import distinct, heavy_atom_symmetries
from decar.provenance import provenance
from decar.quantum.connectivity import check_connectivity
from decar.quantum.frame import principal_axes
from decar.quantum.geometric_driver import Step, optimise_geometry
from decar.quantum.optimise_progress import Progress, ProgressFile, progress_files
from decar.quantum.surfaces import surface_of
from decar.record import Record

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Optimised:
    """One conformer at the end of the chain."""

    geometry_bohr: Floats  # (atom, 3)
    energy_hartree: float  # of the last method
    parent_conformer: int  # its index in the record `conformers`
    steps: list[dict[str, Any]] = field(default_factory=list)  # a row a method


def compute(study: Study, molecule: Molecule, recipe: str, parent: Record | None) -> Record:
    """Return the record `geometry` of a molecule, lowest energy first, made from its record `conformers`.

    Raises ChemistryError when no conformer survives: `optimisation_not_converged`, `xtb_not_converged`,
    `broken_connectivity`, `proton_transfer`, `stereochemistry_changed`, `element_without_parameters`.
    """
    if parent is None:
        raise ValueError("the stage optimise needs the record of the stage conformers")
    if parent.metadata["source"] == "given":
        return _passed_through(molecule, recipe, parent)
    graph = molecular_graph(molecule.smiles)
    start: Floats = parent.arrays["geometry_bohr"]
    files = progress_files(study.store, recipe, study.optimise.methods, len(start))
    survivors: list[Optimised] = []
    failures: list[tuple[int, ChemistryError]] = []
    for index, geometry in enumerate(start):
        begin = Progress(geometry, float(parent.arrays["energy_hartree"][index]))
        try:
            survivors.append(_optimise_one(study, molecule, graph, begin, index, files[index]))
        except ChemistryError as error:
            failures.append((index, error))
    # Any other error (time, memory, disk) leaves the files to the run that comes after it.
    for file in files:
        file.remove()
    if not survivors:
        raise failures[0][1]
    kept = _merged(study, graph, survivors)
    dropped = [{"conformer": index, "reason": error.reason, "message": str(error)} for index, error in failures]
    record = _record(study.optimise, recipe, parent, graph, kept, len(survivors) - len(kept), dropped)
    return replace(record, provenance={**record.provenance, **_engine(study)})


def _engine(study: Study) -> dict[str, Any]:
    """Return the engine of a density-functional optimisation and its versions; nothing where none took part."""
    if "dft" not in study.optimise.methods:
        return {}
    from decar.quantum.backend import get_backend  # noqa: PLC0415 - force fields and GFN2 need no engine

    backend = get_backend(study.quantum)
    return {"engine": {"name": backend.name, "versions": backend.version()}}


def _optimise_one(
    study: Study, molecule: Molecule, graph: Chem.Mol, begin: Progress, index: int, file: ProgressFile
) -> Optimised:
    atomic_numbers = atomic_numbers_of(graph)
    progress = file.load() or begin
    check_geometry(graph, begin.geometry_bohr)  # a start that is already another molecule would cost hundreds of steps
    for method in study.optimise.methods[len(progress.steps) :]:
        progress = _follow(method, study, molecule, graph, progress, file)
        check_geometry(graph, progress.geometry_bohr)
        file.save(progress)
    geometry = progress.geometry_bohr
    if study.optimise.frame == "principal_axes":
        geometry = principal_axes(atomic_numbers, geometry)
    return Optimised(geometry, progress.energy_hartree, index, progress.steps)


def _follow(
    method: str, study: Study, molecule: Molecule, graph: Chem.Mol, progress: Progress, file: ProgressFile
) -> Progress:
    """Return the progress after one more method of the chain, from where an earlier run of it came to, if any."""
    settings, before = study.optimise, list(progress.trajectory_hartree)
    resumed_at = [*progress.resumed_at, len(before)] if before else []
    surface = surface_of(method, study, graph, progress.geometry_bohr, molecule.charge, molecule.multiplicity)
    best = (progress.energy_hartree if before else np.inf, progress.geometry_bohr)
    trajectory = list(before)

    def keep(step: Step) -> None:
        nonlocal best
        trajectory.append(step.energy_hartree)
        if step.energy_hartree <= best[0]:
            best = (step.energy_hartree, step.geometry_bohr)
        if method == "dft":
            file.save(Progress(best[1], best[0], progress.steps, trajectory, resumed_at))

    result = optimise_geometry(
        surface, atomic_numbers_of(graph), progress.geometry_bohr, convergence=settings.convergence,
        max_steps=max(1, settings.max_steps - len(before)), on_step=keep,
    )  # fmt: skip
    row: dict[str, Any] = {
        "method": method,
        "num_steps": len(trajectory) - 1,
        "coordinates": result.coordinates,
        "trajectory_hartree": trajectory,
    }
    if resumed_at:
        row["resumed_at"] = resumed_at
    return Progress(result.geometry_bohr, result.energy_hartree, [*progress.steps, row])


def check_geometry(graph: Chem.Mol, geometry_bohr: Floats) -> None:
    """Raise ChemistryError unless a geometry (atom, 3) [bohr] has the bonds and the stereochemistry of the graph."""
    check_connectivity(atomic_numbers_of(graph), bonds_of(graph), geometry_bohr)
    wrong = contradicted_stereo(specified_stereo(graph), stereo_of_geometry(graph, geometry_bohr))
    if wrong:
        raise ChemistryError(
            "the stereochemistry of the geometry is not that of the SMILES",
            reason="stereochemistry_changed",
            seen="; ".join(wrong),
            expected=Chem.MolToSmiles(Chem.RemoveHs(graph)),
        )


def _merged(study: Study, graph: Chem.Mol, survivors: list[Optimised]) -> list[Optimised]:
    ordered = sorted(survivors, key=lambda conformer: conformer.energy_hartree)
    symmetries, _ = heavy_atom_symmetries(graph)
    labels = [stereoisomer_smiles(graph, conformer.geometry_bohr) for conformer in ordered]
    geometries = [conformer.geometry_bohr for conformer in ordered]
    return [ordered[index] for index in distinct(geometries, labels, symmetries, study.conformers.rmsd_angstrom)]


def _record(
    settings: OptimiseSettings, recipe: str, parent: Record, graph: Chem.Mol, kept: list[Optimised], num_merged: int,
    dropped: list[dict[str, Any]],
) -> Record:  # fmt: skip
    energies = [conformer.energy_hartree for conformer in kept]
    metadata = {
        **{name: parent.metadata[name] for name in ("key", "smiles", "charge", "multiplicity", "source")},
        "num_conformers": len(kept),
        "methods": list(settings.methods),
        "solvent": settings.solvent,
        "frame": settings.frame,
        "stereoisomer": stereoisomer_smiles(graph, kept[0].geometry_bohr),
        "num_steps": [sum(int(step["num_steps"]) for step in conformer.steps) for conformer in kept],
        "steps": [conformer.steps for conformer in kept],
        "energies_hartree": energies,
        "rank": list(range(len(kept))),
        "parent_conformers": [conformer.parent_conformer for conformer in kept],
        "num_merged": num_merged,
        "dropped": dropped,
    }
    arrays = {
        "atomic_numbers": parent.arrays["atomic_numbers"],
        "geometry_bohr": np.array([conformer.geometry_bohr for conformer in kept]),
        "energy_hartree": np.array(energies),
        "bonds": parent.arrays["bonds"],
    }
    return Record("geometry", recipe, metadata, arrays, provenance("geometric", "tblite", "rdkit", "pyscf"))


def _passed_through(molecule: Molecule, recipe: str, parent: Record) -> Record:
    """Check a geometry that the user brought and keep it, orientation included."""
    if molecule.molblock is None:
        raise ValueError(f"the conformers of {molecule.key} were given, but the molecule carries no mol block")
    given = read_given_geometry(molecule.molblock, molecule.smiles)
    check_geometry(given.molecule, given.geometry_bohr)
    untouched = OptimiseSettings(methods=(), solvent=None, frame="as_given")
    conformer = Optimised(parent.arrays["geometry_bohr"][0], float(parent.arrays["energy_hartree"][0]), 0)
    return _record(untouched, recipe, parent, given.molecule, [conformer], 0, [])
