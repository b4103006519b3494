"""A row added to a finished study, and run: that molecule is computed, what is made of all is made anew, no more."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from decar.planning.plan import load_plan
from decar.stages import MOLECULE_STAGES
from tests.docs.commands import Line

from .conftest import Workspace, jobs_in
from .test_reruns import DOWNSTREAM, content_of_store

ROW = "water,water,O,0\n"


def shards_of(workspace: Workspace) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (workspace.folder / "results/small/shards").glob("*.h5")}


def test_an_added_molecule_is_all_that_is_computed(
    documented: list[Line], copied: Callable[[], Workspace], monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = copied()
    (workspace.folder / "config.yaml").rename(workspace.folder / "my_study.yaml")
    commands = {words[1]: words for words in (line.filled({}) for line in documented)}
    assert set(commands) == {"-n", "--profile", "wavefunctions", "dataset", "figures"}
    for name in ("--profile", "figures"):
        assert "Nothing to be done" in workspace.typed(commands[name])

    records, shards = content_of_store(workspace.folder / "results/store"), shards_of(workspace)
    workspace.table.write_text(workspace.table.read_text() + ROW)
    planned = jobs_in(workspace.typed([*commands["-n"], "--quiet", "rules"]))
    assert {rule: planned.get(rule) for rule in DOWNSTREAM} == DOWNSTREAM
    computed = jobs_in(workspace.typed(commands["wavefunctions"]))
    assert computed == {"conformers": 1, "optimise": 1, "wavefunction": 1, "wavefunctions": 1}
    made = jobs_in(workspace.typed(commands["dataset"]))
    assert made == {"fields": 1, "shards": 1, "molecules": 1, "assemble": 1, "dataset": 1}

    # Every record and shard that was there is as it was; each stage has one record more, that of water.
    after, new = content_of_store(workspace.folder / "results/store"), shards_of(workspace)
    assert {recipe: after[recipe] for recipe in records} == records
    assert len(after) == len(records) + len(MOLECULE_STAGES)
    assert {name: new[name] for name in shards} == shards
    assert len(new) == len(shards) + 1
    # A network that sees it is another network, trained anew.
    monkeypatch.chdir(workspace.folder)
    plan = load_plan(max(Path("results/small/plan").glob("plan-*.json"), key=lambda path: path.stat().st_mtime))
    predictions = Path(plan.training[0].folder) / "predictions.parquet"
    assert not predictions.exists()
    trained = jobs_in(workspace.typed([*commands["dataset"][:1], str(predictions), *commands["dataset"][2:]]))
    assert trained == {"train": 1}
    water = pd.read_parquet(plan.index).set_index("id").loc["water", "key"]
    assert water in set(pd.read_parquet(predictions)["key"])
