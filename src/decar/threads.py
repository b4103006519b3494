"""Threads of every numerical library in this process: one thread a process and one molecule a core is the fastest.

Libraries count threads in four places: OpenMP (tblite, PySCF, LightGBM), pthread OpenBLAS (the NumPy and SciPy wheels,
which ignore OMP_NUM_THREADS), PySCF's own counter and torch's. A library reads its limit when it is loaded, so the
limit is kept here and applied again by `reapply`, which the lazy importers of this package call after loading a
program.
OpenMP's limit belongs to the calling thread: call from the thread that computes.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from threadpoolctl import ThreadpoolController

_limits: list[int] = []  # the limits in force, innermost last


def set_threads(count: int) -> None:
    """Limit this process to `count` threads for good.

    Raises ValueError for a count below one.
    """
    if count < 1:
        raise ValueError(f"the number of threads must be at least 1, not {count}")
    _limits[:] = [count]
    _apply(count)


def reapply() -> None:
    """Apply the limit in force to libraries that were loaded after it was set; does nothing without a limit."""
    if _limits:
        _apply(_limits[-1])


@contextmanager
def limit_threads(count: int) -> Iterator[None]:
    """Limit this process to `count` threads inside the block, and give back the former numbers after it."""
    if count < 1:
        raise ValueError(f"the number of threads must be at least 1, not {count}")
    before = _observe()
    outer = list(_limits)
    _limits.append(count)
    _apply(count)
    try:
        yield
    finally:
        _limits[:] = outer
        if outer:
            _apply(outer[-1])
        else:
            _restore(before)


def threads_in_force() -> dict[str, int]:
    """Return the number of threads of each loaded library, by the name of its file (or `pyscf`, `torch`)."""
    return {name.rsplit("/", 1)[-1]: count for name, count in _observe().items()}


def _apply(count: int) -> None:
    for library in ThreadpoolController().lib_controllers:
        library.set_num_threads(count)
    if (pyscf := _loaded("pyscf.lib")) is not None:
        pyscf.num_threads(count)
    if (torch := _loaded("torch")) is not None:
        torch.set_num_threads(count)


def _observe() -> dict[str, int]:
    found = {library.filepath: int(library.num_threads) for library in ThreadpoolController().lib_controllers}
    if (pyscf := _loaded("pyscf.lib")) is not None:
        found["pyscf"] = int(pyscf.num_threads())
    if (torch := _loaded("torch")) is not None:
        found["torch"] = int(torch.get_num_threads())
    return found


def _restore(before: dict[str, int]) -> None:
    for library in ThreadpoolController().lib_controllers:
        # A library that was loaded inside the block has no former number: it takes the largest one in force before.
        library.set_num_threads(before.get(library.filepath, max(before.values(), default=1)))
    if (pyscf := _loaded("pyscf.lib")) is not None and "pyscf" in before:
        pyscf.num_threads(before["pyscf"])
    if (torch := _loaded("torch")) is not None and "torch" in before:
        torch.set_num_threads(before["torch"])


def _loaded(module: str) -> Any | None:
    """Return the module if the program has already imported it: a limit must not load a library of its own accord."""
    return sys.modules.get(module)
