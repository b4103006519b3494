"""Where Chemprop's program is, and how to install it."""

import shutil

from decar.errors import BackendUnavailableError

INSTALL = (
    "python3 -m venv ENV && ENV/bin/pip install chemprop==2.3.1, then benchmark.chemprop_command: ENV/bin/chemprop"
)


def find_chemprop(command: str | None) -> str:
    """Return the program; raises BackendUnavailableError, with the line that installs it, where there is none."""
    found = shutil.which(command or "chemprop")
    if found is None:
        raise BackendUnavailableError(
            "Chemprop is not installed", where="benchmark.baselines: chemprop", seen=command or "no chemprop on PATH",
            remedy=f"{INSTALL}; or leave chemprop out",
        )  # fmt: skip
    return found
