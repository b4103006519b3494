"""Labels: values, missing ones, errors, and rows of one molecule that disagree."""

import pandas as pd
import pytest

from decar.config import LabelSettings
from decar.errors import ConfigError, DataFormatError
from decar.molecules.identity import identify
from decar.molecules.labels import CONFLICT_COLUMNS, MERGED_COLUMNS, merge_labels, parse_labels
from decar.molecules.standardise import standardise


def rows(**columns: list[str]) -> pd.DataFrame:
    count = len(next(iter(columns.values())))
    return pd.DataFrame({"row": range(1, count + 1), "id": [f"m{i}" for i in range(1, count + 1)], **columns})


def test_binary_values_in_every_spelling() -> None:
    cells = ["1", "0", "true", "FALSE", "Yes", "no", "1.0", "", "NA"]
    table = parse_labels(rows(sweet=cells), {"sweet": LabelSettings(column="sweet")})
    assert table["value"].tolist() == [1, 0, 1, 0, 1, 0, 1]
    assert table["id"].tolist() == [f"m{i}" for i in range(1, 8)]
    assert set(table["kind"]) == {"binary"}


def test_several_properties_with_missing_values() -> None:
    settings = {
        "sweet": LabelSettings(column="s"),
        "taste": LabelSettings(column="t", kind="multiclass"),
        "log_sweetness": LabelSettings(column="l", kind="regression", unit="log10"),
    }
    table = parse_labels(rows(sweet=["1", "", "0"], taste=["2", "0", ""], log_sweetness=["", "-1.5e1", ""]), settings)
    found = {(p, i): v for p, i, v in table[["property", "id", "value"]].itertuples(index=False)}
    assert found == {
        ("sweet", "m1"): 1.0, ("sweet", "m3"): 0.0, ("taste", "m1"): 2.0, ("taste", "m2"): 0.0,
        ("log_sweetness", "m2"): -15.0,
    }  # fmt: skip
    assert table.loc[table["property"] == "log_sweetness", "unit"].tolist() == ["log10"]


@pytest.mark.parametrize(
    ("kind", "cell"),
    [("binary", "2"), ("binary", "sweet"), ("multiclass", "1.5"), ("multiclass", "-1"), ("regression", "inf"),
     ("regression", "high")],
)  # fmt: skip
def test_a_wrong_value_names_row_identifier_column_and_value(kind: str, cell: str) -> None:
    settings = {"p": LabelSettings(column="P col", kind=kind)}  # type: ignore[arg-type]
    with pytest.raises(DataFormatError) as caught:
        parse_labels(rows(p=["1", cell]), settings)
    for part in ("data row 2", "'m2'", "'P col'", repr(cell), "empty cell"):
        assert part in str(caught.value)


def test_a_category_is_any_text_and_tells_texts_apart() -> None:
    label = {"source": LabelSettings(column="source", kind="category")}
    cells = ["Acme", "beta labs", "", " Acme ", "acme"]
    values = parse_labels(rows(source=cells), label).set_index("id")["value"]
    assert values["m1"] == values["m4"]
    assert values[["m1", "m2", "m5"]].nunique() == 3
    assert "m3" not in values
    # The number is that of the text, whatever else stands in the table.
    assert parse_labels(rows(source=["x", "Acme"]), label)["value"].tolist()[1] == values["m1"]


def test_no_label_at_all_keeps_the_columns() -> None:
    table = parse_labels(rows(sweet=["", ""]), {"sweet": LabelSettings(column="sweet")})
    merged, conflicts = merge_labels(table, {"m1": "k"}, "error")
    assert list(merged.columns) == list(MERGED_COLUMNS)
    assert list(conflicts.columns) == list(CONFLICT_COLUMNS)
    assert merged.empty
    assert merged["value"].dtype == "float64"


def valine_labels() -> tuple[pd.DataFrame, dict[str, str]]:
    """D- and L-valine, once flat as in ChemTastesDB and once with stereochemistry; a salt of glycine that agrees."""
    smiles = [
        "CC(C)C(N)C(O)=O", "CC(C)C(N)C(=O)O", "CC(C)[C@@H](N)C(O)=O", "CC(C)[C@H](N)C(O)=O", "NCC(O)=O",
        "[Na+].NCC([O-])=O",
    ]  # fmt: skip
    keys = {f"m{i}": identify(standardise(s, "neutral")).key for i, s in enumerate(smiles, start=1)}
    table = rows(sweet=["1", "0", "1", "0", "1", "1"], bitter=["0", "", "0", "1", "", "0"])
    labels = {"sweet": LabelSettings(column="sweet"), "bitter": LabelSettings(column="bitter")}
    return parse_labels(table, labels), keys


def test_a_conflict_drops_that_label_only_and_is_reported() -> None:
    labels, keys = valine_labels()
    merged, conflicts = merge_labels(labels, keys, "drop_label")
    values = {(k, p): v for k, p, v in merged[["key", "property", "value"]].itertuples(index=False)}
    assert values == {
        (keys["m1"], "bitter"): 0.0,
        (keys["m3"], "sweet"): 1.0, (keys["m3"], "bitter"): 0.0,
        (keys["m4"], "sweet"): 0.0, (keys["m4"], "bitter"): 1.0,
        (keys["m5"], "sweet"): 1.0, (keys["m5"], "bitter"): 0.0,
    }  # fmt: skip
    assert conflicts.to_dict("records") == [
        {"key": keys["m1"], "property": "sweet", "ids": ["m1", "m2"], "values": [1.0, 0.0]}
    ]


def test_a_conflict_can_be_an_error_that_names_both_rows() -> None:
    labels, keys = valine_labels()
    with pytest.raises(ConfigError, match="'m1': 1, 'm2': 0"):
        merge_labels(labels, keys, "error")
    merged, conflicts = merge_labels(labels[labels["id"] != "m2"], keys, "error")
    assert conflicts.empty
    assert len(merged) == 8


def test_labels_of_failed_molecules_are_left_out_and_order_does_not_matter() -> None:
    labels, keys = valine_labels()
    merged, conflicts = merge_labels(labels, {"m3": keys["m3"]}, "drop_label")
    assert set(merged["key"]) == {keys["m3"]}
    assert conflicts.empty
    shuffled, _ = merge_labels(labels.sample(frac=1, random_state=1), keys, "drop_label")
    pd.testing.assert_frame_equal(shuffled, merge_labels(labels, keys, "drop_label")[0])


def test_rows_of_a_number_are_averaged_where_asked() -> None:
    settings = {"p": LabelSettings(column="p", kind="regression", unit="K"), "c": LabelSettings(column="c")}
    table = parse_labels(rows(p=["6.3", "1", "6.1", "6.4"], c=["1", "1", "0", ""]), settings)
    keys = {"m1": "b", "m2": "a", "m3": "b", "m4": "b"}
    merged, conflicts = merge_labels(table, keys, "mean")
    values = merged.set_index(["key", "property"])["value"]
    assert values.to_dict() == {("a", "c"): 1.0, ("a", "p"): 1.0, ("b", "p"): pytest.approx(6.266666666666667)}
    # What was averaged is listed as it was; classes that disagree are left out.
    found = {(key, name): (ids, of) for key, name, ids, of in conflicts.itertuples(index=False)}
    assert found == {("b", "c"): (["m1", "m3"], [1.0, 0.0]), ("b", "p"): (["m1", "m3", "m4"], [6.3, 6.1, 6.4])}
    reverse, _ = merge_labels(table.iloc[::-1], keys, "mean")
    assert reverse.set_index(["key", "property"])["value"].to_dict() == values.to_dict()
    alone, _ = merge_labels(table, keys, "drop_label")
    assert set(alone["key"]) == {"a"}
