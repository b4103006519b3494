"""What happens at the end of an epoch: a row of the log, a decision to stop, a checkpoint; in this order.

The rows travel inside the checkpoint, so the log of a resumed training is that of an uninterrupted one.
"""

import io
import math
import pickle
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pandas as pd
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO

from decar.atomic import atomic_path
from decar.config import TrainingSettings
from decar.errors import DataFormatError, FoldError
from decar.training.module import FoldModule, learning_rate_at
from decar.training.outcome import Outcome, gather, gathered, score, task_metrics, weighted_loss

Row = dict[str, float]
LAST, BEST = "last.ckpt", "best.ckpt"


def best_epoch(rows: Sequence[Row], stop_by: str = "loss") -> int:
    """Return the epoch (from 1) of the lowest validation loss, or the highest AUROC, the first one of equals."""
    column, sign = ("val_auroc", -1) if stop_by == "auroc" else ("val_loss", 1)
    return int(min(rows, key=lambda row: (sign * row[column], row["epoch"]))["epoch"])


def is_finished(rows: Sequence[Row], training: TrainingSettings, stop_by: str = "loss") -> bool:
    """Return whether training ends after these epochs: the last one, or `patience` epochs without a better one."""
    return bool(rows) and (
        len(rows) >= training.max_epochs or rows[-1]["epoch"] - best_epoch(rows, stop_by) >= training.patience
    )


class EpochLog(Callback):
    """One row an epoch: epoch, train_loss, val_loss, train_auroc, val_auroc, learning_rate, gradient_norm_<layer>.

    Of a regression rmse in place of auroc. Metrics of further tasks follow (`task_metrics`). Losses are weighted like
    the objective; train_* are of the rotated samples under dropout, while the weights change. In the file `kept` marks
    the best epoch so far.
    """

    def __init__(
        self, path: Path, training: TrainingSettings, stop_by: str, report: Callable[[str], None]
    ) -> None:  # fmt: skip
        self.path, self.training, self.stop_by, self.report = path, training, stop_by, report
        self.rows: list[Row] = []

    @property
    def best_epoch(self) -> int:
        """Return the epoch that is kept, from 1."""
        return best_epoch(self.rows, self.stop_by)

    @property
    def is_finished(self) -> bool:
        """Return whether training ends after the last row."""
        return is_finished(self.rows, self.training, self.stop_by)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Add the row, write the file, stop where no better one came for `patience` epochs."""
        if not isinstance(pl_module, FoldModule):
            raise TypeError(f"EpochLog reads a FoldModule, not {type(pl_module).__name__}")
        trained = gather(pl_module.train_outcomes, trainer.world_size)
        epoch = trainer.current_epoch
        row: Row = {
            "epoch": epoch + 1,
            "train_loss": weighted_loss(trained, pl_module.objectives),
            "val_loss": weighted_loss(pl_module.evaluated, pl_module.objectives),
        }
        if not math.isfinite(row["train_loss"] + row["val_loss"]):
            raise FoldError(
                "training diverged", where=f"epoch {epoch + 1}", seen=row, remedy="lower training.learning_rate"
            )
        both = (("train", trained), ("val", pl_module.evaluated))
        scores = {name: score(own, pl_module.tasks) for name, own in both}
        row |= {f"{name}_{metric}": value for name, own in scores.items() for metric, value in own.items()}
        row["learning_rate"] = learning_rate_at(epoch, self.training)
        for name, own in both:
            row |= {f"{name}_{metric}": value for metric, value in task_metrics(own, pl_module.tasks).items()}
        steps = pl_module.gradient_norms
        row |= {f"gradient_norm_{name}": sum(step[name] for step in steps) / len(steps) for name in steps[0]}
        self.rows.append(row)
        if trainer.is_global_zero:
            with atomic_path(self.path) as temporary:
                table = pd.DataFrame(self.rows)
                table.assign(kept=table["epoch"] == self.best_epoch).to_csv(temporary, index=False)
            self.report(
                f"epoch {epoch + 1} of {self.training.max_epochs}: loss {row['train_loss']:.4f}, "
                f"validation {row['val_loss']:.4f}, "
                + ", ".join(f"{metric.upper()} {value:.3g}" for metric, value in scores["val"].items())
            )
        if self.is_finished:
            trainer.should_stop = True

    def state_dict(self) -> dict[str, Any]:
        """Return the rows, for the checkpoint."""
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the rows from a checkpoint."""
        self.rows = list(state_dict["rows"])


class TimedCheckpoint(Checkpoint):
    """Writes one file, at the end of an epoch, and within one where `minutes` have gone by since the last time."""

    def __init__(self, file: Path, minutes: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.file, self.minutes, self.clock = file, minutes, clock
        self._saved = clock()

    def is_due(self, trainer: Trainer) -> bool:
        """Return whether to save within the epoch; its last batch is followed by validation and the epoch's own."""
        gone = self.clock() - self._saved
        return not trainer.is_last_batch and bool(trainer.strategy.broadcast(gone >= 60 * self.minutes))

    def save(self, trainer: Trainer) -> None:
        """Write the file, everything that training needs to go on."""
        trainer.save_checkpoint(self.file)
        self._saved = self.clock()


class Checkpoints(TimedCheckpoint):
    """`best.ckpt` where the epoch is the best yet (weights only), then `last.ckpt` (everything).

    Within an epoch `last.ckpt` is written where `minutes` have gone by since the last time; it then carries what the
    processes have seen of the epoch, for the row of its log.
    """

    def __init__(
        self, folder: Path, log: EpochLog, minutes: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(folder / LAST, minutes, clock)
        self.folder, self.log_of_epochs = folder, log
        self._epoch_so_far: dict[str, Any] = {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Give back what had been seen of the epoch, whatever the number of processes was."""
        if self._epoch_so_far:
            module = cast("FoldModule", pl_module)
            seen = [Outcome._make(outcome) for outcome in self._epoch_so_far["outcomes"]]
            module.train_outcomes = seen if trainer.is_global_zero else []
            module.gradient_norms = list(self._epoch_so_far["gradient_norms"])
            self._epoch_so_far = {}

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """Save within the epoch where it is time."""
        if not self.is_due(trainer):
            return
        module = cast("FoldModule", pl_module)
        outcomes = gathered(module.train_outcomes, trainer.world_size)
        self._epoch_so_far = {
            "outcomes": [tuple(outcome) for outcome in outcomes], "gradient_norms": module.gradient_norms
        }  # fmt: skip
        self.save(trainer)
        self._epoch_so_far = {}

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Save; Lightning calls this one after all other callbacks."""
        if self.log_of_epochs.best_epoch == trainer.current_epoch + 1:
            trainer.save_checkpoint(self.folder / BEST, weights_only=True)
        self.save(trainer)

    def state_dict(self) -> dict[str, Any]:
        """Return what was seen of the epoch, for a checkpoint within it."""
        return self._epoch_so_far

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take it from a checkpoint."""
        self._epoch_so_far = dict(state_dict)


class AtomicCheckpointIO(TorchCheckpointIO):
    """Checkpoints appear whole or not at all, also across file systems."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:  # noqa: ARG002
        """Write beside the target, flush, rename; raises ResourceError when the disk is full."""
        # In memory first: torch's own writer says of a full disk that it is an iostream error.
        image = io.BytesIO()
        torch.save(checkpoint, image)
        with atomic_path(Path(path)) as temporary:
            temporary.write_bytes(image.getbuffer())


def read_checkpoint(path: Path) -> Mapping[str, Any]:
    """Read a checkpoint of this package; raises DataFormatError when it is damaged."""
    try:
        content: Mapping[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, LookupError, ValueError, pickle.UnpicklingError) as error:
        raise DataFormatError(
            "the checkpoint cannot be read", where=path, seen=str(error),
            remedy="delete the folder checkpoints: training begins anew",
        ) from error  # fmt: skip
    return content


def logged_rows(checkpoint: Mapping[str, Any], log: str = EpochLog.__name__) -> list[Row]:
    """Return the rows of the epoch log that a checkpoint carries; `log` is the callback that wrote them."""
    return list(checkpoint["callbacks"][log]["rows"])


def batches_done(checkpoint: Mapping[str, Any]) -> int:
    """Return how many batches of an unfinished epoch a checkpoint is after; 0 for one after a whole epoch."""
    loop = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]
    return 0 if loop["is_last_batch"] else int(loop["current"]["processed"])
