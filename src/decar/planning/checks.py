"""Checks of a study that need more than its schema: names that other parts of the package define."""

from decar.config import Study
from decar.fields.registry import check_field_names


def check_study(study: Study) -> None:
    """Raise ConfigError for a field that the registry does not have, naming the nearest one."""
    check_field_names(study.fields.names)
