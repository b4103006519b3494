"""gc frees what no study uses and nothing else; forget-failed lets exactly the failed molecules be tried again."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from decar.planning.lock import held
from decar.planning.used import named_in, receipts_of
from decar.receipt import read_receipts
from decar.stages import MOLECULE_STAGES
from decar.store import Store

from .conftest import Workspace
from .test_reruns import DOWNSTREAM, MOLECULE_RULES, edit_table

Copy = Callable[[], Workspace]


def decar(workspace: Workspace, *arguments: str, status: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "decar.cli", *arguments], cwd=workspace.folder, env=workspace.environment(),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def store_of(workspace: Workspace) -> Store:
    return Store(workspace.folder / "results/store")


def recipes(workspace: Workspace) -> dict[str, set[str]]:
    store = store_of(workspace)
    return {stage: {recipe for recipe, _ in store.places(stage)} for stage in MOLECULE_STAGES}


def assert_no_receipt_dangles(workspace: Workspace, stages: tuple[str, ...] = MOLECULE_STAGES) -> None:
    there = recipes(workspace)
    for folder in (workspace.folder / "results").glob("*/"):
        for stage in stages:
            for receipt in receipts_of(folder, stage):
                assert all(recipe in there[at] for at, recipe in named_in(receipt, stage)), receipt


def per_molecule(counts: dict[str, int]) -> list[int]:
    return [counts.get(rule, 0) for rule in MOLECULE_RULES]


def test_gc_keeps_all_that_a_found_study_used_and_frees_what_a_named_one_uses_no_more(copied: Copy) -> None:
    workspace = copied()
    whole = recipes(workspace)
    assert "receipts that name them" not in decar(workspace, "gc", "--delete")
    assert recipes(workspace) == whole
    # Edited, but only found: the receipts of the earlier row still count.
    edit_table(workspace, "methanol,methanol,CO,0\n", "")
    decar(workspace, "plan")
    decar(workspace, "gc", "--delete")
    assert recipes(workspace) == whole
    # Named: the row that is gone uses nothing. First it is listed, then removed.
    listed = decar(workspace, "gc", "--study", "config.yaml")
    assert recipes(workspace) == whole
    assert [line.split()[1:4:2] for line in listed.splitlines() if line.strip("│ ").startswith(MOLECULE_STAGES)] == [
        [stage, "1"] for stage in MOLECULE_STAGES
    ]
    assert "receipts that name them: 4" in listed
    decar(workspace, "gc", "--study", "config.yaml", "--delete")
    assert [len(whole[stage]) - len(found) for stage, found in recipes(workspace).items()] == [1, 1, 1, 1]
    assert_no_receipt_dangles(workspace)
    assert per_molecule(workspace.planned()) == [0, 0, 0, 0]


def test_gc_rewrites_packs_and_spares_other_studies(copied: Copy) -> None:
    workspace = copied()
    study = workspace.study()
    store = store_of(workspace)
    for stage in MOLECULE_STAGES:
        members = [(str(row["key"]), str(row["recipe"])) for receipt in receipts_of(workspace.folder / "results/small",
                   stage) for row in read_receipts([receipt]).to_dict("records")]  # fmt: skip
        store.pack(stage, members)
    # Another study of two of the molecules shares the store; the first one is deleted by its owner.
    lines = workspace.table.read_text().splitlines(keepends=True)
    (workspace.folder / "pair.csv").write_text("".join([*lines[:5], *lines[6:7]]))
    pair = {**study, "study": "pair", "molecules": {**study["molecules"], "table": "pair.csv"}}
    pair["workflow"] = {**study["workflow"], "batch_size": 8}
    workspace.write_study(pair)
    decar(workspace, "plan")
    whole = recipes(workspace)
    (workspace.folder / "results/small").rename(workspace.folder / "elsewhere")
    decar(workspace, "gc", "--delete")
    kept = recipes(workspace)
    assert [(len(whole[stage]), len(kept[stage])) for stage in MOLECULE_STAGES] == [(7, 5), (7, 5), (7, 5), (6, 5)]
    packs = list(store.root.glob("*/packs/*.h5"))
    assert len(packs) == 4
    assert "files verified" in decar(workspace, "verify", "results/store")
    # What it kept is all that the pair needs.
    workspace.run("wavefunctions")
    assert recipes(workspace) == kept


def test_gc_of_voxels_leaves_a_finished_study_finished(copied: Copy) -> None:
    workspace = copied()
    decar(workspace, "gc", "--fields", "--delete")
    assert [len(found) for found in recipes(workspace).values()] == [7, 7, 7, 0]
    assert_no_receipt_dangles(workspace)
    assert workspace.planned() == {}
    # A new row renders again what its shard needs, and computes no wavefunction but its own.
    workspace.table.write_text(workspace.table.read_text() + "water,water,O,0\n")
    counts = per_molecule(workspace.planned())
    assert counts[:3] == [1, 1, 1]
    assert 1 < counts[3] <= 7


def test_gc_removes_leftovers_of_killed_processes_and_waits_for_running_ones(copied: Copy) -> None:
    workspace = copied()
    folder = workspace.folder / "results/store/wavefunction/00"
    folder.mkdir(exist_ok=True)
    fresh, old, damaged = folder / ".new-1.part", folder / ".old-1.part", folder / "x.damaged"
    for path in (fresh, old, damaged):
        path.write_bytes(b"x" * 1000)
    partial = workspace.folder / "results/store/optimise/partial"
    partial.mkdir(exist_ok=True)
    used = min(recipes(workspace)["optimise"])
    unused, resumable = partial / f"{'0' * 64}-0.json", partial / f"{used}-0.json"
    for path in (unused, resumable):
        path.write_text("{}")
    for path in (old, unused, resumable):
        os.utime(path, (time.time() - 2 * 86400,) * 2)
    with held([workspace.folder / "results/small"], "a workflow runs"):
        message = decar(workspace, "gc", "--delete", status=2)
    assert "a workflow, a merge or a gc is at work" in message
    assert old.exists()
    decar(workspace, "gc", "--delete")
    assert [path.exists() for path in (fresh, old, damaged)] == [True, False, False]
    assert [path.exists() for path in (unused, resumable)] == [False, True]


def test_forgotten_failures_are_tried_again_and_nothing_else(copied: Copy) -> None:
    workspace = copied()
    assert "products to be made again: 0" in decar(workspace, "forget-failed", "--reason", "scf_not_converged")
    assert workspace.planned() == {}
    whole = recipes(workspace)
    text = decar(workspace, "forget-failed", "--id", "lead")
    assert "element_without_basis" in text
    assert "receipts withdrawn: 2" in text
    (lost,) = whole["wavefunction"] - recipes(workspace)["wavefunction"]
    counts = workspace.planned()
    assert per_molecule(counts) == [0, 0, 1, 1]
    assert counts["shards"] == 1
    # What is made of all molecules would miss the one that succeeds at the second try.
    assert {rule: counts.get(rule) for rule in DOWNSTREAM if rule != "molecules"} == {
        rule: number for rule, number in DOWNSTREAM.items() if rule != "molecules"
    }
    times = {path: path.stat().st_mtime_ns for path in store_of(workspace).root.rglob("*.h5")}
    workspace.run("wavefunctions")
    after = {path: path.stat().st_mtime_ns for path in store_of(workspace).root.rglob("*.h5")}
    assert {path.stem for path in set(after) - set(times)} == {lost}
    assert {path: after[path] for path in times} == times


def test_forget_failed_names_an_unknown_row(copied: Copy) -> None:
    workspace = copied()
    message = decar(workspace, "forget-failed", "--id", "leed", status=2)
    assert "no molecule of the table has this identifier" in message
    assert recipes(workspace)["wavefunction"]
    assert not list(Path(workspace.folder).glob("results/*/wavefunction/*.damaged"))
