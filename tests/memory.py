"""How much memory a call allocates."""

import tracemalloc
from collections.abc import Callable

import pyarrow as pa

POOLS = []  # what a call left in a cache still lies in its pool


def peak_memory(call: Callable[[], object]) -> int:
    """Return the most that a call allocates at a time [bytes]: Python's and NumPy's, and Arrow's."""
    before, pool = pa.default_memory_pool(), pa.proxy_memory_pool(pa.default_memory_pool())
    POOLS.append(pool)
    pa.set_memory_pool(pool)
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1] + int(pool.max_memory())
    finally:
        tracemalloc.stop()
        pa.set_memory_pool(before)
