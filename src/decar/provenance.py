"""Who and what made an artefact: versions, machine, time. Provenance never enters a recipe or a content hash."""

import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

from decar import __version__


def package_versions(*packages: str) -> dict[str, str]:
    """Return the installed version of each distribution, `"absent"` for one that is not installed."""
    found = {"decar": __version__, "python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "absent"
    return found


def provenance(*packages: str) -> dict[str, object]:
    """Return a JSON-able account of the program versions, the machine and the time (UTC, ISO 8601)."""
    return {
        "versions": package_versions(*packages),
        "machine": {"system": platform.system(), "architecture": platform.machine()},
        "created_utc": datetime.now(UTC).isoformat(timespec="seconds"),
    }
