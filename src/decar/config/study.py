"""The study: all sections, and where they have to agree."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, ValidationError, model_validator

from decar.config.chemistry import (
    ConformersSettings,
    DatasetSettings,
    FieldsSettings,
    MoleculesSettings,
    OptimiseSettings,
    QuantumSettings,
)
from decar.config.comparison import ENSEMBLE, PERMUTED, TUNED, BenchmarkSettings, EvaluateSettings
from decar.config.networks import NOT_TUNED, ModelSettings, TrainingSettings
from decar.config.presentation import (
    AttributionSettings,
    ContributionSettings,
    FiguresSettings,
    InterpretSettings,
    WorkflowSettings,
)
from decar.config.section import Name, Section


def _is_the_same_network(models: dict[str, ModelSettings], explained: str, control: str) -> None:
    """Raise ValueError unless `control` is the explained network but for its permuted labels."""
    own, other = ({**models[name].model_dump(), "role": None} for name in (explained, control))
    differing = sorted(name for name, value in own.items() if other[name] != value)
    if differing != ["permuted_labels"]:
        raise ValueError(
            f"interpret.permuted_control must be {explained!r} with permuted_labels: true and nothing else changed, "
            f"but {control!r} differs in {differing or 'nothing'}"
        )


class Study(Section):
    """A study: everything that decides its results."""

    study: Name = Field(description="Name of the study; its results lie in <results>/<study>/.")
    seed: Annotated[int, Field(ge=0)] = Field(2305, description="Seed from which every other seed is derived.")
    results: Path = Field(Path("results"), description="Folder of all results.")
    store: Path = Field(Path("results/store"), description="Records, shared by all studies, named by their recipes.")
    molecules: MoleculesSettings
    conformers: ConformersSettings = ConformersSettings()
    optimise: OptimiseSettings = OptimiseSettings()
    quantum: QuantumSettings = QuantumSettings()
    fields: FieldsSettings = FieldsSettings()
    dataset: DatasetSettings = DatasetSettings()
    training: TrainingSettings
    evaluate: EvaluateSettings = EvaluateSettings()
    benchmark: BenchmarkSettings = BenchmarkSettings()
    interpret: InterpretSettings
    attribution: AttributionSettings = AttributionSettings()
    figures: FiguresSettings
    workflow: WorkflowSettings = WorkflowSettings()
    contribution: ContributionSettings = ContributionSettings()

    @property
    def folder(self) -> Path:
        """Return `<results>/<study>`."""
        return self.results / self.study

    @model_validator(mode="after")
    def _benchmark_agrees(self) -> Self:
        models = set(self.training.models)
        for key in ("networks", "ensembles", "tuned"):
            unknown = sorted(set(getattr(self.benchmark, key) or ()) - models)
            if unknown:
                raise ValueError(f"benchmark.{key} has {unknown}, but training.models has {sorted(models)}")
        for name, values in self.benchmark.tuned.items():
            self._check_tuned(name, values)
        self._check_contenders()
        unknown = sorted(set(self.benchmark.permuted) - models - set(self.benchmark.baselines))
        if unknown:
            raise ValueError(f"benchmark.permuted has {unknown}, which is no network and none of benchmark.baselines")
        for name, split in self.benchmark.splits.items():
            if split.column is not None and split.column not in self.molecules.labels:
                raise ValueError(
                    f"benchmark.splits.{name}.column is {split.column!r}, "
                    f"but molecules.labels has {sorted(self.molecules.labels)}"
                )
        return self

    def _check_contenders(self) -> None:
        """Raise ValueError where two contenders of the benchmark would have one name."""
        asked, models = self.benchmark, self.training.models
        networks = models if asked.networks is None else asked.networks
        names = [*networks, *asked.baselines, *(name + PERMUTED for name in asked.permuted)]
        names += [*(name + ENSEMBLE for name in asked.ensembles), *(TUNED + name for name in asked.tuned)]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two contenders of the benchmark have the name {twice}: give that network another one")

    def _check_tuned(self, name: str, values: Mapping[str, tuple[Any, ...]]) -> None:
        where = f"benchmark.tuned.{name}"
        fixed = sorted(NOT_TUNED & set(values))
        if fixed:
            raise ValueError(f"{where} has {fixed}: that makes another network, which training.models can name")
        try:
            found = self.training.models[name].variants(values)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, (where, *first["loc"])))
            raise ValueError(f"{place}: {first['msg']} (got {first['input']!r})") from error
        for one in found:
            one.kernel_taps(self.fields.spacing_angstrom, where)
        if not all(map(self.training.can_turn, found)):
            raise ValueError(f"{where}.augmentation: stored voxels cannot turn by any angle; set input: rendered")

    @model_validator(mode="after")
    def _name_the_halves(self) -> Self:
        """Where figures compare two classes of a regression, these are the molecules above its median and the rest."""
        names = {"positive_name": "above the median", "negative_name": "up to the median"}
        unsaid = {name: text for name, text in names.items() if name not in self.figures.model_fields_set}
        label = self.molecules.labels.get(self.training.property)
        if label is not None and label.kind == "regression" and unsaid:
            object.__setattr__(self, "figures", self.figures.model_copy(update=unsaid))
        return self

    def _check_regression(self) -> None:
        """Raise ValueError where a network is chosen by AUROC, which values have none of."""
        chosen = [f"training.models.{name}" for name, model in self.training.models.items() if model.stop_by == "auroc"]
        chosen += [
            f"benchmark.tuned.{name}" for name, values in self.benchmark.tuned.items()
            if "auroc" in values.get("stop_by", ())
        ]  # fmt: skip
        if chosen:
            raise ValueError(
                f"{chosen[0]}.stop_by is 'auroc', but training.property {self.training.property!r} is a regression: "
                "leave it out, and the lowest validation loss is kept"
            )

    @model_validator(mode="after")
    def _names_agree(self) -> Self:
        if self.training.property not in self.molecules.labels:
            raise ValueError(
                f"training.property is {self.training.property!r}, "
                f"but molecules.labels has {sorted(self.molecules.labels)}"
            )
        kind = self.molecules.labels[self.training.property].kind
        if kind not in {"binary", "regression"}:
            raise ValueError(
                f"training.property {self.training.property!r} is {kind}, but the property of a study is binary or a "
                "regression; a multiclass one is learned beside it, under training.models.NAME.tasks"
            )
        if kind == "regression":
            self._check_regression()
        for name, model in self.training.models.items():
            missing = sorted(set(model.fields) - set(self.fields.names))
            learnable = {key for key, label in self.molecules.labels.items() if label.kind != "category"}
            unknown = sorted(set(model.tasks) - (learnable - {self.training.property}))
            if unknown:
                raise ValueError(
                    f"training.models.{name}.tasks has {unknown}, but further properties are of molecules.labels "
                    f"(categories are not learned): {sorted(learnable - {self.training.property})}"
                )
            model.kernel_taps(self.fields.spacing_angstrom, f"training.models.{name}")
            if missing:
                raise ValueError(f"training.models.{name}.fields has {missing}, which fields.names does not compute")
        if self.interpret.model not in self.training.models:
            raise ValueError(
                f"interpret.model is {self.interpret.model!r}, but training.models has {sorted(self.training.models)}"
            )
        explained = self.training.models[self.interpret.model].architecture
        if explained != "published":
            raise ValueError(
                f"interpret.model {self.interpret.model!r} is of architecture {explained!r}, but only the kernels of a "
                "`published` one can be correlated with fields: name such a model there"
            )
        control = self.interpret.permuted_control
        if control is not None and control not in self.training.models:
            raise ValueError(
                f"interpret.permuted_control is {control!r}, but training.models has {sorted(self.training.models)}"
            )
        if control is not None:
            _is_the_same_network(self.training.models, self.interpret.model, control)
        if self.interpret.scheme not in {split.scheme for split in self.dataset.splits}:
            raise ValueError(f"interpret.scheme is {self.interpret.scheme!r}, which dataset.splits does not have")
        return self
