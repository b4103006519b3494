"""Explanations, figures, how the work is cut into jobs, and who gives it away."""

from typing import Annotated, Literal

from pydantic import Field

from decar.config.section import Colour, Count, Fraction, Name, Positive, Section


class InterpretSettings(Section):
    """Kernel correlation (arXiv 2305.17958): the published explanation, by class."""

    model: Name = Field(description="Name of the model that is explained.")
    scheme: Literal["random", "scaffold"] = Field(
        "random", description="Split whose first fold's network is explained."
    )
    rotations: Literal[1, 6, 24] = Field(24, description="Proper rotations over which a correlation is maximised.")
    rotated: Literal["molecule", "kernel"] = Field(
        "molecule",
        description="What is rotated: the `molecule` before the network (invariant under its rotation), "
        "or the last `kernel` alone.",
    )
    min_patch_variance: Annotated[float, Field(ge=1e-6, lt=1)] = Field(
        0.1,
        description="Least variance of a patch that counts, as a share of the molecule's largest: "
        "fainter ones are vacuum.",
    )
    permuted_control: Name | None = Field(
        None,
        description="Model of the same network that was trained on permuted labels: what its kernels show as well "
        "is no property of the classes. Null for none.",
    )


class AttributionSettings(Section):
    """Where the explained networks look: attributions on the field, summed to atoms and functional groups."""

    num_molecules: Count = Field(
        10, description="Molecules that are looked at: figures.example, then both classes in turn, in order of key."
    )
    methods: tuple[Literal["integrated_gradients", "occlusion", "grad_cam"], ...] = Field(
        ("integrated_gradients", "occlusion", "grad_cam"), min_length=1, description="How (docs/explanation.md)."
    )
    num_steps: Annotated[int, Field(ge=4)] = Field(
        24, description="Points of the integral of integrated gradients; its error is stored with each attribution."
    )
    num_rotations: Annotated[int, Field(ge=1, le=6)] = Field(
        3, description="Orientations of a molecule that are compared with each other."
    )
    num_seeds: Count = Field(
        1,
        description="Trainings of the explained network on the first fold, from other weights and in another order, "
        "whose attributions are compared; those beyond the first are for this alone.",
    )


class FiguresSettings(Section):
    """Figures and the report."""

    example: str = Field(description="Identifier (id column) of the molecule drawn as structure and electron cloud.")
    isovalue: Positive = Field(0.002, description="Electron density of the drawn surface [e/bohr^3].")
    formats: tuple[Literal["svg", "png", "pdf"], ...] = Field(("svg", "pdf", "png"), description="File formats.")
    dots_per_inch: Count = Field(200, description="Resolution of PNG figures.")
    positive_colour: Colour = Field(
        "#D55E00", description="Colour of the positive class (colour-blind safe by default)."
    )
    negative_colour: Colour = Field("#0072B2", description="Colour of the negative class.")
    positive_name: str = Field(
        "positive", description="Name of the positive class in figures; of a regression `above the median`."
    )
    negative_name: str = Field(
        "negative", description="Name of the negative class in figures; of a regression `up to the median`."
    )


class WorkflowSettings(Section):
    """How the work is cut into jobs."""

    batch_size: Count = Field(
        1, description="Molecules of one job at most about (cut by hash prefix); 1: a job a molecule and stage."
    )
    max_failed_share: Fraction = Field(0.2, description="Share of failed molecules above which the run fails.")


class ContributionSettings(Section):
    """Who gives records and models away, and on what terms: kept in every one of them, deciding no number."""

    contributor: str | None = Field(None, description="Name or ORCID of who computed the records, or null.")
    licence: str | None = Field(None, description="SPDX identifier of their licence (such as CC-BY-4.0), or null.")
