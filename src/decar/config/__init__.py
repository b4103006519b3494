"""The study file: one strict schema. Every default, range and unit of the project stands in this folder, nowhere else.

`config/README.md` and `config/schema.json` are generated from it (`decar config --write config`), and a test keeps them
equal.
"""

from decar.config.chemistry import (
    ConformersSettings,
    DatasetSettings,
    FieldsSettings,
    LabelSettings,
    MoleculesSettings,
    OptimiseSettings,
    QuantumSettings,
    SplitSettings,
)
from decar.config.comparison import ENSEMBLE, PERMUTED, TUNED, BenchmarkSettings, BenchmarkSplit, EvaluateSettings
from decar.config.networks import (
    LATER_SETTINGS,
    LEAST_FIRST_TAPS,
    LEAST_TAPS,
    NOT_TUNED,
    Augmentation,
    ModelSettings,
    PretrainingSettings,
    TaskSettings,
    TrainingSettings,
)
from decar.config.presentation import (
    AttributionSettings,
    ContributionSettings,
    FiguresSettings,
    InterpretSettings,
    WorkflowSettings,
)
from decar.config.section import Colour, Count, Fraction, Name, Positive, Section
from decar.config.study import Study

__all__ = [
    "ENSEMBLE",
    "LATER_SETTINGS",
    "LEAST_FIRST_TAPS",
    "LEAST_TAPS",
    "NOT_TUNED",
    "PERMUTED",
    "TUNED",
    "AttributionSettings",
    "Augmentation",
    "BenchmarkSettings",
    "BenchmarkSplit",
    "Colour",
    "ConformersSettings",
    "ContributionSettings",
    "Count",
    "DatasetSettings",
    "EvaluateSettings",
    "FieldsSettings",
    "FiguresSettings",
    "Fraction",
    "InterpretSettings",
    "LabelSettings",
    "ModelSettings",
    "MoleculesSettings",
    "Name",
    "OptimiseSettings",
    "Positive",
    "PretrainingSettings",
    "QuantumSettings",
    "Section",
    "SplitSettings",
    "Study",
    "TaskSettings",
    "TrainingSettings",
    "WorkflowSettings",
]
