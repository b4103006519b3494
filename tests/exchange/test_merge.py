"""Merging: what is sound comes in once, what contradicts is named, nothing is ever written over."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from decar.config import Study
from decar.errors import ConfigError
from decar.exchange.incoming import read_guarded
from decar.exchange.merge import Finding, merge
from decar.exchange.moved import moved_difference
from decar.planning.lock import held
from decar.quantum.single_point import compute as single_point
from decar.quantum.wavefunction import Wavefunction
from decar.record import Place, Record, write_record
from decar.stages import digest
from decar.store import Store
from decar.verify import verify_file

from .conftest import compute_store, hashes, molecule_of, record_of, records_of, small_study

Copy = Callable[[str], Store]


def with_recipe(record: Record, name: str) -> Record:
    return replace(record, recipe=digest(name))


def with_conformer(record: Record, arrays: dict | None = None, **stated: object) -> Record:
    """Change entries and arrays of the only conformer of a wavefunction record."""
    (conformer,) = record.metadata["conformers"]
    metadata = {**record.metadata, "conformers": [{**conformer, **stated}]}
    return replace(record, metadata=metadata, arrays={**record.arrays, **(arrays or {})})


def source_of(folder: Path, *records: Record, stage: str = "wavefunction") -> Path:
    for record in records:
        Store(folder).save(stage, record)
    return folder


def conflict_of(source: Path, into: Store) -> Finding:
    before = hashes(into)
    report = merge([source], into)
    assert report.counts == {"conflict": {report.findings[0].stage: 1}}
    assert hashes(into) == before
    return report.findings[0]


def test_two_groups_become_one_store(computed: Store, tmp_path: Path) -> None:
    other = compute_store(small_study(tmp_path / "other", contributor="Group B"), ("O", "N"))
    into = Store(tmp_path / "into")
    report = merge([computed.root, other.root], into)
    assert report.findings == []
    assert report.total("added") == 14 + 4
    # Water was computed by both: geometries are equal to the last bit, wavefunctions differ in their contributor.
    assert report.counts["present"] == {"conformers": 1, "optimise": 1, "fields": 1}
    assert report.counts["agrees"] == {"wavefunction": 1}
    assert record_of(into, "wavefunction", "O").metadata["contributor"] == "0000-0002-1825-0097"
    ammonia = record_of(into, "wavefunction", "N")
    assert (ammonia.metadata["contributor"], ammonia.metadata["licence"]) == ("Group B", "CC-BY-4.0")
    assert ammonia.content_hash == record_of(other, "wavefunction", "N").content_hash
    assert [problem for path in into.root.rglob("*.h5") for problem in verify_file(path)] == []
    # Packed, and a second time there is nothing to do.
    assert len(list(into.root.rglob("*.h5"))) < 18 / 2
    assert set(merge([computed.root, other.root], into).counts) == {"present", "agrees"}


def test_dry_run_writes_nothing(computed: Store, tmp_path: Path) -> None:
    report = merge([computed.root], Store(tmp_path / "into"), dry_run=True)
    assert report.total("added") == 14
    assert not (tmp_path / "into").exists()


def test_interrupted_merge_goes_on(computed: Store, tmp_path: Path) -> None:
    into = Store(tmp_path / "into")

    def stop(done: int, total: int) -> None:
        if done == 9:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        merge([computed.root], into, progress=stop)
    report = merge([computed.root], into)
    assert (report.total("present"), report.total("added")) == (9, 5)
    assert hashes(into) == hashes(computed)


def test_same_recipe_with_other_numbers_is_a_conflict(copy: Copy, tmp_path: Path) -> None:
    into = copy("into")
    water = record_of(into, "wavefunction", "O")
    energy = water.metadata["conformers"][0]["energy_hartree"]
    within = with_conformer(water, energy_hartree=energy + 5e-5)
    assert merge([source_of(tmp_path / "a", within)], into).counts == {"agrees": {"wavefunction": 1}}
    beyond = with_conformer(water, energy_hartree=energy + 7e-5)
    found = conflict_of(source_of(tmp_path / "b", beyond), into)
    assert [(one.quantity, one.tolerance) for one in found.deviations] == [("energy", pytest.approx(6e-5))]
    assert found.deviations[0].difference == pytest.approx(7e-5, rel=1e-3)
    assert found.kept is not None
    assert read_guarded(Place.parse(found.kept)).content_hash == water.content_hash


def test_mixed_orbitals_are_seen_in_the_density(copy: Copy, tmp_path: Path) -> None:
    """Frontier orbitals swapped: energy and dipole as stated, orthonormal, the right number of electrons."""
    into = copy("into")
    water = record_of(into, "wavefunction", "O")
    orbitals = water.arrays["0/alpha/coefficients"].copy()
    orbitals[:, [4, 5]] = orbitals[:, [5, 4]]
    found = conflict_of(source_of(tmp_path / "a", with_conformer(water, {"0/alpha/coefficients": orbitals})), into)
    assert [one.quantity for one in found.deviations] == ["density"]
    signs = with_conformer(water, {"0/alpha/coefficients": -water.arrays["0/alpha/coefficients"]})
    assert merge([source_of(tmp_path / "b", signs)], into).counts == {"agrees": {"wavefunction": 1}}


@pytest.fixture(scope="module")
def turned(computed: Store, tmp_path_factory: pytest.TempPathFactory) -> Record:
    """Methylammonium computed in another frame under another recipe: one more cycle is allowed, the level is equal."""
    study = small_study(tmp_path_factory.mktemp("turned"))
    quantum = study.quantum.model_copy(update={"max_cycles": 61})
    study = Study.model_validate({**study.model_dump(), "quantum": quantum.model_dump()})
    geometry = record_of(computed, "optimise", "C[NH3+]")
    rotation = Rotation.from_rotvec([0.3, -1.1, 0.7]).as_matrix()
    moved = geometry.arrays["geometry_bohr"] @ rotation.T + [1.0, -2.0, 0.5]
    parent = replace(geometry, arrays={**geometry.arrays, "geometry_bohr": moved})
    return single_point(study, molecule_of("C[NH3+]"), digest("turned"), parent)


def test_one_geometry_in_two_frames_agrees(computed: Store, copy: Copy, turned: Record, tmp_path: Path) -> None:
    mine = record_of(computed, "wavefunction", "C[NH3+]")
    pair = [Wavefunction.from_record(one.arrays, one.metadata["conformers"][0], "0/") for one in (mine, turned)]
    difference = moved_difference(*pair)
    # A charged molecule: its dipole depends on the origin, by more than the tolerance.
    assert np.linalg.norm(pair[0].dipole_e_bohr) != pytest.approx(np.linalg.norm(pair[1].dipole_e_bohr), abs=0.1)
    assert difference.energy_hartree < 5e-5  # the points of the quadrature lie elsewhere
    assert difference.dipole_e_bohr < 1e-4
    assert difference.density_l1 < 5e-5
    into = copy("into")
    report = merge([source_of(tmp_path / "a", turned)], into)
    assert report.counts == {"added": {"wavefunction": 1}}
    assert len(records_of(into, "wavefunction")) == 4


def test_one_geometry_with_other_numbers_is_a_conflict_under_any_recipe(
    copy: Copy, turned: Record, tmp_path: Path
) -> None:
    into = copy("into")
    energy = turned.metadata["conformers"][0]["energy_hartree"]
    found = conflict_of(source_of(tmp_path / "a", with_conformer(turned, energy_hartree=energy - 1e-3)), into)
    assert [one.quantity for one in found.deviations] == ["energy"]
    # Another level of theory is another thing: nothing to compare with.
    level = {**turned.metadata["conformers"][0]["level"], "quadrature_level": 3}
    other = with_recipe(with_conformer(turned, energy_hartree=energy - 1e-3, level=level), "other level")
    assert merge([source_of(tmp_path / "b", other)], into).counts == {"added": {"wavefunction": 1}}


def test_failure_and_result_contradict(copy: Copy, tmp_path: Path) -> None:
    into = copy("into")
    failed = next(record for record in records_of(into, "optimise").values() if record.is_failure)
    water = record_of(into, "optimise", "O")
    reason = {**failed.metadata, "key": water.metadata["key"], "smiles": "O"}
    source = source_of(tmp_path / "a", replace(failed, recipe=water.recipe, metadata=reason), stage="optimise")
    assert conflict_of(source, into).reasons == ["outcome: geometry here, failure there"]
    moved = {**water.arrays, "geometry_bohr": water.arrays["geometry_bohr"] + [2e-4, 0, 0]}
    found = conflict_of(source_of(tmp_path / "b", replace(water, arrays=moved), stage="optimise"), into)
    assert found.reasons == ["geometry differs by 2.00e-04 (tolerance 1e-04)"]


def test_what_is_not_sound_stays_out(computed: Store, tmp_path: Path) -> None:
    water = record_of(computed, "wavefunction", "O")
    momentum = water.arrays["0/basis/angular_momentum"]
    cases = {
        "not that of O": replace(water, metadata={**water.metadata, "key": digest("other")}),
        "metadata.licence is missing": replace(
            water, metadata={name: value for name, value in water.metadata.items() if name != "licence"}
        ),
        "an angular momentum is out of bounds": with_conformer(
            water, {"0/basis/angular_momentum": np.full_like(momentum, 90)}
        ),
        "the atom of a shell is out of bounds": with_conformer(water, {"0/basis/atom": np.full_like(momentum, 9)}),
        "not orthonormal": with_conformer(water, {"0/alpha/coefficients": 1.01 * water.arrays["0/alpha/coefficients"]}),
        "wrong number of electrons": with_conformer(water, {"0/nuclear_charges": np.array([9.0, 1, 1])}),
        "has values that are not finite": with_conformer(water, {"0/dipole_e_bohr": np.array([np.nan, 0, 0])}),
        "'0/payload' is not an array": with_conformer(water, {"0/payload": np.zeros(3)}),
    }
    sources = [source_of(tmp_path / str(number), record) for number, record in enumerate(cases.values())]
    report = merge(sources, Store(tmp_path / "into"))
    assert report.counts == {"refused": {"wavefunction": len(cases)}}
    for message, finding in zip(cases, report.findings):
        assert message in finding.reasons[0], finding.reasons
    assert json.loads(json.dumps(report.to_json()))["counts"] == report.counts


def test_physics_is_checked_where_it_is_asked_for(computed: Store, tmp_path: Path) -> None:
    water = record_of(computed, "wavefunction", "O")
    level = {**water.metadata["conformers"][0]["level"], "functional": None, "method": "hf"}
    source = source_of(tmp_path / "a", with_conformer(water, level=level))
    assert merge([source], Store(tmp_path / "b")).total("added") == 1
    report = merge([source], Store(tmp_path / "c"), with_physics=True)
    assert report.total("refused") == 1


def test_hdf5_that_reaches_outside_is_refused(computed: Store, tmp_path: Path) -> None:
    water = record_of(computed, "wavefunction", "O")
    store = Store(tmp_path / "evil")
    for kind in ("external", "virtual", "terabyte"):
        path = store.path("wavefunction", digest(kind))
        write_record(path, with_recipe(water, kind))
        with h5py.File(path, "r+") as file:
            del file["0/dipole_e_bohr"]
            if kind == "external":
                file.create_dataset("0/dipole_e_bohr", (3,), "f8", external=[("/etc/passwd", 0, 24)])
            elif kind == "virtual":
                layout = h5py.VirtualLayout((3,), "f8")
                layout[:] = h5py.VirtualSource("/etc/other.h5", "x", (3,))
                file.create_virtual_dataset("0/dipole_e_bohr", layout)
            else:
                file.create_dataset("0/dipole_e_bohr", (2**37,), "f8", chunks=(1024,))
    report = merge([store.root], Store(tmp_path / "into"))
    assert report.counts == {"refused": {"wavefunction": 3}}
    reasons = "".join(finding.reasons[0] for finding in report.findings)
    assert reasons.count("an array lies in another file") == 2
    assert "declares too much" in reasons


def test_a_damaged_file_of_the_source_is_named_and_the_rest_comes_in(copy: Copy, tmp_path: Path) -> None:
    source = copy("source")
    (pack,) = (source.root / "wavefunction/packs").glob("*.h5")
    pack.write_bytes(pack.read_bytes()[:3000])
    report = merge([source.root], Store(tmp_path / "into"))
    assert report.total("added") == 11
    assert str(pack) in report.findings[0].reasons[0]


def test_one_merge_at_a_time(tmp_path: Path) -> None:
    with held([tmp_path], "a merge is at work"), pytest.raises(ConfigError, match="a merge is at work"):  # noqa: SIM117
        with held([tmp_path], "a merge is at work"):
            pass
