"""Write golden_losses.json: run it after deciding that a stage `train` of a new STAGE_VERSION learns otherwise."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from decar.config import Study
from decar.training.train import train
from tests.dataset.rendered_study import FIELDS, make_rendered_dataset, make_rendered_study
from tests.dataset.synthetic_study import make_dataset, make_study

FILE = Path(__file__).with_suffix(".json")
# Networks by name, and what each has in place of the small published one of the synthetic study.
MODELS: dict[str, dict[str, object]] = {
    "density": {},
    "steerable": {"architecture": "steerable", "channels": [4, 6], "kernel_size": 5},
    "rendered": {"input": "rendered", "augmentation": "continuous", "fields": FIELDS},
}


def losses(folder: Path, name: str) -> dict[str, list[float]]:
    """Train a network for five epochs, or three at a higher rate; return its losses."""
    study = make_rendered_study(folder) if name == "rendered" else make_study(folder)
    content = study.model_dump(mode="json")
    content["training"] |= {"max_epochs": 5} if name == "density" else {"max_epochs": 3, "learning_rate": 1e-2}
    models = content["training"]["models"]
    models[name] = {**models["density"], **MODELS[name]}
    study = Study.model_validate(content)
    if name == "rendered":
        data = make_rendered_dataset(folder, study, 6)
    else:
        data = make_dataset(folder, study, 11, num_conformers=2)
    train(study, *data, name, "random", 0, folder / "golden")
    log = pd.read_csv(folder / "golden" / "metrics.csv")
    return {column: log[column].tolist() for column in ("train_loss", "val_loss")}


def main() -> None:
    """Train each of them in a folder of its own and write the file."""
    with TemporaryDirectory() as folder:
        golden = {name: losses(Path(folder) / name, name) for name in MODELS}
    FILE.write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main()
