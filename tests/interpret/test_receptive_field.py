import numpy as np
import pytest
import torch

from decar.config import ModelSettings
from decar.dataset.rotations import ALL, IDENTITY, SIX
from decar.interpret.receptive import field_match, linear_stack
from decar.interpret.run import activation_match
from decar.interpret.turned import folded_for, turned_activations
from decar.models.published import PublishedNetwork
from tests.interpret.explicit_correlation import explicit_match


def network_of(channels, kernel_size=3, fields=("electron_density",), pooling="max", seed=1):
    settings = ModelSettings(fields=fields, channels=channels, kernel_size=kernel_size, pooling=pooling)
    network = PublishedNetwork(settings, spacing_bohr=0.7)
    network.initialise(seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for layer in network.layers:  # a trained norm scales every channel on its own
            layer.norm.scale.copy_(1 + torch.rand(layer.norm.scale.shape, generator=generator))
            layer.convolution.bias.copy_(torch.randn(layer.convolution.bias.shape, generator=generator))
    return network.eval()


def molecule(shape, channels=1, seed=0):
    """Gaussians in a box: [channel, x, y, z], vanishing towards the faces as a molecule's field does."""
    generator = np.random.default_rng(seed)
    axes = np.stack(np.meshgrid(*(np.arange(size) for size in shape), indexing="ij"), axis=-1)
    total = np.zeros((channels, *shape))
    for _ in range(6):
        centre = np.array(shape) * generator.uniform(0.35, 0.65, 3)
        height = generator.uniform(0.5, 2, (channels, 1, 1, 1))
        total += height * np.exp(-((axes - centre) ** 2).sum(axis=-1) / generator.uniform(2, 6))
    return total.astype(np.float32)


@pytest.mark.parametrize(("channels", "kernel_size"), [((2, 3), 3), ((2, 3, 4), 3), ((2, 2, 2), 5), ((4,), 3)])
def test_receptive_field_is_the_gradient_of_the_linear_network_and_as_large_as_the_network_says(channels, kernel_size):
    network = network_of(channels, kernel_size, fields=("a", "b"))
    stack = linear_stack(network, len(channels))
    assert stack.edge == network.kernel_field_of(len(channels))
    x = torch.zeros((1, 2, stack.edge, stack.edge, stack.edge), requires_grad=True)
    response = stack.response(x)
    assert response.shape == (1, channels[-1], 1, 1, 1)
    for kernel in range(channels[-1]):
        (gradient,) = torch.autograd.grad(response[0, kernel].sum(), x, retain_graph=True)
        torch.testing.assert_close(gradient[0].double(), stack.fields[kernel], atol=1e-6, rtol=1e-4)


def test_linear_stack_is_the_network_itself_where_nothing_is_rectified():
    # Positive weights, inputs and biases: rectifiers do nothing. With average pooling and zero bias the first layer is
    # linear, and its norm is one affine map of the whole sample: the activations of layer 2 agree up to that map.
    network = network_of((3, 4), pooling="average")
    with torch.no_grad():
        network.layers[0].convolution.weight.abs_()
        network.layers[0].convolution.bias.zero_()
        network.layers[0].norm.scale.fill_(1.0)
    x = torch.from_numpy(molecule((16, 16, 16)))[None]
    activation = network.activations(x, torch.ones_like(x), 2).detach()
    linear = torch.nn.functional.avg_pool3d(torch.nn.functional.conv3d(x, network.kernels(1).detach(), padding=1), 2)
    slope = torch.corrcoef(torch.stack([activation.flatten(), linear.flatten()]))[0, 1]
    assert float(slope) == pytest.approx(1.0, abs=1e-5)


def field_correlation(stack, voxels, min_variance, rotations=(IDENTITY,)):
    return field_match(stack, *stack.patches(voxels, min_variance), rotations).correlation


def slow_field_correlation(stack, voxels, padding, min_variance):
    x = np.pad(voxels.astype(np.float64), [(0, 0)] + [(padding, padding)] * 3)
    fields = stack.fields.numpy()
    edge, stride = stack.edge, stack.stride
    patches = [
        x[:, i : i + edge, j : j + edge, k : k + edge].ravel()
        for i in range(0, x.shape[1] - edge + 1, stride)
        for j in range(0, x.shape[2] - edge + 1, stride)
        for k in range(0, x.shape[3] - edge + 1, stride)
    ]
    floor = min_variance * max(patch.var() for patch in patches)
    counted = [patch for patch in patches if patch.var() >= floor]
    # Each layer lays its kernel on every voxel it is given.
    assert len(patches) == np.prod([size // stride for size in voxels.shape[1:]])
    return np.array([max(np.corrcoef(field.ravel(), patch)[0, 1] for patch in counted) for field in fields])


@pytest.mark.parametrize(("channels", "kernel_size"), [((2, 3), 3), ((2, 3, 4), 3), ((2, 3, 3), 5)])
def test_input_correlation_is_equal_to_plain_loops(channels, kernel_size):
    network = network_of(channels, kernel_size, fields=("a", "b"))
    stack = linear_stack(network, len(channels))
    voxels = molecule((16, 24, 16), channels=2)
    padding = (kernel_size // 2) * (2 ** len(channels) - 1)
    for min_variance in (1e-6, 0.2):
        expected = slow_field_correlation(stack, voxels, padding, min_variance)
        np.testing.assert_allclose(field_correlation(stack, voxels, min_variance), expected, atol=2e-5)


def test_a_molecule_that_looks_like_the_receptive_field_correlates_fully():
    network = network_of((2, 3), 3)
    stack = linear_stack(network, 2)  # edge 8, stride 2, padding 3
    assert (stack.edge, stack.stride) == (8, 2)
    voxels = np.zeros((1, 16, 16, 16))
    voxels[:, 3:11, 5:13, 3:11] = 4.0 * stack.fields[1].numpy()  # odd corners: where the padded grid has a position
    assert field_correlation(stack, voxels, 0.01)[1] == pytest.approx(1.0, abs=1e-5)
    assert (field_correlation(stack, voxels, 0.01)[[0, 2]] < 0.99).all()


def test_an_empty_box_has_no_correlation():
    stack = linear_stack(network_of((2, 3)), 2)
    assert np.isnan(field_correlation(stack, np.zeros((1, 8, 8, 8)), 0.01)).all()


@pytest.mark.parametrize("number", [3, 10, 22])
def test_both_forms_are_invariant_when_the_molecule_is_rotated(number):
    network = network_of((2, 3, 4))
    voxels = molecule((16, 24, 32))
    turned = ALL[number].apply(voxels)
    stack = linear_stack(network, 3)
    pairs = [
        [activation_match(network, box, ALL, "molecule", 0.01).correlation for box in (voxels, turned)],
        [field_correlation(stack, box, 0.01, ALL) for box in (voxels, turned)],
    ]
    for first, second in pairs:
        assert np.isfinite(first).all()
        np.testing.assert_allclose(first, second, atol=1e-5)


def test_turning_only_the_last_kernel_is_not_invariant():
    # Layers 1 and 2 are not equivariant: this is why the molecule is turned by default.
    network = network_of((2, 3, 4))
    voxels = molecule((16, 24, 32))
    first = activation_match(network, voxels, ALL, "kernel", 0.01).correlation
    second = activation_match(network, ALL[10].apply(voxels), ALL, "kernel", 0.01).correlation
    assert np.abs(first - second).max() > 1e-3


def test_turning_the_field_is_turning_the_receptive_field():
    stack = linear_stack(network_of((2, 3, 4), fields=("a", "b")), 3)
    voxels = molecule((24, 16, 32), channels=2)
    each = [field_correlation(stack, rotation.apply(voxels), 0.01) for rotation in SIX]
    np.testing.assert_allclose(field_correlation(stack, voxels, 0.01, SIX), np.max(each, axis=0), atol=1e-6)


@pytest.mark.parametrize(("kernel_size", "pooling"), [(3, "max"), (5, "max"), (3, "average")])
def test_published_form_in_a_box_of_vacuum_is_that_of_explicit_patches_of_the_turned_molecule(kernel_size, pooling):
    network = network_of((2, 3, 4), kernel_size, pooling=pooling)
    voxels = np.zeros((1, 64, 40, 96), dtype=np.float32)
    voxels[:, 20:36, 8:32, 40:56] = molecule((16, 24, 16)) * (molecule((16, 24, 16)) > 1e-5)
    kernels = network.kernels(3).detach().numpy()
    best = []
    for rotation in SIX:
        x = torch.from_numpy(rotation.apply(voxels))[None]
        activation = network.activations(x, torch.ones_like(x), 3)[0].detach().numpy()
        inside = np.ones(activation.shape[1:])
        best.append(explicit_match(activation, inside, kernels, (IDENTITY,), 0.1).correlation)
    found = activation_match(network, voxels, SIX, "molecule", 0.1)
    np.testing.assert_allclose(found.correlation, np.max(best, axis=0), atol=2e-5)
    alone = activation_match(network, voxels, SIX, "kernel", 0.1)
    activation = network.activations(torch.from_numpy(voxels)[None], torch.ones((1, 1, *voxels.shape[1:])), 3)
    explicit = explicit_match(activation[0].detach().numpy(), np.ones(activation.shape[2:]), kernels, SIX, 0.1)
    np.testing.assert_allclose(alone.correlation, explicit.correlation, atol=2e-5)
    # Where a kernel fits, it fits as well on every plane of a run of vacuum.
    own = activation[0].detach().numpy()
    for position, turn, kernel, value in zip(alone.position, alone.rotation, kernels, alone.correlation):
        there = np.zeros(own.shape[1:])
        there[tuple(position)] = 1
        again = explicit_match(own, there, kernel[None], (SIX[turn],), 1e-6)
        assert again.correlation[0] == pytest.approx(value, abs=2e-5)


def test_folded_vacuum_gives_the_activations_of_the_whole_box():
    network = network_of((3, 4, 2), 5)
    voxels = np.zeros((1, 160, 128, 96), dtype=np.float32)
    voxels[:, 40:56, 20:44, 60:76] = molecule((16, 24, 16))
    folded = folded_for(network, voxels, 3)
    assert folded.voxels.size < voxels.size / 2
    own = turned_activations(network, folded, 3, IDENTITY)
    x = torch.from_numpy(voxels)[None]
    whole = network.activations(x, torch.ones_like(x), 3)[0].detach().numpy()
    planes = [planes[::4] // 4 for planes in folded.planes]
    np.testing.assert_allclose(own, whole[np.ix_(range(4), *planes)], atol=1e-5 * np.abs(whole).max())
    for weights, size in zip(folded.weights, voxels.shape[1:]):
        assert weights.sum() == size
