"""Meshes of a molecule (balls and sticks) and of an iso-surface of its field, in one viewer's frame."""

from typing import Any

import numpy as np
from matplotlib.colors import to_rgb
from numpy.typing import NDArray
from scipy.ndimage import zoom
from skimage.measure import marching_cubes

from decar.errors import DataFormatError
from decar.figures.render import Floats, Mesh, join

# Colours of the elements after Corey, Pauling and Koltun, slightly muted for print; others are grey.
ELEMENT_COLOUR = {
    1: "#F2F2F2", 6: "#4A4A4A", 7: "#3B5BC4", 8: "#D8352A", 9: "#7AC74F", 14: "#D9B38C", 15: "#E8861A", 16: "#E6C619",
    17: "#3FAE49", 35: "#8C3A1C", 53: "#7A3C9E",
}  # fmt: skip
BALL = {1: 0.22}  # radius of an atom [angstrom]
DEFAULT_BALL, STICK = 0.32, 0.10


def principal_axes(positions: NDArray[Any]) -> Floats:
    """Return the rotation (3, 3) whose rows are the principal axes of the positions, in order of falling spread.

    Their signs are fixed by the third moment along x and y, and z = x cross y, so that the handedness is kept.
    """
    centred = positions - positions.mean(axis=0)
    axes = np.linalg.svd(np.vstack([centred, 1e-9 * np.eye(3)]), full_matrices=False)[2]
    for row in (0, 1):
        skew = float(((centred @ axes[row]) ** 3).sum())
        largest = axes[row][np.argmax(np.abs(axes[row]))]
        if (skew if abs(skew) > 1e-6 else largest) < 0:
            axes[row] = -axes[row]
    axes[2] = np.cross(axes[0], axes[1])
    return np.asarray(axes, dtype=np.float64)


def viewing_axes(positions: NDArray[Any]) -> Floats:
    """Return the rotation (3, 3) that turns the molecule's broad side to the viewer: rows are the viewer's x, y, z."""
    tilt = np.deg2rad(18.0)  # a slight turn about x shows depth
    turn = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    return np.asarray(turn @ principal_axes(positions), dtype=np.float64)


def ball(centre: NDArray[Any], radius: float, colour: str, steps: int = 12) -> Mesh:
    """Return a sphere, `steps` rings of twice as many points."""
    polar = np.linspace(0, np.pi, steps + 1)
    azimuth = np.linspace(0, 2 * np.pi, 2 * steps + 1)
    theta, phi = (grid.ravel() for grid in np.meshgrid(polar, azimuth, indexing="ij"))
    normals = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], axis=1)
    return Mesh(centre + radius * normals, normals, _paint(colour, len(normals)), _strip(steps + 1, 2 * steps + 1))


def stick(start: NDArray[Any], end: NDArray[Any], radius: float, colour: str, sides: int = 18) -> Mesh:
    """Return an open cylinder from start to end."""
    along = (end - start) / np.linalg.norm(end - start)
    other = np.eye(3)[np.argmin(np.abs(along))]
    across = np.cross(along, other) / np.linalg.norm(np.cross(along, other))
    third = np.cross(along, across)
    angle = np.linspace(0, 2 * np.pi, sides + 1)
    ring = np.cos(angle)[:, None] * across + np.sin(angle)[:, None] * third
    vertices = np.concatenate([start + radius * ring, end + radius * ring])
    return Mesh(vertices, np.concatenate([ring, ring]), _paint(colour, len(vertices)), _strip(2, sides + 1))


def _paint(colour: str, count: int) -> Floats:
    return np.tile(np.array(to_rgb(colour)), (count, 1))


def _strip(rows: int, columns: int) -> NDArray[np.int64]:
    """Return the triangles of a grid of rows x columns vertices."""
    corner = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)[None, :]).ravel()
    first = np.stack([corner, corner + 1, corner + columns], axis=1)
    second = np.stack([corner + 1, corner + columns + 1, corner + columns], axis=1)
    return np.concatenate([first, second]).astype(np.int64)


def molecule_mesh(atomic_numbers: NDArray[Any], positions: NDArray[Any], bonds: NDArray[Any]) -> Mesh:
    """Return balls and two-coloured sticks; positions (atom, 3) [angstrom], bonds (bond, 2) indices of atoms."""
    parts = []
    for number, position in zip(atomic_numbers, positions):
        parts.append(ball(position, BALL.get(int(number), DEFAULT_BALL), element_colour(number)))
    for a, b in bonds:
        middle = (positions[a] + positions[b]) / 2
        parts.append(stick(positions[a], middle, STICK, element_colour(atomic_numbers[a])))
        parts.append(stick(positions[b], middle, STICK, element_colour(atomic_numbers[b])))
    return join(parts)


def element_colour(number: int) -> str:
    """Return the colour in which atoms of this atomic number are drawn."""
    return ELEMENT_COLOUR.get(int(number), "#B0A0A0")


def isosurface(
    field: NDArray[Any], origin: NDArray[Any], spacing: float, isovalue: float, colour: str, refine: int = 2
) -> Mesh:
    """Return the surface field = isovalue by marching cubes (Lewiner, doi 10.1080/10867651.2003.10487582).

    `field` (x, y, z) is a non-negative density. Far from the nuclei it falls off exponentially, so the surface is
    sought in its logarithm, after `refine`-fold cubic interpolation: the surface is smooth on a coarse grid.
    `origin` (3,) and `spacing` are in the unit of the returned vertices. Raises DataFormatError when no voxel or
    every voxel is above the isovalue.
    """
    low, high = float(field.min()), float(field.max())
    if not low < isovalue < high:
        raise DataFormatError(
            "the field does not cross the isovalue", seen=f"{low:.3g} to {high:.3g}", expected=isovalue,
            remedy="set figures.isovalue between them",
        )  # fmt: skip
    logarithm = np.log(np.maximum(np.asarray(field, dtype=np.float64), isovalue * 1e-3))
    fine = tuple(refine * (length - 1) + 1 for length in field.shape)
    if refine > 1:
        logarithm = zoom(logarithm, [new / old for new, old in zip(fine, field.shape)], order=3, mode="nearest")
    step = spacing / refine
    vertices, faces, normals, _ = marching_cubes(  # type: ignore[no-untyped-call]
        logarithm, level=float(np.log(isovalue)), spacing=(step, step, step), gradient_direction="ascent"
    )
    return Mesh(
        np.asarray(vertices, dtype=np.float64) + origin,
        _outwards(np.asarray(normals, dtype=np.float64), vertices, faces),
        _paint(colour, len(vertices)),
        np.asarray(faces, dtype=np.int64),
    )


def _outwards(normals: Floats, vertices: NDArray[Any], faces: NDArray[Any]) -> Floats:
    """Return unit normals that point out of the closed surface (its signed volume tells which way faces wind)."""
    a, b, c = (np.asarray(vertices, dtype=np.float64)[faces[:, i]] for i in range(3))
    outward = np.zeros_like(normals)
    for i in range(3):
        np.add.at(outward, faces[:, i], np.cross(b - a, c - a))
    if float((a * np.cross(b, c)).sum()) < 0:
        outward = -outward
    signs = np.where((outward * normals).sum(axis=1, keepdims=True) < 0, -1.0, 1.0)
    return normals * signs


def enclosed_volume(mesh: Mesh) -> float:
    """Return the volume inside a closed mesh by the divergence theorem, sum over triangles of |a.(b x c)| / 6."""
    a, b, c = (mesh.vertices[mesh.triangles[:, i]] for i in range(3))
    return abs(float((a * np.cross(b, c)).sum())) / 6


def turned(mesh: Mesh, rotation: Floats, centre: NDArray[Any]) -> Mesh:
    """Return the mesh in the viewer's frame: (vertex - centre) rotated."""
    return Mesh((mesh.vertices - centre) @ rotation.T, mesh.normals @ rotation.T, mesh.colours, mesh.triangles)
