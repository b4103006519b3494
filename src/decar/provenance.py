"""Who and what made an artefact: versions, machine, time. Provenance never enters a recipe or a content hash."""

import platform
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from decar import __version__


def package_versions(*packages: str) -> dict[str, str]:
    """Return the installed version of each distribution, `"absent"` for one that is not installed."""
    found = {"decar": __version__, "python": platform.python_version()}
    return {**found, **{package: _version(package) for package in packages}}


@cache  # each record of a batch names them
def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


def provenance(*packages: str) -> dict[str, object]:
    """Return a JSON-able account of the program versions, the machine and the time (UTC, ISO 8601)."""
    return {
        "versions": package_versions(*packages),
        "machine": {"system": platform.system(), "architecture": platform.machine()},
        "created_utc": datetime.now(UTC).isoformat(timespec="seconds"),
    }
