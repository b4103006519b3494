"""Checks of a study that need more than its schema: names that the table or other parts of the package define."""

from difflib import get_close_matches

import pandas as pd

from decar.config import Study
from decar.errors import ConfigError
from decar.fields.registry import check_field_names


def check_study(study: Study) -> None:
    """Raise ConfigError for a field that the registry does not have, naming the nearest one."""
    check_field_names(study.fields.names)


def check_index(study: Study, index: pd.DataFrame) -> None:
    """Raise ConfigError when no row can be computed, or when the example of the figures is not a row of the table."""
    if not (index["status"] == "ok").any():
        raise ConfigError(
            "no row of the table is a molecule that can be computed", where=study.molecules.table,
            seen="; ".join(index["message"].dropna().unique()[:3]),
        )  # fmt: skip
    identifiers = index["id"].astype(str).tolist()
    if study.figures.example not in identifiers:
        near = get_close_matches(study.figures.example, identifiers, n=3, cutoff=0.3) or identifiers[:3]
        raise ConfigError(
            "figures.example is not an identifier of the table", where=study.molecules.table,
            seen=study.figures.example, expected=f"a value of column {study.molecules.id_column!r}",
            remedy=f"for example: {', '.join(near)}",
        )  # fmt: skip
