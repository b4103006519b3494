"""From a table that a stranger wrote to predictions, through the stages themselves."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from click.testing import Result
from typer.testing import CliRunner

from decar.chemistry import chemistry_of, differences
from decar.cli import app
from decar.config import Study
from decar.errors import ConfigError, DataFormatError
from decar.models.package import Package, load_package
from decar.predict.conditions import conditions, load_members
from decar.predict.ensemble import predict_molecule, spread
from decar.predict.run import value_columns
from decar.predict.table import read_molecules
from decar.stages import molecule_recipes
from decar.store import Store
from tests.docs.commands import Line
from tests.predict.conftest import Made

TABLE = """\
Compound;Vendor SMILES;Price
water;O;1.5
broken;C1CC;2
methanol;CO;3
nothing;;4
water again;[OH2];5
lead acetate;CC(=O)O[Pb]OC(C)=O;6
too;many;cells;here
"""


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def decar(*arguments: object) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


def test_a_strangers_table_becomes_predictions(made: Made, tmp_path: Path, documented: list[Line]) -> None:
    (tmp_path / "molecules.csv").write_text(TABLE)
    (line,) = documented
    _, *words = line.filled({"MODEL...": made.jobs, "predictions.csv": "out.csv"})
    command = (*words, "--store", made.study.store)
    done = decar(*command)
    assert done.exit_code == 0, done.output
    assert "3 of 7 rows predicted" in done.stdout
    found = pd.read_csv(tmp_path / "out.csv")
    assert found["id"].tolist() == [line.split(";")[0] for line in TABLE.splitlines()[1:]]
    failed = found.loc[found["status"] == "failed"].set_index("id")["reason"].to_dict()
    assert failed == {"broken": "unparsable", "nothing": "no_structure", "too": "ragged_row",
                      "lead acetate": "element_without_parameters"}  # fmt: skip
    ok = found.loc[found["status"] == "ok"].set_index("id")
    assert ok["sweet"].between(0, 1).all()
    assert ok["mass"].between(10, 40).all()  # of 16 to 38 u
    assert (ok["sweet_sd"] ** 2).to_numpy() == pytest.approx(
        (ok["sweet_sd_models"] ** 2 + ok["sweet_sd_rotations"] ** 2).to_numpy()
    )
    assert ok.loc["water", "sweet"] == ok.loc["water again", "sweet"]
    assert ok["num_models"].eq(2).all()
    assert ok["in_domain"].isin([True, False]).all()
    account = json.loads((tmp_path / "out.csv.json").read_text())
    assert [model["licence"] for model in account["models"]] == ["CC-BY-4.0"] * 2
    # What was computed is not computed again, and the same bytes come out.
    before = (tmp_path / "out.csv").read_bytes()
    again = decar(*command, "--processes", 2)
    assert again.exit_code == 0, again.output
    assert (tmp_path / "out.csv").read_bytes() == before
    third = decar(*command)
    assert "in the store" in third.stderr
    assert "done in" not in third.stderr


def test_a_training_molecule_is_predicted_as_it_was_in_training(made: Made, tmp_path: Path) -> None:
    """One network, no rotation: the whole path gives the probability that the training job stored."""
    stored = pd.read_parquet(made.jobs[0] / "predictions.parquet").set_index("key")["prediction"]
    (tmp_path / "table.smi").write_text("".join(f"{row.raw} {row.id}\n" for row in made.index.itertuples()))
    done = decar("predict", made.jobs[0], "table.smi", "-o", "out.csv", "--store", made.study.store,
                 "--rotations", 1)  # fmt: skip
    assert done.exit_code == 0, done.output
    found = pd.read_csv(tmp_path / "out.csv").set_index("key")
    assert len(found) == len(stored)
    assert found["sweet"].to_numpy() == pytest.approx(stored[found.index].to_numpy(), abs=1e-6)
    masses = pd.read_parquet(made.jobs[0] / "task_predictions.parquet").set_index("key")["value"]
    assert len(masses) == len(stored) - 1
    assert found.loc[masses.index, "mass"].to_numpy() == pytest.approx(masses.to_numpy(), abs=1e-4)
    # Of the training molecules each is its own neighbour.
    subset = pd.read_parquet(made.jobs[0] / "predictions.parquet").set_index("key")["subset"]
    trained = found.loc[subset[found.index] == "train"]
    assert trained["similarity"].tolist() == [1.0] * len(trained)
    assert trained["distance_ratio"].max() < 1e-3
    assert trained["in_domain"].all()


def test_another_spacing_is_refused_unless_told(made: Made, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("smiles\nO\n")
    study = made.study.model_dump(mode="json")
    study["fields"]["spacing_angstrom"] = 1.0
    study["conformers"]["num_kept"] = 2
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study))
    command = ("predict", made.jobs[0], "table.csv", "-o", "out.csv", "--study", "study.yaml")
    refused = decar(*command)
    assert isinstance(refused.exception, ConfigError)
    assert "spacing_angstrom: 1.0" in str(refused.exception)
    assert not (tmp_path / "out.csv").exists()
    told = decar(*command, "--allow-mismatch")
    assert told.exit_code == 0, told.output
    assert "fields.spacing_angstrom 1.0 instead of 0.8" in told.stderr
    assert "conformers.num_kept was 1 in training and is 2 here" in told.stderr
    assert pd.read_csv(tmp_path / "out.csv")["status"].tolist() == ["ok"]


def test_conformers_are_averaged_over_and_a_far_molecule_is_outside(made: Made, tmp_path: Path) -> None:
    """Glycol bends, and has more heavy atoms than any training molecule."""
    (tmp_path / "table.smi").write_text("OCCO glycol\n")
    done = decar("predict", *made.jobs, "table.smi", "-o", "out.csv", "--store", made.study.store, "--conformers", 2)
    assert done.exit_code == 0, done.output
    assert "1 of 1 rows predicted, 1 outside the domain" in done.stdout
    (row,) = pd.read_csv(tmp_path / "out.csv").to_dict("records")
    assert (row["num_models"], row["num_conformers"], row["num_rotations"]) == (2, 2, 6)
    for name in ("sweet", "mass"):
        parts = [row[f"{name}_sd_{source}"] for source in ("models", "conformers", "rotations")]
        assert min(parts) > 0
        assert row[f"{name}_sd"] == pytest.approx(np.linalg.norm(parts))
    assert row["in_domain"] is False
    assert row["similarity"] == 0
    assert row["distance_ratio"] > 2


@pytest.mark.parametrize(
    ("similarity", "distance", "is_inside"), [(1.0, 1.01, True), (1.01, 1.01, False), (1.0, 0.99, False)]
)
def test_inside_is_within_both_thresholds_of_every_model(
    made: Made, similarity: float, distance: float, is_inside: bool
) -> None:
    """One model's thresholds are given in units of the molecule's own similarity and distance; the other's are wide."""
    molecule = made.index.set_index("smiles").loc["FF"]
    key = str(molecule["key"])
    record = Store(made.study.store).load("fields", key, molecule_recipes(made.study, key)["fields"])

    def with_thresholds(member: Package, similarity: float, distance: float) -> Package:
        assert member.domain is not None
        thresholds = replace(member.domain.thresholds, similarity=similarity, distance=distance)
        return replace(member, domain=replace(member.domain, thresholds=thresholds))

    one, other = load_members(made.jobs)
    own = predict_molecule([with_thresholds(one, 0.0, 1.0)], record, "FF", 1)
    assert own["similarity"] == 0.25  # one of the four bits of difluorine and its neighbour, fluoromethane, is common
    one = with_thresholds(one, similarity * own["similarity"], distance * own["distance_ratio"])
    wide = with_thresholds(other, 0.0, np.inf)
    for members in ([one, wide], [wide, one]):
        assert predict_molecule(members, record, "FF", 1)["in_domain"] is is_inside


@pytest.mark.parametrize(
    ("section", "name", "value", "text"),
    [
        ("quantum", "basis", "3-21g", "quantum.basis '3-21g' instead of 'sto-3g'"),
        ("quantum", "method", "pbe", "quantum.method 'pbe' instead of 'hf'"),
        ("optimise", "methods", [], "optimise.methods [] instead of ['mmff']"),
    ],
)
def test_another_level_is_refused_unless_told(
    made: Made, tmp_path: Path, section: str, name: str, value: object, text: str
) -> None:
    """Where it is allowed, molecules are computed as the study says, not as the model was trained."""
    content = made.study.model_dump(mode="json")
    content[section][name] = value
    own, members, told = Study.model_validate(content), load_members(made.jobs), list[str]()
    with pytest.raises(ConfigError, match=rf"{section}\.{name}: {re.escape(str(value))}"):
        conditions(members, tmp_path / "t.csv", None, own, None, False, told.append)
    assert told == []
    chosen = conditions(members, tmp_path / "t.csv", None, own, None, True, told.append)
    assert chosen.model_dump(mode="json")[section][name] == value
    assert [line.split(": ", 1)[1].startswith(text) for line in told] == [True, True]


def test_level_and_geometry_are_compared_and_names_of_fields_are_not(made: Made) -> None:
    one = chemistry_of(made.study)
    fields = {**one["fields"], "names": ["laplacian"]}
    assert differences(one, {**one, "fields": fields, "quantum": {**one["quantum"], "method": "HF"}}) == {}
    other = {**one, "optimise": {**one["optimise"], "methods": [], "dispersion": None}, "seed": 1}
    assert differences(one, other) == {"optimise.methods": (["mmff"], []), "seed": (2305, 1)}


def test_the_package_states_everything(made: Made) -> None:
    network, config = load_package(made.jobs[0] / "model")
    assert config["contributor"] == "A. Chemist"
    assert config["chemistry"] == json.loads(json.dumps(chemistry_of(made.study)))
    assert config["domain"]["num_training"] + config["domain"]["num_validation"] < len(made.index)
    card = (made.jobs[0] / "model" / "card.md").read_text()
    properties = ("| sweet | binary |", "| mass | regression | u |")
    for text in ("CC-BY-4.0", "Tanimoto", *properties, "decar predict", config["weights_sha256"]):
        assert text in card
    assert network.num_outputs == 2
    domain = made.jobs[0] / "model" / "domain.safetensors"
    assert domain.exists()


@pytest.mark.parametrize(
    ("text", "ids", "raw"),
    [
        ("smiles\nCO\nC\n", ["1", "2"], ["CO", "C"]),
        ("CO,methanol\nCC,ethane\n", ["1", "2"], ["CO", "CC"]),  # no header
        ("Name\tMolecule\tpIC50\nx\tCC(=O)O\t5\ny\tCCO\t6\n", ["x", "y"], ["CC(=O)O", "CCO"]),  # a name of its own
        ('id,SMILES\n"a, b","C(C)O"\n\n', ["a, b"], ["C(C)O"]),
        ("\ufeffcanonical_smiles|x\nCO|1\n", ["1"], ["CO"]),
    ],
)
def test_columns_are_guessed(tmp_path: Path, text: str, ids: list[str], raw: list[str]) -> None:
    (tmp_path / "t.csv").write_text(text)
    found = read_molecules(tmp_path / "t.csv")
    assert found["id"].tolist() == ids
    assert found["raw"].tolist() == raw
    assert found["problem"].isna().all()


def test_a_table_that_cannot_be_told_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b\nCCO,CCC\nCO,CC\n")
    with pytest.raises(ConfigError, match="several columns"):
        read_molecules(path)
    assert read_molecules(path, smiles_column="b")["raw"].tolist() == ["CCC", "CC"]
    path.write_text("a,b\n1,2\n")
    with pytest.raises(ConfigError, match="no column"):
        read_molecules(path)
    path.write_text("")
    with pytest.raises(DataFormatError, match="empty"):
        read_molecules(path)
    with pytest.raises(ConfigError, match="does not exist"):
        read_molecules(tmp_path / "none.csv")


def test_variances_add_up() -> None:
    values = np.random.default_rng(1).uniform(size=(3, 4, 5))
    found = spread(values)
    assert found["sd"] ** 2 == pytest.approx(values.var())
    assert found["sd"] ** 2 == pytest.approx(
        sum(found[f"sd_{name}"] ** 2 for name in ("models", "conformers", "rotations"))
    )
    single = spread(values[:1, :1])
    assert np.isnan(single["sd_models"])
    assert single["sd"] == pytest.approx(single["sd_rotations"])
    assert np.isnan(spread(values[:1, :1, :1])["sd"])


def test_a_model_and_a_control_are_no_ensemble(made: Made, tmp_path: Path) -> None:
    shutil.copytree(made.jobs[0] / "model", tmp_path / "control")
    config = tmp_path / "control" / "config.json"
    config.write_text(config.read_text().replace('"role": "model"', '"role": "control"'))
    assert len(load_members([tmp_path / "control"])) == 1
    with pytest.raises(ConfigError, match="no ensemble"):
        load_members([made.jobs[1], tmp_path / "control"])


def test_columns_of_values_are_named_by_property(made: Made) -> None:
    members = load_members([made.jobs[0] / "model", made.jobs[1]])
    assert value_columns(members[1])[::5] == ["sweet", "mass"]
