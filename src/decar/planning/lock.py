"""One run a study at a time: Snakemake removes the outputs of a job before it starts it, also those another run reads.

The lock is the kernel's (flock), so it is gone with the process that held it, however that ended: nobody has to unlock
anything after a crash. Snakemake's own lock, which stays behind, is therefore switched off in the profiles.
"""

import fcntl
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from decar.errors import ConfigError

_held: list[IO[str]] = []  # open as long as this process lives


def lock_study(folder: Path) -> None:
    """Hold the lock of a study's folder until this process ends; raises ConfigError when another run holds it."""
    _held.append(_locked(folder, "another run of this study is going on"))


@contextmanager
def held(folders: Iterable[Path], what: str) -> Iterator[None]:
    """Hold the locks of these folders (studies, or a store) while the block runs.

    Raises ConfigError, with `what` is going on there, when another process holds one of them.
    """
    with ExitStack() as stack:
        for folder in folders:
            stack.enter_context(_locked(folder, what))
        yield


def _locked(folder: Path, what: str) -> IO[str]:
    """Return the open lock file of a folder: the lock lasts until it is closed."""
    folder.mkdir(parents=True, exist_ok=True)
    file = (folder / ".lock").open("a", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        raise ConfigError(what, where=folder, remedy="wait for it to end, or stop it") from error
    return file
