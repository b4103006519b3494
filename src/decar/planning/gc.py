"""What may go: records that no study uses, voxels that can be rendered again, and leftovers of killed processes.

A study that was *named* uses what its file leads to now; its receipts of earlier settings go with their records. A
study that was only *found* uses whatever any of its receipts or frozen plans names.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from decar.pack import stored_bytes
from decar.planning.frozen import load_plan
from decar.planning.used import (
    UsedRecipes,
    frozen_plans,
    named_in,
    planned_molecules,
    receipts_of,
    use_of_plan,
    use_of_receipts,
)
from decar.quantum.optimise_progress import partial_folder
from decar.record import read_header
from decar.stages import MOLECULE_STAGES
from decar.store import Store

DAY_SECONDS = 86400.0


@dataclass
class Garbage:
    """What may go, file by file; nothing is removed before `remove`."""

    records: dict[Path, dict[str, int]] = field(default_factory=dict)  # file -> recipe -> bytes
    stage_of: dict[Path, str] = field(default_factory=dict)
    receipts: list[Path] = field(default_factory=list)  # that name them
    leftovers: dict[Path, int] = field(default_factory=dict)  # half-written and damaged files -> bytes

    def by_stage(self) -> dict[str, tuple[int, int]]:
        """Return (number, bytes) of the records of each stage."""
        found: dict[str, tuple[int, int]] = {}
        for file, recipes in self.records.items():
            number, size = found.get(self.stage_of[file], (0, 0))
            found[self.stage_of[file]] = number + len(recipes), size + sum(recipes.values())
        return found

    def remove(self, store: Store) -> None:
        """Remove it: receipts first, so that none ever names a record that is gone."""
        for path in [*self.receipts, *self.leftovers]:
            path.unlink(missing_ok=True)
        for file, recipes in self.records.items():
            store.remove(file, set(recipes))


def find_garbage(
    store: Store, named: dict[Path, Path], found: list[Path], *, with_fields: bool = False,
    report: Callable[[str], None] = lambda _: None,
) -> Garbage:  # fmt: skip
    """Return what may go from a store.

    `named`: folder of a study -> its plan of now; `found`: folders of other studies. `with_fields`: also the voxels of
    the named studies (of all of them where none is named) whose wavefunctions are in the store. Raises DataFormatError
    for a receipt or plan that cannot be read, since nobody knows what it uses.
    """
    garbage = Garbage()
    used = UsedRecipes()
    for folder, plan in named.items():
        report(f"{folder}: its plan of now")
        use_of_plan(used, plan)
        current = load_plan(plan).receipts
        for stage in MOLECULE_STAGES:
            of_now = {f"{name}.parquet" for name in current[stage]}
            receipts = receipts_of(folder, stage)
            use_of_receipts(used, (path for path in receipts if path.name in of_now), stage)
            garbage.receipts += [path for path in receipts if path.name not in of_now]
    for folder in found:
        report(f"{folder}: all of its receipts and plans")
        for plan in frozen_plans(folder):
            use_of_plan(used, plan)
        for stage in MOLECULE_STAGES:
            use_of_receipts(used, receipts_of(folder, stage), stage)
    voxels = UsedRecipes()
    if with_fields:
        plans = list(named.values()) or [plan for folder in found for plan in frozen_plans(folder)]
        _renderable(store, plans, voxels)
        garbage.receipts += _receipts_of_fields([*named, *found], voxels, set(garbage.receipts))
    for stage in MOLECULE_STAGES:
        for file in store.files(stage):
            _look(file, stage, store, used, voxels, garbage)
    garbage.leftovers = {**dict(_leftovers([store.root, *named, *found])), **dict(_progress(store, used))}
    return garbage


def _look(file: Path, stage: str, store: Store, used: UsedRecipes, voxels: UsedRecipes, garbage: Garbage) -> None:
    gone = {}
    for recipe, place in store.places_in(file):
        is_voxels = voxels.has(stage, recipe) and read_header(place)["kind"] == "fields"
        if is_voxels or not used.has(stage, recipe):
            gone[recipe] = stored_bytes(place)
    if gone:
        garbage.records[file], garbage.stage_of[file] = gone, stage


def _renderable(store: Store, plans: list[Path], voxels: UsedRecipes) -> None:
    """Note the field records whose wavefunction is in the store."""
    for plan in plans:
        for molecule in planned_molecules(plan):
            place = store.find("wavefunction", molecule.key, molecule.recipes["wavefunction"])
            if place is not None and read_header(place)["kind"] == "wavefunction":
                voxels.add("fields", molecule.recipes["fields"])


def _receipts_of_fields(folders: list[Path], voxels: UsedRecipes, gone: set[Path]) -> Iterator[Path]:
    for folder in folders:
        for receipt in receipts_of(folder, "fields"):
            if receipt not in gone and any(voxels.has(*named) for named in named_in(receipt, "fields")):
                yield receipt


def _leftovers(folders: list[Path]) -> Iterator[tuple[Path, int]]:
    """Yield the damaged files that were set aside, and the half-written ones that nobody has touched for a day."""
    long_ago = time.time() - DAY_SECONDS
    for folder in folders:
        for pattern in ("*.damaged", ".*.part"):
            for path in folder.rglob(pattern):
                state = path.stat()
                if path.is_file() and (pattern == "*.damaged" or state.st_mtime < long_ago):
                    yield path, state.st_size


def _progress(store: Store, used: UsedRecipes) -> Iterator[tuple[Path, int]]:
    """Yield how far optimisations came that no study asks for any more, and that nobody has touched for a day."""
    long_ago = time.time() - DAY_SECONDS
    for path in partial_folder(store.root).glob("*.json"):
        state = path.stat()
        if state.st_mtime < long_ago and not used.has("optimise", path.name.partition("-")[0]):
            yield path, state.st_size
