"""London dispersion by D3 with Becke-Johnson damping (doi 10.1002/jcc.21759), two-body, outside the engines.

E = -sum over pairs and n = 6, 8 of s_n C_n / (R^n + (a1 sqrt(C8/C6) + a2)^n)
"""

import numpy as np
from numpy.typing import NDArray

from decar.errors import BackendUnavailableError, ConfigError

Floats = NDArray[np.float64]
Integers = NDArray[np.int32]


def d3bj(functional: str, atomic_numbers: Integers, geometry_bohr: Floats) -> tuple[float, Floats]:
    """Return the energy [hartree] and gradient (atom, 3) [hartree/bohr] with the parameters of a functional or `hf`.

    Geometry (atom, 3) [bohr]. Raises ConfigError for a functional without parameters, BackendUnavailableError without
    pyscf-dispersion.
    """
    try:
        from pyscf import gto  # noqa: PLC0415 - loaded only where a DFT optimisation is asked for
        from pyscf.dispersion import dftd3  # noqa: PLC0415
    except ImportError as error:
        raise BackendUnavailableError(
            "D3 dispersion needs the package pyscf-dispersion", seen=str(error), remedy="pip install pyscf-dispersion"
        ) from error
    # Charge, spin and basis play no part in D3: one s function an atom, which any element accepts.
    molecule = gto.Mole(verbose=0)
    molecule.atom = [(int(number), tuple(row)) for number, row in zip(atomic_numbers, geometry_bohr, strict=True)]
    molecule.unit, molecule.basis, molecule.spin = "Bohr", {"default": [[0, [1.0, 1.0]]]}, int(atomic_numbers.sum()) % 2
    molecule.build(parse_arg=False, dump_input=False)
    try:
        result = dftd3.DFTD3Dispersion(molecule, xc=functional, version="d3bj").get_dispersion(grad=True)
    except RuntimeError as error:
        raise ConfigError(
            "D3(BJ) has no parameters for this functional",
            where="quantum.method",
            seen=functional,
            expected="a functional with published D3(BJ) parameters, such as b3lyp, pbe0, pbe, r2scan",
            remedy="set optimise.dispersion to null, or choose another functional",
        ) from error
    return float(result["energy"]), np.array(result["gradient"], dtype=float)
