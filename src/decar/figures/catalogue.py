"""Every figure of a study: its name, its builder, its caption. Importing this imports no plot library."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from decar.config import Study
from decar.errors import ConfigError

if TYPE_CHECKING:
    from decar.figures.save import Drawing
    from decar.figures.sources import Sources


@dataclass(frozen=True)
class Entry:
    """`builder` is `module:function` below decar.figures; the function takes (study, sources)."""

    title: str
    builder: str
    caption: str

    def load(self) -> "Callable[[Study, Sources], Drawing]":
        """Import the builder."""
        module, function = self.builder.split(":")
        return getattr(import_module(f"decar.figures.{module}"), function)  # type: ignore[no-any-return]


# In the order of the report.
CATALOGUE = {
    "structure_and_cloud": Entry(
        "Structure and electron cloud",
        "structure_and_cloud:build",
        "The example molecule (a) as structural formula and (b) as electron cloud: the surface of constant electron "
        "density at the isovalue given, drawn to scale around the atoms, seen along the axis of least extent. The "
        "density is what the network sees.",
    ),
    "molecules": Entry(
        "Molecules",
        "molecules:build",
        "Structure, name, class and key figures of each molecule: total energy E, dipole moment μ, orbital gap, and "
        "the probability p of the positive class that was predicted while the molecule was in the test fold.",
    ),
    "pipeline": Entry(
        "From table to fields",
        "pipeline:build",
        "(a) Rows of the table and molecules after each stage, with the reasons of those that were left out. (b) Wall "
        "time of each molecule at each stage; the line is the median.",
    ),
    "network": Entry(
        "The network",
        "network:build",
        "The network that is explained, with the sizes that the trained model itself states, for the median box of "
        "the data set. Edges of kernels and of the region that one kernel sees are in angstrom.",
    ),
    "learning_curves": Entry(
        "Learning curves",
        "learning_curves:build",
        "Training and validation loss of each fold. The gap between the two is overfitting; the dot is the checkpoint "
        "that was kept.",
    ),
    "roc": Entry(
        "ROC curves",
        "roc:build",
        "Receiver operating characteristic over the molecules of all test folds, of networks (solid), the "
        "geometry-only control (dashed) and baselines (dotted) on the same folds. The legend gives AUROC with its "
        "bootstrap interval over molecules.",
    ),
    "performance": Entry(
        "Performance",
        "performance:build",
        "All metrics with bootstrap intervals over molecules, on the test folds. Intervals that overlap do not "
        "separate two models; the dotted line is chance.",
    ),
    "confusion_matrix": Entry(
        "Confusion matrices",
        "confusion_matrix:build",
        "Molecules of the test folds by measured and predicted class at the probability threshold 0.5: number and "
        "share of the measured class.",
    ),
    "kernel_correlations_activation": Entry(
        "Kernel correlations, published form",
        "kernel_correlations:build_activation",
        "Largest Pearson correlation between each kernel of the last convolution layer and the activations of the "
        "layer before, over positions and proper rotations: one point a molecule, boxes from the 25th to the 75th "
        "percentile. Below, the effect size between the classes (Cliff's δ), filled where the Mann-Whitney p value "
        "adjusted after Holm is below 0.05; crosses are molecules that the network was not trained on. An effect that "
        "an untrained network shows as well is not learned.",
    ),
    "kernel_correlations_input": Entry(
        "Kernel correlations, input form",
        "kernel_correlations:build_input",
        "As the figure before, with each kernel's linearised receptive field correlated with the field of the molecule "
        "itself.",
    ),
}


def figure_names(study: Study) -> list[str]:
    """Return the names of the figures of a study, in the order of the report."""
    del study  # every study has all figures
    return list(CATALOGUE)


def entry(name: str) -> Entry:
    """Return the entry of a figure; raises ConfigError for an unknown name."""
    if name not in CATALOGUE:
        raise ConfigError("unknown figure", seen=name, expected=", ".join(CATALOGUE))
    return CATALOGUE[name]
