"""Conformers: ETKDG v3 embedding, MMFF94s relaxation, pruning by RMSD, ranking by energy, the best k kept.

ETKDG v3: doi 10.1021/acs.jcim.0c00025. Ranking energy: GFN2-xTB single point on the relaxed geometry (in the solvent of
the optimisation), or MMFF94s. The result is one stereoisomer: where the SMILES leaves an element open, that of the
lowest conformer, which the record names.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem, rdBase
from rdkit.Chem import rdDistGeom

from decar.batch import Molecule
from decar.config import Study
from decar.errors import ChemistryError, ConvergenceError, InputMoleculeError
from decar.molecules.force_field import ForceField, available_force_field, relax_conformers
from decar.molecules.given_geometry import read_given_geometry
from decar.molecules.graph import (
    atomic_numbers_of,
    bonds_of,
    contradicted_stereo,
    geometry_of,
    molecular_graph,
    num_unspecified_stereo,
    specified_stereo,
    stereo_of_geometry,
    stereoisomer_smiles,
)
from decar.molecules.rmsd import distinct, heavy_atom_symmetries
from decar.provenance import provenance
from decar.record import Record
from decar.stages import derive_seed
from decar.xtb import Gfn2

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Candidate:
    """One relaxed conformer: its stereoisomer and the energy that ranks it."""

    geometry_bohr: Floats  # (atom, 3)
    energy_hartree: float
    stereoisomer: str


def compute(study: Study, molecule: Molecule, recipe: str, parent: Record | None) -> Record:  # noqa: ARG001
    """Return the record `conformers` of a molecule, lowest energy first.

    Raises ChemistryError: `embedding_failed`, `stereochemistry_changed`, `xtb_not_converged`,
    `element_without_parameters`, and those of a geometry that the user brought (`geometry_of_another_molecule`, ...).
    """
    if molecule.molblock is not None:
        return _given_record(study, molecule, recipe, molecule.molblock)
    graph = molecular_graph(molecule.smiles)
    seed = derive_seed(study.seed, "conformers", molecule.key)
    method = _embed(graph, study.conformers.num_embeddings, seed)
    num_embedded = graph.GetNumConformers()
    force_field = available_force_field(graph)
    candidates = _relaxed(graph, force_field)
    symmetries, is_complete = heavy_atom_symmetries(graph)
    kept = distinct(
        [candidate.geometry_bohr for candidate in candidates], [candidate.stereoisomer for candidate in candidates],
        symmetries, study.conformers.rmsd_angstrom,
    )  # fmt: skip
    pruned = [candidates[index] for index in kept]
    ranked, ranking, dropped = _rank(study, molecule, atomic_numbers_of(graph), pruned, force_field)
    best = [candidate for candidate in ranked if candidate.stereoisomer == ranked[0].stereoisomer]
    notes = {
        "ranking": ranking,
        "num_embedded": num_embedded,
        "num_distinct": len(pruned),
        "num_ranked": len(ranked),
        "embedding": method,
        "force_field": force_field,
        "has_all_symmetries": is_complete,
        "dropped": dropped,
    }
    return _record(molecule, recipe, graph, best[: study.conformers.num_kept], "embedded", notes)


def _embed(graph: Chem.Mol, num_embeddings: int, seed: int) -> str:
    """Embed conformers into the molecule; from random coordinates where the distance geometry start finds none."""
    for method in ("etkdg3", "etkdg3_random_coordinates"):
        parameters: Any = rdDistGeom.ETKDGv3()
        parameters.randomSeed = seed
        parameters.numThreads = 1
        parameters.useRandomCoords = method != "etkdg3"
        with rdBase.BlockLogs():
            conformers = list(rdDistGeom.EmbedMultipleConfs(graph, num_embeddings, parameters))
        if conformers:
            return method
    raise InputMoleculeError(
        "no conformer can be embedded",
        reason="embedding_failed",
        seen=Chem.MolToSmiles(Chem.RemoveHs(graph)),
        remedy="check the stereochemistry of its rings, or bring a geometry in an SDF file",
        attempts=[{"embedding": name, "seed": seed} for name in ("etkdg3", "etkdg3_random_coordinates")],
    )


def _relaxed(graph: Chem.Mol, force_field: ForceField) -> list[Candidate]:
    """Return the relaxed conformers in order of force-field energy, without those of another stereochemistry."""
    energies = relax_conformers(graph, force_field)
    expected = specified_stereo(graph)
    candidates: list[Candidate] = []
    contradictions: list[str] = []
    for conformer, energy in zip(graph.GetConformers(), energies, strict=True):
        geometry = geometry_of(graph, conformer.GetId())
        wrong = contradicted_stereo(expected, stereo_of_geometry(graph, geometry))
        contradictions += wrong
        if not wrong:
            candidates.append(Candidate(geometry, float(energy), stereoisomer_smiles(graph, geometry)))
    if not candidates:
        raise ChemistryError(
            "every embedded conformer has another stereochemistry than the SMILES",
            reason="stereochemistry_changed",
            seen="; ".join(sorted(set(contradictions))),
        )
    return sorted(candidates, key=lambda candidate: candidate.energy_hartree)


def _rank(
    study: Study, molecule: Molecule, atomic_numbers: NDArray[np.int32], pruned: list[Candidate],
    force_field: ForceField,
) -> tuple[list[Candidate], str, list[dict[str, str]]]:  # fmt: skip
    """Return the candidates of lowest force-field energy in order of the ranking energy, its name, and the dropped."""
    first = pruned[: study.conformers.num_ranked]
    if study.conformers.ranking == "mmff":
        return first, force_field, []
    ranked: list[Candidate] = []
    failures: list[ConvergenceError] = []
    for candidate in first:
        surface = Gfn2(atomic_numbers, molecule.charge, molecule.multiplicity, study.optimise.solvent)
        try:
            energy, _ = surface(candidate.geometry_bohr)
        except ConvergenceError as error:
            failures.append(error)
            continue
        ranked.append(Candidate(candidate.geometry_bohr, energy, candidate.stereoisomer))
    if not ranked:
        raise failures[0]
    dropped = [{"reason": error.reason, "message": str(error)} for error in failures]
    return sorted(ranked, key=lambda candidate: candidate.energy_hartree), "gfn2-xtb", dropped


def _given_record(study: Study, molecule: Molecule, recipe: str, molblock: str) -> Record:
    """Pass the user's geometry through, in its own atom order, with its GFN2-xTB energy."""
    given = read_given_geometry(molblock, molecule.smiles)
    surface = Gfn2(atomic_numbers_of(given.molecule), molecule.charge, molecule.multiplicity, study.optimise.solvent)
    energy, _ = surface(given.geometry_bohr)
    isomer = stereoisomer_smiles(given.molecule, given.geometry_bohr)
    notes = {"ranking": "gfn2-xtb", "num_embedded": 0, "num_distinct": 1, "num_ranked": 1, "dropped": []}
    candidate = Candidate(given.geometry_bohr, energy, isomer)
    return _record(molecule, recipe, given.molecule, [candidate], "given", notes)


def _record(
    molecule: Molecule, recipe: str, graph: Chem.Mol, candidates: list[Candidate], source: str, notes: dict[str, Any]
) -> Record:
    metadata = {
        "key": molecule.key,
        "smiles": molecule.smiles,
        "charge": molecule.charge,
        "multiplicity": molecule.multiplicity,
        "num_conformers": len(candidates),
        "source": source,
        "stereoisomer": candidates[0].stereoisomer,
        "num_unspecified_stereo": num_unspecified_stereo(graph),
        **notes,
    }
    arrays = {
        "atomic_numbers": atomic_numbers_of(graph),
        "geometry_bohr": np.array([candidate.geometry_bohr for candidate in candidates]),
        "energy_hartree": np.array([candidate.energy_hartree for candidate in candidates]),
        "bonds": bonds_of(graph),
    }
    return Record("conformers", recipe, metadata, arrays, provenance("rdkit", "tblite"))
