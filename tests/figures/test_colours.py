"""Every two colours of the figures are told apart with any common colour vision, and every scale by lightness alone.

Colour vision is simulated with the matrices of Machado, Oliveira and Fernandes (doi 10.1109/TVCG.2009.113) at full
severity, on linear RGB; the distance of colours is CIEDE2000 (doi 10.1002/col.20070): 1 can just be seen.
"""

from itertools import combinations

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from skimage.color import deltaE_ciede2000, rgb2lab

from decar.config import FiguresSettings
from decar.figures import style
from decar.figures.halo import diverging
from decar.figures.kernel_shapes import SHADES

LEAST = 10.0
VISION = {
    "common": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}  # fmt: skip
# Every figure takes its series from these, so that any of them may stand together.
SERIES = {*style.SEQUENCE, style.BLUE, style.VERMILLION}


def seen(rgb: np.ndarray, vision: str) -> np.ndarray:
    """Return CIELAB (n, 3) of what sRGB colours (n, 3) look like."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    found = np.clip(linear @ np.array(VISION[vision]).T, 0, 1)
    return np.asarray(rgb2lab(np.where(found <= 0.0031308, 12.92 * found, 1.055 * found ** (1 / 2.4) - 0.055)))


@pytest.mark.parametrize("vision", VISION)
def test_series_are_told_apart(vision: str) -> None:
    settings = FiguresSettings(example="")
    names = sorted({*SERIES, settings.positive_colour, settings.negative_colour})
    lab = dict(zip(names, seen(np.array([to_rgb(name) for name in names]), vision)))
    distance = {pair: float(deltaE_ciede2000(*(lab[name] for name in pair))) for pair in combinations(names, 2)}
    assert {pair: found for pair, found in distance.items() if found < LEAST} == {}
    # These lie in the order of lightness, one on the other: neighbours have to differ.
    shades = seen(np.array([to_rgb(name) for name in SHADES]), vision)
    assert min(deltaE_ciede2000(shades[:-1], shades[1:])) >= LEAST
    assert (np.diff(shades[:, 0]) > 0).all()


@pytest.mark.parametrize("vision", VISION)
def test_scales_are_read_by_lightness(vision: str) -> None:
    settings = FiguresSettings(example="")
    steps = np.linspace(0, 1, 101)
    for name in (style.SEQUENTIAL, style.BLUES):
        lightness = seen(mpl.colormaps[name](steps)[:, :3], vision)[:, 0]
        change = np.diff(lightness)
        assert (change > 0).all() or (change < 0).all(), name
        assert abs(lightness[-1] - lightness[0]) > 50
    for scale in (mpl.colormaps[style.DIVERGING], diverging(settings)):
        lightness = seen(scale(steps)[:, :3], vision)[:, 0]
        assert (np.diff(lightness[:51]) > 0).all()
        assert (np.diff(lightness[50:]) < 0).all()
        assert lightness[50] - max(lightness[0], lightness[-1]) > 30


def test_a_pair_that_fails_is_seen() -> None:
    """Red and green of equal lightness, in the eyes of most."""
    lab = {vision: seen(np.array([to_rgb("#C44E52"), to_rgb("#6B8E23")]), vision) for vision in VISION}
    distance = {vision: float(deltaE_ciede2000(*colours)) for vision, colours in lab.items()}
    assert distance["common"] > 40
    assert distance["deuteranopia"] < LEAST
