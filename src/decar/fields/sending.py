"""Arrays of the processor to wherever a tensor is."""

from typing import Any

import torch
from numpy.typing import NDArray


def sent(values: NDArray[Any] | torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Return the values in the number format and on the device of `like`, which is not waited for."""
    return torch.as_tensor(values).to(like, non_blocking=True)
