"""The two classes that figures compare and colour: of a regression the molecules above the median, and the rest."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from decar.config import FiguresSettings, Study
from decar.figures.sources import Sources, read_columns
from decar.figures.style import GREY
from decar.predictions import boundary_of, kind_of
from decar.record import Array


@dataclass(frozen=True)
class Classes:
    """Labels above `boundary` are of the positive class; names and colours are those of the study."""

    boundary: float
    settings: FiguresSettings

    def name(self, label: object) -> str:
        """Return the name of the class of a label; "" where there is none."""
        if label is None or pd.isna(label):  # type: ignore[call-overload]
            return ""
        is_positive = float(str(label)) > self.boundary
        return self.settings.positive_name if is_positive else self.settings.negative_name

    def names(self, labels: Array | pd.Series) -> list[str]:
        """Return the name of the class of each label."""
        return [self.name(label) for label in labels]


def colour_of(name: str, settings: FiguresSettings) -> str:
    """Return the colour of a class, grey for no class."""
    colours = {settings.positive_name: settings.positive_colour, settings.negative_name: settings.negative_colour}
    return colours.get(name, GREY)


def labels_of(study: Study, sources: Sources) -> pd.DataFrame:
    """Return key and label of each molecule that has one."""
    labels = read_columns(sources.dataset / "labels.parquet", ["key", "property", "value"])
    chosen = labels[labels["property"] == study.training.property].drop_duplicates("key")
    return chosen[["key", "value"]].rename(columns={"value": "label"})


def classes_of(study: Study, sources: Sources) -> Classes:
    """Return the classes of a study; the median is that of the labelled molecules of the data set."""
    if kind_of(study) == "binary":
        return Classes(0.5, study.figures)
    manifest = read_columns(sources.dataset / "manifest.parquet", ["key"])
    labels = labels_of(study, sources)
    known = labels.loc[labels["key"].isin(manifest["key"]), "label"].to_numpy(np.float64)
    return Classes(boundary_of(study, known), study.figures)
