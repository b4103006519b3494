r"""Draw shaded triangles into an image: orthographic projection along -z, depth buffer, light, anti-aliasing.

Colour of a point with unit normal n, light direction l and viewing direction v = z (all in the viewer's frame):

    c = base * (ambient + diffuse * max(0, n.l)) + specular * max(0, n.h)^shininess,   h = (l + v) / |l + v|
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LIGHT = np.array([-0.45, 0.55, 0.70]) / np.linalg.norm([-0.45, 0.55, 0.70])
HALF = (LIGHT + np.array([0.0, 0.0, 1.0])) / np.linalg.norm(LIGHT + np.array([0.0, 0.0, 1.0]))
AMBIENT, DIFFUSE, SPECULAR, SHININESS = 0.42, 0.62, 0.30, 40.0


@dataclass(frozen=True)
class Mesh:
    """Triangles with a normal and a colour at each corner; x to the right, y up, z towards the viewer [angstrom]."""

    vertices: Floats  # (vertex, 3)
    normals: Floats  # (vertex, 3), unit length, outwards
    colours: Floats  # (vertex, 3), red green blue in 0..1
    triangles: NDArray[np.int64]  # (triangle, 3) indices of vertices


@dataclass(frozen=True)
class Window:
    """The part of the projection plane that the image shows."""

    left: float  # [angstrom]
    right: float
    bottom: float
    top: float
    pixels_per_angstrom: float

    @property
    def shape(self) -> tuple[int, int]:
        """Return rows and columns of the image."""
        return (
            round((self.top - self.bottom) * self.pixels_per_angstrom),
            round((self.right - self.left) * self.pixels_per_angstrom),
        )


def window_of(meshes: list[Mesh], margin: float, pixels_per_angstrom: float) -> Window:
    """Return the window that shows these meshes, in the viewer's frame, with free space around them [angstrom]."""
    low = np.min([mesh.vertices.min(axis=0) for mesh in meshes], axis=0) - margin
    high = np.max([mesh.vertices.max(axis=0) for mesh in meshes], axis=0) + margin
    return Window(float(low[0]), float(high[0]), float(low[1]), float(high[1]), pixels_per_angstrom)


@dataclass(frozen=True)
class Layer:
    """What the viewer sees of one mesh in each pixel; depth is -inf where there is nothing."""

    depth: Floats  # (row, column) [angstrom]
    normals: Floats  # (row, column, 3)
    colours: Floats  # (row, column, 3)

    @property
    def hit(self) -> NDArray[np.bool_]:
        """Return where the mesh is."""
        return np.isfinite(self.depth)


def join(meshes: list[Mesh]) -> Mesh:
    """Return several meshes as one."""
    starts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes[:-1])])
    return Mesh(
        np.concatenate([mesh.vertices for mesh in meshes]),
        np.concatenate([mesh.normals for mesh in meshes]),
        np.concatenate([mesh.colours for mesh in meshes]),
        np.concatenate([mesh.triangles + start for mesh, start in zip(meshes, starts)]),
    )


def rasterise(mesh: Mesh, window: Window) -> Layer:
    """Return the nearest point of the mesh in each pixel, by barycentric interpolation inside each triangle."""
    rows, columns = window.shape
    depth = np.full((rows, columns), -np.inf)
    normals = np.zeros((rows, columns, 3))
    colours = np.zeros((rows, columns, 3))
    x = (mesh.vertices[:, 0] - window.left) * window.pixels_per_angstrom - 0.5
    y = (window.top - mesh.vertices[:, 1]) * window.pixels_per_angstrom - 0.5
    z = mesh.vertices[:, 2]
    for a, b, c in _facing(mesh):
        area = (x[b] - x[a]) * (y[c] - y[a]) - (x[c] - x[a]) * (y[b] - y[a])
        left, right = max(0, int(np.ceil(min(x[a], x[b], x[c])))), min(columns - 1, int(max(x[a], x[b], x[c])))
        upper, lower = max(0, int(np.ceil(min(y[a], y[b], y[c])))), min(rows - 1, int(max(y[a], y[b], y[c])))
        if abs(area) < 1e-12 or left > right or upper > lower:
            continue
        px, py = np.arange(left, right + 1)[None, :], np.arange(upper, lower + 1)[:, None]
        v = ((px - x[a]) * (y[c] - y[a]) - (x[c] - x[a]) * (py - y[a])) / area
        w = ((x[b] - x[a]) * (py - y[a]) - (px - x[a]) * (y[b] - y[a])) / area
        u = 1 - v - w
        new = u * z[a] + v * z[b] + w * z[c]
        box = (slice(upper, lower + 1), slice(left, right + 1))
        front = (u >= -1e-9) & (v >= -1e-9) & (w >= -1e-9) & (new > depth[box])
        if not front.any():
            continue
        depth[box][front] = new[front]
        weights = np.stack([u[front], v[front], w[front]], axis=1)
        normals[box][front] = weights @ mesh.normals[[a, b, c]]
        colours[box][front] = weights @ mesh.colours[[a, b, c]]
    length = np.linalg.norm(normals, axis=2, keepdims=True)
    return Layer(depth, normals / np.where(length > 0, length, 1), colours)


def _facing(mesh: Mesh) -> NDArray[np.int64]:
    """Return the triangles of which a corner faces the viewer: of a closed mesh the others are hidden."""
    facing = (mesh.normals[mesh.triangles, 2] > 0).any(axis=1)
    return np.asarray(mesh.triangles[facing], dtype=np.int64)


def shade(layer: Layer, specular: float = SPECULAR) -> Floats:
    """Return the lit colour of each pixel, (row, column, 3) in 0..1; zero where there is nothing."""
    diffuse = np.clip(layer.normals @ LIGHT, 0, None)[..., None]
    shine = np.clip(layer.normals @ HALF, 0, None)[..., None] ** SHININESS
    lit = layer.colours * (AMBIENT + DIFFUSE * diffuse) + specular * shine
    return np.asarray(np.clip(lit, 0, 1) * layer.hit[..., None], dtype=np.float64)


def compose(solid: Layer, skin: Layer, opacity: float = 0.18, rim: float = 0.68) -> Floats:
    """Return the solid behind a translucent skin, (row, column, 4) with alpha.

    The skin is denser where it is seen at a grazing angle, as glass is: alpha = opacity + rim (1 - |n.v|)^2.
    """
    back = shade(solid)
    covered = solid.hit.astype(np.float64)[..., None]
    facing = np.abs(skin.normals[..., 2:3])
    dense = (opacity + rim * (1 - facing) ** 2) * (skin.hit & (skin.depth >= solid.depth))[..., None]
    front = shade(skin, specular=0.18)
    alpha = dense + covered * (1 - dense)
    colour = front * dense + back * covered * (1 - dense)
    image = np.concatenate([np.where(alpha > 0, colour / np.where(alpha > 0, alpha, 1), 1), alpha], axis=2)
    return np.asarray(np.clip(image, 0, 1), dtype=np.float64)


def shrink(image: Floats, factor: int) -> Floats:
    """Return the image with `factor` x `factor` pixels averaged to one (colours weighted by alpha)."""
    rows, columns = image.shape[0] // factor, image.shape[1] // factor
    blocks = image[: rows * factor, : columns * factor].reshape(rows, factor, columns, factor, 4)
    alpha = blocks[..., 3:].sum(axis=(1, 3))
    colour = (blocks[..., :3] * blocks[..., 3:]).sum(axis=(1, 3)) / np.where(alpha > 0, alpha, 1)
    return np.asarray(np.clip(np.concatenate([colour, alpha / factor**2], axis=2), 0, 1), dtype=np.float64)
