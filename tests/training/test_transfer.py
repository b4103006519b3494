"""A network that begins with another one: what is taken over, what is new, what stays, what is refused."""

import json
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml
from typer.testing import CliRunner

from decar.cli import app
from decar.config import Study
from decar.dataset.statistics import load_normalisation
from decar.errors import ConfigError
from decar.models.build import build_network
from decar.models.network import Network
from decar.models.package import load_package
from decar.models.place import initial_weights
from decar.models.task import Task
from decar.training.train import train
from decar.training.transfer import begin_with, load_initial, take_over
from tests.dataset.synthetic_study import SPACING, make_dataset
from tests.training.many_tasks import make_many_tasks

Made = tuple[Study, tuple[Path, Path], Path]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A network of four properties, trained on fold 0."""
    folder = tmp_path_factory.mktemp("transfer")
    study, data = make_many_tasks(folder, max_epochs=2)
    train(study, *data, "density", "random", 0, folder / "jobs" / "density-random-fold0-abc")
    return study, data, folder / "jobs" / "density-random-fold0-abc"


def begun(made: Made, tasks: list[Task], **changes: object) -> tuple[Network, Network, str]:
    """Return the initial network, a new one that took over its weights, and what is said of it."""
    study, _, job = made
    settings = study.training.models["density"].model_copy(update={"initial": str(job), **changes})
    initial = load_initial(settings, "random", 0)
    assert initial is not None
    network = build_network(settings, SPACING, len(settings.fields), sum(task.num_outputs for task in tasks))
    network.initialise(7)
    return initial.network, network, take_over(initial, network, tasks, study, [])


def is_equal(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_going_on_takes_everything_over(made: Made) -> None:
    tasks = [Task.from_json(entry) for entry in load_package(made[2] / "model")[1]["tasks"]]
    old, new, change = begun(made, tasks)
    assert change == "new: nothing"
    assert is_equal(old, new)


def test_another_property_has_a_new_output_and_a_common_one_keeps_its_own(made: Made) -> None:
    before = [Task.from_json(entry) for entry in load_package(made[2] / "model")[1]["tasks"]]
    length = Task("length", "regression", "bohr", mean=before[3].mean + 1, scale=2 * before[3].scale)
    old, new, change = begun(made, [Task("sour"), Task("sweet"), length])
    assert change == "new: output of sour"
    parts, given = new.parts(), old.parts()
    assert all(is_equal(parts[name], given[name]) for name in list(parts)[:-1])
    hidden = torch.rand(3, 16)
    fresh, known = parts["output"](hidden), given["output"](hidden)
    assert torch.allclose(fresh[:, 1], known[:, 0])
    # The same value in the unit, from a standardisation of its own.
    assert torch.allclose(length.mean + length.scale * fresh[:, 2], before[3].mean + before[3].scale * known[:, 5])
    assert not torch.allclose(fresh[:, 0], known[:, 0])


def test_other_fields_have_a_new_first_part(made: Made) -> None:
    old, new, change = begun(made, [Task("sweet")], fields=("electrostatic_potential", "electron_density"))
    assert change == "new: layer1 (other fields)"
    assert new.num_inputs == 2
    assert is_equal(old.parts()["layer2"], new.parts()["layer2"])


def test_random_weights_can_be_frozen_and_the_best_order_kept(made: Made, tmp_path: Path) -> None:
    study, data, _ = made
    content = study.model_dump(mode="json")
    content["training"] |= {"max_epochs": 4, "patience": 4}
    content["training"]["models"]["density"] |= {"frozen": ["layer1"], "tasks": {}, "stop_by": "auroc"}
    found = {}
    for number in (1, 2):
        content["training"]["learning_rate"] = 0.01 * number
        study = Study.model_validate(content)
        train(study, *data, "density", "random", 2, tmp_path / f"{number}")
        network, config = load_package(tmp_path / f"{number}" / "model")
        log = pd.read_csv(tmp_path / f"{number}" / "metrics.csv")
        assert log["val_auroc"][log["kept"]].tolist() == [log["val_auroc"].max()]
        assert log["epoch"][log["kept"]].tolist() == [config["metrics"]["best_epoch"]]
        found[number] = network.parts()
    assert is_equal(found[1]["layer1"], found[2]["layer1"])
    assert not is_equal(found[1]["layer2"], found[2]["layer2"])
    with pytest.raises(ConfigError, match="so it has no AUROC"):
        train(study, *data, "density", "random", 0, tmp_path / "one class")


@pytest.mark.parametrize("by_command", [False, True])
def test_frozen_parts_stay_and_the_lineage_is_kept(made: Made, tmp_path: Path, by_command: bool) -> None:
    """Named by `initial` of the study, or by `--from`, which stands in place of it."""
    study, data, job = made
    template = str(job.parent / "density-{scheme}-fold{fold}-*")
    content = study.model_dump(mode="json")
    frozen = ["layer1", "layer2", "layer3"]
    initial = "nothing is here" if by_command else template
    content["training"]["models"]["density"] |= {"initial": initial, "frozen": frozen, "tasks": {}}
    if by_command:
        (tmp_path / "study.yaml").write_text(yaml.safe_dump(content))
        options = {"study": tmp_path / "study.yaml", "dataset": data[0], "shards": data[1], "model": "density",
                   "scheme": "random", "fold": 0, "output": tmp_path / "job", "from": job / "model"}  # fmt: skip
        command = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        done = CliRunner().invoke(app, ["train", *command])
        assert done.exit_code == 0, done.output
        told = done.stderr.splitlines()
    else:
        told = []
        train(Study.model_validate(content), *data, "density", "random", 0, tmp_path / "job", told.append)
    assert told[0].startswith("begins with")
    old, (new, config) = load_package(job / "model")[0], load_package(tmp_path / "job" / "model")
    parts, given = new.parts(), old.parts()
    assert all(is_equal(parts[name], given[name]) for name in frozen)
    assert not is_equal(parts["hidden"], given["hidden"])
    columns = list(pd.read_csv(tmp_path / "job" / "metrics.csv").filter(like="gradient_norm"))
    assert columns == ["gradient_norm_hidden", "gradient_norm_output"]
    (ancestor,) = config["lineage"]
    assert ancestor["weights_sha256"] == initial_weights(template, "random", 0)
    assert ancestor["properties"] == ["sweet", "bitter", "taste", "length"]
    assert ancestor["change"] == "new: nothing; frozen: layer1, layer2, layer3"
    assert "frozen: layer1" in (tmp_path / "job" / "model" / "card.md").read_text()
    assert str(job.parent) not in json.dumps(config)


@pytest.mark.parametrize(
    ("fields", "change"),
    [
        (["electron_density"], "new: nothing"),
        (["electrostatic_potential", "electron_density"], "new: layer1 (other fields)"),
    ],
)
def test_training_goes_on_in_larger_boxes_and_with_other_fields(
    made: Made, tmp_path: Path, fields: list[str], change: str
) -> None:
    """The same fields are seen in the old network's normalisation, others in that of the fold's own molecules."""
    study, _, job = made
    content = study.model_dump(mode="json")
    changes = {"fields": fields, "initial": str(job), "frozen": ["layer2", "layer3"], "tasks": {}}
    content["training"]["models"]["density"] |= changes
    data = make_dataset(tmp_path, study, 16, large=True)
    train(Study.model_validate(content), *data, "density", "random", 0, tmp_path / "job")
    (old, before), (new, config) = (load_package(folder / "model") for folder in (job, tmp_path / "job"))
    own = load_normalisation(data[0], "random", 0, fields).to_json()
    assert own[-1]["scale"] < 0.9 * before["normalisation"][0]["scale"]  # large boxes have more vacuum
    assert config["normalisation"] == (before["normalisation"] if change == "new: nothing" else own)
    assert config["lineage"][0]["change"] == f"{change}; frozen: layer2, layer3"
    assert new.num_inputs == len(fields)
    parts, given = new.parts(), old.parts()
    assert all(is_equal(parts[name], given[name]) for name in ("layer2", "layer3"))
    # All that may learn has learned, and every molecule is predicted.
    log = pd.read_csv(tmp_path / "job" / "metrics.csv")
    assert log["epoch"].tolist() == [1, 2]
    assert (log.filter(like="gradient_norm") > 0).all(axis=None)
    assert log["train_loss"].notna().all()
    predictions = pd.read_parquet(tmp_path / "job" / "predictions.parquet")
    assert len(predictions) == 16
    assert predictions["prediction"].between(0, 1, inclusive="neither").all()


def test_what_makes_no_sense_is_refused(made: Made) -> None:
    study, data, job = made
    with pytest.raises(ConfigError, match="another size"):
        begun(made, [Task("sweet")], hidden=5)
    with pytest.raises(ConfigError, match="molecules that this fold tests"):
        train(begin_with(study, "density", str(job)), *data, "density", "random", 1, job.parent / "other")
    spacing = study.fields.model_copy(update={"spacing_angstrom": 1.0})
    initial = load_initial(study.training.models["density"].model_copy(update={"initial": str(job)}), "random", 0)
    assert initial is not None
    with pytest.raises(ConfigError, match="another spacing"):
        take_over(initial, initial.network, initial.tasks, study.model_copy(update={"fields": spacing}), [])
    with pytest.raises(ConfigError, match="no single model package"):
        initial_weights(str(job.parent / "density-{scheme}-fold{fold}"), "random", 5)
    with pytest.raises(ConfigError, match="no such model"):
        begin_with(study, "nothing", str(job))
