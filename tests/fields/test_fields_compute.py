import numpy as np
import pytest
from scipy.special import erfc

from decar.batch import Molecule
from decar.config import FieldsSettings, Study
from decar.errors import ChemistryError, InputMoleculeError
from decar.fields.compute import compute, sampled_error, write_cubes
from decar.fields.cube import read_cube
from decar.fields.grid import VoxelGrid
from decar.fields.outside import electron_fraction_outside
from decar.fields.registry import FIELDS, evaluate_fields
from decar.record import Record, read_record, write_record
from tests.fields.systems import WATER, gaussians, molecule

WATER_MOLECULE = Molecule("abc", "O", 0, 1, None)
ALL = tuple(FIELDS)


def study(**fields) -> Study:
    return Study.model_validate(
        {
            "study": "test",
            "molecules": {"table": "table.csv", "labels": {"sweet": {"column": "sweet"}}},
            "training": {"property": "sweet", "models": {"a": {"fields": ["electron_density"]}}},
            "interpret": {"model": "a"},
            "figures": {"example": "1"},
            "fields": FieldsSettings(**{"names": ALL, **fields}).model_dump(),
        }
    )


def wavefunction_record(*wavefunctions) -> Record:
    arrays = {}
    for conformer, wavefunction in enumerate(wavefunctions):
        arrays.update(wavefunction.to_arrays(f"{conformer}/"))
    metadata = {"key": "abc", "conformers": [wavefunction.to_metadata() for wavefunction in wavefunctions]}
    return Record("wavefunction", "parent", metadata, arrays)


@pytest.fixture(scope="module")
def parent() -> Record:
    stretched = molecule("O 0 0 0; H 2.2 0 0; H 0 2.2 0", "6-31g*", cartesian=True)
    return wavefunction_record(molecule(WATER, "6-31g*", cartesian=True), stretched)


@pytest.mark.parametrize("storage", ["float32", "float16"])
def test_record_holds_every_field_of_every_conformer(parent, storage, tmp_path):
    record = compute(study(storage=storage), WATER_MOLECULE, "recipe", parent)
    assert record.kind == "fields"
    assert set(record.arrays) == {f"{conformer}/{name}" for conformer in (0, 1) for name in ALL}
    for conformer, described in enumerate(record.metadata["conformers"]):
        for name in ALL:
            values = record.arrays[f"{conformer}/{name}"]
            assert values.dtype == storage
            assert list(values.shape[1:]) == described["grid"]["shape"]
            assert described["quality"][name]["num_samples"] > 150
        assert 0 < described["quality"]["electron_fraction_outside_box"] < 1e-3
    write_record(tmp_path / "record.h5", record)
    assert read_record(tmp_path / "record.h5").content_hash == record.content_hash
    again = compute(study(storage=storage), WATER_MOLECULE, "recipe", parent)
    assert again.content_hash == record.content_hash


def test_stated_errors_are_within_the_bars(parent):
    quality = compute(study(), WATER_MOLECULE, "recipe", parent).metadata["conformers"][0]["quality"]
    assert quality["electron_density"]["max_error"] < 1e-6
    assert quality["promolecular_density"]["max_error"] < 1e-6
    assert 0 < quality["electrostatic_potential"]["rms_error"] < 1e-4
    assert quality["electrostatic_potential"]["max_error"] < 5e-4


def test_a_wrong_field_has_a_large_stated_error(parent):
    wavefunction = molecule(WATER, "6-31g*", cartesian=True)
    grid = VoxelGrid((-5.0, -5.0, -5.0), 0.6, (16, 16, 16))
    values = evaluate_fields(["electron_density"], wavefunction, grid)["electron_density"].numpy()
    shifted = np.roll(values, 1, axis=1)
    right, wrong = (
        sampled_error(FIELDS["electron_density"], field, wavefunction, grid, np.random.default_rng(0))
        for field in (values, shifted)
    )
    assert right["max_error"] < 1e-6
    assert wrong["max_error"] > 1e-3


def test_electrons_outside_the_box_of_a_gaussian():
    """Beyond the plane x = -d lies erfc(d) / 2 of a density exp(-r^2); the sum over points is an estimate."""
    wavefunction = gaussians([[0.0, 0.0, 0.0]], [0.5], [1], num_electrons=1.0)
    for distance in (0.7, 1.1):
        grid = VoxelGrid((0.25 - distance, -9.75, -9.75), 0.5, (40, 40, 40))
        assert electron_fraction_outside(wavefunction, grid) == pytest.approx(erfc(distance) / 2, rel=0.15)


def test_no_electron_is_outside_a_box_that_holds_every_point_of_the_quadrature():
    wavefunction = gaussians([[0.0, 0.0, 0.0]], [0.5], [1], num_electrons=1.0)
    assert electron_fraction_outside(wavefunction, VoxelGrid((-500.0, -500.0, -500.0), 125.0, (9, 9, 9))) == 0.0


def test_a_voxel_too_large_for_the_format_is_an_error():
    heavy = gaussians([[0.0, 0.0, 0.0]], [4e5], [1], num_electrons=2.0)
    settings = study(names=("electron_density",), storage="float16", box=(8, 8, 8), padding_angstrom=0.0,
                     spacing_angstrom=1e-4)  # fmt: skip
    with pytest.raises(ChemistryError, match="float32") as caught:
        compute(settings, WATER_MOLECULE, "recipe", wavefunction_record(heavy))
    assert caught.value.reason == "non_finite_field"


def test_a_molecule_larger_than_the_box_fails(parent):
    with pytest.raises(InputMoleculeError) as caught:
        compute(study(box=(16, 16, 16)), WATER_MOLECULE, "recipe", parent)
    assert caught.value.reason == "molecule_larger_than_box"


def test_cubes_hold_the_record(parent, tmp_path):
    record = compute(study(), WATER_MOLECULE, "recipe", parent)
    paths = write_cubes(record, parent, tmp_path)
    assert len(paths) == 2 * len(ALL)
    found = read_cube(tmp_path / "abc-1-electron_density.cube")
    assert np.allclose(found.values, record.arrays["1/electron_density"], rtol=1e-5)
    assert np.array_equal(found.atomic_numbers, [8, 1, 1])
    assert np.allclose(found.geometry_bohr, parent.arrays["1/geometry_bohr"], atol=1e-6)
    assert found.comments[0] == "electron_density [e/bohr^3]"
