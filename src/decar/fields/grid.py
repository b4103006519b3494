"""The voxel grid: origin, spacing and shape are the whole truth of it; nothing is ever resized.

Voxel (i, j, k) is a cube of edge `spacing_bohr` around the point origin + spacing (i, j, k). The box ends at the outer
faces of its outer voxels, half a spacing beyond their centres.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decar.config import FieldsSettings
from decar.errors import ConfigError, InputMoleculeError
from decar.units import BOHR_PER_ANGSTROM

Floats = NDArray[np.float64]
STRIDE = 8  # shapes are multiples of it: three poolings by two leave whole voxels
ROUNDING = 1e-9  # in voxels: an extent that fills the box to the last digit does not need eight voxels more


@dataclass(frozen=True)
class VoxelGrid:
    """A cubic lattice of points along the axes of the input frame [bohr]."""

    origin_bohr: tuple[float, float, float]  # centre of voxel (0, 0, 0)
    spacing_bohr: float
    shape: tuple[int, int, int]

    @property
    def num_voxels(self) -> int:
        """Return the number of voxels."""
        return self.shape[0] * self.shape[1] * self.shape[2]

    @property
    def voxel_volume_bohr3(self) -> float:
        """Return the volume of one voxel [bohr^3]."""
        return self.spacing_bohr**3

    @property
    def volume_bohr3(self) -> float:
        """Return the volume of the box [bohr^3]."""
        return self.num_voxels * self.voxel_volume_bohr3

    def axes(self) -> tuple[Floats, Floats, Floats]:
        """Return the coordinates of the voxel centres along x, y and z [bohr]."""
        x, y, z = zip(self.origin_bohr, self.shape)
        return self._axis(*x), self._axis(*y), self._axis(*z)

    def _axis(self, start: float, count: int) -> Floats:
        return np.asarray(start + self.spacing_bohr * np.arange(count, dtype=np.float64))

    def points(self) -> Floats:
        """Return all voxel centres, (voxel, 3) [bohr], z running fastest."""
        return np.stack(np.meshgrid(*self.axes(), indexing="ij"), axis=-1).reshape(-1, 3)

    def point(self, index: NDArray[Any]) -> Floats:
        """Return the centres of the voxels with these flat indices (z running fastest), (index, 3) [bohr]."""
        triples = np.stack(np.unravel_index(index, self.shape), axis=-1)
        return np.asarray(np.asarray(self.origin_bohr) + self.spacing_bohr * triples)

    def contains(self, points: Floats) -> NDArray[np.bool_]:
        """Return for points (n, 3) [bohr] whether they lie in the box, faces included."""
        voxels = (points - np.asarray(self.origin_bohr)) / self.spacing_bohr
        return np.asarray(((voxels >= -0.5) & (voxels <= np.array(self.shape) - 0.5)).all(axis=-1))

    def cube(self, centre: Floats, reach_bohr: float) -> tuple[slice, slice, slice] | None:
        """Return the voxels nearer to the centre than `reach_bohr` along each axis, None where there are none."""
        parts = []
        for points, x in zip(self.axes(), centre):
            inside = np.flatnonzero(np.abs(points - x) < reach_bohr)
            if not len(inside):
                return None
            parts.append(slice(int(inside[0]), int(inside[-1]) + 1))
        return parts[0], parts[1], parts[2]

    def to_metadata(self) -> dict[str, Any]:
        """Return the JSON-able form."""
        return {"origin_bohr": list(self.origin_bohr), "spacing_bohr": self.spacing_bohr, "shape": list(self.shape)}

    @classmethod
    def from_metadata(cls, value: dict[str, Any]) -> "VoxelGrid":
        """Build from `to_metadata`'s form."""
        x, y, z = (float(part) for part in value["origin_bohr"])
        nx, ny, nz = (int(part) for part in value["shape"])
        return cls((x, y, z), float(value["spacing_bohr"]), (nx, ny, nz))


def molecule_grid(geometry_bohr: Floats, settings: FieldsSettings) -> VoxelGrid:
    """Return the grid of a molecule, (atom, 3) [bohr]: its box is centred on the middle of the nuclear extent.

    `box: molecule`: the smallest shape of multiples of 8 that leaves the padding between every nucleus and the faces.
    A fixed box: that shape. Raises ConfigError for a fixed shape that is not made of multiples of 8, and
    InputMoleculeError (`molecule_larger_than_box`) when a nucleus comes nearer to a face than the padding.
    """
    spacing = settings.spacing_angstrom * BOHR_PER_ANGSTROM
    padding = settings.padding_angstrom * BOHR_PER_ANGSTROM
    low, high = geometry_bohr.min(axis=0), geometry_bohr.max(axis=0)
    needed = (high - low + 2 * padding) / spacing
    strides = np.maximum(np.ceil((needed - ROUNDING) / STRIDE), 1).astype(int)
    shape = (STRIDE * strides).tolist()
    if settings.box != "molecule":
        check_box(settings)
        if (needed - ROUNDING > np.array(settings.box)).any():
            raise InputMoleculeError(
                "the molecule and its padding do not fit into the fixed box",
                reason="molecule_larger_than_box",
                where="fields.box",
                seen=f"{[int(n) for n in np.ceil(needed - ROUNDING)]} voxels needed",
                expected=f"at most {list(settings.box)}",
                remedy="enlarge fields.box, or lower fields.padding_angstrom, or use `box: molecule`",
            )
        shape = list(settings.box)
    origin = (low + high) / 2 - spacing * (np.array(shape) - 1) / 2
    return VoxelGrid((float(origin[0]), float(origin[1]), float(origin[2])), spacing, (shape[0], shape[1], shape[2]))


def check_box(settings: FieldsSettings) -> None:
    """Raise ConfigError when a fixed box is not made of multiples of 8 voxels."""
    if settings.box != "molecule" and any(n % STRIDE for n in settings.box):
        raise ConfigError(
            "a fixed box must be a multiple of 8 voxels along each axis, because the networks halve it three times",
            where="fields.box",
            seen=list(settings.box),
            expected=[STRIDE * -(-n // STRIDE) for n in settings.box],
        )
