"""A bundle gives back what went in, says who gives it and on what terms, and is read by RO-Crate tools."""

import json
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from decar.exchange.bundle import header_line, write_bundle
from decar.exchange.bundle_reader import read_bundle
from decar.exchange.catalogue import Catalogue
from decar.exchange.container import open_files
from decar.exchange.limits import PART_NAME, is_bundle_name, parse_json
from decar.exchange.selection import Selection, select
from decar.exchange.tensors import Tensors, encode
from decar.record import Record
from decar.schema import KIND_OF_STAGE
from decar.store import Store

from .conftest import hashes, molecule_of, record_of


def bundled(store: Store, path: Path, wanted: Selection, is_used=lambda _stage, _recipe: True):
    with Catalogue() as catalogue:
        return write_bundle(path, select(store, catalogue, wanted, is_used), "test")


ALL = Selection(tuple(KIND_OF_STAGE), with_failures=True)


@pytest.mark.parametrize("name", ["bundle", "bundle.zip"])
def test_every_record_comes_back_with_its_content_hash_and_provenance(computed: Store, tmp_path: Path, name) -> None:
    summary = bundled(computed, tmp_path / name, ALL)
    assert summary.num_of_stage == {"conformers": 4, "fields": 3, "optimise": 4, "wavefunction": 3}
    with open_files(tmp_path / name) as files:
        found = {(record.stage, record.recipe): record.load() for record in read_bundle(files).records}
    assert {at: record.content_hash for at, record in found.items()} == hashes(computed)
    mine = record_of(computed, "wavefunction", "O")
    theirs = found["wavefunction", mine.recipe]
    assert (theirs.provenance, theirs.metadata) == (mine.provenance, mine.metadata)
    assert theirs.metadata["contributor"] == "0000-0002-1825-0097"
    assert theirs.metadata["review_state"] == "unreviewed"


TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
ARRAYS = npst.arrays(
    st.sampled_from([np.float64, np.float32, np.float16, np.int64, np.int32, np.uint8, np.bool_, np.dtype(">f8")]),
    npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3),
)


@settings(max_examples=25, deadline=None)
@given(st.dictionaries(TEXTS, VALUES, max_size=4), st.lists(ARRAYS, max_size=3))
def test_any_metadata_and_arrays_survive(metadata: dict, arrays: list[np.ndarray]) -> None:
    record = Record("geometry", "ab" * 32, metadata, {f"{number}/x": array for number, array in enumerate(arrays)})
    data = encode({f"{record.recipe}/{name}": np.asfortranarray(array) for name, array in record.arrays.items()})
    header = parse_json(header_line("optimise", record).encode(), 10**6, "test")
    back = Record(header["kind"], header["recipe"], header["metadata"], Tensors(data, "test").of(record.recipe))
    assert back.content_hash == record.content_hash


def test_selection_by_stage_molecule_licence_and_study(computed: Store, tmp_path: Path) -> None:
    water = molecule_of("O").key
    assert bundled(computed, tmp_path / "a", Selection()).num_of_stage == {
        "conformers": 4, "optimise": 3, "wavefunction": 3,
    }  # fmt: skip
    assert bundled(computed, tmp_path / "b", Selection(keys=(water[:10],))).num_records == 3
    licensed = bundled(computed, tmp_path / "c", Selection(licences=("CC-BY-4.0",)))
    assert licensed.num_of_stage == {"conformers": 3, "optimise": 3, "wavefunction": 3}
    only = record_of(computed, "wavefunction", "O").recipe
    assert bundled(computed, tmp_path / "d", Selection(), lambda _, recipe: recipe == only).num_records == 1


def test_neighbouring_parts_stay_small(computed: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("decar.exchange.bundle.PART_BYTES", 10_000)
    bundled(computed, tmp_path / "bundle", ALL)
    parts = [path for path in (tmp_path / "bundle").glob("*.safetensors") if path.name.startswith("fields")]
    assert len(parts) == 3
    with open_files(tmp_path / "bundle") as files:
        assert len(list(read_bundle(files).records)) == 14


def test_metadata_is_an_ro_crate_with_people_and_licences(computed: Store, tmp_path: Path) -> None:
    from rocrate.rocrate import ROCrate

    bundled(computed, tmp_path / "bundle", ALL)
    crate = ROCrate(str(tmp_path / "bundle"))
    assert crate.root_dataset["license"][0].id == "https://spdx.org/licenses/CC-BY-4.0"
    assert crate.root_dataset["author"][0].id == "https://orcid.org/0000-0002-1825-0097"
    parts = {entity.id: entity for entity in crate.root_dataset["hasPart"]}
    assert set(parts) == {path.name for path in (tmp_path / "bundle").iterdir()} - {"ro-crate-metadata.json"}
    for name, entity in parts.items():
        assert int(entity["contentSize"]) == (tmp_path / "bundle" / name).stat().st_size


def test_a_zip_is_stored_and_equal_records_make_equal_parts(computed: Store, tmp_path: Path) -> None:
    for name in ("a.zip", "b.zip"):
        bundled(computed, tmp_path / name, ALL)
    with ZipFile(tmp_path / "a.zip") as one, ZipFile(tmp_path / "b.zip") as other:
        assert {member.compress_type for member in one.infolist()} == {ZIP_STORED}
        for name in one.namelist():
            assert is_bundle_name(name)
            if PART_NAME.fullmatch(name):
                assert one.read(name) == other.read(name)
        manifest = json.loads(one.read("bundle.json"))
    assert manifest["licences"] == ["CC-BY-4.0"]
    assert manifest["num_records"] == 14
