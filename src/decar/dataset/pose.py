"""The pose in which a molecule is rendered: its rotation, and where the voxels lie on it.

Without augmentation, and with the turns of decar.dataset.rotations, the box is the stored one, or that one turned. With
`continuous` the molecule is turned by any rotation, all equally likely, and the grid is moved by up to half a voxel
along each axis: the voxels of no two epochs are the same.
"""

from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from decar.config import FieldsSettings
from decar.dataset.rotations import draw_rotation
from decar.fields.batch_rendering import centred_grid
from decar.fields.grid import VoxelGrid, molecule_grid
from decar.fields.rotation import random_rotation
from decar.stages import derive_seed

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Pose:
    """The molecule is turned about the origin by `rotation` (3, 3); its grid is moved by `shift` (3,), in voxels."""

    rotation: Floats
    shift: Floats

    @property
    def is_identity(self) -> bool:
        """Return whether nothing is turned."""
        return bool((self.rotation == np.eye(3)).all())


def draw_pose(augmentation: str, seed: int, epoch: int, key: str, conformer: int) -> Pose:
    """Return the pose of a sample in an epoch: a hash of its arguments, whatever process asks."""
    if augmentation != "continuous":
        turn = draw_rotation(augmentation, seed, epoch, key, conformer)
        return Pose(turn.matrix.astype(np.float64), np.zeros(3))
    random = np.random.default_rng(derive_seed(seed, "rotation", epoch, key, conformer))
    return Pose(random_rotation(random), random.uniform(-0.5, 0.5, 3))


def posed_grid(geometry_bohr: Floats, pose: Pose, settings: FieldsSettings) -> VoxelGrid:
    """Return the grid of a turned molecule, (atom, 3) [bohr]; the padding holds on either side, after the shift too.

    A fixed box is turned with the molecule, as nearly as its axes can be, and grows by multiples of 8 voxels where the
    turned molecule and its padding would not fit.
    """
    spare = settings.spacing_angstrom * float(np.abs(pose.shift).max())
    padding = settings.padding_angstrom + spare
    grid = molecule_grid(geometry_bohr, settings.model_copy(update={"box": "molecule", "padding_angstrom": padding}))
    if settings.box != "molecule":
        fixed = np.array(settings.box)[_nearest_axes(pose.rotation)]
        x, y, z = np.maximum(grid.shape, fixed).tolist()
        grid = centred_grid(geometry_bohr, (x, y, z), grid.spacing_bohr)
    x, y, z = (np.array(grid.origin_bohr) + grid.spacing_bohr * pose.shift).tolist()
    return VoxelGrid((x, y, z), grid.spacing_bohr, grid.shape)


def _nearest_axes(rotation: Floats) -> list[int]:
    """Return which old axis each new one lies closest to; exact for a turn of the cube."""
    return list(max(permutations(range(3)), key=lambda axes: np.abs(rotation[range(3), list(axes)]).sum()))
