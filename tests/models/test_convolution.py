"""Kernels that torch fails on: in a process of its own, for some crash it and others never come back."""

import subprocess
import sys

import pytest
import torch
from torch.nn import functional

from decar.models.convolution import WIDEST, Convolution, convolve

TRY = """
import sys
import torch
from torch.nn import functional
from decar.models.convolution import convolve

torch.set_num_threads(1)
torch.manual_seed(1)
groups, batch, fewer, more, *sizes = map(int, sys.argv[2:])
shape, taps = sizes[:3], sizes[3:]
steps = [2 - number % 2 for number in taps]
where = [(number - step) // 2 for number, step in zip(taps, steps)]
x, kernel = torch.rand(batch, fewer, *shape), torch.rand(more, fewer // groups, *taps) - 0.5
x, kernel = (given.contiguous(memory_format=torch.channels_last_3d).requires_grad_() for given in (x, kernel))
with torch.autocast("cpu", torch.bfloat16, enabled=sys.argv[1] == "bfloat16"):
    found = convolve(x, kernel, strides=steps, paddings=where, groups=groups)
weight = torch.rand(found.shape) - 0.5
exact_x, exact_kernel = (given.detach().double().requires_grad_() for given in (x, kernel))
exact = functional.conv3d(exact_x, exact_kernel, None, steps, where, groups=groups)
for value, true in zip(
    (found, *torch.autograd.grad((found.float() * weight).sum(), (x, kernel))),
    (exact, *torch.autograd.grad((exact * weight).sum(), (exact_x, exact_kernel))),
):
    print(float((value - true).norm() / true.norm()))
"""
# groups, batch, channels in and out, box, taps. What torch 2.13 made of each where it was measured:
FAILS = {
    "float32": [
        (1, 3, 3, 24, 6, 22, 26, 8, 8, 8),  # its gradient of kernels crashed
        (1, 1, 1, 20, 8, 30, 12, 8, 8, 8),  # wrong gradient of kernels
        (1, 1, 34, 24, 15, 16, 28, 15, 15, 15),  # its gradient of kernels did not come back
    ],
    "bfloat16": [
        (1, 4, 26, 16, 4, 4, 4, 5, 5, 5),  # wrong gradient of kernels
        (1, 2, 34, 24, 4, 4, 6, 13, 13, 13),  # crashed
        (2, 1, 2, 2, 4, 4, 40, 1, 1, 19),  # did not come back
    ],
}


@pytest.mark.parametrize(("precision", "sizes"), [(name, sizes) for name, many in FAILS.items() for sizes in many])
def test_result_and_gradients(precision: str, sizes: tuple[int, ...]) -> None:
    """As in double precision."""
    command = [sys.executable, "-c", TRY, precision, *map(str, sizes)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    errors = [float(line) for line in done.stdout.split()]
    assert len(errors) == 3
    assert max(errors) < {"float32": 1e-5, "bfloat16": 1e-2}[precision], errors


@pytest.mark.parametrize("taps", [1, WIDEST, WIDEST + 1, 2 * WIDEST + 1])
@pytest.mark.parametrize("step", [1, 2])
@pytest.mark.parametrize("voxels", [3, 31])
def test_strides_paddings_and_bias(taps: int, step: int, voxels: int) -> None:
    generator = torch.Generator().manual_seed(1)
    x, kernel, bias = (
        torch.randn(shape, generator=generator, dtype=torch.float64)
        for shape in ((2, 2, 3, 4, voxels), (3, 2, 3, 3, taps), (3,))
    )
    strides, paddings = (1, 2, step), (1, 1, taps // 2)
    for added in (bias, None):
        whole = functional.conv3d(x, kernel, added, strides, paddings)
        found = convolve(x, kernel, added, strides=strides, paddings=paddings)
        assert torch.allclose(found, whole, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("taps", [3, 15])
@pytest.mark.parametrize("voxels", [2, 16])
def test_layer(taps: int, voxels: int) -> None:
    """As that of torch, and in mixed precision its result is of the type that torch gives it."""
    layer = Convolution(2, 3, taps)
    x = torch.rand(1, 2, voxels, 5, 16, generator=torch.Generator().manual_seed(1))
    expected = functional.conv3d(x, layer.weight, layer.bias, padding=taps // 2)
    assert torch.allclose(layer(x), expected, rtol=1e-4, atol=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(x).dtype == torch.bfloat16
