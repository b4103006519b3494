"""A training job as the CLI would start it, alone or under torchrun; it may note gradients or be killed on the way."""

import argparse
import json
import os
import signal
import sys
from pathlib import Path

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from decar.config import Study
from decar.training.train import train


class NoteFirstGradient(Callback):
    """Save the gradients of the first step, as the optimiser sees them.

    A new network has biases of zero, so in vacuum (zero) its rectifiers stand at their kink, where the derivative is 0
    or 1 by rounding. The biases are moved off it, to a point where there is a gradient.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_fit_start(self, _: Trainer, pl_module: LightningModule) -> None:
        for name, parameter in pl_module.named_parameters():
            if name.endswith("convolution.bias"):
                parameter.data.fill_(0.01)

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, *_: object) -> None:
        if trainer.global_step == 0 and trainer.is_global_zero:
            torch.save(
                {name: p.grad.clone() for name, p in pl_module.named_parameters() if p.grad is not None}, self.path
            )


class KillAt(Callback):
    """Die without a word before the second batch of an epoch (counted from 0)."""

    def __init__(self, epoch: int, rank: int) -> None:
        self.epoch, self.rank = epoch, rank

    def on_train_batch_start(self, trainer: Trainer, _: LightningModule, batch: object, batch_idx: int) -> None:  # noqa: ARG002
        if (trainer.current_epoch, trainer.global_rank, batch_idx) == (self.epoch, self.rank, 1):
            os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("job", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--gradients", type=Path)
    parser.add_argument("--also", help="a second training, of this model, into OUTPUT-MODEL by the same processes")
    parser.add_argument("--kill-at", type=int)
    parser.add_argument("--kill-rank", type=int, default=0)
    options = parser.parse_args()
    job = json.loads(options.job.read_text())
    callbacks: list[Callback] = []
    if options.gradients:
        callbacks.append(NoteFirstGradient(options.gradients))
    if options.kill_at is not None:
        callbacks.append(KillAt(options.kill_at, options.kill_rank))
    jobs = [(job["model"], options.output)]
    if options.also:
        jobs.append((options.also, options.output.with_name(f"{options.output.name}-{options.also}")))
    for model, output in jobs:
        train(
            Study.model_validate(job["study"]), Path(job["dataset"]), Path(job["shards"]), model, "random", 0, output,
            lambda text: print(text, file=sys.stderr), callbacks=callbacks if output == options.output else [],
            world_size=int(os.environ.get("WORLD_SIZE", "1")),
        )  # fmt: skip


if __name__ == "__main__":
    main()
