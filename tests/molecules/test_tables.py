"""The tables of molecules and labels: written a part of the keys at a time, the same as from all rows together."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from decar.config import LabelSettings, MoleculesSettings
from decar.errors import ConfigError
from decar.molecules import tables
from decar.molecules.tables import labels_of, write_molecules
from decar.receipt import write_table
from decar.stages import digest

NUM = 60


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """An index in which every fifth row has no key, and every seventh repeats the row before, half of them disputed."""
    keys = [digest(number) for number in range(NUM)]
    rows = pd.DataFrame({"row": range(1, NUM + 1), "id": [f"m{i}" for i in range(NUM)], "status": "ok", "key": keys})
    rows["label:active"] = np.arange(NUM) % 2.0
    again = rows["row"] % 7 == 0
    rows.loc[again, "key"] = rows["key"].shift()[again]
    rows.loc[again, "status"] = "duplicate"
    rows.loc[rows["row"] % 14 == 0, "label:active"] = rows["label:active"].shift()[rows["row"] % 14 == 0]
    rows.loc[rows["row"] % 5 == 0, ["key", "status"]] = [None, "failed"]
    rows.loc[rows["row"] % 11 == 0, "label:active"] = np.nan
    write_table(tmp_path / "index.parquet", rows)
    return tmp_path / "index.parquet"


def settings(**more: str) -> MoleculesSettings:
    return MoleculesSettings(table=Path("t.csv"), labels={"active": LabelSettings(column="active")}, **more)


@pytest.mark.parametrize("at_a_time", [4, 1000])
def test_tables_are_those_of_all_rows_together(
    index: Path, tmp_path: Path, at_a_time: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "AT_A_TIME", at_a_time)
    write_molecules(settings(), index, tmp_path / "out")
    rows = pd.read_parquet(index)
    labels, conflicts = labels_of(settings(), rows)
    molecules = rows.loc[rows["status"] == "ok"].sort_values("key", ignore_index=True)
    assert len(conflicts) > 1
    for name, expected in {"labels": labels, "conflicts": conflicts, "molecules": molecules}.items():
        found = pd.read_parquet(tmp_path / "out" / f"{name}.parquet")
        if name == "conflicts":
            found = found.assign(ids=found["ids"].map(list), values=found["values"].map(list))
        pd.testing.assert_frame_equal(found, expected.replace({None: np.nan}), check_dtype=False)


def test_a_conflict_that_is_an_error_leaves_no_table(index: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="carry different values of 'active'"):
        write_molecules(settings(on_conflict="error"), index, tmp_path / "out")
    assert not list((tmp_path / "out").glob("*"))
