"""Is a record from elsewhere fit to be kept? Hash, schema, bounds and finite values; key and smiles; electrons.

All of it is checked before the record is written anywhere. Whether the orbitals solve their level of theory is another
question, answered by one Fock build (`decar.quantum.physics_check`) where it is asked for.
"""

from typing import Any

import numpy as np
from rdkit.Chem import rdinchi

from decar.errors import ChemistryError, ConfigError, DataFormatError
from decar.molecules.identity import KEY_OPTIONS, molecule_key
from decar.molecules.standardise import parse
from decar.quantum.record_checks import check_wavefunction
from decar.quantum.wavefunction import Wavefunction
from decar.record import Array, Record
from decar.schema import schema_problems

MAX_ATOMS, MAX_FUNCTIONS, MAX_ANGULAR_MOMENTUM, MAX_ATOMIC_NUMBER = 2000, 10_000, 6, 118
MAX_SMILES = 5000


def foreign_problems(record: Record, stage: str, content_hash: str, with_physics: bool = False) -> list[str]:
    """Return why a record from elsewhere must not be kept; [] for a sound one."""
    problems = schema_problems(record, stage)
    if problems:
        return problems
    if record.content_hash != content_hash:
        return [f"the content hash is {record.content_hash[:16]}, it was to be {content_hash[:16]}"]
    for name, array in record.arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            problems.append(f"{name} has values that are not finite")
    problems += _key_problems(record)
    if record.kind == "wavefunction" and not problems:
        for number, conformer in enumerate(record.metadata["conformers"]):
            problems += [
                f"conformer {number}: {found}" for found in _conformer(record, conformer, number, with_physics)
            ]
    return problems


def _key_problems(record: Record) -> list[str]:
    """Compare the key with that of the SMILES, charge and multiplicity that the record states."""
    stated = record.metadata
    if "charge" not in stated or len(stated["smiles"]) > MAX_SMILES:
        return [] if "charge" not in stated else ["the SMILES is too long"]
    try:
        inchi = rdinchi.MolToInchi(parse(stated["smiles"]), KEY_OPTIONS)[0]
    except ChemistryError as error:
        return [f"the SMILES cannot be read: {error.reason}"]
    key = molecule_key(str(inchi), stated["charge"], stated["multiplicity"])
    return [] if key == stated["key"] else [f"the key {stated['key'][:16]} is not that of {stated['smiles'][:200]}"]


def _conformer(record: Record, stated: dict[str, Any], number: int, with_physics: bool) -> list[str]:
    prefix = f"{number}/"
    arrays = {name.removeprefix(prefix): array for name, array in record.arrays.items() if name.startswith(prefix)}
    problems = _bound_problems(arrays)
    if (stated["charge"], stated["multiplicity"]) != (record.metadata["charge"], record.metadata["multiplicity"]):
        problems.append("charge or multiplicity is not that of the molecule")
    if problems:
        return problems
    wavefunction = Wavefunction.from_record(record.arrays, stated, prefix)
    try:
        check_wavefunction(wavefunction)
        if with_physics:
            # Only where it is asked for: it builds a Fock matrix.
            from decar.quantum.physics_check import check_physics  # noqa: PLC0415

            return list(check_physics(wavefunction).problems)
    except (DataFormatError, ConfigError, ChemistryError) as error:
        return [str(error)]
    return []


def _bound_problems(arrays: dict[str, Array]) -> list[str]:
    """Return what an integral program must not be given: indices out of range, lengths that do not agree."""
    atoms, momentum = len(arrays["atomic_numbers"]), arrays["basis/angular_momentum"]
    shells, primitives = len(momentum), arrays["basis/num_primitives"]
    functions, orbitals = arrays["alpha/coefficients"].shape
    spins = [spin for spin in ("alpha", "beta") if f"{spin}/coefficients" in arrays]
    tests = {
        "the number of atoms": 1 <= atoms <= MAX_ATOMS,
        "an atomic number": _within(arrays["atomic_numbers"], 1, MAX_ATOMIC_NUMBER),
        "the geometry": arrays["geometry_bohr"].shape == (atoms, 3) and arrays["nuclear_charges"].shape == (atoms,),
        "the dipole": arrays["dipole_e_bohr"].shape == (3,),
        "the number of basis functions": 1 <= functions <= MAX_FUNCTIONS and 1 <= orbitals <= functions,
        "the number of shells": 1 <= shells <= functions
        and arrays["basis/atom"].shape == (shells,) and primitives.shape == (shells,),
        "the atom of a shell": _within(arrays["basis/atom"], 0, atoms - 1),
        "an angular momentum": _within(momentum, 0, MAX_ANGULAR_MOMENTUM),
        "the primitives of a shell": _within(primitives, 1, 64),
        "an exponent": bool((arrays["basis/exponents"] > 0).all()),
        "orbitals, occupations or energies": all(
            arrays[f"{spin}/coefficients"].shape[0] == functions
            and arrays[f"{spin}/coefficients"].shape[1:] == arrays[f"{spin}/{name}"].shape
            for spin in spins for name in ("occupations", "energies") if f"{spin}/{name}" in arrays
        ),
        "the arrays of beta orbitals": len([name for name in arrays if name.startswith("beta/")]) in {0, 3},
    }  # fmt: skip
    return [f"{what} is out of bounds" for what, is_right in tests.items() if not is_right]


def _within(array: Array, least: int, most: int) -> bool:
    return array.size > 0 and bool((array >= least).all() and (array <= most).all())
