"""Shards: what goes in comes out, chunk for chunk; what is damaged is refused."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from decar.dataset.shards import bucket, open_shard, read_manifest, verify_shard, write_shard
from decar.errors import DataFormatError
from decar.record import Place, Record, array_hash, write_record
from tests.dataset.synthetic_study import fields_record, key_of


@pytest.fixture
def shard(tmp_path: Path) -> tuple[Path, dict[str, Record]]:
    records = {key_of(number): fields_record(number, number % 2, 1 + number, large=number == 0) for number in range(3)}
    members: list[tuple[str, Place | Record]] = []
    for key, record in records.items():
        write_record(tmp_path / f"{key}.h5", record)
        members.append((key, Place(tmp_path / f"{key}.h5")))
    write_shard(tmp_path / "0-shard.h5", members, {"study": "synthetic"})
    return tmp_path / "0-shard.h5", records


def test_round_trip(shard: tuple[Path, dict[str, Record]]) -> None:
    path, records = shard
    assert verify_shard(path) == []
    with open_shard(path) as file:
        assert json.loads(file.attrs["study"]) == {"study": "synthetic"}
        for key, record in records.items():
            assert file[key].attrs["content_hash"] == record.content_hash
            for name, array in record.arrays.items():
                dataset = file[f"{key}/{name}"]
                np.testing.assert_array_equal(dataset[()], array)
                assert dataset.chunks == (1, *array.shape[1:])
                assert dataset.attrs["unit"] == record.metadata["fields"][name.split("/")[1]]["unit"]


def test_chunks_are_copied_as_they_are(shard: tuple[Path, dict[str, Record]]) -> None:
    path, _ = shard
    key, name = key_of(0), "0/electron_density"
    with h5py.File(path) as file, h5py.File(path.parent / f"{key}.h5") as record:
        copied = file[f"{key}/{name}"].id.read_direct_chunk((0, 0, 0, 0))
        stored = record[name].id.read_direct_chunk((0, 0, 0, 0))
    assert copied == stored
    assert len(copied[1]) < 40 * 32 * 32 * 4  # it is compressed


def test_manifest(shard: tuple[Path, dict[str, Record]]) -> None:
    path, records = shard
    manifest = read_manifest(path)
    assert len(manifest) == 1 + 2 + 3
    np.testing.assert_allclose(manifest.groupby("key")["weight"].sum(), 1.0)
    for row in manifest.to_dict("records"):
        array = records[row["key"]].arrays[f"{row['conformer']}/electron_density"]
        assert (row["shape_x"], row["shape_y"], row["shape_z"]) == array.shape[1:]
        assert json.loads(row["checksum"])["electron_density"] == array_hash(array)
        assert row["path"] == f"{row['key']}/{row['conformer']}"


def test_from_records_in_memory(tmp_path: Path) -> None:
    record = fields_record(5, 1)
    write_shard(tmp_path / "s.h5", [(key_of(5), record)], {})
    assert verify_shard(tmp_path / "s.h5") == []


def test_truncated_shard_is_refused(shard: tuple[Path, dict[str, Record]]) -> None:
    path, _ = shard
    content = path.read_bytes()
    for length in (0, 100, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(DataFormatError, match="cannot be read"):
            read_manifest(path)


def test_foreign_and_newer_files_are_refused(shard: tuple[Path, dict[str, Record]]) -> None:
    path, _ = shard
    with pytest.raises(DataFormatError, match="not a shard"):
        open_shard(path.parent / f"{key_of(0)}.h5")
    with h5py.File(path, "r+") as file:
        file.attrs["format_version"] = 99
    with pytest.raises(DataFormatError, match="99"):
        open_shard(path)


def test_verify_names_what_is_wrong(shard: tuple[Path, dict[str, Record]]) -> None:
    path, _ = shard
    with h5py.File(path, "r+") as file:
        file[f"{key_of(1)}/0/electron_density"][0, 0, 0, 0] = np.nan
        file[f"{key_of(2)}/1/electrostatic_potential"].attrs["unit"] = ""
        del file[f"{key_of(2)}/2"]
    problems = "\n".join(verify_shard(path))
    assert "1 values are not finite" in problems
    assert "do not match their checksum" in problems
    assert "it has no unit" in problems
    assert "2 conformers, expected 3" in problems


def test_damaged_or_foreign_record_is_refused(tmp_path: Path) -> None:
    write_record(tmp_path / "r.h5", fields_record(1, 1))
    with h5py.File(tmp_path / "r.h5", "r+") as file:
        file["0/electron_density"][0, 0, 0, 0] += 1
    with pytest.raises(DataFormatError, match="content hash"):
        write_shard(tmp_path / "s.h5", [(key_of(1), Place(tmp_path / "r.h5"))], {})
    with pytest.raises(DataFormatError, match="another molecule"):
        write_shard(tmp_path / "s.h5", [(key_of(2), fields_record(1, 1))], {})
    assert not list(tmp_path.glob("*s.h5*"))  # nothing half written is left


def test_buckets_are_leading_bits() -> None:
    keys = [key_of(number) for number in range(200)]
    assert {bucket(key, 1) for key in keys} == {"0"}
    assert all(bucket(key, 16) == key[0] for key in keys)
    assert all(bucket(key, 256) == key[:2] for key in keys)
    assert all(int(bucket(key, 32), 16) >> 1 == int(bucket(key, 16), 16) for key in keys)
