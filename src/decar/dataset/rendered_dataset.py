"""Voxels rendered for each draw from the wavefunction, in a pose of its own: a molecule is 40 to 200 kB, not voxels.

The records are those that the study's fields were rendered from, found in its store by their recipes. In the pose of
the shards (no augmentation) the voxels are the stored ones; in a turn of the cube they are those turned, to rounding.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from decar.config import Study
from decar.dataset.pose import draw_pose, posed_grid
from decar.dataset.samples import Draw
from decar.dataset.voxel_dataset import Fetched, VoxelDataset
from decar.fields.grid import VoxelGrid
from decar.fields.hard_atoms import HardAtom, turned
from decar.fields.on_device import Prepared, evaluate_prepared, prepare
from decar.fields.potential import expansion_of, hard_atoms
from decar.fields.registry import evaluate_fields, needs_of
from decar.fields.rotation import rotated
from decar.quantum.wavefunction import Wavefunction
from decar.receipt import read_table
from decar.stages import MOLECULE_STAGES, recipe_function, stage_settings
from decar.store import Store

MOST_BYTES = 2**28  # of hard atoms that a process keeps: those of a thousand drug-like conformers


class Placed(NamedTuple):
    """A molecule in its pose, on its grid; `atoms` where a potential is among the fields."""

    wavefunction: Wavefunction
    grid: VoxelGrid
    atoms: Sequence[HardAtom] | None


class HardAtoms:
    """The hard atoms of molecules as their records have them, those that were asked for last: half of a potential.

    They turn with the molecule, so each process works them out once, as long as they have room.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self.most_bytes = most_bytes
        self._kept: OrderedDict[tuple[str, int], list[HardAtom]] = OrderedDict()
        self._bytes = 0

    def of(self, name: tuple[str, int], wavefunction: Wavefunction) -> list[HardAtom]:
        """Return those of a conformer by the recipe of its wavefunction, which is not turned."""
        if name in self._kept:
            self._kept.move_to_end(name)
            return self._kept[name]
        atoms = hard_atoms(wavefunction, expansion_of(torch.float32))
        self._kept[name] = atoms
        self._bytes += size_of(atoms)
        while self._bytes > self.most_bytes and len(self._kept) > 1:
            self._bytes -= size_of(self._kept.popitem(last=False)[1])
        return atoms


def size_of(atoms: Sequence[HardAtom]) -> int:
    """Return the bytes of their multipoles."""
    return sum(atom.potentials.nbytes + atom.multipoles.nbytes for atom in atoms)


HARD_ATOMS = HardAtoms()


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
        self.has_potential = needs_of(self.fields).has_potential
        self.recipes = wavefunction_recipes(study, zip(molecules["key"], molecules["geometry"]))

    def fetch(self, draw: Draw) -> Fetched:
        """Read the wavefunction, turn it and lay the grid around it."""
        key, conformer = self.name(draw)
        record = self.store.load("wavefunction", key, self.recipes[key])
        wavefunction = Wavefunction.from_record(
            record.arrays, record.metadata["conformers"][conformer], f"{conformer}/"
        )
        pose = draw_pose(self.augmentation, self.seed, draw.epoch, key, conformer)
        atoms = None
        if self.has_potential:
            atoms = HARD_ATOMS.of((self.recipes[key], conformer), wavefunction)
        if not pose.is_identity:
            wavefunction = rotated(wavefunction, pose.rotation)
            atoms = turned(atoms, pose.rotation) if atoms is not None else None
        return Fetched(draw, Placed(wavefunction, posed_grid(wavefunction.geometry_bohr, pose, self.settings), atoms))

    def prepare(self, fetched: Fetched) -> Fetched:
        """Work out what a device needs to render the fields."""
        wavefunction, grid, atoms = fetched.content
        return Fetched(fetched.draw, prepare(self.fields, wavefunction, grid, atoms=atoms))

    def voxels(self, fetched: Sequence[Fetched], device: torch.device | str) -> list[dict[str, Tensor]]:
        """Render the fields: of what was prepared, or is to be for a device, all at once."""
        if torch.device(device).type != "cpu":
            fetched = [one if isinstance(one.content, Prepared) else self.prepare(one) for one in fetched]
        contents = [one.content for one in fetched]
        if all(isinstance(content, Prepared) for content in contents):
            return evaluate_prepared(self.fields, contents, device)
        return [evaluate_fields(self.fields, one.wavefunction, one.grid, atoms=one.atoms) for one in contents]


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
