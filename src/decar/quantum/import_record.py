"""The record of an imported wavefunction: marked as such, and a study's own only if it is what the study asks for.

A study's recipe stands for (key, settings, geometry). An imported wavefunction may lie under it if its molecule, charge
and multiplicity are those of the row, its atoms lie where the study's geometry has them, and it solves the study's
level. A wavefunction of another geometry comes in with that geometry: the table of the study is then an SDF that has it
(docs/decisions/0010-imported-wavefunctions.md).
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from decar.batch import Molecule
from decar.config import ContributionSettings, Study
from decar.errors import DataFormatError, InputMoleculeError
from decar.molecules.identity import identify
from decar.molecules.standardise import standardise
from decar.provenance import provenance
from decar.quantum.import_determinant import Imported, import_determinant
from decar.quantum.import_file import ForeignFile, Orbitals
from decar.quantum.import_molecule import check_molecule, smiles_of_geometry
from decar.quantum.level import Level
from decar.quantum.single_point import publication
from decar.quantum.wavefunction import Basis, Floats, Integers
from decar.record import Record
from decar.stages import STAGE_VERSION, digest

SAME_GEOMETRY_BOHR = 1e-3  # an SDF keeps 4 digits of an angstrom: 1e-4 bohr


def import_for_study(
    study: Study, molecule: Molecule, recipe: str, atomic_numbers: Integers, geometries_bohr: Floats,
    file: ForeignFile, path: Path,
) -> Record:  # fmt: skip
    """Return the record of a file under the study's own recipe; `geometries_bohr` (conformer, atom, 3) are the study's.

    Raises DataFormatError where geometry, electrons, multiplicity, basis, orbitals or energy are not what is asked for.
    """
    if len(geometries_bohr) != 1:
        raise DataFormatError(
            "the study has several conformers of this molecule", where=path,
            seen=len(geometries_bohr), expected=1, remedy="set conformers.num_kept to 1",
        )  # fmt: skip
    ordered = _in_order_of(file, atomic_numbers, geometries_bohr[0], path)
    level = Level.from_settings(study.quantum)
    imported = import_determinant(ordered, path, level, molecule.charge, molecule.multiplicity)
    return _record(recipe, molecule, imported, path, study.contribution)


def import_alone(
    file: ForeignFile, path: Path, levels: Sequence[Level], smiles: str | None, charge: int, multiplicity: int | None,
    contribution: ContributionSettings,
) -> Record:  # fmt: skip
    """Return the record of a file by itself; its recipe is the hash of the file, the molecule and the level.

    Of several levels the first counts that the orbitals fit. Without a SMILES the bonds are told from the distances and
    `charge`. Raises what `import_determinant` raises, and InputMoleculeError where the geometry is of another molecule.
    """
    numbers, geometry = file.atomic_numbers, file.geometry_bohr
    if smiles is None:
        smiles = smiles_of_geometry(numbers, geometry, charge)
    parent = standardise(smiles, "as_given", multiplicity or file.multiplicity)
    if parent.num_fragments > 1:
        raise InputMoleculeError("the SMILES has several fragments", reason="several_fragments", seen=smiles)
    check_molecule(parent.smiles, numbers, geometry)
    molecule = Molecule(identify(parent).key, parent.smiles, parent.charge, parent.multiplicity, None)
    imported = _first_that_fits(file, path, levels, molecule)
    recipe = digest({
        "stage": "wavefunction", "version": STAGE_VERSION["wavefunction"], "imported": file.sha256,
        "key": molecule.key, "level": imported.wavefunction.level,
    })  # fmt: skip
    return _record(recipe, molecule, imported, path, contribution)


def _first_that_fits(file: ForeignFile, path: Path, levels: Sequence[Level], molecule: Molecule) -> Imported:
    for level in levels[:-1]:
        with suppress(DataFormatError):
            return import_determinant(file, path, level, molecule.charge, molecule.multiplicity)
    return import_determinant(file, path, levels[-1], molecule.charge, molecule.multiplicity)


def _record(
    recipe: str, molecule: Molecule, imported: Imported, path: Path, contribution: ContributionSettings
) -> Record:
    metadata: dict[str, Any] = {
        "key": molecule.key,
        "smiles": molecule.smiles,
        "charge": molecule.charge,
        "multiplicity": molecule.multiplicity,
        "source": "imported",
        "imported": imported.to_metadata(),
        "num_conformers": 1,
        "conformers": [{**imported.wavefunction.to_metadata(), "geometry_conformer": 0, "annotations": []}],
        "failed_conformers": [],
        **publication(contribution),
    }
    made_by = {
        **provenance("qc-iodata", "pyscf", "numpy", "scipy"),
        "engine": {"name": imported.file.program or "unknown", "versions": {}},
        "imported_from": path.name,
    }
    return Record("wavefunction", recipe, metadata, imported.wavefunction.to_arrays("0/"), made_by)


def _in_order_of(file: ForeignFile, atomic_numbers: Integers, geometry_bohr: Floats, path: Path) -> ForeignFile:
    """Return the file with its atoms in the order of a geometry (atom, 3) [bohr]; raises DataFormatError."""
    if sorted(file.atomic_numbers.tolist()) != sorted(atomic_numbers.tolist()):
        raise DataFormatError(
            "the file is of another molecule than the row", where=path, seen=_formula(file.atomic_numbers),
            expected=_formula(atomic_numbers), remedy="name the row that it belongs to",
        )  # fmt: skip
    distances = np.linalg.norm(geometry_bohr[:, None] - file.geometry_bohr[None], axis=-1)
    distances[atomic_numbers[:, None] != file.atomic_numbers[None]] = np.inf
    order = distances.argmin(axis=1)  # of the file's atoms, for each atom of the geometry
    largest = float(distances.min(axis=1).max())
    if len(set(order.tolist())) < len(order) or largest > SAME_GEOMETRY_BOHR:
        turned = _internal_difference(file, geometry_bohr)
        raise DataFormatError(
            "the file has another geometry or frame than the study", where=path,
            seen=f"an atom {largest:.2g} bohr off; distances between atoms differ by {turned:.2g} bohr",
            expected=f"at most {SAME_GEOMETRY_BOHR} bohr",
            remedy="compute it at the study's geometry and keep the frame (Gaussian: nosymm; Psi4: no_com, no_reorient)"
            ", or bring the file's geometry into the study as an SDF table",
        )  # fmt: skip
    if np.array_equal(order, np.arange(len(order))):
        return file
    return _permuted(file, order)


def _internal_difference(file: ForeignFile, geometry_bohr: Floats) -> float:
    """Return the largest difference of sorted distances between atoms: small where only the frame differs."""

    def spectrum(geometry: Floats) -> Floats:
        return np.sort(np.linalg.norm(geometry[:, None] - geometry[None], axis=-1), axis=None)

    return float(np.abs(spectrum(file.geometry_bohr) - spectrum(geometry_bohr)).max())


def _permuted(file: ForeignFile, order: np.ndarray[Any, Any]) -> ForeignFile:
    """Return the file with atom `order[i]` at place i; shells and rows of the orbitals follow their atoms."""
    basis, place = file.basis, np.argsort(order)
    widths = [
        (l + 1) * (l + 2) // 2 if basis.is_cartesian else 2 * l + 1
        for l in basis.angular_momentum.tolist()  # noqa: E741
    ]
    shells = np.argsort(place[basis.atom], kind="stable")
    rows = np.split(np.arange(sum(widths)), np.cumsum(widths)[:-1])
    primitives = np.split(np.arange(len(basis.exponents)), np.cumsum(basis.num_primitives)[:-1])
    row = np.concatenate([rows[shell] for shell in shells])
    primitive = np.concatenate([primitives[shell] for shell in shells])
    moved = Basis(
        place[basis.atom][shells].astype(np.int32), basis.angular_momentum[shells], basis.num_primitives[shells],
        basis.exponents[primitive], basis.coefficients[primitive], basis.is_cartesian,
    )  # fmt: skip

    def orbitals(spin: Orbitals) -> Orbitals:
        return replace(spin, coefficients=spin.coefficients[row])

    return replace(
        file, atomic_numbers=file.atomic_numbers[order], core_charges=file.core_charges[order],
        geometry_bohr=file.geometry_bohr[order], basis=moved, alpha=orbitals(file.alpha),
        beta=None if file.beta is None else orbitals(file.beta),
    )  # fmt: skip


def _formula(atomic_numbers: Integers) -> str:
    counts = {int(number): int((atomic_numbers == number).sum()) for number in np.unique(atomic_numbers)}
    return ", ".join(f"{count} of atomic number {number}" for number, count in counts.items())
