"""Figures, tables and report of a regression: the numbers are those of scikit-learn and SciPy, and no class is left."""

import json
import re
from html import unescape

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from scipy.stats import norm, spearmanr
from sklearn import metrics as sk

from decar.figures import ablations, growth_with_data, molecules, performance, predicted_and_measured
from decar.figures.benchmark import draw_benchmark
from decar.figures.catalogue import CATALOGUE, entries_of, figure_names, table_names
from decar.figures.classes import classes_of
from decar.figures.molecule_table import label_text, molecule_table
from decar.figures.performance import metric_texts, read_metrics
from decar.figures.quantities import per_volume, places_of, written
from decar.figures.report_data import performance_rows, summary_sentences
from decar.figures.style import style
from decar.predictions import SCORES
from tests.figures.conftest import Drawn
from tests.figures.study_on_disk import MOLECULES, UNIT, VALUES, key_of

METRICS = {
    "rmse": sk.root_mean_squared_error, "mae": sk.mean_absolute_error, "r2": sk.r2_score,
    "spearman": lambda label, value: spearmanr(label, value).statistic,
}  # fmt: skip
MARKERS = {"electron_cloud": "o", "promolecular_control": "s"}


def rows_by_model(drawn: Drawn) -> dict[tuple[str, str], tuple[np.ndarray, np.ndarray]]:
    """Return label and prediction of the test molecules, by split and model."""
    table = pd.read_parquet(drawn.sources.evaluation / "predictions.parquet")
    test = table[table["subset"] == "test"].sort_values("key")
    return {(str(scheme), str(model)): (part["label"].to_numpy(), part["prediction"].to_numpy())
            for (scheme, model), part in test.groupby(["scheme", "model"])}  # fmt: skip


def points(axes: Axes, marker: str) -> list[tuple[float, float]]:
    return [tuple(line.get_xydata()[0]) for line in axes.lines if line.get_marker() == marker]


def test_the_figures_of_a_regression_are_those_of_values(drawn: Drawn, drawn_values: Drawn) -> None:
    names, of_classes = figure_names(drawn_values.study), figure_names(drawn.study)
    assert set(of_classes) - set(names) == {"roc", "calibration", "confusion_matrix"}
    assert set(names) - set(of_classes) == {"predicted_and_measured"}
    assert set(table_names(drawn.study)) - set(table_names(drawn_values.study)) == {"calibration"}
    for name in names:
        assert (drawn_values.figures / f"{name}.svg").stat().st_size > 1000
        assert len(pd.read_csv(drawn_values.figures / f"{name}.csv")) > 0
    assert sorted(path.stem for path in drawn_values.figures.glob("*.csv")) == sorted(names)
    written_tables = {path.stem for path in drawn_values.figures.with_name("tables").glob("*.csv")}
    assert written_tables == set(table_names(drawn_values.study))


def test_captions_say_classes_and_probabilities_of_binary_properties_only(drawn: Drawn, drawn_values: Drawn) -> None:
    for name, about in entries_of(drawn.study).items():
        assert about.caption == CATALOGUE[name].caption
    for name, about in entries_of(drawn_values.study).items():
        assert not re.search(r"AUROC|\bclass|probabilit|logit|DeLong|taste", about.caption), name


def test_predicted_and_measured_shows_each_test_molecule_and_the_scores(drawn_values: Drawn) -> None:
    study, sources = drawn_values.study, drawn_values.sources
    with style():
        figure = predicted_and_measured.build(study, sources).figure
    found = rows_by_model(drawn_values)
    panels = []
    for scheme in ("random", "scaffold"):
        error = {model: sk.root_mean_squared_error(*found[scheme, model])
                 for model in ("atom_counts", "lightgbm_ecfp4")}  # fmt: skip
        panels += [(scheme, "electron_cloud"), (scheme, min(error, key=lambda model: error[model]))]
    stored = read_metrics(sources).set_index(["scheme", "model", "metric"])
    axes_of_panels = [axes for axes in figure.axes if axes.get_visible()]
    assert len(axes_of_panels) == len(panels)
    for axes, panel in zip(axes_of_panels, panels):
        assert panel[0] in axes.get_title(loc="left")
        (line,) = (line for line in axes.lines if line.get_marker() == "o")
        label, value = found[panel]
        order = np.lexsort((value, label))
        drawn_points = np.asarray(line.get_xydata())
        drawn_points = drawn_points[np.lexsort((drawn_points[:, 1], drawn_points[:, 0]))]
        np.testing.assert_allclose(drawn_points, np.stack([label, value], axis=1)[order])
        assert axes.get_xlim() == axes.get_ylim()
        (text,) = (text.get_text().split("\n") for text in axes.texts if "RMSE" in text.get_text())
        assert text[0].endswith(f"] {UNIT}")
        for words, metric in zip(text, ("rmse", "r2", "spearman")):
            row = stored.loc[(*panel, metric)]
            expected = METRICS[metric](label, value)
            said, low, high = (float(number.replace("−", "-")) for number in re.findall(r"[−\d.]*\d", words)[-3:])
            assert said == pytest.approx(expected, abs=0.5 if metric == "rmse" else 0.0051)
            assert (low, high) == pytest.approx((row["low"], row["high"]), abs=0.5 if metric == "rmse" else 0.0051)
    assert figure.get_supxlabel() == "measured solvation energy [kJ/mol]"
    assert figure.get_supylabel() == "predicted solvation energy [kJ/mol]"


def test_performance_of_values(drawn_values: Drawn) -> None:
    with style():
        figure = performance.build(drawn_values.study, drawn_values.sources).figure
    found = rows_by_model(drawn_values)
    for axes, (metric, score) in zip(figure.axes, METRICS.items(), strict=True):
        for model, marker in MARKERS.items():
            expected = [score(*found[scheme, model]) for scheme in ("random", "scaffold")]
            assert sorted(x for x, _ in points(axes, marker)) == pytest.approx(sorted(expected)), (metric, model)
        low, high = axes.get_xlim()
        assert all(low <= x <= high for marker in "osD" for x, _ in points(axes, marker))
    errors = figure.axes[:2]
    assert errors[0].get_xlim() == errors[1].get_xlim()
    assert errors[0].get_xlim()[0] == 0
    assert [axes.get_xlabel() for axes in figure.axes] == ["error [kJ/mol]"] * 2 + ["value (no unit)"] * 2
    # What the prediction of the mean of the labels is wrong by.
    dotted = [line.get_xdata()[0] for line in errors[0].lines if line.is_dashed()]
    assert dotted == pytest.approx([VALUES.std()] * 2)


def test_a_wide_interval_of_the_rank_correlation_is_called_meaningless(drawn_values: Drawn) -> None:
    table = read_metrics(drawn_values.sources)
    assert "With 14 molecules no metric means anything" in str(performance.small_set_note(table, "regression"))
    narrow = table.assign(low=table["value"] - 0.02, high=table["value"] + 0.02)
    assert performance.small_set_note(narrow, "regression") is None


def test_ablations_are_differences_of_rmse(drawn_values: Drawn) -> None:
    with style():
        figure = ablations.build(drawn_values.study, drawn_values.sources).figure
    assert figure.get_supxlabel() == "RMSE less that of electron cloud [kJ/mol], lower is better"
    found = rows_by_model(drawn_values)
    for axes, scheme in zip(figure.axes, ("random", "scaffold")):
        (label, own), (_, other) = (found[scheme, model] for model in MARKERS)
        ((value, place),) = points(axes, "s")
        errors = [sk.root_mean_squared_error(label, predicted) for predicted in (other, own)]
        assert value == pytest.approx(errors[0] - errors[1])
        # Delta method: sqrt(mean) moves by 1 / (2 sqrt(mean)) of what the mean of squares moves by.
        moved = (other - label) ** 2 / (2 * errors[0]) - (own - label) ** 2 / (2 * errors[1])
        half = norm.ppf(0.975) * moved.std(ddof=1) / len(label) ** 0.5
        (interval,) = (line.get_xdata() for line in axes.lines if list(line.get_ydata()) == [place, place])
        np.testing.assert_allclose(interval, [value - half, value + half])


def test_growth_and_benchmark_are_of_rmse_without_calibration(drawn_values: Drawn) -> None:
    study, sources = drawn_values.study, drawn_values.sources
    table = pd.read_csv(sources.benchmark / "benchmark.csv")
    with style():
        axes = growth_with_data.build(study, sources).figure.axes[0]
    own = table[(table["contender"] == "electron_cloud") & (table["split"] == "random")].sort_values("share")
    np.testing.assert_allclose(axes.lines[0].get_ydata(), own["rmse"])
    assert axes.get_ylabel() == "RMSE, mean of folds [kJ/mol]"
    assert axes.lines[-1].get_ydata()[0] == pytest.approx(VALUES.std(), rel=1e-6)

    pooled = table.assign(rmse_pooled=table["rmse"], pooled_low=table["low"], pooled_high=table["high"])
    forest, _, growth = draw_benchmark(pooled, pd.DataFrame(), SCORES["regression"], UNIT).figure.axes
    whole = pooled[(pooled["share"] == 1) & (pooled["split"] == "random")].set_index("contender")
    ((value, _),) = points(forest, "o")
    assert value == pytest.approx(whole.loc["electron_cloud", "rmse_pooled"])
    assert forest.get_xlabel() == "RMSE, pooled; | mean of folds [kJ/mol]"
    assert growth.get_ylabel() == "RMSE, mean of folds [kJ/mol]"
    alone = draw_benchmark(pooled[pooled["share"] == 1], pd.DataFrame(), SCORES["regression"], UNIT).figure
    assert len(alone.axes) == 2  # no growth: the two splits alone


def test_molecules_are_coloured_by_halves_and_labelled_with_values(drawn_values: Drawn) -> None:
    study, sources = drawn_values.study, drawn_values.sources
    classes = classes_of(study, sources)
    assert classes.boundary == pytest.approx(np.median(VALUES))
    table = molecule_table(study, sources).set_index("key")
    for (name, *_), value in zip(MOLECULES, VALUES):
        row = table.loc[[key_of(name)]].iloc[0]
        assert row["class"] == ("above the median" if value > np.median(VALUES) else "up to the median")
    assert label_text(study, -21.0) == "−21 kJ/mol"
    with style():
        figure = molecules.build(study, sources).figure
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert label_text(study, VALUES[0]) in texts
    predicted = table.loc[key_of(MOLECULES[0][0]), "p:electron_cloud"]
    assert f"p {predicted:.1f}".replace("-", "−") in texts
    assert "p: electron cloud, value [kJ/mol] when tested" in figure.get_supxlabel()


def test_numbers_have_the_places_that_their_spread_asks_for(drawn: Drawn, drawn_values: Drawn) -> None:
    assert places_of(drawn.study, np.array([0.0, 1.0])) == 2
    assert places_of(drawn_values.study, VALUES) == 1
    assert places_of(drawn_values.study, np.array([5.0, 6.5, np.nan])) == 2
    assert (written(-0.04, 1), written(-1.25, 1)) == ("0.0", "−1.2")
    assert (per_volume("logit"), per_volume(UNIT), per_volume("")) == ("logit/Å³", "(kJ/mol)/Å³", "1/Å³")
    assert metric_texts({"metric": "rmse", "value": 12.34, "low": 9.0, "high": 15.0}) == ("12.3", "9.0", "15.0")
    assert metric_texts({"metric": "r2", "value": 0.5, "low": -1.0, "high": 1.0}) == ("0.50", "-1.00", "1.00")


def test_tables_have_units_and_the_best_error_is_the_lowest(drawn_values: Drawn) -> None:
    folder = drawn_values.figures.with_name("tables")
    assert list(pd.read_csv(folder / "performance.csv"))[4] == "RMSE / kJ/mol"
    assert "solvation_energy / kJ/mol" in pd.read_csv(folder / "molecules.csv")
    assert "difference of RMSE / kJ/mol" in pd.read_csv(folder / "ablations.csv")
    assert "attribution / kJ/mol" in pd.read_csv(folder / "groups.csv")
    rows = performance_rows(read_metrics(drawn_values.sources), "regression")
    found = rows_by_model(drawn_values)
    for column, (metric, score) in enumerate(METRICS.items()):
        values = {model: score(*found["random", model]) for _, model in found}
        best = (min if metric in {"rmse", "mae"} else max)(values.values())
        marked = [row for row in rows if row["scheme"] == "random" and row["cells"][column]["best"]]
        assert [float(row["cells"][column]["value"]) for row in marked] == [pytest.approx(best, abs=0.5)]


def test_the_report_of_a_regression_says_values(drawn_values: Drawn) -> None:
    study, sources = drawn_values.study, drawn_values.sources
    text = drawn_values.page.read_text(encoding="utf-8")
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, flags=re.DOTALL)
    read = json.loads(data)
    assert read["predicted"] == {"is_probability": False, "name": "solvation energy", "unit": UNIT, "places": 1}
    first = read["molecules"][0]
    assert (first["label"], first["value"]) == (label_text(study, VALUES[0]), VALUES[0])
    assert {row["verdict"] for row in read["molecules"]} == {""}
    assert {row["class"] for row in read["molecules"]} == {"above the median", "up to the median", ""}
    shown = re.sub(r"<(script|style|pre).*?</\1>|<[^>]*>", " ", text, flags=re.DOTALL)
    assert not re.search(r"\bclass(es)?\b|probabilit|logit|AUROC|\bROC\b", unescape(shown))
    assert f"values in {UNIT}" in shown
    sentences = summary_sentences(study, molecule_table(study, sources), read_metrics(sources))
    own = sk.root_mean_squared_error(*rows_by_model(drawn_values)["random", "electron_cloud"])
    assert f"electron cloud reaches RMSE {own:.1f} [" in sentences[1]
    assert "LightGBM on ECFP4" in sentences[1]  # the best baseline has the lowest error
