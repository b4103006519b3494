"""The 24 proper rotations of the cube as exact permutations and flips of voxels: nothing is interpolated.

A rotation is a signed permutation matrix M of determinant +1, M[i, axes[i]] = signs[i]; the rotated field is
f'(r) = f(M^-1 r) about the centre of the box, so that M2 (M1 f) = (M2 M1) f. Six axis permutations are no substitute:
three of them are reflections and turn a molecule into its mirror image.

`SIX` brings each face of the cube up once (identity; +-90 and 180 degrees about x; +-90 degrees about y). It is a set
of representatives of the four-fold turns about z, not a group.

`apply` turns scalars; `turn` knows vectors, whose components turn as well: v'(r) = M v(M^-1 r).
"""

from dataclasses import dataclass
from itertools import permutations, product
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from decar.stages import derive_seed

Scalar = TypeVar("Scalar", bound=np.generic)


@dataclass(frozen=True)
class Rotation:
    """New axis i is old axis `axes[i]`, reversed where `signs[i]` is -1."""

    axes: tuple[int, int, int]
    signs: tuple[int, int, int]

    @property
    def matrix(self) -> NDArray[np.int64]:
        """Return M, (3, 3)."""
        matrix = np.zeros((3, 3), dtype=np.int64)
        matrix[range(3), self.axes] = self.signs
        return matrix

    @classmethod
    def from_matrix(cls, matrix: NDArray[np.int64]) -> "Rotation":
        """Build from a signed permutation matrix."""
        axes = np.abs(matrix).argmax(axis=1)
        signs = matrix[range(3), axes]
        return cls((int(axes[0]), int(axes[1]), int(axes[2])), (int(signs[0]), int(signs[1]), int(signs[2])))

    def apply(self, voxels: NDArray[Scalar]) -> NDArray[Scalar]:
        """Rotate scalars [..., x, y, z]; a box that is no cube is permuted in shape."""
        lead = voxels.ndim - 3
        turned = voxels.transpose(*range(lead), *(lead + axis for axis in self.axes))
        reversed_axes = tuple(lead + axis for axis, sign in enumerate(self.signs) if sign < 0)
        return np.ascontiguousarray(np.flip(turned, reversed_axes))

    def turn(self, field: Tensor) -> Tensor:
        """Rotate one field [channel, x, y, z]: a scalar of one channel, or a vector of three."""
        if self == IDENTITY:
            return field
        turned = field.permute(0, *(1 + axis for axis in self.axes))
        turned = turned.flip([1 + axis for axis, sign in enumerate(self.signs) if sign < 0])
        if len(field) == 3:
            turned = torch.stack([turned[axis] * sign for axis, sign in zip(self.axes, self.signs)])
        return turned.contiguous()


def _is_proper(rotation: Rotation) -> bool:
    return round(float(np.linalg.det(rotation.matrix))) == 1


IDENTITY = Rotation((0, 1, 2), (1, 1, 1))
# permutations and product begin with (0, 1, 2) and (1, 1, 1), so the first of the 24 is the identity.
ALL: tuple[Rotation, ...] = tuple(
    rotation
    for a, b, c in permutations(range(3))
    for i, j, k in product((1, -1), repeat=3)
    if _is_proper(rotation := Rotation((a, b, c), (i, j, k)))
)
SIX: tuple[Rotation, ...] = (
    IDENTITY,
    Rotation((0, 2, 1), (1, -1, 1)),  # +90 degrees about x: (x, -z, y)
    Rotation((0, 2, 1), (1, 1, -1)),  # -90 degrees about x: (x, z, -y)
    Rotation((0, 1, 2), (1, -1, -1)),  # 180 degrees about x: (x, -y, -z)
    Rotation((2, 1, 0), (1, 1, -1)),  # +90 degrees about y: (z, y, -x)
    Rotation((2, 1, 0), (-1, 1, 1)),  # -90 degrees about y: (-z, y, x)
)
AUGMENTATION: dict[str, tuple[Rotation, ...]] = {"none": (IDENTITY,), "rotations_6": SIX, "rotations_24": ALL}


def draw_rotation(augmentation: str, seed: int, epoch: int, key: str, conformer: int) -> Rotation:
    """Return the rotation of a training sample in an epoch: a hash of its arguments, whatever process asks."""
    choices = AUGMENTATION[augmentation]
    return choices[derive_seed(seed, "rotation", epoch, key, conformer) % len(choices)]
