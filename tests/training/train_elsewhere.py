"""Train on a device that is not the processor, and on the processor: the losses of both, as JSON by model."""

import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.accelerators import CPUAccelerator
from lightning.pytorch.strategies import SingleDeviceStrategy

from decar.config import Study
from decar.training import trainer
from decar.training.train import train
from tests.dataset.rendered_study import FIELDS, make_rendered_dataset, make_rendered_study
from tests.other_device import DEVICE, counts

SMALL = {"channels": [4, 6], "kernel_size": 5, "hidden": 8}
MODELS: dict[str, dict[str, Any]] = {
    "published": {**SMALL, "fields": list(FIELDS)},
    "rendered": {**SMALL, "fields": list(FIELDS), "input": "rendered", "augmentation": "continuous"},
    "residual": {**SMALL, "fields": ["electron_density"], "architecture": "residual"},
    "steerable": {**SMALL, "fields": ["electron_density"], "architecture": "steerable", "readout": "all"},
    "head": {
        **SMALL, "fields": ["electron_density"], "architecture": "steerable", "readout": "all", "standardised": True,
        "frozen": ["layer1", "layer2"],
    },
    "pretrained": {**SMALL, "fields": list(FIELDS[:2]), "input": "rendered", "pretraining": {"epochs": 1}},
}  # fmt: skip


class Accelerator(CPUAccelerator):
    """What Lightning asks of a device."""

    def setup_device(self, device: torch.device) -> None:
        assert device == DEVICE


def elsewhere(**options: Any) -> Trainer:
    """Return Lightning's trainer as decar asks for it, but on the device."""
    # Lightning's inference mode does not go with tensors of a Python class.
    return Trainer(
        **{**options, "accelerator": Accelerator(), "strategy": SingleDeviceStrategy(DEVICE), "inference_mode": False}
    )


def main(folder: Path) -> None:
    content = make_rendered_study(folder).model_dump(mode="json")
    content["training"] |= {"models": content["training"]["models"] | MODELS, "max_epochs": 2, "num_workers": 0}
    study = Study.model_validate(content)
    data = make_rendered_dataset(folder, study, 12)
    waits = {}
    for place, make in (("here", Trainer), ("there", elsewhere)):
        trainer.Trainer = make  # type: ignore[misc,assignment]
        for name in MODELS:
            counts.clear()
            train(study, *data, name, "random", 0, folder / place / name)
            waits[name] = counts["waits"]
    losses = {
        name: {place: losses_of(folder / place / name) for place in ("here", "there")} for name in MODELS
    }  # fmt: skip
    print(json.dumps({"waits": waits, "losses": losses}))


def losses_of(job: Path) -> list[float]:
    log = pd.read_csv(job / "metrics.csv")
    return [*log["train_loss"], *log["val_loss"]]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
