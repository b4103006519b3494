"""Before the labels a network learns from fields alone, by filling in what is hidden of them (decar.training.fill_in).

Molecules without a label of the learned properties take part, whatever their subset, and the labelled ones of the
fold's training subset: never a molecule that it is validated or tested on. The labelled validation molecules are looked
at, with the same cells hidden every epoch; they decide nothing.
"""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import pandas as pd
from lightning.pytorch import Callback, LightningModule, Trainer

from decar.atomic import atomic_path
from decar.config import PretrainingSettings, Study, TrainingSettings
from decar.dataset.splits import UNLABELLED
from decar.dataset.voxel_dataset import VoxelDataset
from decar.errors import ConfigError, FoldError
from decar.models.network import Network
from decar.models.package import weights_sha256
from decar.stages import derive_seed, digest
from decar.training.callbacks import Row, TimedCheckpoint, logged_rows, read_checkpoint
from decar.training.fill_in import FillIn, losses_of
from decar.training.loaders import Loaders
from decar.training.module import learning_rate_at
from decar.training.trainer import Launched, make_trainer, quiet
from decar.training.transfer import held
from decar.units import BOHR_PER_ANGSTROM

CHECKPOINT = "pretraining.ckpt"


class FillInLog(TimedCheckpoint):
    """One row an epoch: epoch, learning_rate, {train,val}_loss, and what vacuum and the mean would have as loss."""

    def __init__(
        self, path: Path, checkpoint: Path, training: TrainingSettings, report: Callable[[str], None]
    ) -> None:  # fmt: skip
        super().__init__(checkpoint, training.checkpoint_minutes)
        self.path, self.training, self.report = path, training, report
        self.rows: list[Row] = []

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:  # noqa: ARG002
        """Save within the epoch where it is time."""
        if self.is_due(trainer):
            self.save(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Add the row, write the file, save."""
        module, epoch = cast("FillIn", pl_module), trainer.current_epoch
        row: Row = {"epoch": epoch + 1, "learning_rate": learning_rate_at(epoch, self.training)}
        for name, sums in (("train", module.seen), ("val", module.validated)):
            row |= {f"{name}_{what}": value for what, value in zip(("loss", "vacuum", "mean"), losses_of(sums))}
        if not float(module.seen[0]):
            raise ConfigError(
                "nothing is hidden in pretraining: no molecule covers two cells of the network's last layer",
                where="pretraining", seen=f"cells of {module.decoder.network.total_stride} voxels",
                remedy="fewer layers, or a smaller fields.spacing_angstrom",
            )  # fmt: skip
        if not math.isfinite(row["train_loss"]):
            raise FoldError(
                "pretraining diverged", where=f"epoch {epoch + 1}", seen=row, remedy="lower training.learning_rate"
            )
        self.rows.append(row)
        if trainer.is_global_zero:
            with atomic_path(self.path) as temporary:
                pd.DataFrame(self.rows).to_csv(temporary, index=False)
            self.report(
                f"pretraining, epoch {epoch + 1} of {self.training.max_epochs}: loss {row['train_loss']:.4f}, "
                f"validation {row['val_loss']:.4f}; of the mean {row['val_mean']:.4f}"
            )
        self.save(trainer)

    def state_dict(self) -> dict[str, Any]:
        """Return the rows, for the checkpoint."""
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the rows from a checkpoint."""
        self.rows = list(state_dict["rows"])


def pretrain(
    study: Study, network: Network, model_name: str, data: VoxelDataset, validation: VoxelDataset, seed: int,
    output: Path, launched: Launched, report: Callable[[str], None], callbacks: Sequence[Callback] = (),
) -> dict[str, Any]:  # fmt: skip
    """Teach the network to fill in fields, and return its entry of the lineage.

    `data` are molecules whose labels are not looked at. Writes pretraining.csv (a row an epoch) and
    checkpoints/pretraining.ckpt below `output`; where that is found pretraining goes on from it, or is over.
    Raises ConfigError for cubes that are larger than a box, and for a loss that is no number.
    """
    own = study.training.models[model_name]
    if own.pretraining is None:
        raise ValueError(f"{model_name} is not pretrained")
    settings = own.pretraining
    edge = edge_in_cells(settings, network, data)
    # The schedule of training, over the epochs of pretraining.
    training = study.training.model_copy(update={"max_epochs": settings.epochs})
    seed = derive_seed(seed, "pretraining")
    module = FillIn(network, training, settings.masked_share, edge, seed)
    checkpoint = output / "checkpoints" / CHECKPOINT
    found = read_checkpoint(checkpoint) if checkpoint.exists() else None
    done = len(logged_rows(found, FillInLog.__name__)) if found else 0
    if found and done >= settings.epochs:
        module.load_state_dict(found["state_dict"])
    else:
        log = FillInLog(output / "pretraining.csv", checkpoint, training, report)
        with quiet():
            trainer = make_trainer(study, launched, [*callbacks, log], settings.epochs, has_idle_parts=True)
            if found and trainer.is_global_zero:
                report(f"pretraining goes on after epoch {done}")
            loaders = Loaders(
                data, validation, training.batch_size, network.total_stride, seed, training.num_workers
            )  # fmt: skip
            trainer.fit(module, datamodule=loaders, ckpt_path=checkpoint if found else None, weights_only=True)
    cube = edge * network.total_stride * network.spacing_bohr / BOHR_PER_ANGSTROM
    change = f"filled in {settings.masked_share:.0%} of each molecule, in cubes of {cube:.2f} angstrom, for"
    change += f" {settings.epochs} epochs on {_count(data)}; new: hidden, output{held(own.frozen)}"
    return {
        "name": f"{model_name}, pretrained on fields",
        "weights_sha256": weights_sha256(network),
        "dataset_hash": digest(data.rows[["key", "conformer", "checksum", "subset"]].map(str).to_numpy().tolist()),
        "licence": study.contribution.licence,
        "contributor": study.contribution.contributor,
        "properties": [],
        "change": change,
    }


def edge_in_cells(settings: PretrainingSettings, network: Network, data: VoxelDataset) -> int:
    """Return the edge of a hidden cube in cells; raises ConfigError where it does not fit into each box."""
    cell = network.total_stride * network.spacing_bohr / BOHR_PER_ANGSTROM
    edge = max(1, round(settings.cube_angstrom / cell))
    shortest = int(data.rows[["shape_x", "shape_y", "shape_z"]].to_numpy().min())
    if edge * network.total_stride >= shortest:
        room = shortest * network.spacing_bohr / BOHR_PER_ANGSTROM
        raise ConfigError(
            "a hidden cube is no smaller than a box", where="pretraining.cube_angstrom",
            seen=f"{settings.cube_angstrom:g}, in whole cells {edge * cell:.2f} angstrom",
            expected=f"less than {room:.2f} angstrom, the shortest edge of a box",
            remedy=f"a smaller cube_angstrom, fewer layers (a cell is {cell:.2f} angstrom), or more padding_angstrom",
        )  # fmt: skip
    return edge


def _count(data: VoxelDataset) -> str:
    subset = data.rows.drop_duplicates("key")["subset"]
    return f"{len(subset)} molecules ({int((subset == UNLABELLED).sum())} without a label)"
