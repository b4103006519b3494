"""`quantum.device: cuda` where there is no GPU: what is missing, and what to do. (The cycles themselves need one.)"""

from importlib.util import find_spec

import numpy as np
import pytest

from decar.config import QuantumSettings
from decar.errors import BackendUnavailableError, ConfigError
from decar.quantum import pyscf_gpu
from decar.quantum.backend import System, check_quantum, get_backend
from decar.quantum.level import Level


@pytest.mark.skipif(find_spec("gpu4pyscf") is not None, reason="GPU4PySCF is installed")
def test_without_the_package_the_error_says_how_to_install_it():
    with pytest.raises(BackendUnavailableError, match="pip install gpu4pyscf-cuda12x") as caught:
        get_backend(QuantumSettings(device="cuda"))
    assert "quantum.device: cpu" in str(caught.value)


def test_psi4_has_no_device():
    with pytest.raises(ConfigError, match=r"quantum\.device"):
        check_quantum(QuantumSettings(backend="psi4", device="cuda"))


@pytest.mark.skipif(pyscf_gpu.availability() is not None, reason=str(pyscf_gpu.availability()))
@pytest.mark.parametrize("multiplicity", [1, 3])
def test_a_device_finds_what_the_processor_finds(multiplicity):
    oxygen = System(np.array([8, 8], dtype=np.int32), np.array([[0.0, 0.0, 0.0], [0.0, 0.3, 2.3]]), 0, multiplicity)
    settings = QuantumSettings(convergence_hartree=1e-9)
    host, device = (
        get_backend(settings.model_copy(update={"device": name})).single_point(oxygen, Level.from_settings(settings))
        for name in ("cpu", "cuda")
    )
    assert device.energy_hartree == pytest.approx(host.energy_hartree, abs=1e-7)
    assert np.allclose(device.density_matrix(), host.density_matrix(), atol=1e-5)
