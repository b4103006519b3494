"""Where the tables of a study lie, and how they are read: a missing column is an error that names the file.

What is read while a figure is drawn is noted, so that its receipt names exactly what it was drawn from.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from decar.errors import DataFormatError
from decar.predictions import BEFORE
from decar.receipt import read_table
from decar.record import Place, Record, read_record


@dataclass(frozen=True)
class Sources:
    """The folders and files that figures, report and summary are made from."""

    index: Path  # plan/index-<hash>.parquet: a row a row of the user's table
    records: Path  # folder of stages.parquet and quality.parquet (decar.figures.records)
    dataset: Path  # folder of manifest, labels, splits, molecules, failures, statistics
    models: tuple[Path, ...]  # folders of the training jobs
    evaluation: Path  # folder of predictions, metrics, roc, confusion
    interpretation: Path  # folder of kernel_correlation and kernel_tests
    attribution: Path  # folder of the tables of the attribute stage (decar.interpret.attribute)
    benchmark: Path  # folder of the tables of decar benchmark; empty unless it was run
    # Records of the example; all are None when that molecule failed.
    example_geometry: Place | None = None
    example_wavefunction: Place | None = None
    example_fields: Place | None = None


@dataclass(frozen=True)
class Noted:
    """Files and records that were read."""

    files: set[Path] = field(default_factory=set)
    records: set[Place] = field(default_factory=set)


_NOTED: ContextVar[Noted | None] = ContextVar("noted", default=None)


@contextmanager
def noting() -> Iterator[Noted]:
    """Collect what `note` is told inside the block."""
    noted = Noted()
    token = _NOTED.set(noted)
    try:
        yield noted
    finally:
        _NOTED.reset(token)


def note(*read: Path | Place) -> None:
    """Say that these files and records are being read; without a `noting` block around it nobody listens."""
    noted = _NOTED.get()
    if noted is None:
        return
    for source in read:
        if isinstance(source, Place):
            noted.records.add(source)
        else:
            noted.files.add(source)


def noted_record(place: Place) -> Record:
    """Read a record, and note it."""
    note(place)
    return read_record(place)


def read_columns(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """Read a Parquet or CSV table that has these columns (it may have more).

    Raises DataFormatError when the table is missing, damaged or lacks a column.
    """
    note(path)
    if path.suffix == ".csv":
        try:
            table = pd.read_csv(path)
        except (OSError, ValueError) as error:
            raise DataFormatError("the table cannot be read", where=path, seen=str(error)) from error
    else:
        table = read_table(path)
        if path.name == "predictions.parquet":
            table = table.rename(columns=BEFORE)
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise DataFormatError(
            f"the table lacks {', '.join(missing)}",
            where=path,
            seen=list(table.columns),
            expected=list(columns),
            remedy="delete it and run the workflow again",
        )
    return table
