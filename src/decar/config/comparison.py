"""Metrics, and networks beside baselines on the same folds."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from decar.config.section import Count, Name, Section


class EvaluateSettings(Section):
    """Metrics with intervals, beside baselines on the same folds."""

    baselines: tuple[
        Literal[
            "lightgbm_ecfp4",
            "lightgbm_ecfp4_descriptors",
            "atom_counts",
            "tuned_lssvm_descriptors",
            "tuned_random_forest",
            "tuned_lightgbm",
            "tuned_lightgbm_atom_counts",
        ],
        ...,
    ] = Field(("lightgbm_ecfp4", "atom_counts"), description="Models on the same folds that see no electron cloud.")
    num_bootstrap: Count = Field(1000, description="Bootstrap resamples (by molecule) of each interval.")
    confidence: Annotated[float, Field(gt=0, lt=1)] = Field(0.95, description="Coverage of the intervals.")


PERMUTED = "_permuted"  # ends the name of a contender whose training labels are permuted
ENSEMBLE = "_ensemble"  # ends the name of a contender that is the mean of several trainings
TUNED = "tuned_"  # begins the name of a contender whose settings the validation molecules choose


class BenchmarkSplit(Section):
    """Folds of `decar benchmark`: who stays together, how many folds, who stops the training."""

    scheme: Literal["random", "scaffold", "cluster", "column"] = Field(
        "random",
        description="`random` by group; `scaffold` (Murcko); `cluster` (Butina on ECFP4, doi 10.1021/ci9803381); "
        "`column`: molecules with one value of a property stay together.",
    )
    column: Name | None = Field(
        None, description="For `column`: a property of molecules.labels, such as a year or a `category`."
    )
    cluster_distance: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.6, description="For `cluster`: Tanimoto distance from a cluster's centre to its members at most."
    )
    num_folds: Annotated[int, Field(ge=2)] = Field(5, description="Folds; each molecule is tested once a seed.")
    validation_fraction: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.2, description="Share of the groups outside the test fold that stops training and tunes the baselines."
    )


class BenchmarkSettings(Section):
    """`decar benchmark`: every network against baselines and controls on the same folds (docs/benchmark.md)."""

    splits: dict[Name, BenchmarkSplit] = Field(
        {
            "random": BenchmarkSplit(),
            "scaffold": BenchmarkSplit(scheme="scaffold"),
            "cluster": BenchmarkSplit(scheme="cluster"),
        },
        min_length=1,
        description="Split name: its folds.",
    )
    num_seeds: Count = Field(1, description="Seeds of folds, weights and order; the first one is the study's own.")
    train_shares: tuple[Annotated[float, Field(gt=0, le=1)], ...] = Field(
        (1.0,), min_length=1, description="Shares of the training and validation molecules: growth with data."
    )
    networks: tuple[Name, ...] | None = Field(None, description="Names of training.models; null: all of them.")
    baselines: tuple[
        Literal[
            "tuned_lssvm_descriptors",
            "tuned_lightgbm",
            "tuned_random_forest",
            "tuned_lightgbm_atom_counts",
            "lightgbm_ecfp4",
            "lightgbm_ecfp4_descriptors",
            "atom_counts",
            "chemprop",
            "tuned_chemprop",
        ],
        ...,
    ] = Field(
        (
            "tuned_lssvm_descriptors",
            "tuned_lightgbm",
            "tuned_random_forest",
            "tuned_lightgbm_atom_counts",
            "tuned_chemprop",
        ),
        description="Rivals; one that is not installed is left out, and the result says so.",
    )
    permuted: tuple[Name, ...] = Field(
        (), description="Networks and baselines that run on permuted training labels, too: they must not beat a coin."
    )
    ensembles: dict[Name, Annotated[int, Field(ge=2)]] = Field(
        {},
        description="Network: how many of it, of other first weights and orders, are trained on each fold; the "
        "contender `NAME_ensemble` is the mean of their predictions.",
    )
    tuned: dict[Name, dict[str, Annotated[tuple[Any, ...], Field(min_length=1)]]] = Field(
        {},
        description="Network: values of settings of its `training.models` entry. Each combination is trained on each "
        "fold; the contender `tuned_NAME` is the one of highest AUROC (of a regression: lowest RMSE) on the "
        "validation molecules.",
    )
    chemprop_command: str | None = Field(
        None, description="Chemprop's program (workflow/envs/chemprop.yaml), or null for the `chemprop` on PATH."
    )

    @property
    def has_growth(self) -> bool:
        """Return whether contenders are trained on less than all training molecules, too."""
        return min(self.train_shares) < 1

    @model_validator(mode="after")
    def _a_column_for_the_column(self) -> Self:
        for name, split in self.splits.items():
            if (split.scheme == "column") != (split.column is not None):
                raise ValueError(f"benchmark.splits.{name}: scheme `column` and a column go together")
        return self
