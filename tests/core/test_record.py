"""Records and the store: whole or absent, hashed by content, found by recipe."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from decar.errors import DataFormatError, ResourceError
from decar.record import Record, array_hash, canonical_json, read_header, read_record, write_record
from decar.schema import KINDS, STATEMENTS, schema_problems
from decar.store import Store
from decar.verify import verify_file


def record(**changes: object) -> Record:
    values = {
        "kind": "geometry",
        "recipe": "ab" * 32,
        "metadata": {"key": "k", "charge": -1, "energy": -76.123456789012345},
        "arrays": {"geometry_bohr": np.arange(6.0).reshape(2, 3), "atomic_numbers": np.array([1, 8], dtype=np.int32)},
        "provenance": {"created_utc": "2026-01-01T00:00:00+00:00"},
    }
    return Record(**{**values, **changes})


def test_round_trip_keeps_everything(tmp_path: Path) -> None:
    path = tmp_path / "a" / "record.h5"
    write_record(path, record())
    found = read_record(path)
    assert (found.kind, found.recipe, found.metadata) == ("geometry", "ab" * 32, record().metadata)
    np.testing.assert_array_equal(found.arrays["geometry_bohr"], record().arrays["geometry_bohr"])
    assert found.content_hash == record().content_hash == read_header(path)["content_hash"]


def test_large_arrays_are_compressed_without_loss(tmp_path: Path) -> None:
    voxels = np.random.default_rng(1).normal(size=(1, 40, 40, 40)).astype(np.float32)
    voxels[np.abs(voxels) < 1] = 0
    write_record(tmp_path / "r.h5", record(arrays={"0/electron_density": voxels}))
    np.testing.assert_array_equal(read_record(tmp_path / "r.h5").arrays["0/electron_density"], voxels)
    assert (tmp_path / "r.h5").stat().st_size < 0.6 * voxels.nbytes


def test_provenance_is_not_identity_but_results_are() -> None:
    assert record(provenance={}).content_hash == record().content_hash
    assert record(metadata={"key": "k", "charge": 0}).content_hash != record().content_hash
    moved = {**record().arrays, "geometry_bohr": np.arange(6.0).reshape(2, 3) + 1e-12}
    assert record(arrays=moved).content_hash != record().content_hash


@given(npst.arrays(np.float64, npst.array_shapes(max_dims=3, max_side=4), elements=st.floats(-1e6, 1e6)))
def test_array_hash_does_not_depend_on_memory_layout(array: np.ndarray) -> None:
    assert array_hash(np.asfortranarray(array)) == array_hash(array)
    assert array_hash(array.astype(">f8")) == array_hash(array)


def test_canonical_json_is_independent_of_order_and_refuses_nan() -> None:
    assert canonical_json({"b": 1, "a": [1.0, 2]}) == '{"a":[1.0,2],"b":1}' == canonical_json({"a": [1.0, 2], "b": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json({"a": float("nan")})


def test_truncated_foreign_and_newer_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "record.h5"
    write_record(path, record())
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataFormatError, match=r"cannot be read[\s\S]*record\.h5[\s\S]*run the workflow again"):
        read_record(path)
    path.write_bytes(whole.replace(b'"format_version":1', b'"format_version":9'))
    with pytest.raises(DataFormatError, match=r"unknown record format[\s\S]*seen: +9"):
        read_record(path)


def test_store_sets_a_damaged_record_aside(tmp_path: Path) -> None:
    store = Store(tmp_path)
    path = store.save("optimise", record())
    assert store.has("optimise", "ab", record().recipe)
    path.write_bytes(path.read_bytes()[:700])
    assert not store.has("optimise", "ab", record().recipe)
    assert path.with_suffix(".damaged").exists()


def whole(**arrays: object) -> Record:
    identity = {"key": "0" * 64, "smiles": "[OH]", "charge": 0, "multiplicity": 2}
    given = {
        "atomic_numbers": np.array([1, 8], dtype=np.int32),
        "geometry_bohr": np.arange(6.0).reshape(1, 2, 3),
        "energy_hartree": np.array([-75.0]),
        "bonds": np.array([[0, 1]]),
    }
    return record(metadata={**identity, "num_conformers": 1, "source": "embedded"}, arrays={**given, **arrays})


def test_verify_finds_changed_and_infinite_values(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert verify_file(store.save("optimise", whole())) == []
    endless = np.array([[[np.inf, 0, 0], [0, 0, 0]]])
    assert "1 values that are not finite" in verify_file(store.save("optimise", whole(geometry_bohr=endless)))[0]
    (problem,) = verify_file(store.save("optimise", whole(geometry_bohr=np.zeros((1, 3, 3)))))
    assert problem == "geometry_bohr has shape (1, 3, 3), not (1, 2, 3)"


def test_verify_names_what_the_schema_misses(tmp_path: Path) -> None:
    store = Store(tmp_path)
    problems = verify_file(store.save("optimise", record()))
    assert "metadata.smiles is missing" in problems
    assert "metadata.charge is missing" not in problems
    stated = {**whole().metadata, "charge": "0", "num_conformers": True}
    assert verify_file(store.save("optimise", replace(whole(), metadata=stated))) == [
        "metadata.charge is str, not int", "metadata.num_conformers is bool, not int",
    ]  # fmt: skip
    assert verify_file(store.save("optimise", whole(bonds=np.zeros((1, 2))))) == [
        "bonds is float64 of 2 dimensions, not i of 2"
    ]
    assert verify_file(store.save("optimise", whole(payload=np.zeros(1)))) == [
        "'payload' is not an array of a geometry record"
    ]


def schema_record(kind: str, **stated: object) -> Record:
    """Return a record with an entry of the right type for each that its kind must have."""
    examples = {str: "ab" * 32, int: 0, float: 0.0, list: [], dict: {}}
    entries = {name: examples[types[0]] for name, types in KINDS[kind].metadata.items()}
    return Record(kind, "ab" * 32, {**entries, **stated})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", STATEMENTS)
def test_every_kind_of_record_may_say_who_made_it_and_what_was_said_of_it(kind: str, name: str) -> None:
    sound: object = [{"text": "looked at"}] if name == "annotations" else "said"
    assert not [problem for problem in schema_problems(schema_record(kind, **{name: sound})) if name in problem]
    (problem,) = schema_problems(schema_record(kind, **{name: 5}))
    assert problem.startswith(f"metadata.{name} is int, not ")
    without = schema_record(kind)
    lacking = replace(without, metadata={entry: without.metadata[entry] for entry in without.metadata if entry != name})
    is_required = kind == "wavefunction" and name != "annotations"
    assert (f"metadata.{name} is missing" in schema_problems(lacking)) == is_required


def test_full_disk_is_named_and_leaves_nothing_half_written(tiny_disk: Path) -> None:
    store = Store(tiny_disk)
    store.save("optimise", record())
    noise = np.random.default_rng(0).normal(size=20000)
    with pytest.raises(ResourceError, match="the disk is full"):
        store.save("optimise", record(recipe="cd" * 32, arrays={"x": noise}))
    assert [path.name for path in tiny_disk.rglob("*") if path.is_file()] == [f"{'ab' * 32}.h5"]
