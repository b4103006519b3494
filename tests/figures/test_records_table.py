"""The collected tables of times and quality figures, from real records in a real store."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from decar.figures.records import attempted, quality_table, storage_of
from decar.planning.used import UsedRecipes
from decar.receipt import COLUMNS
from decar.record import Record
from decar.stages import digest
from decar.store import Store

LEVEL = {"method": "hf", "basis": "sto-3g"}


def wavefunction_record(recipe: str, energies: tuple[float, ...]) -> Record:
    """A record of two electrons with a dipole of one atomic unit in each conformer."""
    conformers, arrays = [], {}
    for number, energy in enumerate(energies):
        quality = {"num_electrons_quadrature": 2.00003, "gap_hartree": 0.5}
        conformers.append({"energy_hartree": energy, "level": LEVEL, "quality": quality})
        arrays[f"{number}/dipole_e_bohr"] = np.array([0.0, 0.6, 0.8]) * (number + 1)
        arrays[f"{number}/alpha/coefficients"] = np.zeros((7, 2))
        arrays[f"{number}/alpha/occupations"] = np.array([2.0, 0.0])
    metadata = {"conformers": conformers}
    return Record("wavefunction", recipe, metadata, arrays, {"versions": {"pyscf": "2.14.0"}})


def receipt(*rows: dict[str, object]) -> pd.DataFrame:
    defaults = {"smiles": "C", "charge": 0, "multiplicity": 1, "status": "ok", "num_conformers": 1}
    return pd.DataFrame([{**defaults, **row} for row in rows], columns=list(COLUMNS))


@pytest.fixture
def receipts(tmp_path: Path) -> dict[str, pd.DataFrame]:
    store = Store(tmp_path)
    store.save("wavefunction", wavefunction_record("w1", (-1.0, -1.5)))
    grid = {"shape": [8, 16, 24], "spacing_bohr": 0.5, "origin_bohr": [0, 0, 0]}
    store.save("fields", Record("fields", "f1", {"conformers": [{"grid": grid}]}))
    failed = {
        "key": "b",
        "recipe": "o2",
        "status": "failed",
        "stage": "optimise",
        "reason": "broken",
        "wall_seconds": 9.0,
    }
    return {
        "conformers": receipt({"key": "a", "recipe": "c1", "wall_seconds": 1.0},
                              {"key": "b", "recipe": "c2", "wall_seconds": 2.0}),
        "optimise": receipt({"key": "a", "recipe": "o1", "wall_seconds": 3.0}, failed),
        "wavefunction": receipt({"key": "a", "recipe": "w1", "wall_seconds": 4.0}, failed),
        "fields": receipt({"key": "a", "recipe": "f1", "wall_seconds": 5.0}, failed),
    }  # fmt: skip


def test_a_failure_is_counted_once_at_the_stage_where_it_happened(receipts: dict[str, pd.DataFrame]) -> None:
    table = pd.concat(attempted(stage, rows) for stage, rows in receipts.items())
    of_b = table[table["key"] == "b"]
    assert list(of_b["stage"]) == ["conformers", "optimise"]
    assert list(of_b["status"]) == ["ok", "failed"]
    assert list(table[table["key"] == "a"]["wall_seconds"]) == [1.0, 3.0, 4.0, 5.0]


def test_quality_is_that_of_the_lowest_conformer_in_common_units(
    receipts: dict[str, pd.DataFrame], tmp_path: Path
) -> None:
    table = quality_table(Store(tmp_path), receipts)
    assert list(table["key"]) == ["a"]
    row = table.iloc[0]
    assert row["energy_hartree"] == -1.5
    assert row["gap_ev"] == pytest.approx(0.5 * 27.211386, rel=1e-7)
    assert row["dipole_debye"] == pytest.approx(2 * 2.541746, rel=1e-6)
    assert row["electron_count_error"] == pytest.approx(3e-5)
    assert row["num_electrons"] == 2
    assert row["num_basis_functions"] == 7
    assert row["num_voxels"] == 8 * 16 * 24
    assert row["wall_seconds"] == 13.0
    assert json.loads(row["level"]) == LEVEL
    assert json.loads(row["versions"]) == {"pyscf": "2.14.0"}


def test_storage_counts_bytes_of_loose_and_packed_records_and_what_others_use(tmp_path: Path) -> None:
    store, used = Store(tmp_path), UsedRecipes()
    recipes = [digest(name) for name in "abc"]
    for recipe in recipes:
        store.save("wavefunction", Record("wavefunction", recipe, {"key": recipe}))
    table = pd.DataFrame({"key": recipes, "recipe": recipes})
    used.add("wavefunction", recipes[1])
    found = storage_of(store, "wavefunction", table, used)
    assert found["num_bytes"] == sum(store.path("wavefunction", recipe).stat().st_size for recipe in recipes)
    assert (found["num_records"], found["num_shared"]) == (3, 1)
    store.pack("wavefunction", [(recipe, recipe) for recipe in recipes])
    packs = store.files("wavefunction")
    packed = storage_of(store, "wavefunction", table, used)
    assert packed["num_bytes"] == pytest.approx(sum(path.stat().st_size for path in packs), abs=1)
