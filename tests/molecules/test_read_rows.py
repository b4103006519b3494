"""Tables in their three formats, and the errors that name file, column and row."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st
from rdkit import Chem
from rdkit.Chem import rdDepictor, rdDistGeom

from decar.config import LabelSettings, MoleculesSettings
from decar.errors import ConfigError, DataFormatError, InputMoleculeError
from decar.molecules import text_table
from decar.molecules.given_geometry import read_given_geometry
from decar.molecules.identity import identify
from decar.molecules.read import COLUMNS, read_rows
from decar.molecules.sdf import read_molblocks
from decar.molecules.standardise import standardise
from decar.molecules.text_table import read_columns
from decar.stages import digest

SWEET = {"sweet": LabelSettings(column="sweet")}


def table(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def settings(path: Path, **more: Any) -> MoleculesSettings:
    return MoleculesSettings(table=path, **more)


def test_csv(tmp_path: Path) -> None:
    path = table(tmp_path, "a.csv", 'id,name,smiles,sweet\n a ,"Ethanol, dry",CCO,0\n\nb,Glycol,OCCO,\n')
    rows = read_rows(settings(path, labels=SWEET))
    assert list(rows.columns) == [*COLUMNS, "sweet"]
    assert rows["row"].tolist() == [1, 2]
    assert rows["id"].tolist() == ["a", "b"]
    assert rows["name"].tolist() == ["Ethanol, dry", "Glycol"]
    assert rows["raw"].tolist() == ["CCO", "OCCO"]
    assert rows["sweet"].tolist() == ["0", ""]
    assert rows["sdf_offset"].isna().all()
    assert rows["multiplicity"].isna().all()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    path = table(tmp_path, "a.csv", "id,name,smiles\nstévia,Stévioside,CCO\n".encode(encoding))
    rows = read_rows(settings(path))
    assert rows["id"].tolist() == ["stévia"]
    assert rows["name"].tolist() == ["Stévioside"]


def test_tsv_and_own_column_names(tmp_path: Path) -> None:
    path = table(tmp_path, "a.tsv", "No\tStructure\tS\n1\t[O][O]\t3\n2\tCCO\t\n")
    rows = read_rows(
        settings(path, id_column="No", name_column=None, smiles_column="Structure", multiplicity_column="S")
    )
    assert rows["name"].tolist() == ["1", "2"]
    assert rows["multiplicity"].tolist()[0] == 3
    assert rows["multiplicity"].isna().tolist() == [False, True]


def test_a_missing_column_names_file_setting_and_the_nearest_column(tmp_path: Path) -> None:
    path = table(tmp_path, "a.csv", "id,name,Smile\na,b,CCO\n")
    with pytest.raises(ConfigError) as caught:
        read_rows(settings(path))
    message = str(caught.value)
    assert "did you mean 'Smile'?" in message
    assert str(path) in message
    assert "molecules.smiles_column" in message
    with pytest.raises(ConfigError, match=r"molecules\.labels\.sweet\.column"):
        read_rows(settings(path, smiles_column="Smile", labels=SWEET))


def test_a_repeated_identifier_names_both_rows(tmp_path: Path) -> None:
    path = table(tmp_path, "a.csv", "id,name,smiles\na,,C\nb,,CC\na,,CCC\n")
    with pytest.raises(DataFormatError, match="data rows 1 and 3"):
        read_rows(settings(path))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("id,name,smiles\n", "no molecule"),
        ("", "no column"),
        ("id,name,smiles\na,b,C,1\n", "another number of cells"),
        ("id,name,smiles\na,b\n", "line 2"),
        ("id,name,smiles\n,b,C\n", "no identifier"),
        ("id,id,smiles\na,b,C\n", "twice in the header"),
        ('id,name,smiles\na,"b,C\n', "delimited text"),
    ],
)
def test_damaged_tables(tmp_path: Path, content: str, complaint: str) -> None:
    path = table(tmp_path, "a.csv", content)
    with pytest.raises((DataFormatError, ConfigError), match=complaint) as caught:
        read_rows(settings(path))
    assert "a.csv" in str(caught.value)


def test_a_multiplicity_that_is_no_number(tmp_path: Path) -> None:
    path = table(tmp_path, "a.csv", "id,name,smiles,m\na,b,C,1\nb,c,CC,singlet\n")
    with pytest.raises(DataFormatError, match="data row 2, column 'm'"):
        read_rows(settings(path, multiplicity_column="m"))


def test_missing_file_unknown_format_and_reserved_names(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        read_rows(settings(tmp_path / "none.csv"))
    with pytest.raises(ConfigError, match="not known"):
        read_rows(settings(table(tmp_path, "a.doc", "x")))
    with pytest.raises(ConfigError, match="name of a column"):
        read_rows(settings(table(tmp_path, "a.csv", "id\n"), labels={"name": LabelSettings(column="id")}))


def test_smi(tmp_path: Path) -> None:
    path = table(tmp_path, "a.smi", "SMILES Name\nCCO\tgrain alcohol\n\n# a comment\nOCCO\n")
    rows = read_rows(settings(path))
    assert rows["raw"].tolist() == ["CCO", "OCCO"]
    assert rows["id"].tolist() == ["grain alcohol", "2"]
    with pytest.raises(ConfigError, match="no columns for labels"):
        read_rows(settings(path, labels=SWEET))


def embedded(smiles: str) -> Chem.Mol:
    molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
    assert rdDistGeom.EmbedMolecule(molecule, randomSeed=7) == 0
    return molecule


def entry(molecule: Chem.Mol, title: str, **items: object) -> str:
    block = Chem.MolToMolBlock(molecule).split("\n", 1)[1]
    data = "".join(f">  <{name}>\n{value}\n\n" for name, value in items.items())
    return f"{title}\n{block}{data}$$$$\n"


def molblocks(path: Path, rows: pd.DataFrame) -> list[str | None]:
    return list(read_molblocks(path, [None if pd.isna(offset) else offset for offset in rows["sdf_offset"]]))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "latin-1"])
def test_a_geometry_is_found_again_where_it_stands(tmp_path: Path, end: str, encoding: str) -> None:
    text = entry(embedded("O"), "näme") + entry(embedded("C"), "other", note="ü")
    path = tmp_path / "a.sdf"
    path.write_bytes(text.replace("\n", end).encode(encoding))
    rows = read_rows(settings(path))
    expected = [part.partition("M  END\n")[0] + "M  END\n" for part in text.split("$$$$\n")[:2]]
    assert molblocks(path, rows) == expected
    assert rows["geometry"].tolist() == [digest(block) for block in expected]
    assert rows["id"].tolist() == ["näme", "other"]


def test_sdf_brings_geometries_stereochemistry_and_labels(tmp_path: Path) -> None:
    right, left = embedded("CC(C)[C@@H](N)C(O)=O"), embedded("CC(C)[C@H](N)C(O)=O")
    text = (
        entry(right, "D-valine", sweet=1) + entry(left, "L-valine", sweet=0) + entry(Chem.MolFromSmiles("CCO"), "flat")
    )
    rows = read_rows(settings(table(tmp_path, "a.sdf", text), labels=SWEET))
    assert rows["id"].tolist() == ["D-valine", "L-valine", "flat"]
    assert rows["sweet"].tolist() == ["1", "0", ""]
    keys = [identify(standardise(raw, "neutral")).key for raw in rows["raw"]]
    expected = ["CC(C)[C@@H](N)C(O)=O", "CC(C)[C@H](N)C(O)=O", "CCO"]
    assert keys == [identify(standardise(smiles, "neutral")).key for smiles in expected]
    blocks = molblocks(tmp_path / "a.sdf", rows)
    assert blocks[2] is None  # two-dimensional
    assert rows["geometry"].tolist() == [digest(blocks[0]), digest(blocks[1]), None]
    back = Chem.MolFromMolBlock(blocks[0], removeHs=False)
    assert back.GetNumAtoms() == 19
    np.testing.assert_allclose(back.GetConformer().GetPositions(), right.GetConformer().GetPositions(), atol=1e-4)


def test_a_planar_molecule_in_its_plane_is_no_drawing(tmp_path: Path) -> None:
    """RDKit takes z = 0 everywhere for two dimensions where a double bond's configuration is left open."""
    planar = embedded("FC=CF")
    rdDepictor.Compute2DCoords(planar)
    planar.GetConformer().Set3D(True)
    text = entry(planar, "planar")
    assert not Chem.MolFromMolBlock(text, removeHs=False).GetConformer().Is3D()
    rows = read_rows(settings(table(tmp_path, "a.sdf", text)))
    brought = read_given_geometry(molblocks(tmp_path / "a.sdf", rows)[0], rows["raw"][0])
    assert brought.geometry_bohr[:, 2] == pytest.approx(0.0)
    drawing = text.replace("          3D", "          2D")
    assert read_rows(settings(table(tmp_path, "b.sdf", drawing)))["geometry"].isna().all()


def test_sdf_identifier_from_a_data_item(tmp_path: Path) -> None:
    text = entry(embedded("O"), "", id="w1", name="water", mult=1) + entry(embedded("[O][O]"), "O2", id="o2", mult=3)
    rows = read_rows(settings(table(tmp_path, "a.sdf", text), multiplicity_column="mult"))
    assert rows["id"].tolist() == ["w1", "o2"]
    assert rows["name"].tolist() == ["water", "O2"]
    assert rows["multiplicity"].tolist() == [1, 3]


def test_a_geometry_without_hydrogens_is_not_used_and_reported(tmp_path: Path) -> None:
    messages: list[str] = []
    path = table(tmp_path, "a.sdf", entry(Chem.RemoveHs(embedded("CCO")), "bare"))
    rows = read_rows(settings(path), messages.append)
    assert rows["geometry"].tolist() == [None]
    assert rows["raw"].tolist() == ["CCO"]
    assert messages == ["bare: the geometry lacks hydrogens and is not used"]


def test_an_unreadable_sdf_entry_fails_as_a_molecule_with_the_reason(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    # The title is a valid SMILES: it must not be taken for the structure.
    broken = entry(embedded("CCO"), "CO").replace(" C  ", " Qq ", 1)
    rows = read_rows(settings(table(tmp_path, "a.sdf", entry(embedded("O"), "water") + broken)))
    assert rows["raw"][0] == "O"
    with pytest.raises(InputMoleculeError, match="Qq") as caught:
        standardise(rows["raw"][1], "neutral")
    assert caught.value.reason == "unparsable"
    assert capfd.readouterr() == ("", "")


def test_the_example_table(root: Path) -> None:
    rows = read_rows(settings(root / "examples" / "tastants.csv", labels=SWEET))
    assert len(rows) == 30
    assert rows["sweet"].value_counts().to_dict() == {"1": 15, "0": 15}
    parents, failed = {}, []
    for name, raw in zip(rows["id"], rows["raw"], strict=True):
        try:
            parents[name] = standardise(raw, "neutral")
        except InputMoleculeError as error:
            failed.append((name, error.reason))
    assert failed == [("caffeine-broken", "unparsable")]
    identities = {name: identify(parent) for name, parent in parents.items()}
    assert len({i.key for i in identities.values()}) == 29
    assert max(parent.num_heavy_atoms for parent in parents.values()) == 12
    label = dict(zip(rows["id"], rows["sweet"], strict=True))
    for amino_acid in ("valine", "leucine", "proline"):
        assert identities[f"d-{amino_acid}"].split_group == identities[f"l-{amino_acid}"].split_group
        assert identities[f"d-{amino_acid}"].key != identities[f"l-{amino_acid}"].key
        assert label[f"d-{amino_acid}"] != label[f"l-{amino_acid}"]
    for parent in parents.values():
        centres = Chem.FindPotentialStereo(Chem.MolFromSmiles(parent.smiles))
        assert all(centre.specified == Chem.StereoSpecified.Specified for centre in centres), parent.smiles


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=4)


@settings_of_hypothesis(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(CELLS, min_size=1, max_size=3), max_size=5), st.sampled_from(["\n", "\r\n", "\r"]))
def test_a_text_read_as_columns_is_the_text_read_row_by_row(tmp_path: Path, rows: list[list[str]], end: str) -> None:
    content = end.join(",".join(row) for row in [["a", "b"], *rows])
    path = table(tmp_path, "columns.csv", content)

    def read() -> object:
        try:
            return {name: list(column) for name, column in read_columns(path, ",", lambda header: header).items()}
        except DataFormatError as error:
            return str(error)

    at_once = read()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_table, "_plain_columns", lambda *_: None)
        assert at_once == read()
