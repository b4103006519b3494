"""The level of theory: everything that decides the numbers of a single point, engine and versions apart.

Names of methods mean different functionals in different programs (B3LYP: VWN form III or V), so a level carries libxc's
own names (doi 10.1016/j.softx.2017.11.002), beside the fitting basis, the kind of d functions and the quadrature.
"""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from decar.config import QuantumSettings
from decar.errors import ConfigError, DataFormatError

# Exchange and correlation as libxc names them; `None` is Hartree-Fock. b3lyp is Gaussian's form (VWN-RPA), which PySCF
# and Psi4 also call b3lyp; b3lyp5 is the other one.
FUNCTIONALS: dict[str, str | None] = {
    "hf": None,
    "svwn": "lda_x,lda_c_vwn",
    "blyp": "gga_x_b88,gga_c_lyp",
    "bp86": "gga_x_b88,gga_c_p86",
    "pbe": "gga_x_pbe,gga_c_pbe",
    "tpss": "mgga_x_tpss,mgga_c_tpss",
    "r2scan": "mgga_x_r2scan,mgga_c_r2scan",
    "b3lyp": "hyb_gga_xc_b3lyp",
    "b3lyp5": "hyb_gga_xc_b3lyp5",
    "pbe0": "hyb_gga_xc_pbeh",
    "tpssh": "hyb_mgga_xc_tpssh",
    "m06-2x": "hyb_mgga_x_m06_2x,mgga_c_m06_2x",
    "cam-b3lyp": "hyb_gga_xc_cam_b3lyp",
    "wb97x": "hyb_gga_xc_wb97x",
}
LIBXC_NAME = re.compile(r"(hyb_)?(lda|gga|mgga)_(x|c|xc|k)_[a-z0-9_]+")


@dataclass(frozen=True)
class Level:
    """A level of theory; two results of one level may be compared and learned from together."""

    method: str
    functional: str | None  # libxc's names, or None for Hartree-Fock
    basis: str
    fitting_basis: str | None  # of density fitting; None: exact integrals
    is_cartesian: bool  # six d functions rather than five; fitting functions are of the same kind
    quadrature_level: int  # PySCF's: radial and angular points by period, Becke partition, NWChem pruning
    convergence_hartree: float
    max_cycles: int
    solvent_dielectric: float | None  # of C-PCM (doi 10.1021/jp9716997); None: gas phase

    @classmethod
    def from_settings(cls, settings: QuantumSettings) -> Self:
        """Return the level that a study asks for; raises ConfigError for an unknown method."""
        method = settings.method.lower()
        return cls(
            method, exact_functional(method), settings.basis.lower(),
            settings.fitting_basis.lower() if settings.fitting_basis else None,
            settings.cartesian, settings.quadrature_level, settings.convergence_hartree, settings.max_cycles,
            settings.solvent_dielectric,
        )  # fmt: skip

    @classmethod
    def from_metadata(cls, stated: Mapping[str, Any]) -> Self:
        """Return the level that a record states, with the usual number of cycles.

        Raises DataFormatError where the statement is not whole, or contradicts itself.
        """
        try:
            solvent = stated["solvent"]
            settings = QuantumSettings(
                method=stated["method"], basis=stated["basis"], fitting_basis=stated["fitting_basis"],
                cartesian=stated["is_cartesian"], quadrature_level=stated["quadrature_level"],
                convergence_hartree=stated["convergence_hartree"],
                solvent_dielectric=None if solvent is None else solvent["dielectric"],
            )  # fmt: skip
            level, functional = cls.from_settings(settings), stated["functional"]
        except (KeyError, TypeError, ValueError) as error:
            raise DataFormatError(
                "the level of theory is not stated whole", seen=dict(stated), expected="what `Level.to_metadata` states"
            ) from error
        if functional != level.functional:
            raise DataFormatError(
                f"the method {level.method} is another functional", seen=functional, expected=level.functional
            )
        return level

    @property
    def label(self) -> str:
        """Return the name for tables and captions, such as B3LYP/6-31G*."""
        return f"{self.method.upper()}/{_basis_label(self.basis)}"

    def to_metadata(self) -> dict[str, Any]:
        """Return the JSON-able statement that every record carries."""
        solvent = None
        if self.solvent_dielectric is not None:
            solvent = {"model": "C-PCM", "dielectric": self.solvent_dielectric}
        return {
            "label": self.label,
            "method": self.method,
            "functional": self.functional,
            "basis": self.basis,
            "fitting_basis": self.fitting_basis,
            "is_cartesian": self.is_cartesian,
            "quadrature_level": self.quadrature_level,
            "convergence_hartree": self.convergence_hartree,
            "solvent": solvent,
        }


def exact_functional(method: str) -> str | None:
    """Return libxc's names for a method; a libxc name, or two joined by a comma, stands for itself."""
    if method in FUNCTIONALS:
        return FUNCTIONALS[method]
    if all(LIBXC_NAME.fullmatch(part) for part in method.split(",")):
        return method
    raise ConfigError(
        "unknown method",
        where="quantum.method",
        seen=method,
        expected=f"one of {', '.join(FUNCTIONALS)}, or libxc names such as gga_x_pbe,gga_c_pbe",
        remedy=_nearest(method),
    )


def _nearest(method: str) -> str | None:
    close = difflib.get_close_matches(method, FUNCTIONALS, n=1)
    return f"did you mean {close[0]}?" if close else None


def _basis_label(basis: str) -> str:
    if basis.startswith("def2-"):
        return "def2-" + basis.removeprefix("def2-").upper()
    if "cc-p" in basis:
        return re.sub(r"v([dtq56]z)", lambda found: f"V{found[1].upper()}", basis)
    return basis.upper()
