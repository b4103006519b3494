"""The fields stage: from the wavefunctions of a molecule to its fields on voxel grids, with their own error."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decar.batch import Molecule
from decar.config import Study
from decar.errors import ChemistryError, DataFormatError
from decar.fields.cube import write_cube
from decar.fields.grid import VoxelGrid, molecule_grid
from decar.fields.outside import electron_fraction_outside
from decar.fields.registry import FIELDS, Field, check_field_names, evaluate_fields
from decar.fields.render import molecule_cube
from decar.provenance import provenance
from decar.quantum.wavefunction import Wavefunction
from decar.record import Record
from decar.stages import derive_seed

Floats = NDArray[np.float64]
NUM_SAMPLES = 200  # voxels at which a field is compared with its exact value
NEAR_NUCLEUS_BOHR = 0.5  # the potential is not sampled nearer: it has a pole there


def compute(study: Study, molecule: Molecule, recipe: str, parent: Record | None) -> Record:
    """Return the record of kind `fields`: array `<conformer>/<field>`, (channel, x, y, z) in the storage format.

    Raises InputMoleculeError (`molecule_larger_than_box`, `element_without_free_atom`) and ChemistryError
    (`non_finite_field`).
    """
    if parent is None:
        raise DataFormatError("fields need the record of a wavefunction", where=molecule.key)
    check_field_names(study.fields.names)
    arrays, conformers = {}, []
    for conformer, metadata in enumerate(parent.metadata["conformers"]):
        wavefunction = Wavefunction.from_record(parent.arrays, metadata, f"{conformer}/")
        grid = molecule_grid(wavefunction.geometry_bohr, study.fields)
        fields = _stored_fields(study.fields.names, wavefunction, grid, study.fields.storage)
        random = np.random.default_rng(derive_seed(study.seed, "fields", molecule.key, conformer))
        quality: dict[str, Any] = {
            name: sampled_error(FIELDS[name], values, wavefunction, grid, random) for name, values in fields.items()
        }
        quality["electron_fraction_outside_box"] = electron_fraction_outside(wavefunction, grid)
        conformers.append({"grid": grid.to_metadata(), "quality": quality})
        arrays.update({f"{conformer}/{name}": values for name, values in fields.items()})
    metadata = {
        "key": molecule.key,
        "smiles": molecule.smiles,
        "num_conformers": len(conformers),
        "conformers": conformers,
        "fields": {name: FIELDS[name].to_metadata() for name in study.fields.names},
    }
    return Record("fields", recipe, metadata, arrays, provenance("torch", "numpy", "scipy", "pyscf"))


def _stored_fields(
    names: Sequence[str], wavefunction: Wavefunction, grid: VoxelGrid, storage: str
) -> dict[str, NDArray[Any]]:
    """Evaluate in float32 and cast once; raise ChemistryError where a value is not finite."""
    stored = {}
    for name, values in evaluate_fields(names, wavefunction, grid).items():
        with np.errstate(over="ignore"):
            stored[name] = values.numpy().astype(storage)
        if not np.isfinite(stored[name]).all():
            raise ChemistryError(
                "a field has values that are not finite",
                reason="non_finite_field",
                where=name,
                seen=f"{int((~np.isfinite(stored[name])).sum())} of {stored[name].size} voxels",
                expected=f"finite {storage} numbers",
                remedy="store it as float32" if storage == "float16" else "look at the wavefunction of this molecule",
            )
    return stored


def sampled_error(
    field: Field, values: NDArray[Any], wavefunction: Wavefunction, grid: VoxelGrid, random: np.random.Generator
) -> dict[str, Any]:
    """Return the error of stored values at random voxels beyond 0.5 bohr of the nuclei, in the field's unit.

    The exact values are those of the registry: orbitals in float64 without blocks, or libcint's integrals.
    """
    voxels = random.choice(grid.num_voxels, size=min(NUM_SAMPLES, grid.num_voxels), replace=False)
    points = grid.point(voxels)
    distances = np.linalg.norm(points[:, None] - wavefunction.geometry_bohr, axis=2).min(axis=1)
    kept = distances > NEAR_NUCLEUS_BOHR
    exact = field.at_points(wavefunction, points[kept])
    error = values.reshape(field.channels, -1)[:, voxels[kept]].astype(np.float64) - exact
    return {
        "num_samples": int(kept.sum()),
        "rms_error": float(np.sqrt(np.mean(error**2))),
        "max_error": float(np.abs(error).max()),
        "rms_value": float(np.sqrt(np.mean(exact**2))),
    }


def write_cubes(record: Record, parent: Record, folder: Path) -> list[Path]:
    """Write every field of a fields record as `<folder>/<key>-<conformer>-<field>.cube`; `parent` has the nuclei."""
    paths = []
    for name, values in sorted(record.arrays.items()):
        conformer, field = name.split("/", 1)
        wavefunction = Wavefunction.from_record(
            parent.arrays, parent.metadata["conformers"][int(conformer)], f"{conformer}/"
        )
        grid = VoxelGrid.from_metadata(record.metadata["conformers"][int(conformer)]["grid"])
        key = record.metadata["key"]
        path = folder / f"{key}-{conformer}-{field}.cube"
        write_cube(path, molecule_cube(wavefunction, grid, values, field, f"decar {key} conformer {conformer}"))
        paths.append(path)
    return paths
