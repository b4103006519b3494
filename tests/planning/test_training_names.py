"""What gives a training job another name: labels that it learns, weights that it begins with; and what does not."""

import json
from pathlib import Path

import pytest

from decar.config import Study
from decar.errors import ConfigError
from decar.planning.batches import identity_digest
from decar.planning.downstream import name_downstream
from decar.planning.hashing import table_digest
from decar.planning.index import read_sound, write_index

TABLE = """\
id,name,smiles,sweet,mass
a,a,CO,1,32
b,b,CCO,0,46
c,c,CN,1,31
d,d,CCN,0,45
e,e,CCl,1,
f,f,CCC,0,44
"""


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def planned(table: str, learned: str = "sweet", unit: str | None = None, **many: object) -> dict[str, str]:
    """Return the folders of the training jobs by model and fold."""
    Path("table.csv").write_text(table)
    other = "mass" if learned == "sweet" else "sweet"
    settings = {
        "study": "s",
        "molecules": {"table": "table.csv", "labels": {"sweet": {"column": "sweet"},
                                                       "mass": {"column": "mass", "kind": "regression", "unit": unit}}},
        "dataset": {"splits": [{"scheme": "random", "num_folds": 2}]},
        "training": {"property": learned, "models": {"one": {}, "many": {"tasks": {other: {}}, **many}}},
        "interpret": {"model": "one"}, "figures": {"example": "a"},
    }  # fmt: skip
    study, index = Study.model_validate(settings), Path("index.parquet")
    write_index(study.molecules, Path("known"), index)
    molecules = read_sound(index, ["key", "smiles", "geometry"])
    smiles = table_digest(molecules.select(["smiles"]))
    jobs = name_downstream(study, index, identity_digest(molecules), smiles, ["shard"])["training"]
    return {f"{job.model} {job.fold}": job.folder for job in jobs}


def package(folder: str, weights: str) -> None:
    Path(folder, "model").mkdir(parents=True, exist_ok=True)
    Path(folder, "model", "config.json").write_text(json.dumps({"weights_sha256": weights}))


def test_a_job_is_named_by_the_labels_that_it_learns() -> None:
    before, after = planned(TABLE), planned(TABLE.replace("CCl,1,", "CCl,1,50"))
    assert [name for name in before if before[name] != after[name]] == ["many 0", "many 1"]


def test_a_job_is_named_by_the_unit_of_the_number_that_it_learns() -> None:
    """Its package states the unit, and networks of two units do not predict together."""
    for learned, renamed in (("mass", ["one 0", "one 1", "many 0", "many 1"]), ("sweet", ["many 0", "many 1"])):
        before, after = planned(TABLE, learned), planned(TABLE, learned, "u")
        assert [name for name in before if before[name] != after[name]] == renamed


def test_a_job_is_named_by_pretraining_where_there_is_any() -> None:
    plain, null, begun = planned(TABLE), planned(TABLE, pretraining=None), planned(TABLE, pretraining={"epochs": 3})
    assert plain == null
    assert [name for name in plain if plain[name] != begun[name]] == ["many 0", "many 1"]
    # A molecule without a label is one to learn fields from.
    more = planned(TABLE + "g,g,CCCC,,58\n", pretraining={"epochs": 3})
    assert [name for name in begun if begun[name] != more[name]] == list(begun)


def test_a_job_is_named_by_the_weights_that_it_begins_with() -> None:
    with pytest.raises(ConfigError, match="no single model package"):
        planned(TABLE, initial="old/fold{fold}-*")
    for fold in range(2):
        package(f"old/fold{fold}-x", "1")
    plain, begun = planned(TABLE), planned(TABLE, initial="old/fold{fold}-*")
    assert [name for name in plain if plain[name] != begun[name]] == ["many 0", "many 1"]
    package("old/fold1-x", "2")
    again = planned(TABLE, initial="old/fold{fold}-*")
    assert [name for name in begun if again[name] != begun[name]] == ["many 1"]
    # Where it lies is nothing.
    Path("old").rename("moved")
    assert planned(TABLE, initial="moved/fold{fold}-*") == again
