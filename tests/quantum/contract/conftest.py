import pytest

from decar.config import QuantumSettings
from decar.quantum.backend import get_backend
from tests.conftest import required, skip_unless


@pytest.fixture(params=["pyscf", pytest.param("psi4", marks=pytest.mark.psi4)], scope="session")
def backend(request):
    """Each engine in turn; one that is not installed is skipped with its install line."""
    from decar.errors import BackendUnavailableError

    try:
        return get_backend(QuantumSettings(backend=request.param))
    except BackendUnavailableError as error:
        skip_unless(request.param in required(), str(error))
