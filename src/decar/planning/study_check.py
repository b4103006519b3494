"""Checks of a study that need more than its schema: whatever would fail every molecule fails here, before any job."""

import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np

from decar.config import Study
from decar.errors import ConfigError, DecarError

USERS_FAULT = 2  # exit status of the command line when the study is wrong


def check_study(study: Study) -> None:
    """Raise ConfigError for a field, box, functional or solvent that does not exist, naming the nearest one."""
    # The registry and the level bring PyTorch and PySCF with them.
    from decar.fields.grid import check_box  # noqa: PLC0415
    from decar.fields.registry import check_field_names  # noqa: PLC0415
    from decar.quantum.backend import check_quantum  # noqa: PLC0415
    from decar.xtb import Gfn2  # noqa: PLC0415

    check_field_names(study.fields.names)
    check_box(study.fields)
    check_quantum(study.quantum)
    if study.optimise.solvent is not None:
        # tblite knows its solvents only by trying one: hydrogen at 0.74 angstrom.
        Gfn2(np.array([1, 1], dtype=np.int32), 0, 1, study.optimise.solvent)(np.array([[0, 0, 0], [0, 0, 1.4]]))


def check_study_apart(frozen: Path) -> Callable[[], None]:
    """Begin to check a study file in a process of its own; return a function that waits for the outcome.

    PyTorch and PySCF take a quarter of a gigabyte and seconds, which are so not those of the plan. What is returned
    raises the errors of `check_study`.
    """
    command = [sys.executable, "-m", "decar.cli", "config", "--study", str(frozen)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    @cache
    def complaint() -> str:
        return process.communicate()[1].strip()

    def outcome() -> None:
        errors = complaint()
        if not process.returncode:
            return
        kind, _, message = errors.partition(": ")
        if process.returncode == USERS_FAULT and kind == "ConfigError":
            raise ConfigError(message)
        raise DecarError(f"the study could not be checked: {errors[-2000:]}")

    return outcome
