"""Geometry optimisation by geomeTRIC (doi 10.1063/1.4952956) over any surface `geometry -> (energy, gradient)`.

Translation-rotation internal coordinates (TRIC); where geomeTRIC cannot build or keep them, Cartesian ones. The
geometry is converged when the energy change, the gradient (rms, max) and the displacement (rms, max) all lie below the
criteria of Gaussian: GAU_LOOSE, GAU or GAU_TIGHT (GAU: 1e-6 hartree, 3e-4 and 4.5e-4 hartree/bohr, 1.2e-3 and
1.8e-3 angstrom).
"""

import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from decar.errors import BackendUnavailableError, ConvergenceError
from decar.units import ANGSTROM_PER_BOHR

Floats = NDArray[np.float64]
Integers = NDArray[np.int32]
Surface = Callable[[Floats], tuple[float, Floats]]
Convergence = Literal["loose", "normal", "tight"]

CRITERIA = {"loose": "GAU_LOOSE", "normal": "GAU", "tight": "GAU_TIGHT"}


@dataclass(frozen=True)
class Step:
    """One evaluation of the surface, as it is handed to `on_step`."""

    index: int  # 0 for the starting geometry
    geometry_bohr: Floats  # (atom, 3)
    energy_hartree: float
    gradient: Floats  # (atom, 3) [hartree/bohr]


@dataclass(frozen=True)
class Optimisation:
    """A converged geometry and the way to it."""

    geometry_bohr: Floats  # (atom, 3)
    energy_hartree: float
    gradient: Floats  # (atom, 3) [hartree/bohr]
    trajectory_hartree: tuple[float, ...]  # energy of every evaluation, refused steps included
    coordinates: str  # `tric`, `cartesian` or `none` (a single atom)

    @property
    def num_steps(self) -> int:
        """Return the number of evaluations after the first."""
        return len(self.trajectory_hartree) - 1


def optimise_geometry(
    surface: Surface, atomic_numbers: Integers, geometry_bohr: Floats, *, convergence: Convergence, max_steps: int,
    on_step: Callable[[Step], None] = lambda _: None,
) -> Optimisation:  # fmt: skip
    """Minimise the energy from a geometry (atom, 3) [bohr]; nothing is printed and no file is left.

    `on_step` is called after every evaluation: a caller that keeps the last step can start again from its geometry.
    Raises ConvergenceError (`optimisation_not_converged`), BackendUnavailableError without geomeTRIC, and what the
    surface raises.
    """
    numbers = np.asarray(atomic_numbers, dtype=np.int32)
    start = np.array(geometry_bohr, dtype=float)
    recorder = _Recorder(surface, on_step)
    if len(numbers) == 1:
        energy, gradient = recorder(start)
        return Optimisation(start, energy, gradient, tuple(recorder.energies), "none")
    attempts: list[dict[str, object]] = []
    for coordinates in ("tric", "cartesian"):
        before = len(recorder.energies)
        try:
            final, energy, gradient = _run(recorder, numbers, start, coordinates, CRITERIA[convergence], max_steps)
        except _InternalCoordinatesFailed as error:
            attempts.append(_attempt(coordinates, recorder, before, str(error)))
            start = recorder.best_geometry(start)
            continue
        if final is not None:
            return Optimisation(final, energy, gradient, tuple(recorder.energies), coordinates)
        attempts.append(_attempt(coordinates, recorder, before, "maximum number of steps reached"))
        break
    raise ConvergenceError(
        "the geometry optimisation did not converge",
        reason="optimisation_not_converged",
        seen=attempts[-1],
        expected=f"{CRITERIA[convergence]} within {max_steps} steps",
        remedy="raise optimise.max_steps, or loosen optimise.convergence",
        attempts=attempts,
    )


class _InternalCoordinatesFailed(Exception):  # noqa: N818 - handled inside this file, never shown
    """geomeTRIC could not build or keep its internal coordinates."""


class _SurfaceFailed(Exception):  # noqa: N818 - carries an error of the surface through geomeTRIC untouched
    """The surface raised; the cause is `original`."""

    def __init__(self, original: Exception) -> None:
        super().__init__(str(original))
        self.original = original


class _Recorder:
    """The surface, with every evaluation kept and reported."""

    def __init__(self, surface: Surface, on_step: Callable[[Step], None]) -> None:
        self._surface, self._on_step = surface, on_step
        self.energies: list[float] = []
        self._best: tuple[float, Floats] | None = None

    def __call__(self, geometry_bohr: Floats) -> tuple[float, Floats]:
        energy, gradient = self._surface(geometry_bohr)
        self.energies.append(float(energy))
        if self._best is None or energy < self._best[0]:
            self._best = (energy, geometry_bohr.copy())
        self._on_step(Step(len(self.energies) - 1, geometry_bohr.copy(), float(energy), gradient))
        return float(energy), gradient

    def best_geometry(self, otherwise: Floats) -> Floats:
        return otherwise if self._best is None else self._best[1]


def _attempt(coordinates: str, recorder: _Recorder, before: int, error: str) -> dict[str, object]:
    last = recorder.energies[-1] if recorder.energies else None
    return {"coordinates": coordinates, "steps": len(recorder.energies) - before, "energy": last, "error": error}


def _run(
    surface: Surface, numbers: Integers, start: Floats, coordinates: str, criteria: str, max_steps: int
) -> tuple[Floats | None, float, Floats]:
    """Return geometry, energy and gradient at the minimum; None for the geometry when the steps ran out."""
    geometric = _geometric()
    molecule = geometric.molecule.Molecule()
    table = Chem.GetPeriodicTable()
    molecule.elem = [table.GetElementSymbol(int(number)) for number in numbers]
    molecule.xyzs = [start * ANGSTROM_PER_BOHR]
    with _quiet(), tempfile.TemporaryDirectory(prefix="decar-geometric-") as folder:
        try:
            molecule.build_topology()
            build = (
                geometric.internal.DelocalizedInternalCoordinates
                if coordinates == "tric"
                else geometric.internal.CartesianCoordinates
            )
            system = build(molecule, build=True, connect=False, addcart=False)
            parameters = geometric.params.OptParams(convergence_set=criteria, maxiter=max_steps)
            optimizer = geometric.optimize.Optimizer(
                start.ravel().copy(), molecule, system, _engine(geometric, molecule, surface),
                str(Path(folder) / "run"), parameters, print_info=False,
            )  # fmt: skip
            optimizer.optimizeGeometry()
        except _SurfaceFailed as error:
            raise error.original from None
        except geometric.errors.GeomOptNotConvergedError:
            return None, float("nan"), start
        except (geometric.errors.Error, np.linalg.LinAlgError, IndexError, ValueError, RuntimeError) as error:
            # geomeTRIC's internal coordinates fail with whatever NumPy or the library happened to raise.
            raise _InternalCoordinatesFailed(f"{type(error).__name__}: {error}") from error
    return (
        np.array(optimizer.X, dtype=float).reshape(-1, 3),
        float(optimizer.E),
        np.array(optimizer.gradx, dtype=float).reshape(-1, 3),
    )


def _engine(geometric: Any, molecule: Any, surface: Surface) -> Any:
    class SurfaceEngine(geometric.engine.Engine):  # type: ignore[misc]
        """The surface behind geomeTRIC's interface."""

        def calc_new(self, coords: Floats, dirname: str) -> dict[str, Any]:  # noqa: ARG002
            try:
                energy, gradient = surface(np.array(coords, dtype=float).reshape(-1, 3))
            except Exception as error:
                raise _SurfaceFailed(error) from error
            return {"energy": energy, "gradient": np.asarray(gradient, dtype=float).ravel()}

        def detect_dft(self) -> bool:
            return False

    return SurfaceEngine(molecule)


def _geometric() -> Any:
    try:
        import geometric  # noqa: PLC0415 - optional program, loaded where it is first needed
        import geometric.engine  # noqa: PLC0415
        import geometric.errors  # noqa: PLC0415
        import geometric.internal  # noqa: PLC0415
        import geometric.molecule  # noqa: PLC0415
        import geometric.optimize  # noqa: PLC0415
        import geometric.params  # noqa: PLC0415
    except ImportError as error:
        raise BackendUnavailableError(
            "geometry optimisation needs the package geometric", seen=str(error), remedy="pip install geometric"
        ) from error
    return geometric


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence geomeTRIC: it logs every step at level INFO, without newlines, and divides by zero at a minimum."""
    logger = logging.getLogger("geometric.nifty")
    was_disabled = logger.disabled
    logger.disabled = True
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"geometric\.")
            yield
    finally:
        logger.disabled = was_disabled
