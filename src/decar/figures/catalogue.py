"""Every figure of a study (name, builder, caption) and every table (name). Importing this imports no plot library.

What is drawn, and what its caption says, depends on the kind of the property that the study learns: `entries_of`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING

from decar.config import Study
from decar.errors import ConfigError
from decar.predictions import kind_of

if TYPE_CHECKING:
    from decar.figures.save import Drawing
    from decar.figures.sources import Sources


@dataclass(frozen=True)
class Entry:
    """`builder` is `module:function` below decar.figures; the function takes (study, sources).

    It is drawn of properties of these `kinds`; `of_regression` is the caption of a regression, "" where it is the same.
    """

    title: str
    builder: str
    caption: str
    kinds: tuple[str, ...] = ("binary", "regression")
    of_regression: str = ""

    def load(self) -> "Callable[[Study, Sources], Drawing]":
        """Import the builder."""
        module, function = self.builder.split(":")
        return getattr(import_module(f"decar.figures.{module}"), function)  # type: ignore[no-any-return]

    def caption_of(self, kind: str) -> str:
        """Return the caption of a property of this kind."""
        return self.of_regression if kind == "regression" and self.of_regression else self.caption


# The figure of a study whose benchmark is asked for several shares of the training molecules.
GROWTH = "growth_with_data"

# In the order of the report.
CATALOGUE = {
    "structure_and_cloud": Entry(
        "Structure and electron cloud",
        "structure_and_cloud:build",
        "The example molecule (a) as structural formula and (b) as electron cloud: the surface of constant electron "
        "density at the isovalue given, drawn to scale around the atoms, seen along the axis of least extent. The "
        "density is what the network sees.",
    ),
    "cloud_and_potential": Entry(
        "From bonds to the outer surface",
        "cloud_and_potential:build",
        "The example's electron density at several iso-values, from the bonds outwards (the atoms are drawn "
        "inside), and, on the outermost surface, the electrostatic potential: red attracts a positive charge, blue "
        "repels it. All panels are to one scale.",
    ),
    "field_gallery": Entry(
        "Fields",
        "field_gallery:build",
        "Every field of the registry on the example, rendered from its wavefunction on the plane of the nuclei's "
        "largest spread; dots are nuclei within 0.6 Å of the plane. Fields of either sign have a scale symmetric "
        "about zero, which ends at the 96 % quantile of the slice, as nuclei would take all of it. Of vectors the "
        "length is in colour and the direction in the plane in arrows; of fields of either sign blue is positive.",
    ),
    "data_flow": Entry(
        "Data flow",
        "data_flow:build",
        "The stages of the study with what each made, and the store in which records lie under the hash of what "
        "made them: how many, how large, and how many of them other studies use, too.",
    ),
    "molecules": Entry(
        "Molecules",
        "molecules:build",
        "Structure, name, class and key figures of each molecule: total energy E, dipole moment μ, orbital gap, and "
        "the probability p of the positive class that was predicted while the molecule was in the test fold.",
        of_regression="Structure, name, measured value and key figures of each molecule: total energy E, dipole moment "
        "μ, orbital gap, and the value p that was predicted while the molecule was in the test fold. The colour says "
        "whether the measured value is above the median.",
    ),
    "pipeline": Entry(
        "From table to fields",
        "pipeline:build",
        "(a) Rows of the table and molecules after each stage, with the reasons of those that were left out. (b) Wall "
        "time of each molecule at each stage; the line is the median.",
    ),
    "campaign": Entry(
        "The campaign in numbers",
        "campaign:build",
        "(a) Distribution of the sizes of the molecules. (b) Wall time of a wavefunction against its basis "
        "functions, with the power law of least squares in logarithms. (c) Molecules that were left out, by reason "
        "and stage. (d) Wall time of each stage, over all molecules. (e) Bytes of the study's records, and their "
        "number.",
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
        of_regression="Training and validation loss of each fold, half the squared error in standard deviations of the "
        "training molecules. The gap between the two is overfitting; the dot is the checkpoint that was kept.",
    ),
    "gradients": Entry(
        "Gradients and overfitting",
        "gradients:build",
        "Norm of the gradient of each part of a network, mean over steps and folds: a part whose norm falls far below "
        "those after it no longer learns. Last panel: validation less training loss at the last epoch by the number of "
        "rotations in which training molecules are shown (any: continuous ones); points are folds, lines join networks "
        "that differ in nothing else.",
    ),
    "predicted_and_measured": Entry(
        "Predicted and measured values",
        "predicted_and_measured:build",
        "Predicted against measured value of the molecules of all test folds, each predicted by a model that was not "
        "trained on it: the networks, and of each split the baseline of lowest RMSE. On the dotted line the two are "
        "the same. RMSE, coefficient of determination R² and Spearman’s rank correlation ρ with their bootstrap "
        "intervals over molecules.",
        kinds=("regression",),
    ),
    "roc": Entry(
        "ROC curves",
        "roc:build",
        "Receiver operating characteristic over the molecules of all test folds, of networks (solid), the "
        "controls (dashed) and baselines (dotted) on the same folds. The legend gives AUROC with its "
        "bootstrap interval over molecules.",
        kinds=("binary",),
    ),
    "calibration": Entry(
        "Calibration",
        "calibration:build",
        "Share of positive molecules against predicted probability, in ten equal bins of the test folds, and "
        "molecules in each bin; Brier score and expected calibration error (ECE) above. Scaled (squares): Platt's "
        "line, fitted on the validation molecules of each fold; it is drawn where every fold has five of each class.",
        kinds=("binary",),
    ),
    "performance": Entry(
        "Performance",
        "performance:build",
        "All metrics of all models on every split, with bootstrap intervals over the molecules of the test folds. "
        "Intervals that overlap do not separate two models; the dotted line is chance.",
        of_regression="All metrics of all models on every split, with bootstrap intervals over the molecules of the "
        "test folds; of errors the lower is the better. Intervals that overlap do not separate two models; the dotted "
        "line is the prediction of the mean: the standard deviation of the labels as RMSE, and R² and Spearman’s ρ of "
        "0.",
    ),
    "growth_with_data": Entry(
        "Growth with data",
        "growth_with_data:build",
        "AUROC of the contenders of the benchmark against the share of the training molecules that they were given "
        "(mean of folds, with the interval of the corrected resampled t); networks solid, controls dashed, baselines "
        "dotted. A line that still rises at 100 % would gain from more molecules.",
        of_regression="RMSE of the contenders of the benchmark against the share of the training molecules that they "
        "were given (mean of folds, with the interval of the corrected resampled t), the lower the better; networks "
        "solid, controls dashed, baselines dotted; the dotted grey line is the standard deviation of the labels, which "
        "is about what their mean reaches. A "
        "line that still falls at 100 % would gain from more molecules.",
    ),
    "ablations": Entry(
        "Ablations",
        "ablations:build",
        "AUROC of each other model less that of the explained network on the same test molecules, with DeLong's 95 "
        "% interval and p. Inside the grey band no difference can be shown with this many molecules (power 0.8 at "
        "the 5 % level). The interval is over molecules, not over trainings.",
        of_regression="RMSE of each other model less that of the explained network on the same test molecules, with "
        "the 95 % interval of the delta method and p; a lower RMSE is better, so that a model right of zero is worse. "
        "Inside the grey band no difference can be shown with this many molecules (power 0.8 at the 5 % level). The "
        "interval is over molecules, not over trainings.",
    ),
    "confusion_matrix": Entry(
        "Confusion matrices",
        "confusion_matrix:build",
        "Molecules of the test folds by measured and predicted class at the probability threshold 0.5: number and "
        "share of the measured class.",
        kinds=("binary",),
    ),
    "kernel_correlations_activation": Entry(
        "Kernel correlations, published form",
        "kernel_correlations:build_activation",
        "Largest Pearson correlation between each kernel of the last convolution layer and the activations of the "
        "layer before, over positions and proper rotations: one point a molecule, boxes from the 25th to the 75th "
        "percentile. Below, the effect size between the classes (Cliff's δ), filled where the Mann-Whitney p value "
        "adjusted after Holm is below 0.05; crosses are molecules that the network was not trained on. An effect that "
        "an untrained network, or one trained on permuted labels, shows as well is not learned from the classes.",
        of_regression="Largest Pearson correlation between each kernel of the last convolution layer and the "
        "activations of the layer before, over positions and proper rotations: one point a molecule, boxes from the "
        "25th to the 75th percentile, apart for molecules whose label is above the median of all and the rest. Below, "
        "the effect size between these halves (Cliff's δ), filled where the Mann-Whitney p value adjusted after Holm "
        "is below 0.05; crosses are molecules that the network was not trained on. An effect that an untrained "
        "network, or one trained on permuted labels, shows as well is not learned from the labels.",
    ),
    "kernel_correlations_input": Entry(
        "Kernel correlations, input form",
        "kernel_correlations:build_input",
        "As the figure before, with each kernel's linearised receptive field correlated with the field of the molecule "
        "itself.",
    ),
    "attribution_molecules": Entry(
        "Where the networks look: molecules",
        "attribution_molecules:build",
        "Integrated gradients of the logit, summed over the cell of each atom (nearest atom by distance over covalent "
        "radius) and its hydrogens; mean over the networks of all folds and the orientations of the molecule. All "
        "molecules share one scale. The figure shows what these networks respond to, not what makes a molecule taste: "
        "how far it can be trusted is the figure of agreement.",
        of_regression="Integrated gradients of the predicted value, summed over the cell of each atom (nearest atom by "
        "distance over covalent radius) and its hydrogens; mean over the networks of all folds and the orientations of "
        "the molecule. All molecules share one scale. The figure shows what these networks respond to, not what makes "
        "a molecule what it is: how far it can be trusted is the figure of agreement.",
    ),
    "attribution_surface": Entry(
        "Where the network looks: the electron cloud",
        "attribution_surface:build",
        "Integrated gradients of the example. (a) By atom, mean over the networks of all folds. (b, c) The voxel map "
        "of the first fold’s network, mean over the orientations, smoothed by a Gaussian of 0.4 Å, read "
        "off on the surface of constant electron density: what lies in the cloud below the surface is not seen here, "
        "but is in the sums of (a).",
    ),
    "attribution_groups": Entry(
        "Where the networks look: functional groups",
        "attribution_groups:build",
        "Attributions summed over the atoms of each functional group (every atom belongs to one), as a share of the "
        "sum of all atoms’ absolute attributions, mean over the "
        "molecules that have it (their number in brackets) with a 95 % bootstrap interval over them; no interval for a "
        "single molecule. A group whose attribution an untrained network, or one trained on permuted labels, shows as "
        "well is not explained by what was learned.",
    ),
    "attribution_agreement": Entry(
        "Does the attribution hold",
        "attribution_agreement:build",
        "Rank correlation, over the heavy atoms of a molecule, of the attribution by the first fold's network with "
        "that of the molecule turned, of the same fold trained from another seed, of the other folds (other seed and "
        "other training molecules), of the other methods, and of the controls (hollow: all weights drawn anew, or "
        "trained on permuted labels). A point is a molecule and a comparison, the large marker the median, the bar the "
        "quartiles. Where seeds and folds do not agree better than the controls do, the attribution is no explanation.",
    ),
    "kernel_shapes": Entry(
        "Kernels as physical objects",
        "kernel_shapes:build",
        "The linearised receptive fields of the last layer’s kernels in the first input field. (a) Mean over spheres "
        "about the centre, of the kernels of largest effect size δ between the classes (input form). (b) Mean Pearson "
        "correlation of a kernel with itself under the 23 rotations of the cube other than none: 1 is invariant. (c) "
        "Share of each angular momentum l in the power inside the largest sphere: l = 0 is a sphere, 1 a direction, 2 "
        "an axis or a plane. Kernels that look like those of the untrained network (random weights) have learned no "
        "symmetry.",
        of_regression="The linearised receptive fields of the last layer’s kernels in the first input field. (a) Mean "
        "over spheres about the centre, of the kernels of largest effect size δ between molecules above the median and "
        "the rest (input form). (b) Mean Pearson correlation of a kernel with itself under the 23 rotations of the "
        "cube other than none: 1 is invariant. (c) Share of each angular momentum l in the power inside the largest "
        "sphere: l = 0 is a sphere, 1 a direction, 2 an axis or a plane. Kernels that look like those of the untrained "
        "network (random weights) have learned no symmetry.",
    ),
    "kernel_gallery": Entry(
        "What excites the kernels",
        "kernel_gallery:build",
        "For the kernels of largest effect size δ (input form) the molecules of highest correlation r, and the share "
        "of r that the cell of each atom contributes where the kernel fits best: a full ring adds to the match, a "
        "dotted one takes from it. What vacuum contributes is not drawn. A molecule high in r is not for that reason "
        "one of the class that δ points to.",
        of_regression="For the kernels of largest effect size δ between molecules above the median and the rest (input "
        "form) the molecules of highest correlation r, and the share of r that the cell of each atom contributes where "
        "the kernel fits best: a full ring adds to the match, a dotted one takes from it. What vacuum contributes is "
        "not drawn. A molecule high in r is not for that reason one of the half that δ points to.",
    ),
}


# In the order of a paper; built by decar.figures.table_catalogue.
TABLE_NAMES = (
    "molecules", "performance", "ablations", "calibration", "training", "groups", "agreement", "kernels", "campaign",
    "failures",
)  # fmt: skip
OF_PROBABILITIES = ("calibration",)  # tables that a regression has not


def entries_of(study: Study) -> dict[str, Entry]:
    """Return the figures of a study, by name in the order of the report, each with the caption of its property."""
    kind = kind_of(study)
    return {
        name: replace(about, caption=about.caption_of(kind)) for name, about in CATALOGUE.items()
        if kind in about.kinds and (name != GROWTH or study.benchmark.has_growth)
    }  # fmt: skip


def figure_names(study: Study) -> list[str]:
    """Return the names of the figures of a study, in the order of the report."""
    return list(entries_of(study))


def table_names(study: Study) -> list[str]:
    """Return the names of the tables of a study."""
    return [name for name in TABLE_NAMES if kind_of(study) == "binary" or name not in OF_PROBABILITIES]


def entry(name: str, study: Study) -> Entry:
    """Return the entry of a figure of a study; raises ConfigError for a name that it has not."""
    known = entries_of(study)
    if name not in known:
        raise ConfigError("unknown figure", seen=name, expected=", ".join(known))
    return known[name]
