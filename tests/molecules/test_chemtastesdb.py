"""The import of ChemTastesDB: formats, encodings, and every trap counted, on a small table and on the real one."""

import csv
from pathlib import Path

import pandas as pd
import pytest

from decar.config import LabelSettings, MoleculesSettings
from decar.errors import DataFormatError
from decar.molecules.chemtastesdb import import_chemtastesdb
from decar.molecules.chemtastesdb_traps import ImportReport
from decar.molecules.read import read_rows

HEADER = [
    "ID", "Name", "PubChem CID", "CAS number", "canonical SMILES", "Taste", "Class taste", "Reference_(cod)/[pp]",
]  # fmt: skip
# Facts of real tastants; the numbers are made up.
ROWS = [
    ["0001", "D-Valine", "71563", "640-68-6", "CC(C)C(N)C(O)=O", "Sweet", "Sweetness", "A1993_[1]"],
    ["0002*", "L-Valine", "6287", "72-18-4", "CC(C)C(N)C(O)=O", "Bitter", "Bitterness", "A1993_[1]; B2009_(2)"],
    ["0003^", "Sodium saccharin", "*", "*", "[Na+].O=C1[N-]S(=O)(=O)c2ccccc12", "Sweet(2)", "Sweetness", "C"],
    ["0004", "Saccharin", "*", "*", "O=C1NS(=O)(=O)c2ccccc12", "Sweet", "Sweetness", "C"],
    ["0005", "β-Phenethyl µ", "*", "*", "OCCc1ccccc1", "Bitter/Sweet", "Multitaste", "C"],
    ["0006", "4-nitrophenylurea", "*", "*", "NC(=O)Nc1ccc(cc1)N(=O)=O", "Tasteless; Non-sweet", "Tastelessness", "D"],
    ["0007", "Glycine zwitterion", "*", "*", "[NH3+]CC(=O)[O-]", "Sweet", "Sweetness", "D"],
    ["0008", "Chloroform", "*", "*", "ClC(Cl)Cl", "Sweet", "Sweetness", "D"],
    ["0009", "L-Valine again", "*", "*", "CC(C)[C@H](N)C(O)=O", "Bitter", "Bitterness", "D"],
    ["0010", "Broken", "*", "*", "C1CC", "Bitter", "Bitterness", "D"],
    ["0011", "Invert sugar", "*", "*", "OCC(O)C(O)C(O)C(O)C=O.OCC(O)C(O)C(O)C(=O)CO", "Sweet", "Sweetness", "D"],
]


def written(path: Path, encoding: str = "utf-8", delimiter: str = ",", rows: list[list[str]] = ROWS) -> Path:
    with path.open("w", encoding=encoding, newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows([HEADER, *rows])
    return path


def check(report: ImportReport) -> None:
    assert (report.num_rows, report.num_sweet, report.num_unparsable) == (11, 6, 1)
    assert (report.num_with_stereocentre, report.num_flat) == (4, 3)
    assert (report.num_multi_fragment, report.num_mixtures) == (2, 1)
    assert (report.num_structures, report.num_structures_charged) == (8, 9)
    assert (report.num_dipolar_structures, report.num_zwitterion_structures) == (2, 1)
    assert (report.num_conflicting_structures, report.num_conflicting_rows) == (1, 2)
    assert report.num_mentions_sweet == 1  # not "Non-sweet"
    assert (report.num_clean_sweet, report.num_clean_other) == (4, 3)
    assert report.heavy_atoms_max == 13
    assert report.elements == {"Cl": 1}


@pytest.mark.parametrize(("encoding", "delimiter"), [("utf-8", ","), ("utf-8-sig", ","), ("latin-1", ";")])
def test_csv(tmp_path: Path, encoding: str, delimiter: str) -> None:
    rows = [[cell.replace("β", "beta") if encoding == "latin-1" else cell for cell in row] for row in ROWS]
    output = tmp_path / "out" / "table.csv"
    check(import_chemtastesdb(written(tmp_path / "in.csv", encoding, delimiter, rows), output))
    table = pd.read_csv(output, dtype=str)
    assert list(table.columns) == ["id", "name", "smiles", "sweet", "taste", "class", "source"]
    assert table["id"].tolist()[1:3] == ["0002", "0003"]
    assert table["source"][1] == "ChemTastesDB (doi 10.5281/zenodo.5747393) no. 0002*: A1993_[1]; B2009_(2)"
    assert table["name"][4].endswith("Phenethyl µ")
    assert table["sweet"].tolist() == ["1", "0", "1", "1", "0", "0", "1", "1", "0", "0", "1"]


def test_xlsx_with_a_title_above_the_header(tmp_path: Path) -> None:
    path = tmp_path / "ChemTastesDB.xlsx"
    pd.DataFrame([["ChemTastesDB", *[""] * 7], HEADER, *ROWS]).to_excel(path, header=False, index=False)
    output = tmp_path / "table.csv"
    check(import_chemtastesdb(path, output))
    assert pd.read_csv(output, dtype=str)["id"][0] == "0001"


def test_decar_reads_what_was_imported(tmp_path: Path) -> None:
    output = tmp_path / "table.csv"
    import_chemtastesdb(written(tmp_path / "in.csv"), output)
    rows = read_rows(MoleculesSettings(table=output, labels={"sweet": LabelSettings(column="sweet")}))
    assert rows["id"].tolist() == [row[0].rstrip("*^") for row in ROWS]
    assert rows["raw"].tolist() == [row[4] for row in ROWS]


def test_the_report_is_a_table_of_text(tmp_path: Path) -> None:
    report = import_chemtastesdb(written(tmp_path / "in.csv"), tmp_path / "table.csv")
    lines = dict(report.rows())
    assert lines["rows"] == "11"
    assert lines["  sweet / not sweet"] == "6 / 5"
    assert lines["elements beyond H C N O S (rows)"] == "Cl 1"


def test_another_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    path.write_text("id,smiles\na,C\n", encoding="utf-8")
    with pytest.raises(DataFormatError, match="not the table of ChemTastesDB"):
        import_chemtastesdb(path, tmp_path / "table.csv")
    assert not (tmp_path / "table.csv").exists()
    damaged = tmp_path / "damaged.xlsx"
    damaged.write_bytes(b"PK not a spreadsheet")
    with pytest.raises(DataFormatError, match="spreadsheet"):
        import_chemtastesdb(damaged, tmp_path / "table.csv")
    with pytest.raises(DataFormatError, match="data row 2"):
        import_chemtastesdb(
            written(tmp_path / "gap.csv", rows=[ROWS[0], ["0002", "x", "", "", "", "Sweet", "Sweetness", ""]]),
            tmp_path / "table.csv",
        )


@pytest.mark.slow
def test_the_published_table_has_the_traps_that_are_known_of_it(shared_data: Path, tmp_path: Path) -> None:
    # Independent counts, made with RDKit's FragmentParent. Its `Cleanup` writes eight sulfoxides with charges, hence
    # 105 dipolar structures there and 97 here; only 4 of either are zwitterions, the others nitro groups and N-oxides.
    report = import_chemtastesdb(shared_data / "ChemTastesDB_v1.csv", tmp_path / "table.csv")
    assert (report.num_rows, report.num_sweet, report.num_unparsable) == (2944, 977, 0)
    assert (report.num_with_stereocentre, report.num_flat) == (1729, 1729)
    assert (report.num_multi_fragment, report.num_structures, report.num_structures_charged) == (623, 2702, 2735)
    assert (report.num_dipolar_structures, report.num_zwitterion_structures) == (97, 4)
    assert (report.num_conflicting_structures, report.num_conflicting_rows) == (34, 83)
    assert report.num_mentions_sweet == 133
    assert (report.num_clean_sweet, report.num_clean_other) == (850, 1818)
    assert (report.heavy_atoms_median, report.heavy_atoms_95_percent, report.heavy_atoms_max) == (19, 43, 122)
    assert {"F", "Cl", "Br", "I", "P"} < set(report.elements)
