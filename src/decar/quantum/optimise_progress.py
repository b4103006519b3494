"""How far the optimisation of a conformer has come, kept while DFT steps run, so that a killed job goes on from there.

`<store>/optimise/partial/<recipe>-<conformer>.json`, written whole after every evaluation of the energy, removed when
the molecule is done. It is no result: without it the same record is computed, only from the start.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decar.atomic import write_text

Floats = NDArray[np.float64]
FORMAT_VERSION = 1


@dataclass(frozen=True)
class Progress:
    """Where a conformer stands in the chain of methods."""

    geometry_bohr: Floats  # (atom, 3) of lowest energy so far
    energy_hartree: float
    steps: list[dict[str, Any]] = field(default_factory=list)  # a row a finished method
    trajectory_hartree: list[float] = field(default_factory=list)  # of the method in work, its earlier runs included
    resumed_at: list[int] = field(default_factory=list)  # lengths of the trajectory at which a run took over


@dataclass(frozen=True)
class ProgressFile:
    """The file of one conformer, or no file at all where the methods are too cheap for one (`path` None)."""

    path: Path | None

    def load(self) -> Progress | None:
        """Return what an earlier run has left, or None; a file of another format counts as none."""
        if self.path is None or not self.path.exists():
            return None
        try:
            data = json.loads(self.path.read_text(encoding="utf-8"))
            if data.pop("format_version") != FORMAT_VERSION:
                return None
            return Progress(**{**data, "geometry_bohr": np.array(data["geometry_bohr"], dtype=np.float64)})
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def save(self, progress: Progress) -> None:
        """Replace the file; raises ResourceError when the disk is full."""
        if self.path is not None:
            data = {**asdict(progress), "geometry_bohr": progress.geometry_bohr.tolist()}
            write_text(self.path, json.dumps({"format_version": FORMAT_VERSION, **data}, allow_nan=False))

    def remove(self) -> None:
        """Remove the file."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)


def partial_folder(store: Path) -> Path:
    """Return the folder of the files of a store."""
    return store / "optimise" / "partial"


def progress_files(store: Path, recipe: str, methods: tuple[str, ...], num_conformers: int) -> list[ProgressFile]:
    """Return the file of each conformer; only DFT steps are worth one."""
    folder = partial_folder(store)
    return [
        ProgressFile(folder / f"{recipe}-{index}.json" if "dft" in methods else None) for index in range(num_conformers)
    ]
