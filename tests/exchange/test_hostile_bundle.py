"""Bundles made to do harm are refused by name, before anything is allocated, followed or run."""

import hashlib
import json
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from decar.errors import DataFormatError
from decar.exchange.bundle import write_bundle
from decar.exchange.catalogue import Catalogue
from decar.exchange.incoming import open_source
from decar.exchange.limits import parse_json
from decar.exchange.merge import merge
from decar.exchange.tensors import Tensors, encode
from decar.record import canonical_json
from decar.schema import KIND_OF_STAGE
from decar.store import Store


@pytest.fixture
def bundle(computed: Store, tmp_path: Path) -> Path:
    with Catalogue() as catalogue:
        catalogue.add_store(computed, KIND_OF_STAGE)
        write_bundle(tmp_path / "bundle", catalogue, "test")
    return tmp_path / "bundle"


def edit_manifest(bundle: Path, change: Callable[[dict], None]) -> None:
    manifest = json.loads((bundle / "bundle.json").read_text())
    change(manifest)
    (bundle / "bundle.json").write_text(canonical_json(manifest))


def replace_part(bundle: Path, name: str, data: bytes) -> None:
    """Write a part and state its hash and size truly: a stranger can do that."""
    (bundle / name).write_bytes(data)

    def restate(manifest: dict) -> None:
        for part in manifest["parts"]:
            for which in ("records", "arrays"):
                if part[which]["file"] == name:
                    part[which] |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}

    edit_manifest(bundle, restate)


def refused(bundle: Path, message: str) -> None:
    with pytest.raises(DataFormatError, match=message):
        merge([bundle], Store(bundle.parent / "into"))
    assert not list(bundle.parent.glob("into/wavefunction/**/*.h5"))


def test_names_that_leave_the_folder(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.jsonl").write_text("{}")

    def outside(manifest: dict) -> None:
        manifest["parts"][0]["records"]["file"] = "../secret.jsonl"

    edit_manifest(bundle, outside)
    refused(bundle, r"no file of this name[\s\S]*\.\./secret")


@pytest.mark.parametrize("name", ["../evil.jsonl", "/etc/evil", "a/wavefunction-00000.jsonl", "C:evil", "x.pkl", ".x"])
def test_members_of_a_zip_with_other_names(bundle: Path, name: str) -> None:
    archive = bundle.with_suffix(".zip")
    with zipfile.ZipFile(archive, "w") as file:
        for path in bundle.iterdir():
            file.write(path, path.name)
        file.writestr(name, b"x")
    refused(archive, "no file of this name")
    assert not (archive.parent.parent / "evil.jsonl").exists()


def test_links_extra_files_and_pickles(bundle: Path) -> None:
    (bundle / "fields-00009.jsonl").symlink_to("/etc/passwd")
    refused(bundle, "plain files only")
    (bundle / "fields-00009.jsonl").unlink()
    (bundle / "fields-00009.jsonl").write_text("{}")
    refused(bundle, "files that its manifest does not list")
    (bundle / "fields-00009.jsonl").unlink()
    (bundle / "weights.pkl").write_bytes(b"cos\nsystem\n(S'touch pwned'\ntR.")
    refused(bundle, "no file of this name")


class Evil:
    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return os.mkdir, (str(self.trace),)


def test_a_pickle_under_the_name_of_arrays_is_not_run(bundle: Path, tmp_path: Path) -> None:
    replace_part(bundle, "wavefunction-00000.safetensors", pickle.dumps(Evil(tmp_path / "was_here")))
    report = merge([bundle], Store(tmp_path / "into"))
    assert report.total("refused") == 3
    assert {finding.stage for finding in report.findings} == {"wavefunction"}
    assert "header of the arrays is longer than allowed" in report.findings[0].reasons[0]
    assert not (tmp_path / "was_here").exists()


def test_compressed_members_are_bombs(bundle: Path) -> None:
    archive = bundle.with_suffix(".zip")
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("fields-00000.safetensors", bytes(50_000_000))
    assert archive.stat().st_size < 100_000
    refused(archive, r"compressed or encrypted[\s\S]*unpack it and merge the folder")


def test_wrong_hash_and_wrong_size(bundle: Path) -> None:
    part = bundle / "conformers-00000.jsonl"
    text = part.read_bytes()
    part.write_bytes(text.replace(b'"charge":0', b'"charge":1', 1))
    refused(bundle, "the hash of a part is not the one stated")
    part.write_bytes(text + b"{}\n")
    refused(bundle, "not as long as stated")


def test_a_declared_terabyte_costs_nothing(bundle: Path) -> None:
    def declare(manifest: dict) -> None:
        manifest["parts"][0]["arrays"]["bytes"] = 2**40

    edit_manifest(bundle, declare)
    refused(bundle, "missing, too large")
    with (bundle / "bundle.json").open("r+b") as file:
        file.truncate(2**40)  # a sparse file: a terabyte that takes no room
    refused(bundle, "too large")


def safetensors(header: dict, data: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


BAD_TENSORS = {
    "terabyte": safetensors({"a/x": {"dtype": "F64", "shape": [2**37], "data_offsets": [0, 2**40]}}),
    "overflow": safetensors({"a/x": {"dtype": "F64", "shape": [2**40, 2**40], "data_offsets": [0, 8]}}, bytes(8)),
    "negative": safetensors({"a/x": {"dtype": "F64", "shape": [-1], "data_offsets": [0, -8]}}),
    "too few bytes": safetensors({"a/x": {"dtype": "F64", "shape": [2], "data_offsets": [0, 8]}}, bytes(8)),
    "unknown type": safetensors({"a/x": {"dtype": "object", "shape": [1], "data_offsets": [0, 8]}}, bytes(8)),
    "hole": safetensors({"a/x": {"dtype": "F64", "shape": [1], "data_offsets": [8, 16]}}, bytes(16)),
    "overlap": safetensors(
        {f"a/{name}": {"dtype": "F64", "shape": [1], "data_offsets": [0, 8]} for name in "xy"}, bytes(8)
    ),
    "rest": safetensors({"a/x": {"dtype": "F64", "shape": [1], "data_offsets": [0, 8]}}, bytes(9)),
    "header beyond the end": struct.pack("<Q", 2**60) + b"{}",
    "no header": b"abc",
    "list": struct.pack("<Q", 2) + b"[]",
}


@pytest.mark.parametrize("case", BAD_TENSORS)
def test_arrays_that_are_not_where_they_say(case: str) -> None:
    with pytest.raises(DataFormatError):
        Tensors(BAD_TENSORS[case], "test")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":NaN}', "NaN is not JSON"),
        (b'{"a":1e999}', "too large a number"),
        (b'{"a":' + b"9" * 10_000 + b"}", "not JSON"),
        (b'{"a":1,"a":2}', "comes twice"),
        (b'{"a":"\xff"}', "not JSON"),
        (b'"' + b"x" * 2000 + b'"', "too long"),
    ],
)
def test_json_that_would_hurt(text: bytes, message: str) -> None:
    with pytest.raises(DataFormatError, match=message):
        parse_json(text, 1000 if b"xxx" in text else 10**6, "test")


def test_brackets_inside_texts_are_no_nesting() -> None:
    assert parse_json(b'{"a":"' + b"[" * 500 + b'\\""}', 10**6, "test") == {"a": "[" * 500 + '"'}


def test_a_record_of_another_type_or_molecule_is_refused_alone(bundle: Path, tmp_path: Path) -> None:
    """One header states another molecule, one array another type; the other records come in."""
    lines = (bundle / "conformers-00000.jsonl").read_text().splitlines()
    stated = json.loads(lines[0])
    stated["metadata"]["smiles"] = "CCO"
    replace_part(bundle, "conformers-00000.jsonl", "\n".join([canonical_json(stated), *lines[1:], ""]).encode())
    with open_source(bundle) as arrivals:
        records = [found.load() for found in arrivals.records if found.stage == "optimise"]
    changed = next(record for record in records if record.kind == "geometry")
    arrays = {f"{record.recipe}/{name}": array for record in records for name, array in record.arrays.items()}
    arrays[f"{changed.recipe}/geometry_bohr"] = arrays[f"{changed.recipe}/geometry_bohr"].astype(np.int64)
    replace_part(bundle, "optimise-00000.safetensors", encode(arrays))
    report = merge([bundle], Store(tmp_path / "into"))
    assert report.total("refused") == 2
    assert report.total("added") == 12
    reasons = {finding.stage: finding.reasons[0] for finding in report.findings}
    assert "content hash" in reasons["conformers"]
    assert reasons["optimise"] == "geometry_bohr is int64 of 3 dimensions, not f of 3"


def test_neither_store_nor_bundle(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.zip").write_text("no zip")
    for name, message in (("empty", "neither a store nor a bundle"), ("text.zip", "cannot be read as a zip")):
        with pytest.raises(DataFormatError, match=message):
            merge([tmp_path / name], Store(tmp_path / "into"))
