"""An edit computes what it touches and nothing else, also when Snakemake's own memory (.snakemake) is lost.

Dry runs; test_added_row.py runs one.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from decar.figures.catalogue import CATALOGUE
from decar.planning.plan import load_plan
from decar.record import read_header
from decar.store import Store

from .conftest import Workspace

Copy = Callable[[], Workspace]
BINARY = [name for name, about in CATALOGUE.items() if "binary" in about.kinds]  # figures
MOLECULE_RULES = ("conformers", "optimise", "wavefunction", "fields")
DOWNSTREAM = {
    "molecules": 1, "assemble": 1, "train": 5, "evaluate": 1, "interpret": 1, "attribute": 1, "collect": 1, "report": 1,
}  # fmt: skip


def per_molecule(counts: dict[str, int]) -> list[int]:
    return [counts.get(rule, 0) for rule in MOLECULE_RULES]


def edit_table(workspace: Workspace, old: str, new: str) -> None:
    text = workspace.table.read_text()
    assert old in text
    workspace.table.write_text(text.replace(old, new))


def test_edited_structure_computes_that_molecule_only(copied: Copy) -> None:
    workspace = copied()
    edit_table(workspace, "methanol,methanol,CO,0", "methanol,ethanol,CCO,0")
    counts = workspace.planned()
    assert per_molecule(counts) == [1, 1, 1, 1]
    assert 1 <= counts["shards"] <= 2
    assert {rule: counts.get(rule) for rule in DOWNSTREAM} == DOWNSTREAM


def test_growth_with_data_is_drawn_from_a_benchmark_that_is_asked_for_several_shares(copied: Copy) -> None:
    workspace = copied()
    benchmark = {"splits": {"random": {"num_folds": 2}}, "networks": ["decar"], "baselines": ["atom_counts"]}
    workspace.write_study({**workspace.study(), "benchmark": {**benchmark, "train_shares": [0.5, 1.0]}})
    counts = workspace.planned()
    # Two contenders, two folds and two shares; every figure tells of its settings, so all are drawn anew.
    assert (counts["benchmark_part"], counts["benchmark"]) == (8, 1)
    assert counts["figure"] == len(BINARY)
    assert per_molecule(counts) == [0, 0, 0, 0]


def test_removed_row_computes_no_molecule(copied: Copy) -> None:
    workspace = copied()
    edit_table(workspace, "methanol,methanol,CO,0\n", "")
    counts = workspace.planned()
    assert per_molecule(counts) == [0, 0, 0, 0]
    assert counts["shards"] <= 1
    assert counts["train"] == 5


def test_moved_row_and_other_spelling_train_nothing(copied: Copy) -> None:
    workspace = copied()
    edit_table(workspace, "methanol,methanol,CO,0\n", "")
    workspace.table.write_text(workspace.table.read_text() + "methanol,methanol,[H]OC,0\n")
    counts = workspace.planned()
    assert per_molecule(counts) == [0, 0, 0, 0]
    assert counts.get("shards", 0) == 0
    assert counts.get("train", 0) == 0
    assert counts["report"] == 1


def test_edited_label_trains_but_touches_no_quantum_chemistry(copied: Copy) -> None:
    workspace = copied()
    edit_table(workspace, "CO,0", "CO,1")
    counts = workspace.planned()
    assert per_molecule(counts) == [0, 0, 0, 0]
    assert counts.get("shards", 0) == 0
    assert counts["train"] == 5


@pytest.mark.parametrize(
    ("section", "key", "value", "expected"),
    [
        ("fields", "spacing_angstrom", 0.7, [0, 0, 0, 7]),
        ("quantum", "basis", "6-31g", [0, 0, 7, 7]),
        ("optimise", "convergence", "loose", [0, 7, 7, 7]),
        ("training", "learning_rate", 0.01, [0, 0, 0, 0]),
        ("figures", "positive_colour", "#009E73", [0, 0, 0, 0]),
    ],
)
def test_setting_reruns_its_stage_and_what_follows(
    copied: Copy, section: str, key: str, value: object, expected: list[int]
) -> None:
    workspace = copied()
    study = workspace.study()
    workspace.write_study({**study, section: {**study.get(section, {}), key: value}})
    counts = workspace.planned()
    assert per_molecule(counts) == expected
    assert counts.get("train", 0) == (0 if section == "figures" else 5)
    assert counts["report"] == 1


def test_batch_size_computes_nothing_anew(copied: Copy) -> None:
    """Other batches have other receipts, but every record is found in the store and no network is trained."""
    workspace = copied()
    before = content_of_store(workspace.folder / "results/store")
    study = workspace.study()
    workspace.write_study({**study, "workflow": {**study["workflow"], "batch_size": 4}})
    counts = workspace.planned()
    assert max(per_molecule(counts)) <= 2
    assert counts.get("train", 0) == 0
    workspace.run("wavefunctions")
    # The records of a batch now lie in packs; not one was made again.
    assert content_of_store(workspace.folder / "results/store") == before
    assert list((workspace.folder / "results/store/wavefunction/packs").glob("*.h5"))


def content_of_store(root: Path) -> dict[str, tuple[str, str]]:
    store = Store(root)
    headers = {recipe: read_header(place) for stage in store.stages() for recipe, place in store.places(stage)}
    return {recipe: (found["content_hash"], found["provenance"]["created_utc"]) for recipe, found in headers.items()}


def test_going_back_to_earlier_settings_redraws_the_figures(copied: Copy) -> None:
    """All are due again; one is drawn, and comes out as it was."""
    workspace = copied()
    study = workspace.study()
    figure = workspace.folder / "results/small/figures/molecules.svg"
    first = figure.read_text()
    (earlier,) = receipts_of_molecules(workspace)
    workspace.write_study({**study, "figures": {**study["figures"], "positive_colour": "#009E73"}})
    num_figures = workspace.planned()["figure"]
    plans = (workspace.folder / "results/small/plan").glob("plan-*.json")
    hashes = {load_plan(path).figures_hash for path in plans}
    (changed,) = {f"results/small/figures/receipts/molecules-{name}.json" for name in hashes} - {earlier}
    workspace.run(changed)
    assert figure.read_text() != first
    assert receipts_of_molecules(workspace) == [changed]
    workspace.write_study(study)
    assert workspace.planned(earlier) == {"figure": 1}
    workspace.run(earlier)
    assert figure.read_text() == first
    assert num_figures == len(BINARY) - 1  # growth with data is drawn for studies that ask for it


def test_what_is_gone_or_of_other_settings_is_made_by_the_target_of_the_figures(copied: Copy) -> None:
    """So says `decar figures --verify`; a report shows the figures that are there."""
    workspace = copied()
    folder = workspace.folder / "results/small"
    (folder / "report.html").unlink()
    assert workspace.planned("figures") == {"report": 1, "manifest": 1, "figures": 1}
    (folder / "figures/roc.svg").unlink()
    (folder / "tables/performance.tex").unlink()
    assert workspace.planned("figures") == {"figure": 1, "tables": 1, "report": 1, "manifest": 1, "figures": 1}
    study = workspace.study()
    workspace.write_study({**study, "figures": {**study["figures"], "positive_colour": "#009E73"}})
    assert workspace.planned("figures")["figure"] == len(BINARY) - 1


def receipts_of_molecules(workspace: Workspace) -> list[str]:
    folder = workspace.folder / "results/small/figures/receipts"
    return [str(path.relative_to(workspace.folder)) for path in folder.glob("molecules-*.json")]


def test_nothing_of_the_default_study_leaks_into_another(copied: Copy) -> None:
    """A study file without `max_epochs` gets the schema's default, not that of config.yaml beside it."""
    workspace = copied()
    study = workspace.study()
    del study["training"]["max_epochs"]
    other = workspace.folder / "other.yaml"
    workspace.write_study({**study, "study": "other"})
    (workspace.folder / "config.yaml").rename(other)
    workspace.write_study({**workspace_study_with_epochs(study), "study": "default"})
    workspace.run("--dry-run", "--configfile", "other.yaml")
    frozen = list((workspace.folder / "results/other/plan").glob("study-*.yaml"))
    assert len(frozen) == 1
    assert "max_epochs: 100" in frozen[0].read_text()
    assert not (workspace.folder / "results/default").exists()


def workspace_study_with_epochs(study: dict) -> dict:
    return {**study, "training": {**study["training"], "max_epochs": 7}}


def test_unknown_key_is_an_error_before_any_job(fresh: Workspace) -> None:
    study = fresh.study()
    fresh.write_study({**study, "quantum": {"bassis": "sto-3g"}})
    output = fresh.run(check=False)
    assert "unknown key 'quantum.bassis'; did you mean 'basis'?" in output
    assert not (fresh.folder / "results").exists()
