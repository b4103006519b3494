"""How Psi4 can fail, and what each failure is called: the real program where it can be made to fail, else a stand-in.

A stand-in is a `psi4` command whose Python package crashes or hangs as soon as the worker imports it; command, paths,
worker process, pipes and scratch are the real ones.
"""

import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from decar.config import QuantumSettings
from decar.errors import (
    BackendUnavailableError,
    ChemistryError,
    ConfigError,
    ConvergenceError,
    DecarError,
    ResourceError,
)
from decar.quantum.backend import check_quantum, get_backend
from decar.quantum.psi4_backend import Psi4Backend
from decar.quantum.psi4_process import scratch_folder
from tests.quantum.systems import WATER, level, system

ANGLES = np.arange(6) * np.pi / 3
BENZENE = system(
    [6] * 6 + [1] * 6,
    [[r * np.cos(a), r * np.sin(a), 0] for r in (2.64, 4.69) for a in ANGLES],
)


def stand_in(folder: Path, version: str, in_the_worker: str) -> str:
    """Return a psi4 command of a version whose package runs a piece of code when the worker imports it."""
    package = folder / "library" / "psi4"
    package.mkdir(parents=True)
    guard = f"__version__ = {version!r}\nimport os, signal, sys, time\nif sys.argv[0].endswith('psi4_worker.py'):\n"
    (package / "__init__.py").write_text(guard + textwrap.indent(in_the_worker, "    ") + "\n")
    (folder / "bin").mkdir()
    (folder / "bin" / "python3").symlink_to(sys.executable)
    command = folder / "bin" / "psi4"
    command.write_text(
        "#!/bin/sh\n"
        f"echo 'export PATH={Path(sys.executable).parent}:$PATH'\n"
        f"echo 'export PYTHONPATH={folder / 'library'}:$PYTHONPATH'\n"
    )
    command.chmod(0o755)
    return str(command)


@pytest.fixture
def scratch(tmp_path: Path):
    """A scratch folder that must be empty in the end."""
    folder = tmp_path / "scratch"
    yield folder
    assert list(folder.iterdir()) == []


def test_missing_program_is_named_with_its_install_line():
    with pytest.raises(BackendUnavailableError, match="no such program") as raised:
        get_backend(QuantumSettings(backend="psi4", psi4_command="psi4-that-is-not-here"))
    assert "conda install -c conda-forge psi4" in str(raised.value)
    assert "psi4-that-is-not-here" in str(raised.value)


def test_old_version_is_refused(tmp_path):
    reason = Psi4Backend(command=stand_in(tmp_path, "1.2.1", "pass")).availability()
    assert reason is not None
    assert "older than 1.3.2" in reason
    assert "1.2.1" in reason


def test_program_that_is_no_psi4_is_refused():
    reason = Psi4Backend(command="true").availability()
    assert reason is not None
    assert "--psiapi-path" in reason


def test_broken_installation_is_refused(tmp_path):
    command = stand_in(tmp_path, "1.9", "pass")
    (tmp_path / "library" / "psi4" / "__init__.py").write_text("import a_library_that_is_not_here")
    reason = Psi4Backend(command=command).availability()
    assert reason is not None
    assert "a_library_that_is_not_here" in reason


def test_hang_ends_at_the_time_limit(tmp_path, scratch):
    hang = "open('psi4.out', 'w').write('iteration 7\\n'); time.sleep(600)"
    backend = Psi4Backend(command=stand_in(tmp_path, "1.9", hang), scratch=scratch, time_limit_minutes=0.05)
    start = time.perf_counter()
    with pytest.raises(ResourceError, match="did not finish in time") as raised:
        backend.single_point(WATER, level())
    assert time.perf_counter() - start < 60
    assert "iteration 7" in str(raised.value)
    assert "quantum.time_limit_minutes" in str(raised.value)


def test_crash_on_every_molecule_is_the_installations_fault(tmp_path, scratch):
    crash = "print('the last words', flush=True); os.kill(os.getpid(), signal.SIGSEGV)"
    backend = Psi4Backend(command=stand_in(tmp_path, "1.9", crash), scratch=scratch)
    with pytest.raises(BackendUnavailableError, match="crashes on every molecule") as raised:
        backend.single_point(WATER, level())
    assert "SIGSEGV" in str(raised.value)
    assert "the last words" in str(raised.value)


def test_crash_on_one_molecule_is_that_molecules_failure(tmp_path, scratch):
    crash = """
    import json
    if json.load(open("job.json"))["atomic_numbers"] == [2]:  # helium, by which decar tells whether Psi4 is sound
        open("result.json", "w").write('{"status": "not_converged", "attempts": []}')
        os._exit(0)
    raise RuntimeError("Fatal Error: Blas and sorrow")
    """
    backend = Psi4Backend(command=stand_in(tmp_path, "1.9", textwrap.dedent(crash)), scratch=scratch)
    with pytest.raises(ChemistryError, match="Blas and sorrow") as raised:
        backend.single_point(WATER, level())
    assert raised.value.reason == "engine_crashed"


@pytest.mark.parametrize(
    ("end", "what"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "out of memory"),
        ("raise MemoryError('std::bad_alloc')", "out of memory"),
        ("raise OSError(28, 'No space left on device')", "scratch disk is full"),
        ("raise RuntimeError('PSIO_ERROR: 8 (error writing)')", "scratch disk is full"),
    ],
    ids=["killed", "memory", "disk", "psio"],
)
def test_the_machines_limits_are_the_machines_fault(tmp_path, scratch, end, what):
    backend = Psi4Backend(command=stand_in(tmp_path, "1.9", end), scratch=scratch)
    with pytest.raises(ResourceError, match=what):
        backend.single_point(WATER, level())


def test_scratch_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(ResourceError, match="scratch folder cannot be used"),
        scratch_folder(tmp_path / "file" / "below"),
    ):
        pass


def test_what_killed_runs_left_is_swept_and_living_ones_are_not(tmp_path):
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    stale, alive = (
        tmp_path / f"decar-psi4-{socket.gethostname()}-{number}-x" for number in (int(ended.stdout), os.getpid())
    )
    foreign = tmp_path / f"decar-psi4-another-node-{int(ended.stdout)}-x"
    for folder in (stale, alive, foreign):
        folder.mkdir()
    with scratch_folder(tmp_path) as folder:
        assert not stale.exists()
        assert alive.exists()
        assert foreign.exists()
    assert not folder.exists()


def test_levels_that_psi4_cannot_obey_are_refused():
    backend = Psi4Backend()
    for settings, where in [
        ({"solvent_dielectric": 78.4}, "quantum.solvent_dielectric"),
        ({"method": "hyb_gga_xc_wb97x_v"}, "quantum.method"),
        ({"method": "gga_c_lyp,gga_x_b88"}, "quantum.method"),
        ({"method": "mgga_x_of_nobody"}, "quantum.method"),
    ]:
        with pytest.raises(ConfigError, match=where):
            backend.single_point(WATER, level(**settings))
        with pytest.raises(ConfigError, match=where):  # and before any job, when the study is planned
            check_quantum(QuantumSettings(backend="psi4", **settings))
    check_quantum(QuantumSettings(backend="pyscf", solvent_dielectric=78.4))


@pytest.mark.psi4
def test_functional_that_this_libxc_lacks_is_refused(scratch):
    with pytest.raises(ConfigError, match="no such functional") as raised:
        Psi4Backend(scratch=scratch).single_point(WATER, level(method="mgga_x_ktbm_0"))
    assert "MGGA_X_KTBM_0" in str(raised.value)


@pytest.mark.psi4
def test_no_convergence_carries_psi4s_last_lines(scratch):
    with pytest.raises(ConvergenceError, match="Could not converge SCF iterations") as raised:
        Psi4Backend(scratch=scratch).single_point(WATER, level(max_cycles=2))
    assert [attempt["method"] for attempt in raised.value.attempts] == [
        "diis", "other guess", "damping", "level shift", "second order",
    ]  # fmt: skip
    assert all(attempt["num_cycles"] == 2 for attempt in raised.value.attempts)


def workers(parent: int) -> list[int]:
    """Process numbers of the worker processes of a parent (Linux)."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            status, command = (folder / "stat").read_text(), (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if int(status.rpartition(")")[2].split()[1]) == parent and b"psi4_worker.py" in command:
            found.append(int(folder.name))
    return found


def until(condition, seconds=120):
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
    return value


@pytest.mark.psi4
def test_killed_worker_is_the_machines_fault(scratch):
    errors = []

    def compute():
        try:
            Psi4Backend(scratch=scratch).single_point(BENZENE, level(method="b3lyp", basis="6-31g*"))
        except DecarError as error:
            errors.append(error)

    thread = threading.Thread(target=compute)
    thread.start()
    worker = until(lambda: [number for number in workers(os.getpid()) if list(scratch.glob("*/psi4.out"))])[0]
    os.kill(worker, signal.SIGKILL)
    thread.join(120)
    assert isinstance(errors[0], ResourceError)
    assert "SIGKILL" in str(errors[0])


@pytest.mark.psi4
def test_killed_parent_leaves_neither_process_nor_files(scratch):
    code = f"""
from pathlib import Path
from decar.quantum.psi4_backend import Psi4Backend
from tests.quantum.systems import level
from tests.quantum.test_psi4_failures import BENZENE
Psi4Backend(scratch=Path({str(scratch)!r})).single_point(BENZENE, level(method="b3lyp", basis="6-31g*"))
"""
    root = Path(__file__).resolve().parents[2]
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=root)
    try:
        worker = until(lambda: [number for number in workers(parent.pid) if list(scratch.glob("*/psi4.out"))])[0]
    finally:
        parent.kill()
        parent.wait()
    assert until(lambda: not Path(f"/proc/{worker}").exists() and not list(scratch.iterdir()))


@pytest.mark.psi4
def test_full_scratch_disk(tiny_disk):
    with pytest.raises(ResourceError, match="scratch disk is full") as raised:
        Psi4Backend(scratch=tiny_disk).single_point(WATER, level(basis="6-31g*"))
    assert "quantum.scratch" in str(raised.value)
    assert list(tiny_disk.iterdir()) == []


@pytest.mark.psi4
def test_our_own_environment_does_not_leak_into_psi4(scratch, tmp_path, monkeypatch):
    (tmp_path / "numpy.py").write_text("raise ImportError('this NumPy is of another Python')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PYTHONHOME", str(tmp_path))
    found = Psi4Backend(scratch=scratch).single_point(WATER, level())
    assert found.energy_hartree == pytest.approx(-74.96, abs=0.01)
