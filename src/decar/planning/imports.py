"""What a study asks for a row of its table (molecule, recipe, geometry), for a wavefunction that is brought to it."""

from pathlib import Path

import pandas as pd

from decar.batch import Molecule
from decar.config import Study
from decar.errors import ConfigError, DataFormatError
from decar.molecules.given_geometry import read_given_geometry
from decar.molecules.graph import atomic_numbers_of
from decar.molecules.sdf import read_molblocks
from decar.planning.index import build_index
from decar.quantum.import_file import ForeignFile
from decar.quantum.import_record import import_for_study
from decar.quantum.wavefunction import Floats, Integers
from decar.record import Record
from decar.stages import digest, molecule_recipes
from decar.store import Store


def import_into_study(study: Study, identifier: str, file: ForeignFile, path: Path) -> Record:
    """Return the record that the study will use for a row, made from a foreign file; nothing is stored yet.

    Raises ConfigError for a row that is not there or cannot be computed; DataFormatError where a wavefunction is there
    already, the geometry is not known yet, or the file is not what the study asks for.
    """
    molecule = _molecule_of_row(study, identifier)
    recipes = molecule_recipes(study, molecule.key, digest(molecule.molblock) if molecule.molblock else "")
    store, recipe = Store(study.store), recipes["wavefunction"]
    if store.has("wavefunction", molecule.key, recipe):
        found = store.load("wavefunction", molecule.key, recipe)
        raise DataFormatError(
            "the study has a wavefunction of this molecule" if not found.is_failure else
            "the study has a failure in place of this wavefunction", where=store.path("wavefunction", recipe),
            seen=found.metadata["reason"] if found.is_failure else found.metadata.get("source", "computed"),
            expected="none: nothing is overwritten",
            remedy="`decar forget-failed` forgets failures" if found.is_failure else "compare the two, and keep it",
        )  # fmt: skip
    return import_for_study(study, molecule, recipe, *_geometries(store, molecule, recipes["optimise"]), file, path)


def _molecule_of_row(study: Study, identifier: str) -> Molecule:
    index = build_index(study.molecules, study.folder / "plan" / "rows")
    rows = index.loc[index["id"].astype(str) == identifier].to_dict("records")
    if not rows:
        raise ConfigError(
            "no row of the table has this identifier", where=study.molecules.table, seen=identifier,
            expected=f"a value of column {study.molecules.id_column!r}",
        )  # fmt: skip
    row = rows[0]
    if row["status"] != "ok":
        raise ConfigError(
            "this row of the table is not computed", where=study.molecules.table, seen=row["message"],
            remedy="name the row that stands for the molecule",
        )  # fmt: skip
    offset = None if pd.isna(row["sdf_offset"]) else int(row["sdf_offset"])
    molblock = next(read_molblocks(study.molecules.table, [offset]))
    return Molecule(str(row["key"]), str(row["smiles"]), int(row["charge"]), int(row["multiplicity"]), molblock)


def _geometries(store: Store, molecule: Molecule, recipe: str) -> tuple[Integers, Floats]:
    """Return atomic numbers (atom,) and geometries (conformer, atom, 3) [bohr]: brought, or optimised before."""
    if molecule.molblock is not None:
        given = read_given_geometry(molecule.molblock, molecule.smiles)
        return atomic_numbers_of(given.molecule), given.geometry_bohr[None]
    if not store.has("optimise", molecule.key, recipe):
        raise DataFormatError(
            "the study has no geometry of this molecule yet", where=store.path("optimise", recipe),
            remedy="run `snakemake --profile local --until optimise` first, or bring the geometry as an SDF table",
        )  # fmt: skip
    record = store.load("optimise", molecule.key, recipe)
    if record.is_failure:
        raise DataFormatError(
            "the geometry optimisation of this molecule failed", where=store.path("optimise", recipe),
            seen=record.metadata["reason"], remedy="bring the geometry as an SDF table",
        )  # fmt: skip
    return record.arrays["atomic_numbers"], record.arrays["geometry_bohr"]
