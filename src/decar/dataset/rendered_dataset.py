"""Voxels rendered for each draw from the wavefunction, in a pose of its own: a molecule is 40 to 200 kB, not voxels.

The records are those that the study's fields were rendered from, found in its store by their recipes. In the pose of
the shards (no augmentation) the voxels are the stored ones; in a turn of the cube they are those turned, to rounding.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from decar.config import Study
from decar.dataset.pose import draw_pose, posed_grid
from decar.dataset.samples import Draw
from decar.dataset.voxel_dataset import Fetched, VoxelDataset
from decar.fields.on_device import Prepared, evaluate_prepared, prepare
from decar.fields.registry import evaluate_fields
from decar.fields.rotation import rotated
from decar.quantum.wavefunction import Wavefunction
from decar.receipt import read_table
from decar.stages import MOLECULE_STAGES, recipe_function, stage_settings
from decar.store import Store


class RenderedDataset(VoxelDataset):
    """Samples rendered on the device in float32; `augmentation` may be `continuous` too (decar.dataset.pose).

    Vectors turn with their molecule. Raises DataFormatError when a record is not in the store.
    """

    def __init__(
        self,
        dataset_folder: Path,
        study: Study,
        scheme: str,
        fold: int,
        subset: str | None,
        fields: Sequence[str],
        properties: Sequence[str],
        **options: Any,
    ) -> None:
        super().__init__(dataset_folder, scheme, fold, subset, fields, properties, **options)
        self.store = Store(study.store)
        self.settings = study.fields
        molecules = read_table(dataset_folder / "molecules.parquet", ["key", "geometry"])
        molecules = molecules.loc[molecules["key"].isin(set(self.rows["key"]))]
        self.recipes = wavefunction_recipes(study, zip(molecules["key"], molecules["geometry"]))

    def fetch(self, draw: Draw) -> Fetched:
        """Read the wavefunction, turn it and lay the grid around it."""
        key, conformer = self.name(draw)
        record = self.store.load("wavefunction", key, self.recipes[key])
        wavefunction = Wavefunction.from_record(
            record.arrays, record.metadata["conformers"][conformer], f"{conformer}/"
        )
        pose = draw_pose(self.augmentation, self.seed, draw.epoch, key, conformer)
        if not pose.is_identity:
            wavefunction = rotated(wavefunction, pose.rotation)
        return Fetched(draw, (wavefunction, posed_grid(wavefunction.geometry_bohr, pose, self.settings)))

    def prepare(self, fetched: Fetched) -> Fetched:
        """Work out what a device needs to render the fields."""
        return Fetched(fetched.draw, prepare(self.fields, *fetched.content))

    def voxels(self, fetched: Sequence[Fetched], device: torch.device | str) -> list[dict[str, Tensor]]:
        """Render the fields: of what was prepared all at once."""
        contents = [one.content for one in fetched]
        if all(isinstance(content, Prepared) for content in contents):
            return evaluate_prepared(self.fields, contents, device)
        return [evaluate_fields(self.fields, *content) for content in contents]


def wavefunction_recipes(study: Study, molecules: Iterable[tuple[str, str | None]]) -> dict[str, str]:
    """Return the recipe of the wavefunction of each molecule: (key, hash of a geometry that was brought or None)."""
    stages = MOLECULE_STAGES[: MOLECULE_STAGES.index("wavefunction") + 1]
    steps = [recipe_function(stage, stage_settings(study, stage)) for stage in stages]
    recipes = {}
    for key, geometry in molecules:
        recipe = geometry if isinstance(geometry, str) else ""
        for step in steps:
            recipe = step(key, recipe)
        recipes[key] = recipe
    return recipes
