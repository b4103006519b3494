"""A head on frozen kernels: what it reads is computed once, and the training is that on voxels."""

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from decar.config import Study
from decar.dataset.voxel_dataset import VoxelDataset
from decar.models.build import build_network
from decar.models.network import Network
from decar.models.package import load_package
from decar.training import fixed_readout
from decar.training.fixed_readout import HeadAlone
from decar.training.train import train
from tests.training.many_tasks import make_many_tasks

Made = tuple[Study, tuple[Path, Path]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A study whose kernels stay as they were drawn."""
    study, data = make_many_tasks(tmp_path_factory.mktemp("frozen"), max_epochs=3)
    content = study.model_dump(mode="json")
    frozen = {"frozen": ["layer1", "layer2", "layer3"], "augmentation": "none", "standardised": True}
    content["training"]["models"]["density"] |= frozen
    return Study.model_validate(content), data


def trained(made: Made, output: Path) -> tuple[pd.DataFrame, pd.DataFrame, Network]:
    study, data = made
    train(study, *data, "density", "random", 0, output)
    predictions = pd.read_parquet(output / "predictions.parquet")
    return pd.read_csv(output / "metrics.csv"), predictions, load_package(output / "model")[0]


def test_it_is_the_training_on_voxels_and_reads_each_sample_once(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rendered: list[tuple[str, int]] = []
    finish = VoxelDataset.finish
    monkeypatch.setattr(
        VoxelDataset, "finish", lambda self, fetched, device="cpu": (
            rendered.extend(self.name(one.draw) for one in fetched), finish(self, fetched, device))[1]
    )  # fmt: skip
    log, predictions, network = trained(made, tmp_path / "once")
    # Once for what the head reads, and the training molecules once more for `standardised`.
    times, subset = Counter(rendered), predictions.set_index("key")["subset"]
    assert {count for (key, _), count in times.items() if subset.get(key) == "train"} == {2}
    assert {count for (key, _), count in times.items() if subset.get(key) in ("validation", "test")} == {1}
    rendered.clear()
    monkeypatch.setattr(fixed_readout, "has_fixed_readout", lambda *_: False)
    other_log, other, voxels = trained(made, tmp_path / "voxels")
    assert len(rendered) > 3 * len(times)
    assert list(log) == list(other_log)
    assert np.asarray(log) == pytest.approx(np.asarray(other_log), rel=1e-4, abs=1e-6, nan_ok=True)
    assert predictions["prediction"].to_numpy() == pytest.approx(other["prediction"].to_numpy(), abs=1e-5)
    weights, expected = network.state_dict(), voxels.state_dict()
    assert weights.keys() == expected.keys()
    for name, value in weights.items():
        assert torch.allclose(value, expected[name], atol=1e-5), name


def test_an_interrupted_training_goes_on_to_the_same_bits(made: Made, tmp_path: Path) -> None:
    study, data = made
    whole = trained(made, tmp_path / "whole")[1]

    def report(text: str) -> None:
        if text.startswith("epoch 2"):
            raise InterruptedError

    with pytest.raises(InterruptedError):
        train(study, *data, "density", "random", 0, tmp_path / "half", report)
    assert not (tmp_path / "half" / "predictions.parquet").exists()
    pd.testing.assert_frame_equal(trained(made, tmp_path / "half")[1], whole)


@pytest.mark.parametrize("architecture", ["published", "residual", "steerable"])
def test_a_head_alone_is_the_head_of_its_network(architecture: str, made: Made) -> None:
    model = made[0].training.models["density"]
    settings = model.model_copy(update={"architecture": architecture, "kernel_size": 5, "channels": (4, 8)})
    network = build_network(settings, 0.7, 1, 2).eval()
    network.initialise(3)
    generator = torch.Generator().manual_seed(5)
    x, mask = torch.rand(2, 1, 16, 16, 16, generator=generator), torch.ones(2, 1, 16, 16, 16)
    read = network.readout(x, mask)[:, :, None, None, None]
    alone = HeadAlone(network)
    assert torch.equal(alone(read, torch.ones_like(read)), network(x, mask))
    assert list(alone.parts()) == ["hidden", "output"]


def test_kernels_that_learn_or_samples_that_turn_have_no_fixed_readout(made: Made) -> None:
    training = made[0].training
    settings = training.models["density"]
    network = build_network(settings, 0.7, 1, 1)
    assert not fixed_readout.has_fixed_readout(network, training, settings)
    for name in settings.frozen:
        network.parts()[name].requires_grad_(False)
    assert fixed_readout.has_fixed_readout(network, training, settings)
    turned = settings.model_copy(update={"augmentation": "rotations_6"})
    assert not fixed_readout.has_fixed_readout(network, training, turned)
    on_gpu = training.model_copy(update={"gpus_per_node": 1})
    assert not fixed_readout.has_fixed_readout(network, on_gpu, settings)
