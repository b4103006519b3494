"""The store: loose records and packs are found alike, by any number of processes at a time."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decar.errors import DataFormatError, ResourceError
from decar.pack import may_hold, pack_name
from decar.record import Place, Record, read_record
from decar.stages import digest
from decar.store import Store
from decar.verify import verify_file

KEYS = [digest(number) for number in range(12)]


def record(key: str) -> Record:
    voxels = np.random.default_rng(int(key[:8], 16)).normal(size=(2, 24, 24, 24)).astype(np.float32)
    number = np.arange(3, dtype=np.float32).reshape(1, 1, 1, 3)
    metadata = {
        "key": key, "smiles": "O", "num_conformers": 1, "conformers": [{"grid": {}, "quality": {}}],
        "fields": {"x": {}, "n": {}},
    }  # fmt: skip
    return Record("fields", digest(["recipe", key]), metadata, {"0/x": voxels, "0/n": number})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    found = Store(tmp_path / "store")
    for key in KEYS:
        found.save("fields", record(key))
    return found


MEMBERS = [(key, record(key).recipe) for key in KEYS]


def test_a_packed_record_is_the_record_that_was_saved(store: Store) -> None:
    (pack,) = store.pack("fields", MEMBERS)
    assert list(store.root.rglob("*.h5")) == [pack]
    for key, recipe in MEMBERS:
        assert store.has("fields", key, recipe)
        found = store.load("fields", key, recipe)
        assert found.content_hash == record(key).content_hash
        np.testing.assert_array_equal(found.arrays["0/x"], record(key).arrays["0/x"])
    assert dict(store.places("fields")) == {recipe: Place(pack, recipe) for _, recipe in MEMBERS}
    assert store.stages() == ["fields"]
    assert verify_file(pack) == []
    # One chunk a channel, compressed, as in the loose file.
    with h5py.File(pack) as file:
        assert file[f"{MEMBERS[0][1]}/0/x"].chunks == (1, 24, 24, 24)


def test_what_is_packed_stays_and_new_records_make_new_packs(store: Store) -> None:
    (first,) = store.pack("fields", MEMBERS[:6])
    before = first.read_bytes()
    assert store.pack("fields", MEMBERS[:7]) == []  # one loose record is as good as a pack
    assert store.path("fields", MEMBERS[6][1]).exists()
    (second,) = store.pack("fields", MEMBERS)
    assert first.read_bytes() == before
    assert first != second
    assert all(store.has("fields", key, recipe) for key, recipe in MEMBERS)


def test_another_store_object_sees_what_was_packed_after_it_looked(store: Store) -> None:
    early = Store(store.root)
    assert early.has("fields", *MEMBERS[0])
    store.pack("fields", MEMBERS)
    assert early.load("fields", *MEMBERS[0]).content_hash == record(KEYS[0]).content_hash


def test_readers_never_miss_a_record_while_it_is_packed(store: Store) -> None:
    def read(_: int) -> bool:
        reader = Store(store.root)
        return all(reader.load("fields", key, recipe).metadata["key"] == key for key, recipe in MEMBERS * 4)

    with ThreadPoolExecutor(4) as pool:
        readers = pool.map(read, range(4))
        for start in range(0, 12, 3):
            store.pack("fields", MEMBERS[start : start + 3])
        assert all(readers)


def test_a_damaged_pack_is_set_aside_and_its_records_count_as_absent(store: Store, tmp_path: Path) -> None:
    (pack,) = store.pack("fields", MEMBERS[:6])
    pack.write_bytes(pack.read_bytes()[:5000])
    receipt = tmp_path / "receipt.parquet"
    receipt.touch()
    with pytest.raises(ResourceError, match="6 records that were computed before are missing or damaged"):
        store.require("fields", MEMBERS, receipt)
    assert not receipt.exists()
    assert pack.with_suffix(".damaged").exists()
    assert [store.has("fields", key, recipe) for key, recipe in MEMBERS] == [False] * 6 + [True] * 6


def test_verify_names_the_record_in_a_pack_that_was_changed(store: Store) -> None:
    (pack,) = store.pack("fields", MEMBERS)
    with h5py.File(pack, "r+") as file:
        file[f"{MEMBERS[4][1]}/0/n"][0, 0, 0, 1] = 77
    (problem,) = verify_file(pack)
    assert problem.startswith(f"{MEMBERS[4][1][:16]}: content hash is ")


def test_a_pack_read_as_a_record_names_one_that_it_holds(store: Store) -> None:
    (pack,) = store.pack("fields", MEMBERS)
    with pytest.raises(DataFormatError, match=rf"12 records[\s\S]*name one of them, such as {pack}:[0-9a-f]{{64}}"):
        read_record(pack)
    place = Place(pack, MEMBERS[3][1])
    assert Place.parse(str(place)) == place
    assert read_record(Place.parse(str(place))).metadata["key"] == KEYS[3]
    assert Place.parse("C:/a.h5") == Place(Path("C:/a.h5"))


@given(
    st.lists(st.text("0123456789abcdef", min_size=16, max_size=64), min_size=1, max_size=8), st.integers(0, 2**64 - 1)
)
def test_the_name_of_a_pack_allows_for_every_member_and_is_as_narrow_as_can_be(keys: list[str], other: int) -> None:
    path = Path(pack_name(keys, ["ab"]))
    assert all(may_hold(path, key) for key in keys)
    bits = int(path.name.split("-")[0])
    shared = 64 - (other ^ int(keys[0][:16], 16)).bit_length()
    assert may_hold(path, f"{other:016x}") == (shared >= bits)
