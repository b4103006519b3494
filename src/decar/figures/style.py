"""One style for every figure: column widths of a journal, a font that matplotlib ships, colour-blind safe colours.

Colours are those of Okabe and Ito (https://jfly.uni-koeln.de/color/) and greys, any two at least 10 apart (CIEDE2000)
for every common colour vision; where it matters, marker or line style differ, too, so that a grey print can be read.
Scales rise or fall in lightness all the way, those of either sign from the middle.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from textwrap import wrap

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

MILLIMETRE = 1 / 25.4  # inch
COLUMN = 85 * MILLIMETRE  # width of a journal column
PAGE = 175 * MILLIMETRE  # width of two columns

BLACK, GREY, PALE = "#222222", "#666666", "#D9D9D9"
ORANGE, SKY, GREEN, YELLOW = "#E69F00", "#56B4E9", "#009E73", "#F0E442"
BLUE, VERMILLION, PURPLE = "#0072B2", "#D55E00", "#CC79A7"
SEQUENTIAL, BLUES, DIVERGING = "viridis", "Blues", "RdBu"  # colour maps; red is negative, as chemists draw it
SEQUENCE = (GREEN, PURPLE, ORANGE, SKY, BLACK, GREY, YELLOW)

# Beside the colours of a sequence.
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)))

# A model, its control and the baselines stay apart without colour, too.
ROLES = ("model", "control", "baseline")
LINE_OF_ROLE = {"model": "-", "control": "--", "baseline": ":"}
MARKER_OF_ROLE = {"model": "o", "control": "s", "baseline": "D"}

SETTINGS: dict[str, object] = {
    "font.family": "DejaVu Sans",
    "font.size": 7.0,
    "axes.labelsize": 7.5,
    "axes.titlesize": 8.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": BLACK,
    "axes.labelcolor": BLACK,
    "axes.axisbelow": True,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "xtick.color": BLACK,
    "ytick.color": BLACK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "legend.fontsize": 6.5,
    "legend.frameon": False,
    "legend.handlelength": 2.2,
    "lines.linewidth": 1.2,
    "lines.markersize": 4.0,
    "grid.color": PALE,
    "grid.linewidth": 0.4,
    "mathtext.fontset": "dejavusans",
    "svg.fonttype": "path",  # looks the same on every machine
    "svg.hashsalt": "decar",  # identifiers inside an SVG are otherwise random
    "pdf.fonttype": 42,
    "figure.dpi": 100.0,
    "savefig.dpi": "figure",
    "image.interpolation": "nearest",
    "path.simplify": True,
}


@contextmanager
def style() -> Iterator[None]:
    """Draw with this style alone: neither a user's matplotlibrc nor earlier code can change a figure."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(SETTINGS)  # type: ignore[arg-type]
        yield


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of this size in inches, laid out so that nothing overlaps or is cut."""
    return Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.03))


def colours(names: Sequence[str]) -> dict[str, str]:
    """Return one colour for each name, by its place in the list."""
    return {name: SEQUENCE[index % len(SEQUENCE)] for index, name in enumerate(names)}


def panel_letter(axes: Axes, letter: str) -> None:
    """Write the panel's letter, bold, at the upper left corner outside the axes."""
    axes.annotate(
        letter, (0, 1), (-22, 6), xycoords="axes fraction", textcoords="offset points",
        fontsize=9, fontweight="bold", va="baseline", ha="left", annotation_clip=False,
    )  # fmt: skip


SPECIAL = {
    "auroc": "AUROC", "mcc": "MCC", "rmse": "RMSE", "mae": "MAE", "r2": "R²",
    "spearman": "Spearman’s ρ", "atom_counts": "atom counts", "chemprop": "D-MPNN (Chemprop)",
    "tuned_chemprop": "D-MPNN (Chemprop, tuned)",
    "lightgbm_ecfp4": "LightGBM on ECFP4", "lightgbm_ecfp4_descriptors": "LightGBM on ECFP4, descriptors",
    "tuned_lightgbm": "LightGBM (tuned)", "tuned_random_forest": "random forest (tuned)",
    "tuned_lssvm_descriptors": "LS-SVM on descriptors (tuned)",
    "tuned_lightgbm_atom_counts": "LightGBM on atom counts (tuned)",
}  # fmt: skip


def readable(name: str) -> str:
    """Return a name of a table as words: `balanced_accuracy` -> `balanced accuracy`; acronyms in capitals."""
    if name.endswith("_permuted") and name.removesuffix("_permuted") in SPECIAL:
        return f"{SPECIAL[name.removesuffix('_permuted')]}, permuted"
    return SPECIAL.get(name, name.replace("_", " ").replace("smiles", "SMILES"))


def shortened(name: str, most: int) -> str:
    """Return a name of at most `most` characters, the last one an ellipsis where it was cut."""
    return name if len(name) <= most else name[: most - 1] + "…"


def wrapped(name: str, width: int, lines: int = 2) -> str:
    """Return a name on as many lines; what does not fit ends in an ellipsis (tables have every name whole)."""
    return "\n".join(wrap(name, width, max_lines=lines, placeholder="…"))
