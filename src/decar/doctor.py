"""What is installed here: the packages and programs that decar uses, and how to get those that are absent."""

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from tempfile import TemporaryDirectory

PACKAGES = (
    ("rdkit", "molecules", "pip install rdkit"),
    ("pyscf", "wavefunctions", "pip install pyscf"),
    ("tblite", "GFN2-xTB", "pip install tblite"),
    ("geometric", "geometry optimisation", "pip install geometric"),
    ("qc-iodata", "exchange formats", "pip install qc-iodata"),
    ("h5py", "records and shards", "pip install h5py"),
    ("hdf5plugin", "compression", "pip install hdf5plugin"),
    ("torch", "fields and networks", "pip install torch"),
    ("lightning", "training", "pip install lightning"),
    ("lightgbm", "baselines", "pip install lightgbm"),
    ("snakemake", "the workflow", "pip install snakemake"),
)
PROGRAMS = (
    (
        "psi4",
        "--version",
        "a second engine (1.3.2 or later)",
        "conda install -c conda-forge psi4, or apt-get install psi4",
    ),
    ("sbatch", "--version", "jobs on a cluster", "load your site's SLURM module, or apt-get install slurm-client"),
)


@dataclass(frozen=True)
class Finding:
    """One component: `version` is None where it is absent."""

    name: str
    version: str | None
    purpose: str
    install: str
    is_required: bool


def examine(which: Callable[[str], str | None]) -> list[Finding]:
    """Return what is installed; `which` finds a program (shutil.which)."""
    findings = [Finding(name, _package(name), purpose, install, True) for name, purpose, install in PACKAGES]
    for name, option, purpose, install in PROGRAMS:
        findings.append(Finding(name, _program(which(name), option), purpose, install, False))
    executor = _package("snakemake-executor-plugin-slurm")
    findings.append(
        Finding("snakemake-executor-plugin-slurm", executor, "jobs on a cluster",
                "pip install snakemake-executor-plugin-slurm", False)
    )  # fmt: skip
    findings.append(Finding("GPU", _gpu(), "training and fields on a GPU", "a CUDA build of torch and a GPU", False))
    return findings


def _package(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _program(path: str | None, option: str) -> str | None:
    if path is None:
        return None
    try:
        with TemporaryDirectory() as folder:  # Psi4 leaves a timer.dat wherever it is asked for its version
            done = subprocess.run([path, option], cwd=folder, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = (done.stdout or done.stderr).strip().splitlines()
    return lines[-1].strip() if lines and done.returncode == 0 else None


def _gpu() -> str | None:
    if find_spec("torch") is None:
        return None
    import torch  # noqa: PLC0415

    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else None
