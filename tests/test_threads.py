"""The limit reaches every library, those loaded later included, and is given back."""

import subprocess
import sys

import numpy as np
import pytest

from decar import threads
from decar.xtb import Gfn2

WATER = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 1.81], [1.75, 0.0, -0.45]])


@pytest.fixture(autouse=True)
def _restore():
    with threads.limit_threads(1):
        yield


def test_limit_is_in_force_for_blas_openmp_and_pyscf_and_given_back():
    import pyscf.lib

    Gfn2(np.array([8, 1, 1]), 0, 1)(WATER)  # loads tblite's OpenMP
    with threads.limit_threads(2):
        before = threads.threads_in_force()
        with threads.limit_threads(1):
            assert set(threads.threads_in_force().values()) == {1}
            assert any("gomp" in name or "omp" in name for name in threads.threads_in_force())
            assert pyscf.lib.num_threads() == 1
        assert threads.threads_in_force() == before
    assert 2 in before.values()


def test_limit_is_given_back_after_an_error():
    before = threads.threads_in_force()
    with pytest.raises(RuntimeError, match="inside"), threads.limit_threads(2):
        raise RuntimeError("inside")
    assert threads.threads_in_force() == before


def test_library_loaded_inside_the_block_obeys_the_limit():
    """tblite brings OpenMP, loaded after the limit was set; a fresh process, since loading happens once."""
    program = (
        "import numpy as np; from decar import threads; from decar.xtb import Gfn2\n"
        "with threads.limit_threads(1):\n"
        "    assert not any('gomp' in name for name in threads.threads_in_force())\n"
        "    Gfn2(np.array([2]), 0, 1)\n"
        "    counts = threads.threads_in_force()\n"
        "    assert any('gomp' in name for name in counts), counts\n"
        "    assert set(counts.values()) == {1}, counts\n"
    )
    environment = {"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_limit_imports_no_library_of_its_own_accord():
    program = (
        "import sys; from decar import threads; threads.set_threads(1)\n"
        "assert not {'torch', 'pyscf', 'tblite', 'rdkit'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("count", [0, -1])
def test_a_count_below_one_is_refused(count):
    with pytest.raises(ValueError, match="at least 1"):
        threads.set_threads(count)
    with pytest.raises(ValueError, match="at least 1"), threads.limit_threads(count):
        pass
