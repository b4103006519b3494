"""Write golden_losses.json: run it after deciding that a stage `train` of a new STAGE_VERSION learns otherwise."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from decar.training.train import train
from tests.dataset.synthetic_study import make_dataset, make_study

FILE = Path(__file__).with_suffix(".json")


def losses(folder: Path) -> dict[str, list[float]]:
    """Train the small network of the synthetic study for five epochs; return its losses."""
    study = make_study(folder, max_epochs=5)
    train(study, *make_dataset(folder, study, 11, num_conformers=2), "density", "random", 0, folder / "golden")
    log = pd.read_csv(folder / "golden" / "metrics.csv")
    return {name: log[name].tolist() for name in ("train_loss", "val_loss")}


if __name__ == "__main__":
    with TemporaryDirectory() as name:
        FILE.write_text(json.dumps(losses(Path(name)), indent=1) + "\n")
