import numpy as np
import pytest
import torch
from torch import nn

from decar.config import ModelSettings
from decar.dataset.rotations import ALL
from decar.errors import ConfigError
from decar.interpret.attribution import METHODS, Subject, attribute, held_norms, logits
from decar.interpret.cells import sum_over_cells
from decar.models.published import PublishedNetwork


@pytest.fixture(scope="module")
def network():
    made = PublishedNetwork(ModelSettings(channels=(3, 4, 5), kernel_size=3), 0.7)
    made.initialise(4)
    return made.eval()


@pytest.fixture(scope="module")
def subject():
    generator = np.random.default_rng(0)
    axes = np.stack(np.meshgrid(*(np.linspace(-2, 2, size) for size in (16, 24, 16)), indexing="ij"))
    voxels = 3 * np.exp(-(axes**2).sum(axis=0)) * generator.uniform(0.5, 1.5, (16, 24, 16))
    x = torch.from_numpy(voxels.astype(np.float32))[None, None]
    cells = np.zeros((16, 24, 16), dtype=np.int64)
    cells[8:], cells[:, 12:] = 1, 2
    return Subject(x, torch.ones_like(x), cells)


def test_integrated_gradients_are_complete_and_more_so_with_more_points(network, subject):
    logit, _ = logits(network, subject)
    with held_norms(network, subject):
        held, reference = logits(network, subject)
    assert held == pytest.approx(logit, abs=1e-5)
    assert logits(network, subject)[0] == logit  # the norms are free again
    sums = [attribute(network, subject, "integrated_gradients", n) for n in (4, 128)]
    scale = np.abs(sums[1]).sum()
    errors = [abs(values.sum() - (logit - reference)) / scale for values in sums]
    assert errors[1] < 0.002
    assert errors[1] < errors[0]


def test_occlusion_is_what_emptying_a_cell_changes(network, subject):
    values = attribute(network, subject, "occlusion", 0)
    sums = sum_over_cells(values, subject.cells, 2)
    for cell in range(3):
        emptied = subject.voxels * torch.from_numpy(subject.cells != cell)
        with torch.no_grad():
            change = network(subject.voxels, subject.mask) - network(emptied, subject.mask)
        assert sums[cell] == pytest.approx(float(change), abs=1e-5)


def test_grad_cam_is_the_mean_gradient_times_the_activation_of_the_last_convolution(network, subject):
    kept = {}
    convolution = network.layers[-1].convolution
    hook = convolution.register_forward_hook(lambda _, __, output: kept.update(a=output))
    output = network(subject.voxels, subject.mask)
    hook.remove()
    (gradient,) = torch.autograd.grad(output.sum(), kept["a"])
    expected = (gradient.mean(dim=(2, 3, 4), keepdim=True) * kept["a"]).sum()
    assert (gradient != 0).any()
    values = attribute(network, subject, "grad_cam", 0)
    assert values.shape == (16, 24, 16)
    assert values.sum() == pytest.approx(float(expected.detach()), rel=0.3)  # interpolation shifts a little at faces
    assert np.corrcoef(values[1::4, 1::4, 1::4].ravel(), values[2::4, 2::4, 2::4].ravel())[0, 1] > 0.7


@pytest.mark.parametrize("method", METHODS)
def test_turning_molecule_and_network_turns_the_attribution(network, subject, method):
    rotation = ALL[9]
    turned_network = PublishedNetwork(network.settings, 0.7)
    turned_network.load_state_dict(network.state_dict())
    for layer in turned_network.layers:
        weight = layer.convolution.weight
        weight.data = torch.from_numpy(rotation.apply(weight.detach().numpy()))
    voxels, cells = rotation.apply(subject.voxels[0].numpy()), rotation.apply(subject.cells)
    turned = Subject(torch.from_numpy(voxels)[None], torch.ones(1, 1, *voxels.shape[1:]), cells)
    first, second = attribute(network, subject, method, 16), attribute(turned_network, turned, method, 16)
    np.testing.assert_allclose(second, rotation.apply(first), atol=2e-4 * np.abs(first).max())


def test_an_output_among_several_is_explained(subject):
    class Two(nn.Module):
        def forward(self, x, mask):
            return torch.stack([(x * mask).sum(dim=(1, 2, 3, 4)), -2 * (x * mask).sum(dim=(1, 2, 3, 4))], dim=1)

    values = attribute(Two(), subject, "integrated_gradients", 4, output=1)
    np.testing.assert_allclose(values, -2 * subject.voxels[0, 0].numpy(), rtol=1e-5)
    with pytest.raises(ConfigError, match="leave grad_cam out"):
        attribute(Two(), subject, "grad_cam", 0)
