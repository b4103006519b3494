"""What stands in the figures of performance, against scikit-learn on the per-fold predictions that lie on disk.

Sixty molecules, three folds, networks that are right more or less often: from the files that trainings and parts of a
benchmark leave, through the tables of evaluation and benchmark, to points, curves and numbers of the drawn figures.
"""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from scipy.special import logit
from scipy.stats import norm, t
from sklearn import metrics as sk
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV, calibration_curve
from sklearn.frozen import FrozenEstimator

from decar.benchmark.parts import parts_of
from decar.benchmark.write import write_tables
from decar.config import Study
from decar.evaluate.run import evaluate
from decar.figures import ablations, calibration, confusion_matrix, growth_with_data, performance, roc
from decar.figures.benchmark import draw_benchmark
from decar.figures.sources import Sources
from decar.figures.style import readable
from decar.receipt import write_table
from decar.stages import derive_seed
from tests.figures.study_on_disk import make_study

NUM, FOLDS, SHARES = 60, 3, (0.25, 0.5, 1.0)
NOISE = {"electron_cloud": 0.9, "promolecular_control": 2.0}  # of the logit, whose right answer is -1 or 1
ROUNDED = 5e-7  # tables of a benchmark have six digits
RECALL = {"sensitivity": partial(sk.recall_score, pos_label=1), "specificity": partial(sk.recall_score, pos_label=0)}
THRESHOLDED = {"accuracy": sk.accuracy_score, "balanced_accuracy": sk.balanced_accuracy_score,
               "mcc": sk.matthews_corrcoef, **RECALL}  # fmt: skip


def said(noise: float, fold: int, share: float, generator: np.random.Generator) -> pd.DataFrame:
    """Return what a network says of all molecules, that of one fold trained on a share of the other molecules."""
    number = np.arange(NUM)
    subset = np.array(["test", "validation", "train"])[(number - fold) % FOLDS]
    label = (number // FOLDS % 2).astype(float)
    score = 2 * label - 1 + noise / share**0.5 * generator.normal(size=NUM)
    table = pd.DataFrame({"fold": fold, "key": [f"k{n:02d}" for n in number], "subset": subset, "label": label,
                          "prediction": 1 / (1 + np.exp(-score))})  # fmt: skip
    is_left_out = (table["subset"] == "train") & (number >= NUM * share)
    return table[~is_left_out]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    found = make_study(tmp_path_factory.mktemp("recomputed"))
    settings = found.model_dump(mode="json")
    settings["evaluate"] |= {"baselines": [], "num_bootstrap": 50}
    settings["benchmark"] |= {
        "splits": {"random": {"scheme": "random", "num_folds": FOLDS}}, "baselines": ["atom_counts"], "permuted": [],
        "num_seeds": 2,
    }  # fmt: skip
    return Study.model_validate(settings)


@pytest.fixture(scope="module")
def predictions(study: Study) -> pd.DataFrame:
    """Write what training jobs write, evaluate it, and return the test rows as they lie in the files of the jobs."""
    generator, paths = np.random.default_rng(3), []
    for model, noise in NOISE.items():
        for fold in range(FOLDS):
            paths.append(study.folder / "models" / f"{model}-{fold}" / "predictions.parquet")
            write_table(paths[-1], said(noise, fold, 1.0, generator).assign(model=model, scheme="random"))
    splits = said(1.0, 0, 1.0, generator)
    for name in ("molecules", "labels", "splits"):
        write_table(study.folder / "dataset" / f"{name}.parquet", splits[["key"]])
    evaluate(study, study.folder / "dataset", paths, study.folder / "evaluation")
    return pd.concat([pd.read_parquet(path) for path in paths], ignore_index=True)


@pytest.fixture(scope="module")
def sources(study: Study, predictions: pd.DataFrame) -> Sources:
    del predictions  # they are there
    names = ("index", "records", "dataset", "models", "evaluation", "interpretation", "attribution", "benchmark")
    return Sources(**{name: study.folder / name for name in names})


def rows_of(predictions: pd.DataFrame) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return label and probability of the test molecules of all folds, by model."""
    test = predictions[predictions["subset"] == "test"].sort_values("key")
    return {str(name): (part["label"].to_numpy(), part["prediction"].to_numpy())
            for name, part in test.groupby("model")}  # fmt: skip


def points(axes: Axes, marker: str) -> list[tuple[float, float]]:
    return [tuple(line.get_xydata()[0]) for line in axes.lines if line.get_marker() == marker]


def test_performance(study: Study, sources: Sources, predictions: pd.DataFrame) -> None:
    figure = performance.build(study, sources).figure
    for model, marker in (("electron_cloud", "o"), ("promolecular_control", "s")):
        label, probability = rows_of(predictions)[model]
        expected = {"auroc": sk.roc_auc_score(label, probability)}
        expected |= {name: score(label, probability >= 0.5) for name, score in THRESHOLDED.items()}
        for axes, metric in zip(figure.axes, performance.METRICS):
            ((value, _),) = points(axes, marker)
            assert value == pytest.approx(expected[metric]), (model, metric)


def test_roc(study: Study, sources: Sources, predictions: pd.DataFrame) -> None:
    axes = roc.build(study, sources).figure.axes[0]
    for line, (model, (label, probability)) in zip(axes.lines[1:], rows_of(predictions).items()):
        false_rate, true_rate, _ = sk.roc_curve(label, probability)
        np.testing.assert_allclose(line.get_xydata(), np.stack([false_rate, true_rate], axis=1))
        area = sk.auc(*line.get_xydata().T)
        assert area == pytest.approx(sk.roc_auc_score(label, probability))
        assert str(line.get_label()).startswith(f"{readable(model)}: {area:.2f} [")


def test_confusion_matrix(study: Study, sources: Sources, predictions: pd.DataFrame) -> None:
    figure = confusion_matrix.build(study, sources).figure
    for axes, (label, probability) in zip(figure.axes, rows_of(predictions).values()):
        expected = sk.confusion_matrix(label, probability >= 0.5, labels=[1, 0])
        texts = [text.get_text().split("\n") for text in axes.texts]
        assert [int(count) for count, _ in texts] == expected.ravel().tolist()
        shares = expected / expected.sum(axis=1, keepdims=True)
        assert [share for _, share in texts] == [f"{share:.0%}" for share in shares.ravel()]


class Given(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier whose decision is its one feature."""

    def fit(self, _: np.ndarray, label: np.ndarray) -> "Given":
        self.classes_ = np.unique(label)
        return self

    def predict(self, features: np.ndarray) -> np.ndarray:
        return features[:, 0] > 0

    def decision_function(self, features: np.ndarray) -> np.ndarray:
        return features[:, 0]


def platt_scaled(fold: pd.DataFrame) -> np.ndarray:
    """Return the probabilities of a fold's test molecules, scaled by its validation molecules."""
    seen, test = (fold[fold["subset"] == name] for name in ("validation", "test"))
    score, label = logit(seen[["prediction"]].to_numpy()), seen["label"].astype(int)
    scale = CalibratedClassifierCV(FrozenEstimator(Given().fit(score, label)), method="sigmoid").fit(score, label)
    return np.asarray(scale.predict_proba(logit(test[["prediction"]].to_numpy()))[:, 1])


def test_calibration(study: Study, sources: Sources, predictions: pd.DataFrame) -> None:
    figure = calibration.build(study, sources).figure
    curves = [axes for axes in figure.axes if axes.get_title()]
    assert len(curves) == len(NOISE)
    for axes, model in zip(curves, NOISE):
        own = predictions[predictions["model"] == model]
        test = own[own["subset"] == "test"]
        scaled = np.concatenate([platt_scaled(fold) for _, fold in own.groupby("fold")])
        given = {"as predicted": test["prediction"].to_numpy(), "Platt-scaled": scaled}
        (scores,) = (text.get_text().split("\n") for text in axes.texts if "Brier" in text.get_text())
        for line, form, score in zip(axes.lines[1:], given, scores):
            label, probability = test["label"].to_numpy(), given[form]
            share, mean = calibration_curve(label, probability, n_bins=10)
            atol = 1e-12 if form == "as predicted" else 1e-4  # two searches for one minimum
            np.testing.assert_allclose(line.get_xydata(), np.stack([mean, share], axis=1), atol=atol)
            count = np.histogram(probability, 10, (0, 1))[0]
            error = np.average(np.abs(share - mean), weights=count[count > 0])
            brier = sk.brier_score_loss(label, probability)
            assert score.removeprefix("scaled: ") == f"Brier {brier:.2f}, ECE {error:.2f}"


def delong_error(label: np.ndarray, first: np.ndarray, second: np.ndarray) -> float:
    """Return the standard error of AUROC(first) - AUROC(second), by its definition (doi 10.2307/2531595)."""
    difference = [np.sign(np.subtract.outer(p[label == 1], p[label == 0])) / 2 for p in (first, second)]
    kernel = difference[0] - difference[1]
    return float(np.sqrt(sum(kernel.mean(axis=axis).var(ddof=1) / kernel.shape[1 - axis] for axis in (0, 1))))


def test_ablations(study: Study, sources: Sources, predictions: pd.DataFrame) -> None:
    axes = ablations.build(study, sources).figure.axes[0]
    (label, own), (_, other) = (rows_of(predictions)[name] for name in ("electron_cloud", "promolecular_control"))
    difference = sk.roc_auc_score(label, other) - sk.roc_auc_score(label, own)
    ((value, place),) = points(axes, "s")
    assert value == pytest.approx(difference)
    (interval,) = (line.get_xdata() for line in axes.lines if list(line.get_ydata()) == [place, place])
    half = norm.ppf(0.975) * delong_error(label, other, own)
    np.testing.assert_allclose(interval, [difference - half, difference + half])


@pytest.fixture(scope="module")
def parts(study: Study) -> pd.DataFrame:
    """Write what the parts of a benchmark leave, the tables of it, and return all rows as they lie in the parts."""
    generator, written = np.random.default_rng(4), []
    noise = {**NOISE, "atom_counts": 1.4}
    for part in parts_of(study, study.folder / "dataset"):
        table = said(noise[part.contender], part.fold, part.share, generator)
        where = {name: getattr(part, name) for name in ("contender", "split", "seed", "share", "fold")}
        write_table(part.folder / "predictions.parquet", table.assign(**where))
        written.append(pd.read_parquet(part.folder / "predictions.parquet"))
    write_tables(study, study.folder / "dataset", study.folder / "benchmark")
    return pd.concat(written, ignore_index=True)


def of_folds(parts: pd.DataFrame, contender: str, share: float) -> tuple[float, float]:
    """Return the mean of the AUROC of the folds, and half its 95 % interval (doi 10.1023/A:1024068626366)."""
    own = parts[(parts["contender"] == contender) & (parts["share"] == share)]
    areas, ratios = [], []
    for _, fold in own.groupby(["seed", "fold"]):
        test = fold[fold["subset"] == "test"]
        areas.append(sk.roc_auc_score(test["label"], test["prediction"]))
        learned = ["train", "validation"] if contender == "atom_counts" else ["train"]  # a baseline fits them all
        ratios.append(len(test) / fold["subset"].isin(learned).sum())
    error = np.sqrt((1 / len(areas) + np.mean(ratios)) * np.var(areas, ddof=1))
    return float(np.mean(areas)), float(t.ppf(0.975, len(areas) - 1) * error)


def by_seed(rows: pd.DataFrame) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return label and probability of the molecules, in one order, of each seed."""
    ordered = rows.sort_values("key")
    return [(one["label"].to_numpy(), one["prediction"].to_numpy()) for _, one in ordered.groupby("seed")]


def test_tables_of_two_seeds(study: Study, parts: pd.DataFrame) -> None:
    """The interval of the pooled AUROC resamples molecules, the same for all seeds; a pair is tested on mean AUROCs."""
    folder, names = study.folder / "benchmark", sorted(NOISE)
    test = parts[(parts["share"] == 1) & (parts["subset"] == "test")]
    seeds = {name: by_seed(test[test["contender"] == name]) for name in names}
    assert {len(found) for found in seeds.values()} == {2}
    table = pd.read_csv(folder / "benchmark.csv").query("share == 1").set_index("contender")
    assert (table["seeds"] == 2).all()
    assert (table["folds"] == 2 * FOLDS).all()
    drawn = np.random.default_rng(derive_seed(study.seed, "benchmark", "random"))
    weights = drawn.multinomial(NUM, np.full(NUM, 1 / NUM), size=50)
    for name in names:
        means = [np.mean([sk.roc_auc_score(*two, sample_weight=row) for two in seeds[name]]) for row in weights]
        expected = np.quantile(means, [0.025, 0.975])
        np.testing.assert_allclose(table.loc[name, ["pooled_low", "pooled_high"]].to_list(), expected, atol=ROUNDED)
    (pair,) = (
        pd.read_csv(folder / "pairs.csv")
        .query("share == 1 and first == @names[0] and second == @names[1]")
        .itertuples()
    )
    label = seeds[names[0]][0][0]
    order = {name: np.array([np.sign(np.subtract.outer(p[label == 1], p[label == 0])) for _, p in seeds[name]])
             for name in names}  # fmt: skip
    kernel = (order[names[0]].mean(axis=0) - order[names[1]].mean(axis=0)) / 2
    assert pair.pooled_difference == pytest.approx(kernel.mean(), abs=ROUNDED)
    error = np.sqrt(sum(kernel.mean(axis=axis).var(ddof=1) / kernel.shape[1 - axis] for axis in (0, 1)))
    assert pair.pooled_error == pytest.approx(error, abs=ROUNDED)
    assert pair.p_pooled == pytest.approx(2 * norm.sf(abs(kernel.mean()) / error), rel=1e-5)
    folds = [
        test[test["contender"] == name].groupby(["seed", "fold"])[["label", "prediction"]]
        .apply(lambda part: sk.roc_auc_score(*part.to_numpy().T)).to_numpy() for name in names
    ]  # fmt: skip
    difference = folds[0] - folds[1]
    # A third of the molecules tests, a third trains.
    error = np.sqrt((1 / len(difference) + 1) * difference.var(ddof=1))
    assert pair.difference == pytest.approx(difference.mean(), abs=ROUNDED)
    p = 2 * t.sf(abs(difference.mean()) / error, len(difference) - 1)
    assert pair.p_resampled_t == pytest.approx(p, rel=1e-5)


def test_growth_with_data(study: Study, sources: Sources, parts: pd.DataFrame) -> None:
    axes = growth_with_data.build(study, sources).figure.axes[0]
    names = sorted(set(parts["contender"]))
    assert [line.get_label() for line in axes.lines[:-1]] == [readable(name) for name in names]
    bars = [found for found in axes.collections if isinstance(found, LineCollection)]
    for line, bar, name in zip(axes.lines, bars, names):
        for share, value, segment in zip(SHARES, line.get_ydata(), bar.get_segments()):
            mean, half = of_folds(parts, name, share)
            assert value == pytest.approx(mean, abs=ROUNDED)
            np.testing.assert_allclose(segment[:, 1], np.clip([mean - half, mean + half], 0, 1), atol=ROUNDED)
        np.testing.assert_allclose(line.get_xdata(), 100 * np.array(SHARES), atol=2)  # apart, so that bars are seen


def test_benchmark_figure(study: Study, parts: pd.DataFrame) -> None:
    folder = study.folder / "benchmark"
    tables = (pd.read_csv(folder / f"{name}.csv") for name in ("benchmark", "calibration"))
    figure = draw_benchmark(*tables).figure
    forest, growth, reliability = figure.axes
    whole = parts[(parts["share"] == 1) & (parts["subset"] == "test")]
    for name, marker in (("electron_cloud", "o"), ("promolecular_control", "s"), ("atom_counts", "D")):
        own = whole[whole["contender"] == name]
        ((pooled, place),) = points(forest, marker)
        assert pooled == pytest.approx(np.mean([sk.roc_auc_score(*two) for two in by_seed(own)]), abs=ROUNDED)
        (mean,) = (x for x, y in points(forest, "|") if y == place)
        assert mean == pytest.approx(of_folds(parts, name, 1.0)[0], abs=ROUNDED)
        (line,) = (line for line in growth.lines if line.get_label() == readable(name))
        np.testing.assert_allclose(
            line.get_ydata(), [of_folds(parts, name, share)[0] for share in SHARES], atol=ROUNDED
        )
        (curve,) = (line for line in reliability.lines if str(line.get_label()).startswith(readable(name)))
        share, probability = calibration_curve(own["label"], own["prediction"], n_bins=10)
        np.testing.assert_allclose(curve.get_xydata(), np.stack([probability, share], axis=1), atol=ROUNDED)
