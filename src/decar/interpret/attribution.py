r"""Where a network looks: what each voxel of the field contributes to its logit f, three ways, by captum.

    integrated_gradients   x_i \int_0^1 dg/dx_i (t x) dt, from vacuum (x = 0) to the molecule     arXiv 1703.01365
                           complete: the sum over voxels is g(x) - g(0); the rest is the error of the quadrature
    occlusion              f(x) - f(x with the cell of one atom emptied), spread over that cell   arXiv 1311.2901
    grad_cam               sum_c (mean over voxels of df/dA_c) A_c at the last convolution        arXiv 1610.02391
                           without the final rectifier, so that it keeps its sign; interpolated to the voxels

All are in units of the logit (of a regression: of the network's output); positive speaks for the positive class, or a
higher value.

g is f with the mean and the variance of every norm held at those of the molecule, g(x) = f(x). With free norms the
path from vacuum says nothing: f(t x) of a trained network was the same from t = 1 down to 0.01, then swung by three
times its final change around t = 1e-3, where the variance of a layer meets the constant added to it, and 256 points
left an error as large as the change itself. Held, 32 points of Gauss and Legendre leave a few per cent of it.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from captum.attr import FeatureAblation, IntegratedGradients, LayerAttribution, LayerGradCam
from numpy.typing import NDArray
from torch import Tensor, nn

from decar.dataset.normalise import VACUUM
from decar.errors import ConfigError
from decar.models.published import EPSILON, MaskedNorm
from decar.record import Array

VOXELS_AT_A_TIME = 2**19  # of the boxes that go through the network together


@dataclass(frozen=True)
class Subject:
    """A molecule as a network sees it: `voxels` [1, channel, x, y, z], `mask` [1, 1, x, y, z], `cells` (x, y, z)."""

    voxels: Tensor
    mask: Tensor
    cells: NDArray[np.int64]

    @property
    def at_a_time(self) -> int:
        """Return how many boxes of this size go through the network together."""
        return max(1, VOXELS_AT_A_TIME // self.cells.size)


def attribute(network: nn.Module, subject: Subject, method: str, num_steps: int, output: int = 0) -> Array:
    """Return the contribution of each voxel to an output of the network, summed over channels, (x, y, z)."""

    def logit(voxels: Tensor, mask: Tensor) -> Tensor:
        mask = mask.expand(len(voxels), *mask.shape[1:])
        return network(voxels, mask)[:, output]  # type: ignore[no-any-return]

    return METHODS[method](network, logit, subject, num_steps)


def logits(network: nn.Module, subject: Subject, output: int = 0) -> tuple[float, float]:
    """Return f of the molecule, and f of the empty box."""
    with torch.inference_mode():
        both = [network(x, subject.mask)[0, output] for x in (subject.voxels, 0 * subject.voxels)]
    return float(both[0]), float(both[1])


Logit = Callable[[Tensor, Tensor], Tensor]


@contextmanager
def held_norms(network: nn.Module, subject: Subject) -> Iterator[None]:
    """Within the block every norm keeps the mean and the variance that it has for this molecule: f becomes g."""
    norms = [module for module in network.modules() if isinstance(module, MaskedNorm)]
    held: dict[nn.Module, tuple[Tensor, Tensor]] = {}

    def keep(module: nn.Module, inputs: tuple[Tensor, Tensor], _: Tensor) -> None:
        x, mask = inputs
        count = mask.sum() * x.shape[1]
        mean = (x * mask).sum() / count
        held[module] = mean, torch.rsqrt(((x - mean) * mask).square().sum() / count + EPSILON)

    def replace(module: nn.Module, inputs: tuple[Tensor, Tensor], _: Tensor) -> Tensor:
        x, mask = inputs
        mean, factor = held[module]
        norm = cast("MaskedNorm", module)
        scale, shift = (value.view(1, -1, 1, 1, 1) for value in (norm.scale, norm.shift))
        return ((x - mean) * factor * scale + shift) * mask

    with ExitStack() as stack, torch.no_grad():
        for norm in norms:
            stack.callback(norm.register_forward_hook(keep).remove)
        network(subject.voxels, subject.mask)
    with ExitStack() as stack:
        for norm in norms:
            stack.callback(norm.register_forward_hook(replace).remove)
        yield


def _integrated_gradients(network: nn.Module, logit: Logit, subject: Subject, num_steps: int) -> Array:
    with held_norms(network, subject):
        values = IntegratedGradients(logit).attribute(
            subject.voxels, baselines=VACUUM, additional_forward_args=(subject.mask,), n_steps=num_steps,
            method="gausslegendre", internal_batch_size=subject.at_a_time,
        )  # fmt: skip
    return np.asarray(values[0].sum(dim=0).detach().numpy())


def _occlusion(_: nn.Module, logit: Logit, subject: Subject, __: int) -> Array:
    cells = torch.from_numpy(subject.cells)[None, None]
    with torch.inference_mode():
        values = FeatureAblation(logit).attribute(
            subject.voxels, baselines=VACUUM, additional_forward_args=(subject.mask,), feature_mask=cells,
            perturbations_per_eval=subject.at_a_time,
        )  # fmt: skip
    # captum gives every voxel of a cell, in every channel, the difference that the whole cell makes.
    sizes = np.bincount(subject.cells.ravel())
    return np.asarray(values[0, 0].numpy() / sizes[subject.cells])


def _grad_cam(network: nn.Module, logit: Logit, subject: Subject, _: int) -> Array:
    coarse = LayerGradCam(logit, last_convolution(network)).attribute(
        subject.voxels, additional_forward_args=(subject.mask,)
    )
    shape = subject.cells.shape
    fine = LayerAttribution.interpolate(coarse.detach(), shape, "trilinear")[0, 0]
    return np.asarray(fine.numpy() * (coarse[0, 0].numel() / subject.cells.size))


METHODS = {"integrated_gradients": _integrated_gradients, "occlusion": _occlusion, "grad_cam": _grad_cam}


def last_convolution(network: nn.Module) -> nn.Module:
    """Return the last three-dimensional convolution of a network, in the order in which its parts are defined.

    Raises ConfigError for a network without one.
    """
    found = [module for module in network.modules() if isinstance(module, nn.Conv3d)]
    if not found:
        raise ConfigError(
            "Grad-CAM needs a network with a convolution (torch.nn.Conv3d)", where="attribution.methods",
            seen=type(network).__name__, remedy="leave grad_cam out of attribution.methods",
        )  # fmt: skip
    return found[-1]
