"""One worker process of Psi4: its scratch, its time limit, and what its end means.

The scratch folder goes with every end: an answer, an exception, a time-out, a worker that was killed; when this process
is killed the worker notices and removes it (`psi4_worker`); and when both were, the next run on this machine does.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decar.errors import ResourceError
from decar.quantum.psi4_program import Program

WORKER = Path(__file__).with_name("psi4_worker.py")
NUM_LINES = 12  # of Psi4's output in a message
FULL_DISK_BYTES = 1_000_000  # less free space than this explains a failure
EXIT_DISK_FULL = 74  # of the worker (EX_IOERR)
MEMORY = re.compile(r"MemoryError|bad_alloc|not enough memory|out of memory", re.IGNORECASE)
DISK = re.compile(r"No space left|Disk quota exceeded|PSIO_ERROR.*writ", re.IGNORECASE)

Arrays = Mapping[str, NDArray[Any]]


class WorkerCrashedError(Exception):
    """The worker ended without an answer, for a reason that its end does not tell; `seen` has its last lines."""

    def __init__(self, seen: str) -> None:
        super().__init__(seen)
        self.seen = seen


def run_worker(
    program: Program, job: Mapping[str, Any], guess: Arrays | None, scratch: Path | None, seconds: float
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return the scalars and arrays of a job (`psi4_job.make_job`), begun from `guess` orbitals where given.

    Raises ResourceError (time, memory, disk) and WorkerCrashedError.
    """
    with scratch_folder(scratch) as folder:
        try:
            (folder / "job.json").write_text(json.dumps(job))
            if guess is not None:
                np.savez(folder / "guess.npz", **guess)  # type: ignore[arg-type] # NumPy's stub takes `allow_pickle`
        except OSError as error:
            raise _disk(error.strerror or str(error), folder) from error
        code, printed = _run(program, folder, seconds)
        result = _read(folder / "result.json")
        if result is None or result["status"] == "error":
            raise _failure(code, printed, result, folder)
        arrays = {}
        if result["status"] == "done":
            with np.load(folder / "result.npz") as found:
                arrays = {name: found[name] for name in found.files}
        result["last_lines"] = _last_lines(_text(folder / "psi4.out"))
        return result, arrays


@contextmanager
def scratch_folder(scratch: Path | None) -> Iterator[Path]:
    """Yield a new folder in `scratch` (None: the system's temporary folder) and remove it, whatever happens."""
    root = Path(tempfile.gettempdir()) if scratch is None else scratch
    prefix = f"decar-psi4-{socket.gethostname()}-"
    try:
        root.mkdir(parents=True, exist_ok=True)
        _sweep(root, prefix)
        folder = Path(tempfile.mkdtemp(prefix=f"{prefix}{os.getpid()}-", dir=root))
    except OSError as error:
        raise ResourceError(
            "the scratch folder cannot be used", where=root, seen=error.strerror,
            remedy="set quantum.scratch to a folder on a disk of the machine that runs the job",
        ) from error  # fmt: skip
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sweep(root: Path, prefix: str) -> None:
    """Remove what killed processes of this machine left behind."""
    for left in root.glob(f"{prefix}*"):
        number = left.name.removeprefix(prefix).split("-")[0]
        if number.isdigit() and not _is_running(int(number)):
            shutil.rmtree(left, ignore_errors=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _run(program: Program, folder: Path, seconds: float) -> tuple[int, str]:
    """Run the worker; return its exit status and what it printed.

    The worker holds the reading end of a pipe that only this process can write to: it sees when this process is gone.
    """
    reading, writing = os.pipe()
    process = subprocess.Popen(
        program.arguments(WORKER, str(folder)), cwd=folder, stdin=reading, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True,
    )  # fmt: skip
    os.close(reading)
    try:
        printed, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired as error:
        raise ResourceError(
            "Psi4 did not finish in time", seen=_last_lines(_text(folder / "psi4.out")),
            expected=f"an answer within {seconds / 60:.4g} minutes",
            remedy="raise quantum.time_limit_minutes, or give the job a faster machine",
        ) from error  # fmt: skip
    finally:
        _stop(process)
        os.close(writing)
    return process.returncode, printed


def _stop(process: subprocess.Popen[str]) -> None:
    """Kill the worker and whatever it started."""
    with suppress(ProcessLookupError, PermissionError):  # gone already; macOS says so by the second
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _failure(code: int, printed: str, result: dict[str, Any] | None, folder: Path) -> Exception:
    """Return the error that a worker without an answer stands for."""
    output = _text(folder / "psi4.out")
    told = "" if result is None else str(result["message"])
    ended = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
    seen = "\n".join(filter(None, [ended, told.strip(), _last_lines(printed), _last_lines(output)]))
    everything = "\n".join([told, printed, output[-5000:]])
    if code == EXIT_DISK_FULL or DISK.search(everything) or shutil.disk_usage(folder).free < FULL_DISK_BYTES:
        return _disk(seen, folder)
    if code == -signal.SIGKILL or MEMORY.search(everything):
        return ResourceError("Psi4 ran out of memory or was killed", seen=seen, remedy="give the job more memory")
    return WorkerCrashedError(seen)


def _disk(seen: str, folder: Path) -> ResourceError:
    return ResourceError(
        "the scratch disk is full", where=folder.parent, seen=seen,
        remedy="free space, or set quantum.scratch to a larger disk",
    )  # fmt: skip


def _read(path: Path) -> dict[str, Any] | None:
    try:
        result: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return result


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _last_lines(text: str) -> str:
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    return "\n".join(lines[-NUM_LINES:])
