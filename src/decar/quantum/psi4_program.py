"""Where Psi4 is, which Python runs it, and whether it is recent enough."""

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from decar.errors import BackendUnavailableError

INSTALL = "conda install -c conda-forge psi4, or apt-get install psi4; or set quantum.psi4_command to a psi4 elsewhere"
LEAST_VERSION = (1, 3, 2)
SECONDS = 120.0  # of a start, on a slow network disk
ASK = "import sys; sys.path[:0] = sys.argv[1:2]; import psi4, numpy; print('version', psi4.__version__)"


@dataclass(frozen=True)
class Program:
    """An installed Psi4."""

    path: str
    interpreter: str  # the Python that Psi4 was built for
    library: str  # the folder of its package psi4
    version: str

    def arguments(self, script: Path, *arguments: str) -> list[str]:
        """Return the command that runs a script: isolated (-I), so that PYTHONPATH and our packages stay outside."""
        return [self.interpreter, "-I", str(script), *arguments, self.library]


@cache
def find_program(command: str | None) -> Program:
    """Return the Psi4 that `command` names, or that of PATH.

    Raises BackendUnavailableError, with the install line, where it is missing, broken, or older than LEAST_VERSION.
    """
    path = shutil.which(command or "psi4")
    if path is None:
        raise _unavailable("there is no such program", command or "psi4")
    # Psi4 leaves timer.dat wherever it runs.
    with tempfile.TemporaryDirectory(prefix="decar-psi4-") as folder:
        folder_of_python, library = _psiapi_path(path, folder)
        interpreter = _interpreter(path, folder_of_python)
        answer = _ask([interpreter, "-I", "-c", ASK, library], folder)
    found = re.search(r"version (\S+)", answer)
    if found is None:
        raise _unavailable("Psi4 does not start", _last_lines(answer))
    if _numbers(found[1]) < LEAST_VERSION:
        expected = ".".join(map(str, LEAST_VERSION))
        raise _unavailable(f"this Psi4 is older than {expected}", f"{found[1]} at {path}")
    return Program(path, interpreter, library, found[1])


def _psiapi_path(path: str, folder: str) -> tuple[str, str]:
    """Return the folders of Psi4's Python and of its package, as `psi4 --psiapi-path` prints them."""
    answer = _ask([path, "--psiapi-path"], folder)
    python = re.search(r"export PATH=([^:\n]+)", answer)
    library = re.search(r"export PYTHONPATH=([^:\n]+)", answer)
    if python is None or library is None:
        raise _unavailable("it does not say where its Python package is (--psiapi-path)", _last_lines(answer))
    return python[1], library[1]


def _interpreter(path: str, folder_of_python: str) -> str:
    """Return the Python in the first line of the program, else the one in the folder that Psi4 names."""
    with Path(path).open("rb") as file:
        first = file.readline(500).decode(errors="replace").strip()
    named = re.fullmatch(r"#!\s*(/\S*python\S*)", first)
    candidates = [named[1]] if named else []
    candidates += [f"{folder_of_python}/{name}" for name in ("python3", "python")]
    for candidate in candidates:
        if shutil.which(candidate):
            return candidate
    raise _unavailable("its Python is missing", ", ".join(candidates))


def _ask(command: list[str], folder: str) -> str:
    try:
        done = subprocess.run(
            command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
            timeout=SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise _unavailable(f"no answer within {SECONDS:.0f} s", command[0]) from error
    except OSError as error:
        raise _unavailable("it cannot be run", str(error)) from error
    return f"{done.stdout}\n{done.stderr}"


def _numbers(version: str) -> tuple[int, ...]:
    found = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", version)
    return tuple(int(number or 0) for number in found.groups()) if found else (0,)


def _last_lines(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-5:])


def _unavailable(what: str, seen: str) -> BackendUnavailableError:
    return BackendUnavailableError(f"Psi4 cannot run: {what}", seen=seen, remedy=INSTALL)
