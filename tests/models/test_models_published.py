"""The published network: sizes, padding, masks, kernels by name, and its package."""

from pathlib import Path

import pytest
import torch

from decar.config import ModelSettings
from decar.errors import DataFormatError
from decar.models.package import REQUIRED, load_package, save_package
from decar.models.published import MaskedNorm, PublishedNetwork
from decar.models.task import Task

SPACING = 0.66


def network(**settings: object) -> PublishedNetwork:
    made = PublishedNetwork(ModelSettings.model_validate({"channels": [4, 6, 8], "hidden": 8, **settings}), SPACING)
    made.initialise(1)
    with torch.no_grad():  # biases and norms as after training, not at their neutral start
        generator = torch.Generator().manual_seed(2)
        for parameter in made.parameters():
            if parameter.ndim == 1:
                parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.3)
    return made.double()


def boxes(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def padded(x: torch.Tensor, shape: tuple[int, int, int], fill: float = 0.0) -> tuple[torch.Tensor, torch.Tensor]:
    large = torch.full((*x.shape[:2], *shape), fill, dtype=x.dtype)
    mask = torch.zeros((x.shape[0], 1, *shape), dtype=x.dtype)
    i, j, k = x.shape[2:]
    large[:, :, :i, :j, :k], mask[:, :, :i, :j, :k] = x, 1
    return large, mask


@pytest.mark.parametrize("pooling", ["max", "average"])
@pytest.mark.parametrize("kernel_size", [3, 5])
def test_logit_does_not_depend_on_padding(pooling: str, kernel_size: int) -> None:
    net = network(pooling=pooling, kernel_size=kernel_size)
    x = boxes(2, 1, 16, 24, 8)
    alone = net(*padded(x, (16, 24, 8)))
    for shape in ((24, 24, 8), (32, 32, 32)):
        torch.testing.assert_close(net(*padded(x, shape)), alone, rtol=1e-12, atol=1e-12)
    # Whatever stands outside the mask is not seen.
    torch.testing.assert_close(net(*padded(x, (24, 32, 16), fill=7.0)), alone, rtol=1e-12, atol=1e-12)


def test_gradients_do_not_depend_on_padding() -> None:
    net = network(kernel_size=3)
    x = boxes(2, 1, 16, 8, 8)
    found = []
    for shape in ((16, 8, 8), (24, 24, 24)):
        gradients = torch.autograd.grad(net(*padded(x, shape)).sum(), list(net.parameters()))
        found.append(torch.cat([gradient.flatten() for gradient in gradients]))
    torch.testing.assert_close(found[0], found[1], rtol=1e-10, atol=1e-12)


def test_samples_of_a_batch_do_not_see_each_other() -> None:
    net = network()
    x = boxes(3, 1, 16, 16, 16)
    together = net(*padded(x, (16, 16, 16)))
    for number in range(3):
        alone = net(*padded(x[number : number + 1], (16, 16, 16)))
        torch.testing.assert_close(together[number : number + 1], alone, rtol=1e-12, atol=1e-12)


def test_masked_norm_against_plain_statistics() -> None:
    norm = MaskedNorm(3).double()
    x = boxes(2, 3, 4, 4, 4)
    mask = (boxes(2, 1, 4, 4, 4, seed=5) > 0).double()
    y = norm(x, mask)
    for number in range(2):
        inside = mask[number, 0].bool()
        values = x[number][:, inside]
        expected = (values - values.mean()) / torch.sqrt(values.var(unbiased=False) + 1e-5)
        torch.testing.assert_close(y[number][:, inside], expected)
        assert (y[number][:, ~inside] == 0).all()


def test_sizes_and_receptive_field() -> None:
    net = network(kernel_size=5, channels=[4, 6, 8])
    assert net.total_stride == 8
    assert net.kernels(3).shape == (8, 6, 5, 5, 5)
    assert net.receptive_field == 36
    rows = net.describe()
    assert sum(int(row["parameters"]) for row in rows) == sum(p.numel() for p in net.parameters())
    assert [row["kernel_edge_bohr"] for row in rows[:3]] == pytest.approx([5 * SPACING, 10 * SPACING, 20 * SPACING])
    with pytest.raises(ValueError, match="layer 4"):
        net.kernels(4)


@pytest.mark.parametrize("layer", [1, 2, 3])
def test_receptive_field_is_what_a_voxel_sees(layer: int) -> None:
    """The input voxels with a gradient span exactly the stated edge (without the norm, which sees the whole box)."""
    net = network(kernel_size=3, pooling="average")
    x = boxes(1, 1, 48, 48, 48).abs().requires_grad_()
    y = x
    for module in list(net.layers)[:layer]:
        weight = torch.ones_like(module.convolution.weight)
        y = torch.nn.functional.avg_pool3d(torch.nn.functional.conv3d(y, weight, padding=1), 2)
    centre = y.shape[2] // 2
    (gradient,) = torch.autograd.grad(y[0, 0, centre, centre, centre], x)
    seen = gradient[0, 0].nonzero()
    assert (seen.max(dim=0).values - seen.min(dim=0).values + 1).tolist() == [net.receptive_field_of(layer)] * 3


def test_activations_are_what_the_kernels_are_laid_upon() -> None:
    net = network()
    x, mask = padded(boxes(1, 1, 16, 16, 16), (24, 16, 16))
    torch.testing.assert_close(net.activations(x, mask, 1), x * mask)
    for layer in (1, 2, 3):
        below, inside = net.activations(x, mask, layer), net.activation_mask(mask, layer)
        above, _ = net.layers[layer - 1](below, inside)
        if layer < 3:
            torch.testing.assert_close(above, net.activations(x, mask, layer + 1))
        assert below.shape[1] == net.kernels(layer).shape[1]
        assert (below * (1 - inside) == 0).all()


def test_maximum_pooling_commutes_with_the_rectifier() -> None:
    """The order chosen for speed gives the published order (rectifier, then pooling) to the last bit."""
    net = network(pooling="max")
    x, mask = padded(boxes(1, 1, 16, 16, 16), (24, 16, 16))
    layer = net.layers[0]
    published = torch.nn.functional.max_pool3d(torch.relu(layer.convolution(x)) * mask, 2)
    coarse = torch.nn.functional.max_pool3d(mask, 2)
    torch.testing.assert_close(layer(x, mask)[0], layer.norm(published, coarse), rtol=0, atol=0)


def test_same_seed_same_weights() -> None:
    settings = ModelSettings()
    first, second, other = (PublishedNetwork(settings, SPACING) for _ in range(3))
    first.initialise(3)
    torch.rand(5)  # the global state does not matter
    second.initialise(3)
    other.initialise(4)
    assert torch.equal(first.kernels(1), second.kernels(1))
    assert not torch.equal(first.kernels(1), other.kernels(1))


def metadata() -> dict[str, object]:
    given: dict[str, object] = dict.fromkeys(REQUIRED, "x")
    return given | {
        "spacing_bohr": SPACING, "metrics": {"val_loss": 0.5, "test_auroc": None}, "lineage": [], "licence": None,
        "level": {"method": "b3lyp"}, "fields": ["electron_density"], "tasks": [Task("sweet").to_json()],
    }  # fmt: skip


def test_package_round_trip(tmp_path: Path) -> None:
    net = network().float()
    for _ in range(2):  # the second one replaces the first
        save_package(tmp_path / "model", net, metadata())
    loaded, config = load_package(tmp_path / "model")
    x, mask = padded(boxes(2, 1, 16, 16, 16).float(), (16, 16, 16))
    assert torch.equal(net(x, mask), loaded(x, mask))
    assert config["metrics"]["val_loss"] == 0.5
    assert loaded.settings == net.settings
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == [
        "card.md",
        "config.json",
        "weights.safetensors",
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert "electron_density" in (tmp_path / "model" / "card.md").read_text()


def test_incomplete_or_damaged_package_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="spacing_bohr"):
        save_package(tmp_path / "model", network(), {name: "x" for name in REQUIRED if name != "spacing_bohr"})
    assert list(tmp_path.iterdir()) == []
    save_package(tmp_path / "model", network().float(), metadata())
    weights = tmp_path / "model" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(DataFormatError, match="hash"):
        load_package(tmp_path / "model")
    config = tmp_path / "model" / "config.json"
    config.write_text(config.read_text().replace('"format_version": 2', '"format_version": 3'))
    with pytest.raises(DataFormatError, match="unknown format"):
        load_package(tmp_path / "model")
    with pytest.raises(DataFormatError, match="cannot be read"):
        load_package(tmp_path / "nothing")
