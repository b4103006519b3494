r"""A kernel as a physical object: its linearised receptive field F(r) about its centre, in angstrom.

    radial profile       <F>(r)   mean over the sphere of radius r
    share of l           P_l = \int r^2 dr sum_m c_lm(r)^2 / sum over all l,   c_lm(r) = \int F(r, s) Y_lm(s) ds
                         l = 0 a sphere, 1 a direction, 2 an axis or a plane, ...; what is beyond l = 4 is the rest
    invariance           mean over the 23 rotations of the cube of the Pearson correlation of F with itself turned

F is read off between voxels by cubic splines on a product quadrature of the sphere that is exact for polynomials up to
degree 2 x 12, out to the largest sphere in the cube; the share of F's square within that sphere is given.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.ndimage import map_coordinates
from scipy.special import sph_harm_y

from decar.dataset.rotations import ALL
from decar.record import Array
from decar.units import ANGSTROM_PER_BOHR

MAX_L = 4
DEGREE = 12


@dataclass(frozen=True)
class Sphere:
    """Directions (n, 3), weights (n,) that sum to 4 pi, and real spherical harmonics (l and m, n) up to MAX_L."""

    directions: Array
    weights: Array
    harmonics: Array
    degrees: Array  # l of each row of the harmonics


def sphere() -> Sphere:
    """Return the quadrature of Gauss and Legendre in cos(theta) times equal steps in phi."""
    cosines, gauss = np.polynomial.legendre.leggauss(DEGREE + 1)
    phi = 2 * np.pi * np.arange(2 * DEGREE + 2) / (2 * DEGREE + 2)
    cosine, angle = (grid.ravel() for grid in np.meshgrid(cosines, phi, indexing="ij"))
    sine = np.sqrt(1 - cosine**2)
    directions = np.stack([sine * np.cos(angle), sine * np.sin(angle), cosine], axis=1)
    weights = np.repeat(gauss, len(phi)) * 2 * np.pi / len(phi)
    rows, degrees = [], []
    for l in range(MAX_L + 1):  # noqa: E741
        for m in range(l + 1):
            value = sph_harm_y(l, m, np.arccos(cosine), angle)
            rows += [value.real] if m == 0 else [np.sqrt(2) * value.real, np.sqrt(2) * value.imag]
            degrees += [l] * (1 if m == 0 else 2)
    return Sphere(directions, weights, np.array(rows), np.array(degrees))


def radial_profile(field: Array, spacing_bohr: float, at: Sphere) -> tuple[Array, Array, Array, float]:
    """Return for F (x, y, z): radii [angstrom], mean over each sphere, shares of l = 0 to 4, share inside spheres."""
    edge = field.shape[-1]
    radii = np.arange(0.0, (edge - 1) / 2 + 1e-9, 0.5)
    points = (edge - 1) / 2 + radii[:, None, None] * at.directions  # (radius, direction, 3) in voxels
    values = map_coordinates(np.asarray(field, dtype=np.float64), np.moveaxis(points, -1, 0), order=3, mode="nearest")
    mean = values @ at.weights / (4 * np.pi)
    step = np.gradient(radii) * radii**2
    coefficients = np.einsum("rd,d,hd->rh", values, at.weights, at.harmonics)
    power = np.array([(step @ coefficients[:, at.degrees == l] ** 2).sum() for l in range(MAX_L + 1)])  # noqa: E741
    total = float(step @ (values**2 @ at.weights))
    inside = np.linalg.norm(np.indices(field.shape).reshape(3, -1) - (edge - 1) / 2, axis=0) <= (edge - 1) / 2
    square = np.square(field, dtype=np.float64).ravel()
    share = float(square[inside].sum() / square.sum()) if square.any() else float("nan")
    return radii * spacing_bohr * ANGSTROM_PER_BOHR, mean, power / total if total else power * np.nan, share


def invariance(field: Array) -> float:
    """Return the mean correlation of F [channel, x, y, z] with itself under the 23 rotations other than none."""
    flat = field.ravel() - field.mean()
    turned = [rotation.apply(field).ravel() - field.mean() for rotation in ALL[1:]]
    return float(np.mean([flat @ other for other in turned]) / (flat @ flat)) if flat.any() else float("nan")


def kernel_tables(
    fields: Array, names: list[str], spacing_bohr: float, network: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return radial profiles (network, kernel, field, radius_angstrom, mean) and shapes, a row a kernel and field.

    `fields` is [kernel, channel, x, y, z], the receptive fields; `names` those of the channels.
    """
    at = sphere()
    profiles, shapes = [], []
    for kernel, field in enumerate(fields):
        scale = np.sqrt(np.square(field).mean())
        for name, channel in zip(names, field):
            radii, mean, shares, inside = radial_profile(channel / scale, spacing_bohr, at)
            head = {"network": network, "kernel": kernel, "field": name}
            profiles.append(pd.DataFrame({**head, "radius_angstrom": radii, "mean": mean}))
            shapes.append({
                **head, **{f"share_l{l}": share for l, share in enumerate(shares)}, "share_rest": 1 - shares.sum(),  # noqa: E741
                "share_inside": inside, "invariance": invariance(channel[None]),
                "edge_angstrom": channel.shape[-1] * spacing_bohr * ANGSTROM_PER_BOHR,
            })  # fmt: skip
    return pd.concat(profiles, ignore_index=True), pd.DataFrame(shapes)
