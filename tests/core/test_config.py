"""The study file: strict, complete in itself, and documented by what it is."""

import json
import re
from pathlib import Path

import pytest
import yaml

from decar.config import Study
from decar.config_docs import render_readme
from decar.config_file import load_study, parse_study
from decar.errors import ConfigError


@pytest.fixture
def data(root: Path) -> dict:
    return yaml.safe_load((root / "config.yaml").read_text())


@pytest.mark.parametrize("name", ["config.yaml", "examples/paper.yaml"])
def test_shipped_studies_are_well_formed(root: Path, name: str) -> None:
    assert load_study(root / name).training.property == "sweet"


@pytest.mark.parametrize(
    ("section", "key", "value", "message"),
    [
        ("quantum", "bassis", "sto-3g", "unknown key 'quantum.bassis'; did you mean 'basis'?"),
        ("fields", "spacing_angstrom", -0.1, "fields.spacing_angstrom: Input should be greater than 0 (seen: -0.1)"),
        ("conformers", "num_kept", 0, "conformers.num_kept: Input should be greater than or equal to 1 (seen: 0)"),
        ("dataset", "num_shards", 12, "num_shards must be a power of two, not 12"),
        ("workflow", "batch_size", 0, "workflow.batch_size: Input should be greater than or equal to 1 (seen: 0)"),
        ("interpret", "model", "decra", "interpret.model is 'decra'"),
    ],
)
def test_wrong_value_names_the_key_and_the_value(
    data: dict, section: str, key: str, value: object, message: str
) -> None:
    data.setdefault(section, {})[key] = value
    with pytest.raises(ConfigError, match=re.escape(message)):
        parse_study(data)


def test_unknown_key_in_a_nested_mapping_names_its_place(data: dict) -> None:
    data["training"]["models"]["decar"]["chanels"] = [1]
    with pytest.raises(ConfigError, match=r"'training\.models\.decar\.chanels'; did you mean 'channels'\?"):
        parse_study(data)


def test_model_may_not_see_a_field_that_is_not_computed(data: dict) -> None:
    data["fields"]["names"] = ["promolecular_density"]
    with pytest.raises(ConfigError, match=r"training\.models\.decar\.fields has \['electron_density'\]"):
        parse_study(data)


def test_a_network_without_kernels_to_correlate_is_not_explained(data: dict) -> None:
    data["training"]["models"]["decar"]["architecture"] = "residual"
    with pytest.raises(ConfigError, match=r"interpret\.model 'decar' is of architecture 'residual'"):
        parse_study(data)


def test_control_of_permuted_labels_is_the_explained_network_but_for_them(data: dict) -> None:
    own = data["training"]["models"]["decar"]
    data["training"]["models"]["control"] = {**own, "role": "control", "permuted_labels": True}
    data["interpret"]["permuted_control"] = "control"
    assert parse_study(data).interpret.permuted_control == "control"
    data["training"]["models"]["control"]["kernel_size"] = 5
    with pytest.raises(ConfigError, match=r"differs in \['kernel_size', 'permuted_labels'\]"):
        parse_study(data)
    data["interpret"]["permuted_control"] = "decar"
    with pytest.raises(ConfigError, match="differs in nothing"):
        parse_study(data)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"architecture": "published"}, r"setting of a `steerable` network: leave it out of a `published` one"),
        ({"channels": [4]}, r"one diameter for each layer of `channels`: 1, not 2"),
        ({"kernel_diameters_angstrom": [2.4, 4.0]}, r"layer 1 are too small[\s\S]*training\.models\.turning: kernel_d"),
    ],
)
def test_kernels_in_angstrom_fit_their_network_and_spacing(data: dict, changed: dict, message: str) -> None:
    data["fields"]["spacing_angstrom"] = 0.4
    given = {"architecture": "steerable", "channels": [4, 4], "kernel_diameters_angstrom": [3.2, 4.0]}
    data["training"]["models"]["turning"] = given
    assert parse_study(data).training.models["turning"].kernel_taps(0.4) == [8, 5]
    data["training"]["models"]["turning"] = given | changed
    with pytest.raises(ConfigError, match=message):
        parse_study(data)


def test_property_that_cannot_be_learned_is_refused(data: dict) -> None:
    data["molecules"]["labels"]["sweet"]["kind"] = "multiclass"
    with pytest.raises(ConfigError, match=r"'sweet' is multiclass[\s\S]*learned beside it"):
        parse_study(data)


def test_regression_names_its_halves_and_has_no_auroc(data: dict) -> None:
    data["molecules"]["labels"]["sweet"] |= {"kind": "regression", "unit": "kJ/mol"}
    named = {"positive_name": "sweet", "negative_name": "not sweet"}
    data["figures"] = {name: value for name, value in data["figures"].items() if name not in named}
    study = parse_study(data)
    assert (study.figures.positive_name, study.figures.negative_name) == ("above the median", "up to the median")
    data["figures"]["positive_name"] = "sweet"
    assert parse_study(data).figures.positive_name == "sweet"
    assert parse_study(data).figures.negative_name == "up to the median"
    name = next(iter(data["training"]["models"]))
    data["training"]["models"][name]["stop_by"] = "auroc"
    with pytest.raises(ConfigError, match=rf"training.models.{name}.stop_by is 'auroc'[\s\S]*regression"):
        parse_study(data)
    data["training"]["models"][name]["stop_by"] = "loss"
    data["benchmark"] = {"tuned": {name: {"stop_by": ["loss", "auroc"]}}}
    with pytest.raises(ConfigError, match=rf"benchmark.tuned.{name}.stop_by is 'auroc'"):
        parse_study(data)


def test_missing_and_broken_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"does not exist[\s\S]*absent\.yaml"):
        load_study(tmp_path / "absent.yaml")
    broken = tmp_path / "broken.yaml"
    broken.write_text("study: [")
    with pytest.raises(ConfigError, match=r"not valid YAML[\s\S]*broken\.yaml"):
        load_study(broken)


def test_documentation_agrees_with_the_schema(root: Path) -> None:
    """`make docs` writes both."""
    assert (root / "config" / "README.md").read_text() == render_readme()
    assert json.loads((root / "config" / "schema.json").read_text()) == json.loads(
        json.dumps(Study.model_json_schema())
    )
