"""Which records do studies use? Those that their receipts name, and those that their frozen plans lead to."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from decar.config import Study
from decar.config_file import load_study
from decar.planning.index import read_sound
from decar.receipt import read_receipts
from decar.stages import MOLECULE_STAGES, recipe_function, stage_settings

AT_A_TIME = 10_000  # molecules of a plan that are Python objects at one time


@dataclass(frozen=True)
class PlannedMolecule:
    """A molecule of a frozen plan, and the recipe of each of its stages."""

    key: str
    recipes: dict[str, str]


class UsedRecipes:
    """Recipes by stage, 8 bytes each; two that begin alike count as one, so that at worst too much is kept."""

    def __init__(self) -> None:
        self._new: dict[str, list[int]] = {}
        self._sorted: dict[str, NDArray[np.uint64]] = {}

    def add(self, stage: str, recipe: str) -> None:
        """Note that a record is used."""
        self._new.setdefault(stage, []).append(int(recipe[:16], 16))

    def has(self, stage: str, recipe: str) -> bool:
        """Return whether a record is used."""
        if self._new.get(stage):
            both = (self._sorted.get(stage, np.empty(0, np.uint64)), np.array(self._new.pop(stage), dtype=np.uint64))
            self._sorted[stage] = np.unique(np.concatenate(both))
        known = self._sorted.get(stage, np.empty(0, np.uint64))
        number = np.uint64(int(recipe[:16], 16))
        place = int(np.searchsorted(known, number))
        return place < len(known) and bool(known[place] == number)


def study_folders(results: Path) -> list[Path]:
    """Return the folders of the studies below a folder of results."""
    return sorted(folder.parent for folder in results.glob("*/plan") if folder.is_dir())


def frozen_plans(folder: Path) -> list[Path]:
    """Return the frozen plans of a study, those of earlier settings included."""
    return sorted((folder / "plan").glob("plan-*.json"))


def planned_molecules(plan: Path) -> Iterator[PlannedMolecule]:
    """Yield the molecules of a frozen plan; raises ConfigError or DataFormatError when it cannot be read."""
    name = plan.stem.removeprefix("plan-")
    study = frozen_study(plan)
    recipe_of = {stage: recipe_function(stage, stage_settings(study, stage)) for stage in MOLECULE_STAGES}
    sound = read_sound(plan.with_name(f"index-{name}.parquet"), ["key", "geometry"])
    for part in sound.to_batches(AT_A_TIME):
        for key, geometry in zip(part["key"].to_pylist(), part["geometry"].to_pylist()):
            recipes: dict[str, str] = {}
            parent = geometry or ""
            for stage in MOLECULE_STAGES:
                parent = recipes[stage] = recipe_of[stage](key, parent)
            yield PlannedMolecule(key, recipes)


def frozen_study(plan: Path) -> Study:
    """Return the study of a frozen plan."""
    return load_study(plan.with_name(f"study-{plan.stem.removeprefix('plan-')}.yaml"))


def receipts_of(folder: Path, stage: str) -> list[Path]:
    """Return the receipts of a study at one stage, those of earlier settings included."""
    return sorted((folder / stage).glob("*.parquet"))


def named_in(receipt: Path, stage: str) -> Iterator[tuple[str, str]]:
    """Yield (stage, recipe) of the records that a receipt names; a failure is kept under the stage that failed."""
    rows = read_receipts([receipt])
    for recipe, status, failed in zip(rows["recipe"], rows["status"], rows["stage"]):
        yield (str(failed) if status == "failed" else stage), str(recipe)


def use_of_receipts(used: UsedRecipes, receipts: Iterable[Path], stage: str) -> None:
    """Note the records that receipts of a stage name."""
    for receipt in receipts:
        for named in named_in(receipt, stage):
            used.add(*named)


def use_of_plan(used: UsedRecipes, plan: Path) -> None:
    """Note the records that a frozen plan leads to."""
    for molecule in planned_molecules(plan):
        for stage, recipe in molecule.recipes.items():
            used.add(stage, recipe)
