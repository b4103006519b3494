"""A small study of real wavefunctions: distorted waters and hydroxide ions (HF/STO-3G), two conformers each."""

from pathlib import Path

import numpy as np

from decar.batch import Molecule
from decar.config import Study
from decar.dataset.assemble import assemble
from decar.dataset.rendered_dataset import wavefunction_recipes
from decar.dataset.shards import write_shard
from decar.fields.compute import compute
from decar.record import Record
from decar.store import Store
from tests.dataset.synthetic_study import key_of, make_study, make_tables, write_tables
from tests.fields.systems import molecule

FIELDS = ("electron_density", "density_gradient", "electrostatic_potential")
WATER = np.array([[0.1, 0.2, 0.3], [1.55, 0.35, -0.75], [-0.9, 1.6, 0.9]])


def wavefunction_record(number: int, recipe: str, num_conformers: int = 2) -> Record:
    """Return the record of a molecule: a hydroxide ion where the number is odd, else a water."""
    random = np.random.default_rng(number)
    arrays, conformers = {}, []
    for conformer in range(num_conformers):
        places = WATER + random.normal(0, 0.1, WATER.shape)
        atoms = [f"{symbol} {x} {y} {z}" for symbol, (x, y, z) in zip("OHH", places.tolist())]
        is_ion = number % 2 == 1
        wavefunction = molecule("; ".join(atoms[:2] if is_ion else atoms), "sto-3g", charge=-1 if is_ion else 0)
        arrays.update(wavefunction.to_arrays(f"{conformer}/"))
        conformers.append(wavefunction.to_metadata())
    metadata = {"key": key_of(number), "num_conformers": num_conformers, "conformers": conformers}
    return Record("wavefunction", recipe, metadata, arrays)


def make_rendered_study(folder: Path, **changes: object) -> Study:
    """Return the synthetic study with these fields on a coarse grid, and `changes` of its fields section."""
    study = make_study(folder)
    settings = {"names": list(FIELDS), "spacing_angstrom": 0.4, "padding_angstrom": 1.2, **changes}
    return Study.model_validate({**study.model_dump(mode="json"), "fields": settings})


def make_rendered_dataset(folder: Path, study: Study, num: int) -> tuple[Path, Path]:
    """Put wavefunctions into the study's store, write a shard and the dataset; return the folders of both."""
    store, members = Store(study.store), []
    recipes = wavefunction_recipes(study, [(key_of(number), None) for number in range(num)])
    for number in range(num):
        key = key_of(number)
        record = wavefunction_record(number, recipes[key])
        store.save("wavefunction", record)
        one = Molecule(key, "O", 0, 1, None)
        members.append((key, compute(study, one, f"fields {number}", record)))
    write_shard(folder / "shards" / "0-test.h5", members, {})
    tables = write_tables(folder, *make_tables(num))
    assemble(study, *tables, [folder / "shards" / "0-test.h5"], folder / "dataset")
    return folder / "dataset", folder / "shards"
