"""PySCF (doi 10.1063/5.0006074), imported in this one place, with matrix products that suit the processor.

The wheels of PySCF carry OpenBLAS 0.3.3 of 2018. It does not know later processors and falls back to the kernels of
Prescott (SSE3), a quarter of the speed of what any processor with AVX2 can do: a B3LYP single point takes twice as
long. OpenBLAS reads its kernel set from the environment when it is loaded, so the name is set for just that moment.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import threadpool_info

AVX2_ARCHITECTURES = {"Haswell", "Zen", "SkylakeX", "Cooperlake", "SapphireRapids"}
KERNELS = "OPENBLAS_CORETYPE"


@contextmanager
def _avx2_kernels() -> Iterator[None]:
    # NumPy's own OpenBLAS is recent and has identified the processor already.
    seen = {str(library.get("architecture")) for library in threadpool_info()}
    if KERNELS in os.environ or "pyscf" in sys.modules or not seen & AVX2_ARCHITECTURES:
        yield
        return
    os.environ[KERNELS] = "Haswell"
    try:
        yield
    finally:
        del os.environ[KERNELS]


# SciPy first: its own OpenBLAS identifies the processor by itself and is not to be touched.
import scipy.linalg  # noqa: E402, F401

with _avx2_kernels():
    import pyscf
    from pyscf import dft, gto, lib, scf


__all__ = ["dft", "gto", "lib", "pyscf", "scf"]
