"""An imported wavefunction serves a study if it is what the study asks for; geometries come in as an SDF table."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from rdkit import Chem
from typer.testing import CliRunner

from decar.batch import run_batch
from decar.cli import app
from decar.config import QuantumSettings
from decar.config_file import load_study
from decar.errors import ConfigError, DataFormatError
from decar.molecules.graph import atomic_numbers_of, geometry_of, molecular_graph, with_geometry
from decar.molecules.sdf import read_molblocks
from decar.planning.imports import import_into_study
from decar.quantum.backend import System, get_backend
from decar.quantum.export import export_fchk
from decar.quantum.import_file import read_foreign
from decar.quantum.import_record import _permuted
from decar.quantum.level import Level
from decar.quantum.record_checks import compare
from decar.quantum.wavefunction import Wavefunction
from decar.receipt import read_receipts, write_receipt
from decar.record import Record
from decar.stages import digest, molecule_recipes
from decar.store import Store
from decar.verify import verify_file

METHANOL = [[-0.70, 0.01, 0.02], [0.71, -0.02, 0.0], [-1.07, 0.52, 0.89], [-1.06, 0.52, -0.88], [-1.12, -1.0, 0.0],
            [0.99, 0.89, 0.0]]  # fmt: skip


@pytest.fixture(scope="module")
def methanol():
    return with_geometry(molecular_graph("CO"), np.array(METHANOL) / 0.529177)


@pytest.fixture(scope="module")
def elsewhere(methanol, tmp_path_factory):
    """What another program would give: exact integrals, a finer quadrature, more digits of the geometry."""
    settings = QuantumSettings(basis="6-31g", fitting_basis=None, quadrature_level=3)
    where = System(atomic_numbers_of(methanol), geometry_of(methanol) + 2e-5, 0, 1)
    found = get_backend(settings).single_point(where, Level.from_settings(settings))
    path = tmp_path_factory.mktemp("elsewhere") / "methanol.fchk"
    export_fchk(found, path)
    return found, path


@pytest.fixture
def workplace(tmp_path, methanol, elsewhere):
    """A study whose table is an SDF with the geometry of methanol, and the foreign file of that geometry."""
    (tmp_path / "table.sdf").write_text(
        Chem.MolToMolBlock(methanol) + "> <id>\nm\n\n> <sweet>\n1\n\n$$$$\n", encoding="utf-8"
    )
    settings = {
        "study": "imports", "results": str(tmp_path / "results"), "store": str(tmp_path / "store"),
        "molecules": {"table": str(tmp_path / "table.sdf"), "labels": {"sweet": {"column": "sweet"}}},
        "quantum": {"basis": "6-31g", "quadrature_level": 1},
        "training": {"property": "sweet", "models": {"net": {}}},
        "interpret": {"model": "net"}, "figures": {"example": "m"},
        "contribution": {"contributor": "A. Chemist", "licence": "CC-BY-4.0"},
    }  # fmt: skip
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(settings))
    shutil.copy(elsewhere[1], tmp_path / "methanol.fchk")
    return tmp_path, load_study(tmp_path / "study.yaml"), elsewhere[0]


def recipes_of(study, table: Path):
    block = table.read_text().split("> <id>")[0]
    from decar.planning.index import build_index

    (row,) = build_index(study.molecules, study.folder / "plan" / "rows").to_dict("records")
    (molblock,) = read_molblocks(table, [row["sdf_offset"]])
    assert molblock.strip() == block.strip()
    assert row["geometry"] == digest(molblock)
    return {**row, "molblock": molblock}, molecule_recipes(study, row["key"], row["geometry"])


def command_of(documented, folder, **places):
    """The documents have it with placeholders and for a file of one name; both are this command."""
    names = dict.fromkeys(("FILE", "a.fchk"), folder / "methanol.fchk")
    found = {tuple(line.filled({**names, "study.yaml": folder / "study.yaml", **places})) for line in documented}
    ((_, *words),) = found
    return words


def test_the_study_uses_what_was_imported_and_computes_nothing(workplace, documented):
    folder, study, found = workplace
    command = command_of(documented, folder, ID="m", a="m")
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    row, recipes = recipes_of(study, folder / "table.sdf")
    record = Store(study.store).load("wavefunction", row["key"], recipes["wavefunction"])
    assert record.metadata["source"] == "imported"
    assert record.metadata["contributor"] == "A. Chemist"
    wavefunction = Wavefunction.from_record(record.arrays, record.metadata["conformers"][0], "0/")
    assert compare(found, wavefunction).density_l1 < 1e-6
    assert wavefunction.level["label"] == "B3LYP/6-31G"
    assert verify_file(Store(study.store).path("wavefunction", recipes["wavefunction"]), physics=True) == []

    batch = {name: row[name] for name in ("key", "smiles", "charge", "multiplicity", "molblock")}
    write_receipt(folder / "before.parquet", [{**batch, "recipe": recipes["optimise"], "status": "ok"}])

    def refuse(*_) -> Record:
        raise AssertionError("the wavefunction was computed")

    run_batch("wavefunction", "optimise", study, folder / "before.parquet", folder / "after.parquet", refuse)
    (after,) = read_receipts([folder / "after.parquet"]).to_dict("records")
    assert (after["status"], after["recipe"]) == ("ok", recipes["wavefunction"])

    again = CliRunner().invoke(app, command)
    assert isinstance(again.exception, DataFormatError)
    assert "the study has a wavefunction of this molecule" in str(again.exception)


def test_atoms_in_another_order_are_put_in_the_studys(workplace):
    folder, study, found = workplace
    order = np.array([5, 0, 3, 1, 4, 2])
    file = _permuted(read_foreign(folder / "methanol.fchk"), order)
    assert not np.array_equal(file.atomic_numbers, found.atomic_numbers)
    record = import_into_study(study, "m", file, folder / "methanol.fchk")
    wavefunction = Wavefunction.from_record(record.arrays, record.metadata["conformers"][0], "0/")
    assert compare(found, wavefunction).density_l1 < 1e-6


def test_what_the_study_does_not_ask_for_is_refused(workplace):
    folder, study, _ = workplace
    path = folder / "methanol.fchk"
    file = read_foreign(path)
    moved = file.geometry_bohr.copy()
    moved[1, 0] += 0.02
    with pytest.raises(DataFormatError, match="another geometry or frame"):
        import_into_study(study, "m", replace(file, geometry_bohr=moved), path)
    turned = replace(file, geometry_bohr=file.geometry_bohr[:, [1, 2, 0]])
    with pytest.raises(DataFormatError, match=r"distances between atoms differ by [\d.]+e-\d\d bohr"):
        import_into_study(study, "m", turned, path)
    with pytest.raises(DataFormatError, match="of another molecule than the row"):
        import_into_study(study, "m", replace(file, atomic_numbers=file.atomic_numbers[::-1] * 0 + 1), path)
    with pytest.raises(ConfigError, match="no row of the table has this identifier"):
        import_into_study(study, "x", file, path)
    other = study.model_copy(update={"quantum": study.quantum.model_copy(update={"method": "pbe0"})})
    with pytest.raises(DataFormatError, match="the energy at PBE0/6-31G is"):
        import_into_study(other, "m", file, path)


def test_without_a_geometry_of_its_own_the_study_must_have_optimised_first(workplace):
    folder, study, _ = workplace
    table = folder / "table.csv"
    pd.DataFrame({"id": ["m"], "name": ["methanol"], "smiles": ["CO"], "sweet": [1]}).to_csv(table, index=False)
    settings = study.molecules.model_copy(update={"table": table})
    path = folder / "methanol.fchk"
    with pytest.raises(DataFormatError, match="no geometry of this molecule yet"):
        import_into_study(study.model_copy(update={"molecules": settings}), "m", read_foreign(path), path)


@pytest.mark.parametrize("options", [[], ["--study", "study.yaml"], ["--study", "s", "--id", "m", "--output", "o"]])
def test_where_it_goes_must_be_said(options):
    result = CliRunner().invoke(app, ["import-wavefunction", "x.fchk", *options])
    assert result.exit_code == 2
    assert "--output" in result.output


def test_the_geometry_of_a_file_becomes_a_table(workplace, documented):
    """From the file alone to a study that uses it; its atoms are in another order than those of the SMILES."""
    folder, study, _ = workplace
    table = folder / "brought.sdf"
    command = command_of(documented, folder, **{"table.sdf": table, "ID": "brought", "a": "brought"})
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    text = table.read_text().replace("$$$$", "> <sweet>\n1\n\n$$$$")
    table.write_text(text)
    settings = study.molecules.model_copy(update={"table": table})
    file = _permuted(read_foreign(folder / "methanol.fchk"), np.array([5, 0, 3, 1, 4, 2]))
    record = import_into_study(study.model_copy(update={"molecules": settings}), "brought", file, folder)
    assert record.metadata["smiles"] == "CO"


def test_a_record_of_its_own(workplace, documented):
    folder, _, _ = workplace
    command = command_of(documented, folder, **{"RECORD": folder, "6-31g*": "6-31g"})  # the basis of this file
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    (path,) = folder.glob("*.h5")
    assert verify_file(path) == []
    named = folder / "methanol.h5"
    path.rename(named)
    assert verify_file(named) == []
    assert "imported" in CliRunner().invoke(app, ["show", str(named)]).output
