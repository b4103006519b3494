"""A hidden layer with inputs of mean 0 and variance 1 over the training molecules."""

import pytest
import torch

from decar.config import ModelSettings
from decar.dataset.samples import collate
from decar.dataset.statistics import load_normalisation
from decar.dataset.torch_dataset import ShardDataset
from decar.errors import ConfigError
from decar.models.build import build_network
from decar.models.hidden import StandardisedLinear
from decar.training.standardise import standardise_hidden
from tests.dataset.synthetic_study import SPACING, make_dataset, make_study

FIELDS = ("electron_density",)


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> ShardDataset:
    folder = tmp_path_factory.mktemp("standardise")
    dataset, shards = make_dataset(folder, make_study(folder), 24)
    normalisation = load_normalisation(dataset, "random", 0, FIELDS)
    return ShardDataset(dataset, shards, "random", 0, "train", FIELDS, ("sweet",), normalisation=normalisation)


@pytest.mark.parametrize("architecture", ["published", "residual", "steerable", "steerable all"])
def test_inputs_of_the_hidden_layer_are_standardised(training: ShardDataset, architecture: str) -> None:
    named: dict[str, object] = dict(zip(("architecture", "readout"), architecture.split()))
    settings = ModelSettings.model_validate(
        {"channels": [3, 4], "kernel_size": 5, "hidden": 5, "standardised": True, **named}
    )
    network = build_network(settings, SPACING, 1)
    network.initialise(3)
    hidden = network.parts()["hidden"]
    weight = hidden.get_parameter("weight").detach().clone()
    standardise_hidden(network, training)
    inputs, outputs = [], []

    def note(_: torch.nn.Module, given: tuple[torch.Tensor], made: torch.Tensor) -> None:
        inputs.append(given[0])
        outputs.append(made)

    hidden.register_forward_hook(note)
    with torch.inference_mode():
        for sample in range(len(training)):
            batch = collate([training[sample]], network.total_stride)
            network(batch["voxels"], batch["mask"])
    x, z = torch.cat(inputs).double(), torch.cat(outputs).double()
    # Whatever stands before the layer, it says what the drawn weights say of standardised inputs.
    standard = (x - x.mean(dim=0)) / x.std(dim=0).clamp(min=1e-3 * x.std(dim=0).max())
    torch.testing.assert_close(z, standard @ weight.double().T, atol=2e-3, rtol=1e-3)


def test_a_step_of_the_optimiser_is_that_on_standard_inputs() -> None:
    generator = torch.Generator().manual_seed(4)
    mean, deviation = torch.tensor([1.0, -2.0, 0.5]), torch.tensor([0.003, 0.01, 0.2])
    z = torch.randn(16, 3, generator=generator)
    layer, plain = StandardisedLinear(3, 2), torch.nn.Linear(3, 2)
    layer.standardise(mean, deviation)
    layer.load_state_dict(plain.state_dict(), strict=False)
    for one, given in ((layer, mean + deviation * z), (plain, z)):
        optimiser = torch.optim.AdamW(one.parameters(), lr=0.1)
        for _ in range(3):
            optimiser.zero_grad()
            one(given).square().mean().backward()
            optimiser.step()
    torch.testing.assert_close(layer.weight, plain.weight, atol=1e-3, rtol=1e-3)
    assert {name for name, _ in layer.named_parameters()} == {"weight", "bias"}


def test_one_sample_has_no_spread(training: ShardDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    network = build_network(ModelSettings(channels=(2, 2), kernel_size=3, standardised=True), SPACING, 1)
    monkeypatch.setattr(ShardDataset, "__len__", lambda _: 1)
    with pytest.raises(ConfigError, match="1 training sample"):
        standardise_hidden(network, training)
