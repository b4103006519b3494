"""GFN2-xTB energy and gradient by tblite.

E = E_EHT + E_ES(anisotropic) + E_XC + E_D4 + E_rep (doi 10.1021/acs.jctc.8b01176), self-consistent, with the
electronic temperature 300 K of the method; implicit solvent by ALPB (doi 10.1021/acs.jctc.1c00471).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from decar import threads
from decar.errors import BackendUnavailableError, ConfigError, ConvergenceError, InputMoleculeError

Floats = NDArray[np.float64]
Integers = NDArray[np.int32]

LARGEST_ATOMIC_NUMBER = 86
# Numerical thresholds, relative to tblite's: the gradient must be smoother than geomeTRIC's tightest criterion.
ACCURACY = 0.1
# Cycles and Broyden damping of each attempt; small gaps oscillate, and a shorter step mends most of them.
ATTEMPTS: tuple[dict[str, float | int], ...] = (
    {"max-iter": 250, "mixer-damping": 0.4},
    {"max-iter": 1000, "mixer-damping": 0.1},
)


def _tblite() -> Any:
    try:
        from tblite import interface  # noqa: PLC0415 - optional program, loaded where it is first needed
    except ImportError as error:
        raise BackendUnavailableError(
            "GFN2-xTB needs the package tblite", seen=str(error), remedy="pip install tblite"
        ) from error
    threads.reapply()
    return interface


class Gfn2:
    """The GFN2-xTB surface of one molecule: call it with a geometry.

    Each call starts from the charges of the one before, which halves the cycles along an optimisation.
    """

    def __init__(self, atomic_numbers: Integers, charge: int, multiplicity: int, solvent: str | None = None) -> None:
        """Take the molecule.

        Raises InputMoleculeError for an element above radon (`element_without_parameters`) or a multiplicity that the
        electrons cannot have (`impossible_multiplicity`), BackendUnavailableError without tblite.
        """
        self._interface = _tblite()
        self._atomic_numbers = np.asarray(atomic_numbers, dtype=np.int32)
        self._charge, self._multiplicity, self._solvent = charge, multiplicity, solvent
        self._calculator: Any = None
        self._result: Any = None
        heavy = sorted({int(z) for z in self._atomic_numbers if z > LARGEST_ATOMIC_NUMBER})
        if heavy:
            raise InputMoleculeError(
                "GFN2-xTB has no parameters for an element of this molecule",
                reason="element_without_parameters",
                seen=f"atomic numbers {heavy}",
                expected=f"1 to {LARGEST_ATOMIC_NUMBER}",
            )
        electrons = int(self._atomic_numbers.sum()) - charge
        if multiplicity < 1 or multiplicity - 1 > electrons or (electrons - multiplicity + 1) % 2:
            raise InputMoleculeError(
                "the molecule cannot have this multiplicity",
                reason="impossible_multiplicity",
                seen=f"multiplicity {multiplicity} with {electrons} electrons",
                expected="odd with an even number of electrons, even with an odd one",
            )

    def __call__(self, geometry_bohr: Floats) -> tuple[float, Floats]:
        """Return the energy [hartree] and its gradient (atom, 3) [hartree/bohr] at a geometry (atom, 3) [bohr].

        Raises ConvergenceError (`xtb_not_converged`) when the charges converge with neither set of mixer settings,
        ConfigError for an unknown solvent.
        """
        positions = np.ascontiguousarray(geometry_bohr, dtype=float)
        attempts: list[dict[str, object]] = []
        for settings in ATTEMPTS:
            try:
                return self._singlepoint(positions, settings)
            except RuntimeError as error:  # tblite's error class derives from it
                self._calculator = self._result = None
                if "solvents" in str(error):
                    raise ConfigError(
                        "ALPB does not know this solvent",
                        where="optimise.solvent",
                        seen=self._solvent,
                        expected="a solvent of tblite, such as water, methanol, dmso, acetonitrile, toluene",
                    ) from error
                attempts.append({**settings, "error": str(error)})
        raise ConvergenceError(
            "GFN2-xTB did not converge",
            reason="xtb_not_converged",
            seen=attempts[-1]["error"],
            remedy="look at the geometry: atoms too close, or a gap near zero",
            attempts=attempts,
        )

    def _singlepoint(self, positions: Floats, settings: dict[str, float | int]) -> tuple[float, Floats]:
        if self._calculator is None:
            self._calculator = self._new_calculator(positions)
        else:
            self._calculator.update(positions=positions)
        for name, value in settings.items():
            self._calculator.set(name, value)
        self._result = self._calculator.singlepoint(self._result)
        energy, gradient = float(self._result["energy"]), np.array(self._result["gradient"], dtype=float)
        if not (np.isfinite(energy) and np.isfinite(gradient).all()):
            raise RuntimeError("energy or gradient is not finite")
        return energy, gradient

    def _new_calculator(self, positions: Floats) -> Any:
        calculator = self._interface.Calculator(
            "GFN2-xTB", self._atomic_numbers, positions, charge=float(self._charge), uhf=self._multiplicity - 1
        )
        calculator.set("verbosity", 0)
        calculator.set("accuracy", ACCURACY)
        if self._solvent is not None:
            calculator.add("alpb-solvation", self._solvent)
        return calculator
