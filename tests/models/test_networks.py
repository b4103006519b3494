"""What every network keeps, whatever its architecture: padding, gradients of all parts, small first logits, package."""

import json
from pathlib import Path

import pytest
import torch

from decar.config import LATER_SETTINGS, ModelSettings
from decar.models.build import build_network
from decar.models.network import Network
from decar.models.package import REQUIRED, load_package, save_package

SPACING = 0.94486  # bohr, half an angstrom
# A word more: the read-out; another: kernels in angstrom.
ARCHITECTURES = ("published", "residual", "steerable", "steerable all", "steerable last diameters")


def named(architecture: str) -> dict[str, object]:
    diameters = {"kernel_diameters_angstrom": (4.0, 5.0, 10.0)} if "diameters" in architecture else {}
    return {**dict(zip(("architecture", "readout"), architecture.split())), **diameters}


def network(architecture: str, **settings: object) -> Network:
    chosen = {"channels": [4, 8, 8], "kernel_size": 5, "hidden": 8, **named(architecture), **settings}
    made = build_network(ModelSettings.model_validate(chosen), SPACING, 1, 2)
    made.initialise(1)
    return made.double()


def cloud(*shape: int) -> torch.Tensor:
    """Return positive voxels, [1, 1, x, y, z]."""
    return torch.rand(1, 1, *shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("pooling", ["max", "average"])
def test_padding_is_not_seen(architecture: str, pooling: str) -> None:
    net = network(architecture, pooling=pooling)
    with torch.no_grad():  # biases and norms as after training, not at their neutral start
        generator = torch.Generator().manual_seed(2)
        for parameter in net.parameters():
            if parameter.ndim == 1:
                parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.3)
    x = cloud(16, 22, 16)
    found = []
    for shape, outside in (((16, 24, 16), 0.0), ((32, 24, 40), 7.0)):
        larger, mask = torch.full((1, 1, *shape), outside, dtype=x.dtype), torch.zeros(1, 1, *shape, dtype=x.dtype)
        larger[..., :16, :22, :16], mask[..., :16, :22, :16] = x, 1
        logits = net(larger, mask)
        gradients = torch.autograd.grad(logits.sum(), list(net.parameters()))
        found.append(torch.cat([logits.flatten(), *(gradient.flatten() for gradient in gradients)]))
    torch.testing.assert_close(found[0], found[1], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_part_learns_and_is_described(architecture: str) -> None:
    net, x = network(architecture), cloud(16, 16, 16)
    net(x, torch.ones_like(x)).sum().backward()
    covered = [parameter for part in net.parts().values() for parameter in part.parameters()]
    assert {id(parameter) for parameter in covered} == {id(parameter) for parameter in net.parameters()}
    norms = {
        name: sum(float(p.grad.square().sum()) for p in part.parameters() if p.grad is not None) ** 0.5
        for name, part in net.parts().items()
    }
    assert min(norms.values()) > 1e-3 * max(norms.values()), norms
    assert sum(int(str(row["parameters"])) for row in net.describe()) == sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_checkpointing_and_bfloat16(architecture: str) -> None:
    """Checkpointing gives the same gradients to the bit; mixed precision the same logits to its three digits."""
    x = cloud(16, 16, 24).float()
    found = []
    for checkpointing in (False, True):
        net = network(architecture, checkpointing=checkpointing).float()
        logits = net(x, torch.ones_like(x))
        gradients = torch.autograd.grad(logits.sum(), list(net.parameters()))
        found.append(torch.cat([logits.flatten(), *(gradient.flatten() for gradient in gradients)]))
    assert torch.equal(*found)
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        mixed = net(x, torch.ones_like(x)).float()
    assert 0 < float((mixed - logits).detach().abs().max()) < 0.03 * float(logits.detach().abs().max())


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_first_logits_are_small(architecture: str) -> None:
    """A network that has learned nothing says nothing: its first loss is that of a coin, ln 2, or little more."""
    x = cloud(24, 16, 16)
    logits = []
    for seed in range(8):
        net = build_network(ModelSettings.model_validate(named(architecture)), SPACING, 1)
        net.initialise(seed)
        logits.append(float(net.double()(x, torch.ones_like(x))[0, 0].detach()))
    assert max(map(abs, logits)) < 0.5, logits
    assert len(set(logits)) == len(logits)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_package_round_trip(tmp_path: Path, architecture: str) -> None:
    net, x = network(architecture).float(), cloud(16, 16, 16).float()
    metadata: dict[str, object] = dict.fromkeys(REQUIRED, "x")
    metadata |= {"spacing_bohr": SPACING, "fields": ["x"], "level": {}, "metrics": {}, "lineage": [], "tasks": []}
    save_package(tmp_path / "model", net, metadata)
    loaded, config = load_package(tmp_path / "model")
    assert torch.equal(loaded(x, torch.ones_like(x)), net(x, torch.ones_like(x)))
    if LATER_SETTINGS.items() <= net.settings.model_dump().items():  # a package from before there was a choice
        for name in LATER_SETTINGS:
            del config["settings"][name]
        (tmp_path / "model" / "config.json").write_text(json.dumps(config))
        older, _ = load_package(tmp_path / "model")
        assert torch.equal(older(x, torch.ones_like(x)), net(x, torch.ones_like(x)))
