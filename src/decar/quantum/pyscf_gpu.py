"""The self-consistent field of PySCF on a CUDA device, through GPU4PySCF (doi 10.1021/acs.jpca.4c05876).

Only the cycles run there: the initial guess, the rescue ladder, the analysis of stability and the record are those of
PySCF, on the processor.
"""

from importlib.util import find_spec
from typing import Any

import numpy as np

from decar.quantum.scf_quadrature import make_grids

INSTALL = "pip install gpu4pyscf-cuda12x cutensor-cu12 (or -cuda11x, -cuda13x, as the driver's CUDA version says)"
STATE = ("converged", "cycles", "e_tot", "mo_energy", "mo_coeff", "mo_occ")  # what the cycles change


def availability() -> str | None:
    """Return None where a CUDA device can be used, else the reason and what to do."""
    if find_spec("gpu4pyscf") is None:
        return f"quantum.device: cuda needs GPU4PySCF, which is not installed: {INSTALL}; or set quantum.device: cpu"
    try:
        import cupy  # noqa: PLC0415 - needs CUDA's libraries, and is imported only where a device is asked for

        count = int(cupy.cuda.runtime.getDeviceCount())
    except Exception as error:
        return f"quantum.device: cuda finds no usable CUDA device: {error}; {INSTALL}; or set quantum.device: cpu"
    return None if count else "quantum.device: cuda finds no CUDA device; set quantum.device: cpu"


def converge(mf: Any, density: Any, quadrature_level: int) -> tuple[int, float | None]:
    """Run the SCF on the device, on the final grid at once; arguments and answer as in `scf_quadrature.converge`."""
    if density is None:
        density = mf.get_init_guess(mf.mol, mf.init_guess)
    if hasattr(mf, "xc"):
        mf.grids = make_grids(mf.mol, quadrature_level)
    device = mf.to_gpu()
    device.kernel(dm0=np.asarray(density))  # without PySCF's tags of orbitals
    host = device.to_cpu()
    for name in STATE:
        setattr(mf, name, getattr(host, name))
    return int(mf.cycles), None
