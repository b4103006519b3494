"""A molecule as Psi4's input, and a run of Psi4 on one thread: what the benchmarks beside Psi4 share."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from rdkit.Chem import GetPeriodicTable

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


def molecule_block(numbers: Sequence[int], positions_bohr: Sequence[Sequence[float]], charge: int) -> str:
    """Return Psi4's block of a singlet in the input frame."""
    symbol = GetPeriodicTable().GetElementSymbol
    atoms = "\n".join(
        f"{symbol(int(number))} {x:.12f} {y:.12f} {z:.12f}" for number, (x, y, z) in zip(numbers, positions_bohr)
    )
    return f"molecule {{\nunits bohr\n{charge} 1\nno_reorient\nno_com\nsymmetry c1\n{atoms}\n}}\n"


def run_psi4(text: str, folder: Path) -> list[list[str]]:
    """Run an input in a folder; return the words of the lines that it prints with RESULT in front.

    PYTHONPATH is this Python's, not that of Psi4.
    """
    (folder / "input.dat").write_text(text, encoding="ascii")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        ["psi4", "-n", "1", "-i", "input.dat", "-o", "output.dat"], cwd=folder, capture_output=True, text=True,
        env={**environment, **ONE_THREAD, "PSI_SCRATCH": str(folder)}, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"psi4 failed: {done.stdout[-400:]} {done.stderr[-400:]}")
    return [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("RESULT")]
