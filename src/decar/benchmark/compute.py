"""Parts computed: a network is trained, a baseline is fitted, and what it says of each molecule is kept."""

import gc
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from decar.atomic import write_text
from decar.baselines.chemprop import SETTINGS as CHEMPROP_SETTINGS
from decar.baselines.chemprop import run_chemprop
from decar.baselines.models import run_baseline
from decar.benchmark.choice import best_of, differing
from decar.benchmark.contenders import CHEMPROP, NetworkContender, network_contenders, unavailable
from decar.benchmark.parts import REASON, Part, reason_of, study_of, training_folder
from decar.benchmark.split_dataset import split_dataset
from decar.config import PERMUTED, ModelSettings, Study
from decar.dataset.samples import label_column, with_permuted_labels
from decar.errors import ConfigError, FoldError
from decar.predictions import kind_of, read_predictions, score_of
from decar.receipt import read_table, write_table
from decar.stages import derive_seed, digest
from decar.training.train import train

COLUMNS = ("contender", "split", "seed", "share", "fold", "key", "subset", "label", "prediction")


def compute_part(
    study: Study, part: Part, dataset_folder: Path, shards_folder: Path, report: Callable[[str], None]
) -> None:
    """Write predictions.parquet of a part (columns `COLUMNS`), unless it is there.

    Where nothing can be learned from the fold the file is there all the same, without predictions, and reason.txt
    says why. Raises BackendUnavailableError for a contender that is not installed here.
    """
    output = part.folder / "predictions.parquet"
    if output.exists():
        return
    folder = split_dataset(study, dataset_folder, shards_folder, part.split, part.seed, part.share)
    networks = network_contenders(study)
    (part.folder / REASON).unlink(missing_ok=True)
    try:
        if part.contender in networks:
            found = _network(study, part, networks[part.contender], folder, shards_folder, report)
        else:
            found = _baseline(study_of(study, part), part, folder)
    except FoldError as error:
        write_text(part.folder / REASON, f"{error}\n")
        splits = read_table(folder / "splits.parquet")
        found = splits.loc[splits["fold"] == part.fold].assign(label=np.nan, prediction=np.nan)
    found = found.assign(contender=part.contender, split=part.split, seed=part.seed, share=part.share)
    write_table(output, found[list(COLUMNS)])


def choose(parts: Sequence[Part], only: Sequence[str]) -> list[Part]:
    """Return the parts whose name begins with one of `only`, all of them without any; raises ConfigError for none."""
    chosen = [part for part in parts if not only or any(part.name.startswith(text) for text in only)]
    if not chosen:
        raise ConfigError(
            "no part of the benchmark has such a name", where="--only", seen=list(only),
            expected=f"the beginning of one of {sorted({part.contender for part in parts})}",
        )  # fmt: skip
    return chosen


def compute_parts(
    study: Study, dataset_folder: Path, shards_folder: Path, chosen: Sequence[Part], report: Callable[[str], None]
) -> None:
    """Compute what is not there of the chosen parts, but for what is not installed."""
    left_out = unavailable(study)
    for contender in sorted(left_out.keys() & {part.contender for part in chosen}):
        report(f"{contender} is left out: {left_out[contender]}")
    for number, part in enumerate(chosen, start=1):
        if part.contender in left_out or (part.folder / "predictions.parquet").exists():
            continue
        report(f"part {number} of {len(chosen)}: {part.name}")
        start = time.perf_counter()
        compute_part(study, part, dataset_folder, shards_folder, lambda _: None)
        why = reason_of(part)
        if why:
            report(f"part {number} of {len(chosen)}: left out: {why}")
        else:
            report(f"part {number} of {len(chosen)}: done in {time.perf_counter() - start:.1f} s")


def _network(
    study: Study, part: Part, network: NetworkContender, folder: Path, shards_folder: Path,
    report: Callable[[str], None],
) -> pd.DataFrame:  # fmt: skip
    """Train, where a training is not there, and return the mean of their predictions, or those of the best one."""
    scheme = study.benchmark.splits[part.split].scheme

    def trained(number: int, settings: ModelSettings) -> pd.DataFrame:
        own = study_of(study, part, settings)
        if number and network.outcome == "mean":  # the first one is what a network alone would be
            own = own.model_copy(update={"seed": derive_seed(own.seed, "member", number)})
        job = part.folder / training_folder(number)
        if not (job / "predictions.parquet").exists():
            train(own, folder, shards_folder, part.contender, scheme, part.fold, job, report)
            # A trainer is a cycle of references; left to Python's own time, hundreds of them filled gigabytes.
            gc.collect()
        return read_predictions(job / "predictions.parquet")

    if network.outcome == "best":
        found = [_or_error(partial(trained, *one)) for one in enumerate(network.trainings)]
        return best_of(found, differing(network.trainings), score_of(study), part.folder)
    members = [trained(*one).set_index("key") for one in enumerate(network.trainings)]
    prediction = pd.concat([one["prediction"] for one in members], axis=1).mean(axis=1)
    return members[0].assign(prediction=prediction).reset_index()


def _or_error(make: Callable[[], pd.DataFrame]) -> pd.DataFrame | FoldError:
    """Return what is made, or why it could not be learned: one of nine settings may diverge."""
    try:
        return make()
    except FoldError as error:
        return error


def _baseline(study: Study, part: Part, folder: Path) -> pd.DataFrame:
    molecules, labels, splits = (read_table(folder / f"{name}.parquet") for name in ("molecules", "labels", "splits"))
    splits = splits.loc[splits["fold"] == part.fold]
    name, learned = part.contender.removesuffix(PERMUTED), study.training.property
    known = labels.loc[(labels["property"] == learned) & labels["value"].notna()]
    fitted = known
    if part.contender.endswith(PERMUTED):
        column = label_column(learned)
        rows = splits.merge(known[["key", "value"]].rename(columns={"value": column}), on="key")
        rows = with_permuted_labels(rows, (learned,), derive_seed(study.seed, "permuted labels", part.split, part.fold))
        fitted = rows.rename(columns={column: "value"})[["key", "value"]].assign(property=learned)
    if name in CHEMPROP:
        run = partial(
            run_chemprop, study.benchmark.chemprop_command, molecules, fitted, splits,
            derive_seed(study.seed, "baseline", "chemprop", part.split, part.fold), kind=kind_of(study),
        )  # fmt: skip
        if name == "chemprop":
            found = run(part.folder / "chemprop")
        else:
            runs = [run(part.folder / f"chemprop-{digest(one)[:8]}", one) for one in CHEMPROP_SETTINGS]
            found = best_of(runs, CHEMPROP_SETTINGS, score_of(study), part.folder)
    else:
        found = run_baseline(name, molecules, fitted, splits, learned, study.seed, kind_of(study))
    return found.assign(label=found["key"].map(known.set_index("key")["value"]))
