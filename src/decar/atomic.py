"""Files that appear whole or not at all: write to a temporary name beside the target, flush, rename."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from decar.errors import ResourceError


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yield a temporary path in the target's folder that becomes the target when the block ends without an error.

    Raises ResourceError when the disk is full or the quota is used up.
    """
    temporary = None
    try:
        with full_disk_said(target):
            handle, name = _temporary(target)
            os.close(handle)
            temporary = Path(name)
            yield temporary
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(target)
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


@contextmanager
def full_disk_said(target: Path) -> Iterator[None]:
    """Raise ResourceError where the block meets a full disk or a used-up quota."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT} or "No space left" in str(error):
            raise ResourceError(
                "the disk is full", where=target, remedy="free space and run again: everything finished is kept"
            ) from error
        raise


def _temporary(target: Path, attempts: int = 20) -> tuple[int, str]:
    """Create a file beside the target; another process may remove the empty folder between the two steps."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        return tempfile.mkstemp(prefix=f".{target.name[:80]}-", suffix=".part", dir=target.parent)
    except FileNotFoundError:
        if attempts == 0:
            raise
        return _temporary(target, attempts - 1)


def write_text(target: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with atomic_path(target) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
