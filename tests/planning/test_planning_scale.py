"""Planning a large table: columns instead of rows, and exactly the names that row by row would give."""

import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rdkit import Chem
from tests.memory import peak_memory

from decar.config import MoleculesSettings, Study
from decar.config_file import parse_study
from decar.dataset.shards import bucket
from decar.dataset.splits import check_groups, make_splits
from decar.errors import ConfigError, DataFormatError
from decar.planning import hashing
from decar.planning.batches import batch_size_to_advise, buckets, make_batches
from decar.planning.downstream import _labelled
from decar.planning.hashing import keys_of
from decar.planning.identify import identify_row
from decar.planning.index import _first_of_key, _order, build_index, count_status, read_sound, write_index
from decar.planning.plan import make_plan
from decar.stages import MOLECULE_STAGES, digest, molecule_recipes, recipe_function, stage_recipe, stage_settings

KEYS = [digest(number) for number in range(120)]
TABLE = """\
id,name,smiles,active
a,ethanol,CCO,1
b,broken,C1CC,0
c,ethanol again,OCC,0
d,"glycine, zwitterion",[NH3+]CC(=O)[O-],
e,salt,CC(=O)O.[Na+].[Cl-],0
"""


BLOCK, OTHER_BLOCK = "one\n\n\nM  END\n", "two\n\n\nM  END\n"


def study(folder: Path, **workflow: int) -> Study:
    return parse_study(
        {
            "study": "s",
            "results": str(folder),
            "molecules": {"table": str(folder / "t.csv"), "labels": {"active": {"column": "active"}}},
            "training": {"property": "active", "models": {"m": {}}},
            "interpret": {"model": "m"},
            "figures": {"example": "a"},
            "workflow": workflow,
        }
    )


@pytest.fixture(autouse=True)
def _geometry(tmp_path: Path) -> None:
    """Write the table in which the one geometry of `molecules` stands; tests that read a table write their own."""
    (tmp_path / "t.csv").write_text(BLOCK)


def molecules(keys: list[str]) -> pa.Table:
    count = len(keys)
    return pa.table(
        {
            "key": sorted(keys), "smiles": ["C"] * count, "charge": [0] * count, "multiplicity": [1] * count,
            "geometry": pa.array([None] * (count - 1) + [digest(BLOCK)], type=pa.large_string()),
            "sdf_offset": pa.array([None] * (count - 1) + [0], type=pa.int64()),
        }
    )  # fmt: skip


@pytest.fixture
def settings(tmp_path: Path) -> MoleculesSettings:
    (tmp_path / "t.csv").write_text(TABLE)
    return study(tmp_path).molecules


TEXTS = st.none() | st.text()
NUMBERS = st.none() | st.floats(allow_infinity=False)
ROWS = st.lists(st.tuples(TEXTS, TEXTS, NUMBERS), max_size=12)


def as_table(rows: list[tuple[Any, ...]], text: pa.DataType, sizes: list[int]) -> pa.Table:
    """Return the rows as columns, cut into chunks of these sizes."""
    cuts = sorted({min(size, len(rows)) for size in [0, *sizes, len(rows)]})
    types = {"a": text, "b": text, "number": pa.float64()}
    return pa.table({
        name: pa.chunked_array(
            [pa.array([row[i] for row in rows[start:stop]], type=kind) for start, stop in pairwise(cuts)], type=kind
        )
        for i, (name, kind) in enumerate(types.items())
    })  # fmt: skip


@given(ROWS, ROWS, st.lists(st.integers(0, 12), max_size=3))
def test_digest_of_a_table_is_of_its_values_and_not_of_how_they_lie(
    one: list[tuple[Any, ...]], other: list[tuple[Any, ...]], cuts: list[int]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hashing, "PIECE", 3)
        found = hashing.table_digest(as_table(one, pa.string(), []))
        assert found == hashing.table_digest(as_table(one, pa.large_string(), cuts))
        # The same rows as a slice of more: what lies beside them does not enter.
        sliced = as_table([*other, *one, *other], pa.string(), cuts).slice(len(other), len(one))
        assert found == hashing.table_digest(sliced)
        # A missing number and one that is none are the same.
        shown = [repr([(a, b, None if n is None or math.isnan(n) else n) for a, b, n in rows]) for rows in (one, other)]
        assert (found == hashing.table_digest(as_table(other, pa.string(), []))) == (shown[0] == shown[1])


def test_digest_tells_texts_apart_that_join_alike() -> None:
    tables = [pa.table({"a": pa.array(texts)}) for texts in (["ab", "c"], ["a", "bc"], ["abc", ""], ["abc", None])]
    assert len({hashing.table_digest(table) for table in tables}) == len(tables)


def test_recipes_with_settings_hashed_once_are_the_recipes(tmp_path: Path) -> None:
    made = study(tmp_path)
    for geometry in ("", digest("a geometry")):
        parent = geometry
        for stage in MOLECULE_STAGES:
            options = stage_settings(made, stage)
            recipe = recipe_function(stage, options)(KEYS[0], parent)
            assert recipe == stage_recipe(stage, options, KEYS[0], parent)
            parent = recipe
        assert molecule_recipes(made, KEYS[0], geometry)[MOLECULE_STAGES[-1]] == parent


@pytest.mark.parametrize("number", [1, 2, 16, 64])
def test_buckets_of_all_keys_at_once_are_those_of_each(number: int) -> None:
    table = molecules(KEYS)
    found = [
        (prefix, table["key"].to_pylist()[start:stop]) for prefix, start, stop in buckets(keys_of(table["key"]), number)
    ]
    expected: dict[str, list[str]] = {}
    for key in sorted(KEYS):
        expected.setdefault(bucket(key, number), []).append(key)
    assert dict(found) == expected


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_batches_are_the_buckets_of_their_keys_from_stage_to_stage(tmp_path: Path, size: int) -> None:
    made = study(tmp_path, batch_size=size)
    batches = make_batches(made, molecules(KEYS))
    number = 1 << (-(-len(KEYS) // size) - 1).bit_length()
    members: dict[str, list[str]] = {}
    for key in sorted(KEYS):
        members.setdefault(key[:12] if size == 1 else bucket(key, number), []).append(key)
    assert max(map(len, members.values())) <= 2.5 * size
    before = {name: name for name in batches.sources}
    for stage, names in batches.parents.items():
        assert [name.split("-")[0] for name in names] == list(members)
        assert list(names.values()) == (list(before) if stage != MOLECULE_STAGES[0] else [""] * len(members))
        before = names
    assert len({name for names in batches.parents.values() for name in names}) == len(MOLECULE_STAGES) * len(members)
    sources = [pd.read_parquet(path) for path in batches.sources.values()]
    assert [rows["key"].tolist() for rows in sources] == list(members.values())
    assert [recipe for rows in sources for recipe in rows["recipe"] if recipe] == [digest(BLOCK)]
    assert [block for rows in sources for block in rows["molblock"].dropna()] == [BLOCK]
    assert batches.of(0, len(KEYS)) == sorted(batches.parents["fields"])


@pytest.mark.parametrize(
    ("edit", "moved"),
    [({"fields": {"spacing_angstrom": 0.7}}, ["fields"]),
     ({"quantum": {"basis": "sto-3g"}}, ["wavefunction", "fields"]),
     ({"seed": 5}, list(MOLECULE_STAGES)), ({"fields": {"write_cubes": True}}, [])],
)  # fmt: skip
def test_names_of_receipts_move_with_the_recipes_in_them(
    tmp_path: Path, edit: dict[str, Any], moved: list[str]
) -> None:
    first = study(tmp_path, batch_size=15)
    second = parse_study({**first.model_dump(mode="json", exclude_unset=True), **edit})
    parents = [make_batches(made, molecules(KEYS)).parents for made in (first, second)]
    assert [stage for stage in MOLECULE_STAGES if set(parents[0][stage]) != set(parents[1][stage])] == moved
    recipes = [molecule_recipes(made, KEYS[0]) for made in (first, second)]
    assert [stage for stage in MOLECULE_STAGES if recipes[0][stage] != recipes[1][stage]] == moved
    # Another geometry is another molecule to its own batch only; another spelling of a SMILES to none.
    table = molecules(KEYS)
    hashes = pa.array([None] * (len(KEYS) - 1) + [digest(OTHER_BLOCK)], type=pa.large_string())
    other = table.set_column(4, "geometry", hashes)
    spelt = table.set_column(1, "smiles", pa.array(["CC"] * len(KEYS)))
    names = [set(make_batches(first, each).parents["fields"]) for each in (table, spelt)]
    assert names[0] == names[1]
    with pytest.raises(DataFormatError, match="changed while it was planned"):
        make_batches(first, other)
    (tmp_path / "t.csv").write_text(OTHER_BLOCK)
    assert len(names[0] - set(make_batches(first, other).parents["fields"])) == 1


def test_geometries_are_in_memory_a_batch_at_a_time(tmp_path: Path) -> None:
    comment, names = 200_000, [f"{'C' * number}O" for number in range(1, 41)]
    with (tmp_path / "t.sdf").open("w") as file:
        for number, smiles in enumerate(names):
            molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
            molecule.AddConformer(Chem.Conformer(molecule.GetNumAtoms()))
            lines = Chem.MolToMolBlock(molecule).splitlines()
            lines[:3] = f"m{number}", "     RDKit          3D", "x" * comment
            file.write("\n".join([*lines, ">  <active>", str(number % 2), "", "$$$$", ""]))
    made = study(tmp_path, batch_size=1)
    made = made.model_copy(update={"molecules": made.molecules.model_copy(update={"table": tmp_path / "t.sdf"})})
    index = tmp_path / "index.parquet"

    def plan() -> None:
        write_index(made.molecules, tmp_path / "known", index)
        make_batches(made, read_sound(index, ["key", "smiles", "charge", "multiplicity", "geometry", "sdf_offset"]))

    assert peak_memory(plan) < len(names) * comment / 4
    rows = [pd.read_parquet(path) for path in (made.folder / "plan" / "batches").iterdir()]
    assert pd.concat(rows)["molblock"].str.len().gt(comment).tolist() == [True] * len(names)


def test_the_index_of_another_version_says_which_plan_to_delete(tmp_path: Path) -> None:
    index = tmp_path / "index-0123456789abcdef.parquet"
    pq.write_table(pa.table({"key": ["a" * 64], "status": ["ok"], "molblock": [None]}), index)
    with pytest.raises(DataFormatError, match="lacks columns") as error:
        read_sound(index, ["key", "geometry"])
    assert "geometry" in str(error.value)
    assert "*-0123456789abcdef.*" in str(error.value)


def test_an_edit_moves_one_batch_and_growth_cuts_anew(tmp_path: Path) -> None:
    made = study(tmp_path, batch_size=15)
    before = make_batches(made, molecules(KEYS)).parents["fields"]
    edited = make_batches(made, molecules([*KEYS[:-1], digest("another")])).parents["fields"]
    assert len(before) == 8
    assert len(set(before) - set(edited)) <= 2
    grown = make_batches(made, molecules([*KEYS, digest("one more")])).parents["fields"]
    assert not set(before) & set(grown)


def test_rows_of_keys_that_begin_alike_are_told_apart() -> None:
    alike = KEYS[0][:16] + KEYS[1][16:]
    keys = pa.chunked_array([pa.array([KEYS[0], None, alike, KEYS[2]])])
    places = np.array([2, 0, 1, 2, 3, 0, 1])
    assert _first_of_key(keys, places).tolist() == [0, 1, 2, 0, 4, 1, 6]


def test_labels_count_once_however_often_their_molecule_stands_in_the_table(
    settings: MoleculesSettings, tmp_path: Path
) -> None:
    def found(rows: str) -> str:
        settings.table.write_text(f"id,name,smiles,active\n{rows}")
        write_index(settings, tmp_path / "known", tmp_path / "index.parquet")
        _order.cache_clear()
        return _labelled(tmp_path / "index.parquet", "active")

    alone = found("a,n,CCO,1\nb,n,CCC,0\n")
    assert found("a,n,CCO,1\nb,n,CCC,0\nc,n,OCC,1\n") == alone
    assert found("b,n,CCC,0\nc,n,OCC,1\nd,broken,C1CC,1\n") == alone
    disputed = found("a,n,CCO,1\nb,n,CCC,0\nc,n,OCC,0\n")
    assert found("c,n,OCC,0\na,n,CCO,1\nb,n,CCC,0\n") == disputed
    missing = found("a,n,CCO,1\nb,n,CCC,0\nc,n,OCC,\n")
    assert found("c,n,OCC,\nb,n,CCC,0\na,n,CCO,1\n") == missing
    assert len({alone, disputed, missing, found("a,n,CCO,0\nb,n,CCC,0\n")}) == 4


def test_a_better_batch_size_is_named_for_many_molecules(tmp_path: Path) -> None:
    assert batch_size_to_advise(study(tmp_path, batch_size=1), 20_000) is None
    assert batch_size_to_advise(study(tmp_path, batch_size=1), 1_000_000) == 977
    assert batch_size_to_advise(study(tmp_path, batch_size=2), 1_000_000) is None


def test_a_plan_reports_the_better_batch_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [f"{'abcdefgh'[count]},,{'C' * (count + 1)}O,{count % 2}" for count in range(8)]
    (tmp_path / "t.csv").write_text("\n".join(["id,name,smiles,active", *rows]))
    content = study(tmp_path, batch_size=1).model_dump(mode="json")
    content["dataset"]["splits"] = [{"scheme": "random", "num_folds": 2}]
    monkeypatch.setattr("decar.planning.batches.MANY_JOBS", 7)
    monkeypatch.setattr("decar.planning.batches.GOOD_NUMBER", 4)
    reported: list[str] = []
    make_plan(tmp_path / "study.yaml", parse_study(content), report=reported.append)
    (message,) = [message for message in reported if "workflow.batch_size" in message]
    assert message.startswith("8 molecules are 8 jobs a stage")
    assert message.endswith("for example to 2")


def test_index_marks_failures_duplicates_and_missing_labels(settings: MoleculesSettings, tmp_path: Path) -> None:
    index = build_index(settings, tmp_path / "known").set_index("id")
    assert index["status"].to_dict() == {"a": "ok", "b": "failed", "c": "duplicate", "d": "ok", "e": "ok"}
    assert index.loc["c", "message"] == "the same molecule as row 1 (id a)"
    assert index.loc["c", "key"] == index.loc["a", "key"]
    assert index.loc["b", "reason"] == "unparsable"
    assert index.loc["d", "name"] == "glycine, zwitterion"
    assert index["label:active"].isna().to_dict() == {"a": False, "b": False, "c": False, "d": True, "e": False}
    expected = identify_row("neutral", ("CCO", None))
    assert {name: index.loc["a", name] for name in expected if expected[name] is not None} == {
        name: value for name, value in expected.items() if value is not None
    }


def test_index_identifies_new_rows_only(
    settings: MoleculesSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from decar.planning import identify

    seen: list[str] = []

    def counting(protonation: identify.Protonation, row: identify.Written) -> dict[str, object]:
        seen.append(row[0])
        return original(protonation, row)

    original = identify.identify_row
    monkeypatch.setattr(identify, "identify_row", counting)
    write_index(settings, tmp_path / "known", tmp_path / "1.parquet")
    assert sorted(seen) == sorted({"CCO", "C1CC", "OCC", "[NH3+]CC(=O)[O-]", "CC(=O)O.[Na+].[Cl-]"})
    seen.clear()
    settings.table.write_text(TABLE.replace("CCO", "CCCO"))
    write_index(settings, tmp_path / "known", tmp_path / "2.parquet")
    assert seen == ["CCCO"]
    assert count_status(tmp_path / "2.parquet") == {"ok": 4, "failed": 1}
    smiles = read_sound(tmp_path / "2.parquet", ["smiles"], sort_by="smiles")["smiles"].to_pylist()
    assert smiles == ["CC(=O)O", "CCCO", "CCO", "NCC(=O)O"]


def test_rows_are_known_by_structure_and_multiplicity(tmp_path: Path) -> None:
    made = study(tmp_path).molecules.model_copy(update={"multiplicity_column": "m"})
    made.table.write_text("id,name,smiles,active,m\na,x,[CH2],1,1\nb,y,[CH2],0,3\nc,z,[CH2],0,\nd,z,O,0,2\n")
    index = build_index(made, tmp_path / "known").set_index("id")
    assert index["status"].to_dict() == {"a": "ok", "b": "ok", "c": "duplicate", "d": "failed"}
    assert index["multiplicity"].tolist()[:3] == [1, 3, 1]
    without = study(tmp_path).molecules
    assert build_index(without, tmp_path / "known")["status"].tolist() == ["ok", "duplicate", "duplicate", "ok"]
    assert len(list((tmp_path / "known").rglob("*.parquet"))) == 2


def test_index_of_several_processes_is_that_of_one(settings: MoleculesSettings, tmp_path: Path) -> None:
    lines = "".join(f"m{i},n,{'C' * (1 + i % 30)}{'N' * (i % 11)}O,1\n" for i in range(300))
    settings.table.write_text("id,name,smiles,active\n" + lines)
    one = build_index(settings, tmp_path / "one")
    write_index(settings, tmp_path / "two", tmp_path / "two.parquet", processes=2)
    pd.testing.assert_frame_equal(one, pd.read_parquet(tmp_path / "two.parquet"))


def make_molecules(groups: list[str], scaffolds: list[str]) -> pd.DataFrame:
    return pd.DataFrame({"key": KEYS[: len(groups)], "split_group": groups, "scaffold": scaffolds})


@pytest.mark.parametrize("scheme", ["random", "scaffold"])
@pytest.mark.parametrize(
    ("groups", "scaffolds"),
    [("abcdef", ["", "", "", "", "", ""]), ("abcdef", ["x", "x", "y", "y", "", ""]), ("aabbcc", list("xyyzuv")),
     ("abcdef", list("xxxxxx")), ("aaaaaa", ["", "", "", "", "", ""])],
)  # fmt: skip
def test_counting_groups_refuses_what_making_them_refuses(groups: str, scaffolds: list[str], scheme: str) -> None:
    table = make_molecules(list(groups), scaffolds)
    for folds in (2, 3, 4, 5):
        split = study(Path()).dataset.splits[0].model_copy(update={"scheme": scheme, "num_folds": folds})
        outcomes = []
        for check in (lambda s=split: make_splits(table, s, 0), lambda s=split: check_groups(table, s)):
            outcomes.append(_refusal(check))
        assert outcomes[0] == outcomes[1]


def _refusal(check: Callable[[], object]) -> str | None:
    try:
        check()
    except ConfigError as error:
        return str(error)
    return None


def test_keys_of_a_slice_begin_where_it_begins() -> None:
    table = molecules(KEYS).slice(50, 10)
    assert keys_of(table["key"]).tolist() == [key.encode() for key in sorted(KEYS)[50:60]]
    assert np.array_equal(keys_of(molecules(KEYS)["key"])[50:60], keys_of(table["key"]))
