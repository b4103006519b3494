"""The wavefunction stage, from a geometry record to a wavefunction record."""

from pathlib import Path

import numpy as np
import pytest

from decar.batch import Molecule
from decar.config import Study
from decar.errors import ConvergenceError, InputMoleculeError
from decar.quantum.record_checks import check_wavefunction, compare
from decar.quantum.single_point import compute
from decar.quantum.wavefunction import Wavefunction
from decar.record import Record, read_record, write_record
from tests.quantum.systems import WATER

MOLECULE = Molecule("k" * 64, "O", 0, 1, None)


def study(**quantum):
    settings = {"method": "b3lyp", "basis": "6-31g*", "quadrature_level": 1, **quantum}
    return Study.model_validate(
        {
            "study": "s",
            "molecules": {"table": "t.csv", "labels": {"sweet": {"column": "sweet"}}},
            "quantum": settings,
            "training": {"property": "sweet", "models": {"m": {}}},
            "interpret": {"model": "m"},
            "figures": {"example": "1"},
        }
    )


def geometry(stretches=(1.0, 1.05)):
    frames = np.stack([WATER.geometry_bohr * stretch for stretch in stretches])
    return Record("geometry", "parent", {}, {"atomic_numbers": WATER.atomic_numbers, "geometry_bohr": frames})


def test_every_conformer_becomes_a_wavefunction(tmp_path):
    record = compute(study(), MOLECULE, "recipe", geometry())
    write_record(tmp_path / "record.h5", record)
    again = read_record(tmp_path / "record.h5")
    assert again.content_hash == record.content_hash
    assert (again.kind, again.recipe) == ("wavefunction", "recipe")
    metadata = again.metadata
    assert metadata["num_conformers"] == len(metadata["conformers"]) == 2
    assert metadata["review_state"] == "unreviewed"
    assert {"contributor", "licence", "supersedes"} <= set(metadata)
    assert metadata["conformers"][0]["annotations"] == []
    assert metadata["conformers"][0]["level"]["label"] == "B3LYP/6-31G*"
    assert again.provenance["engine"]["versions"]["libxc"]
    both = [Wavefunction.from_record(again.arrays, metadata["conformers"][c], f"{c}/") for c in (0, 1)]
    assert np.allclose(both[1].geometry_bohr, WATER.geometry_bohr * 1.05)
    assert both[0].energy_hartree < both[1].energy_hartree
    for one in both:
        check_wavefunction(one)
    assert Path(tmp_path / "record.h5").stat().st_size < 200_000


def test_one_conformer_may_fail_and_is_named(monkeypatch):
    from decar.quantum.pyscf_backend import PyscfBackend

    whole = PyscfBackend.single_point

    def failing(self, system, level):
        if np.allclose(system.geometry_bohr, WATER.geometry_bohr):
            raise ConvergenceError("no", reason="scf_not_converged", attempts=[{"method": "diis"}])
        return whole(self, system, level)

    monkeypatch.setattr(PyscfBackend, "single_point", failing)
    record = compute(study(), MOLECULE, "recipe", geometry())
    assert record.metadata["num_conformers"] == 1
    assert record.metadata["conformers"][0]["geometry_conformer"] == 1
    assert record.metadata["failed_conformers"][0]["geometry_conformer"] == 0
    assert np.allclose(record.arrays["0/geometry_bohr"], WATER.geometry_bohr * 1.05)
    with pytest.raises(ConvergenceError):
        compute(study(), MOLECULE, "recipe", geometry((1.0,)))


def test_wrong_charge_or_multiplicity_is_the_rows_fault():
    with pytest.raises(InputMoleculeError) as raised:
        compute(study(), Molecule("k", "O", 1, 1, None), "recipe", geometry())
    assert raised.value.reason == "impossible_multiplicity"
    with pytest.raises(InputMoleculeError) as raised:
        compute(study(), MOLECULE, "recipe", geometry((0.1,)))
    assert raised.value.reason == "bad_geometry"


def test_equal_settings_give_equal_invariants():
    first, second = (compute(study(), MOLECULE, "recipe", geometry((1.0,))) for _ in range(2))
    one, other = (Wavefunction.from_record(r.arrays, r.metadata["conformers"][0], "0/") for r in (first, second))
    difference = compare(one, other)
    assert difference.energy_hartree < 1e-9
    assert difference.density_l1 < 1e-8
    assert difference.dipole_e_bohr < 1e-7
    assert difference.orbital_energy_hartree < 1e-7
