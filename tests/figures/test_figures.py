"""Every figure is built from tables; what is drawn is what stands in the table."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes

from decar.errors import ConfigError, DataFormatError
from decar.figures import confusion_matrix, gradients, kernel_correlations, learning_curves, performance, pipeline, roc
from decar.figures import structure_and_cloud as cloud_figure
from decar.figures.catalogue import CATALOGUE, entry, figure_names
from decar.figures.molecule_table import label_text, molecule_table
from decar.figures.style import style
from tests.figures.conftest import Drawn


def texts(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


@pytest.mark.parametrize("name", [name for name, about in CATALOGUE.items() if "binary" in about.kinds])
def test_figure_and_its_table_are_written(drawn: Drawn, name: str) -> None:
    for suffix, start in (("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF")):
        assert (drawn.figures / f"{name}.{suffix}").read_bytes().startswith(start)
    assert len(pd.read_csv(drawn.figures / f"{name}.csv")) > 0


def test_names_are_those_of_the_catalogue_and_unknown_ones_are_refused(drawn: Drawn) -> None:
    assert figure_names(drawn.study) == [name for name in CATALOGUE if name != "predicted_and_measured"]
    with pytest.raises(ConfigError, match="performance"):
        entry("performnce", drawn.study)


def test_roc_curves_end_in_the_corners_and_the_legend_gives_the_interval(drawn: Drawn) -> None:
    table = roc.tabulate(drawn.sources)
    with style():
        figure = roc.draw(table, drawn.study.figures)
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "random split, n = 14 molecules",
        "scaffold split, n = 14 molecules",
    ]
    for axes in figure.axes:
        for line in axes.lines[1:]:
            points = line.get_xydata()
            assert tuple(points[0]) == (0, 0)
            assert tuple(points[-1]) == (1, 1)
        assert axes.get_aspect() == 1.0
    row = table[(table["model"] == "electron_cloud") & (table["scheme"] == "random")].iloc[0]
    shown = f"electron cloud: {row['auroc']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"
    legend = figure.axes[0].get_legend()
    assert legend is not None
    assert shown in [text.get_text() for text in legend.get_texts()]


def test_roc_of_a_single_class_says_why_there_is_no_curve(drawn: Drawn) -> None:
    figure = roc.draw(roc.tabulate(drawn.sources).head(0), drawn.study.figures)
    assert "one class" in figure.texts[0].get_text()


def test_control_and_baselines_are_told_apart_by_line_style(drawn: Drawn) -> None:
    figure = roc.draw(roc.tabulate(drawn.sources), drawn.study.figures)
    styles = {str(line.get_label()).split(":")[0]: line.get_linestyle() for line in figure.axes[0].lines[1:]}
    assert styles["electron cloud"] == "-"
    assert styles["promolecular control"] == "--"
    assert styles["atom counts"] == ":"


def test_confusion_matrix_counts_every_molecule_once(drawn: Drawn) -> None:
    table = confusion_matrix.tabulate(drawn.sources)
    assert set(table.groupby(["model", "scheme"])["count"].sum()) == {14}
    figure = confusion_matrix.draw(table, drawn.study.figures)
    cells = [int(text.split("\n")[0]) for text in texts(figure.axes[0])]
    assert sum(cells) == 14
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["sweet", "not sweet"]


def test_performance_draws_each_value_with_its_interval(drawn: Drawn) -> None:
    table = performance.read_metrics(drawn.sources)
    figure = performance.draw(table, drawn.study.figures)
    auroc = figure.axes[0]
    drawn_values = sorted(float(line.get_xdata()[0]) for line in auroc.lines if line.get_marker() in {"o", "s", "D"})
    assert drawn_values == pytest.approx(sorted(table.loc[table["metric"] == "auroc", "value"]))
    assert performance.in_order(table) == ["electron_cloud", "promolecular_control", "atom_counts", "lightgbm_ecfp4"]


def test_wide_intervals_are_called_meaningless_and_narrow_ones_are_not(drawn: Drawn) -> None:
    table = performance.read_metrics(drawn.sources)
    note = performance.small_set_note(table)
    assert note is not None
    assert "With 14 molecules no metric means anything" in note
    narrow = table.assign(low=table["value"] - 0.02, high=table["value"] + 0.02, n=2944)
    assert performance.small_set_note(narrow) is None


def test_learning_curves_show_each_fold_and_its_kept_checkpoint(drawn: Drawn) -> None:
    table = learning_curves.tabulate(drawn.sources)
    assert set(table.columns) == set(learning_curves.COLUMNS)
    figure = learning_curves.draw(table, drawn.study.figures)
    dots = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert len(dots) == 3
    first = table[(table["model"] == "electron_cloud") & (table["scheme"] == "random")]
    lowest = sorted(fold["val_loss"].min() for _, fold in first.groupby("fold"))
    assert sorted(float(dot.get_ydata()[0]) for dot in dots) == pytest.approx(lowest)


def test_gradients_are_means_over_folds_and_gaps_those_of_the_last_epoch(drawn: Drawn) -> None:
    jobs = gradients.jobs_of(drawn.study, drawn.sources)
    norms, gaps = gradients.tabulate(jobs)
    with style():
        figure = gradients.draw(norms, gaps)
    first = [job for job in jobs if (job.model, job.scheme) == ("electron_cloud", "random")]
    logs = [pd.read_csv(job.folder / "metrics.csv") for job in first]
    lines = {str(line.get_label()): line for line in figure.axes[0].lines}
    for part in ("layer1", "output"):
        mean = np.mean([log[f"gradient_norm_{part}"] for log in logs], axis=0)
        assert np.asarray(lines[part].get_ydata()) == pytest.approx(mean)
    expected = [log["val_loss"].iloc[-1] - log["train_loss"].iloc[-1] for log in logs]
    means = [line for line in figure.axes[-1].lines if line.get_label() == "electron cloud"]
    of_scheme = gaps[(gaps["model"] == "electron_cloud") & (gaps["scheme"] == "random")]
    assert sorted(of_scheme["gap"]) == pytest.approx(sorted(expected))
    own = gaps.loc[gaps["model"] == "electron_cloud", "gap"]
    assert float(means[0].get_ydata()[0]) == pytest.approx(own.mean())


def test_networks_that_differ_in_their_rotations_only_are_one_series(drawn: Drawn) -> None:
    models = drawn.study.training.models
    turned = models["electron_cloud"].model_copy(update={"augmentation": "rotations_24"})
    training = drawn.study.training.model_copy(update={"models": {**models, "electron_cloud_24": turned}})
    study = drawn.study.model_copy(update={"training": training})
    folder = drawn.sources.models[0].parent / "electron_cloud_24-random-fold0-0"
    jobs = gradients.jobs_of(study, replace(drawn.sources, models=(*drawn.sources.models, folder)))
    assert {(job.series, job.augmentation) for job in jobs if job.model.startswith("electron_cloud")} == {
        ("electron_cloud", "rotations_6"), ("electron_cloud", "rotations_24"),
    }  # fmt: skip
    assert {job.series for job in jobs if job.model == "promolecular_control"} == {"promolecular_control"}


def test_kernels_are_sorted_by_effect_and_filled_where_the_adjusted_p_is_small(drawn: Drawn) -> None:
    correlations, tests = kernel_correlations.tabulate(drawn.sources, "activation")
    with style():
        figure = kernel_correlations.draw(correlations, tests, "activation", drawn.study.figures)
    trained = tests[tests["network"] == "trained"].set_index("kernel")["effect_size"]
    order = [int(label.get_text()) for label in figure.axes[-1].get_xticklabels()]
    assert np.all(np.diff(trained.loc[order]) <= 0)
    markers = [line for line in figure.axes[-1].lines if line.get_marker() == "o"]
    filled = sum(line.get_markerfacecolor() != "white" for line in markers)
    assert filled == int((tests.loc[tests["network"] == "trained", "p_adjusted"] < 0.05).sum())
    assert len(figure.axes) == 4  # trained, untrained, permuted; effect size


def test_kernel_figure_draws_the_largest_effects_of_many_kernels(drawn: Drawn) -> None:
    tests = pd.DataFrame({"kernel": range(50), "effect_size": np.linspace(-1, 1, 50)})
    kernels = kernel_correlations._kernels(tests)
    assert len(kernels) == kernel_correlations.MOST
    assert kernels[0] == 49
    assert kernels[-1] == 0
    assert 25 not in kernels


def test_pipeline_counts_rows_stages_and_reasons(drawn: Drawn) -> None:
    counts, times = pipeline.tabulate(drawn.sources)
    by_stage = counts.pivot_table(index="stage", columns="outcome", values="count", aggfunc="sum").fillna(0)
    assert tuple(by_stage.loc["table", ["ok", "failed", "duplicate"]]) == (15, 1, 1)
    assert tuple(by_stage.loc["wavefunction", ["ok", "failed"]]) == (14, 1)
    assert by_stage.loc["fields", "ok"] == 14
    assert len(times) == 15 + 15 + 15 + 14
    figure = pipeline.draw(counts, times, drawn.study.figures)
    assert "1 element without basis" in texts(figure.axes[0])


def test_molecule_table_has_every_row_with_label_status_and_test_prediction(drawn: Drawn) -> None:
    table = molecule_table(drawn.study, drawn.sources).set_index("id")
    assert len(table) == 17
    assert table.loc["lead", "status"] == "failed"
    assert table.loc["lead", "stage"] == "wavefunction"
    assert table.loc["broken", "reason"] == "invalid_smiles"
    assert table.loc["ethanol-2", "status"] == "duplicate"
    assert table.loc["glucose", "num_electrons"] == 96
    predictions = pd.read_parquet(drawn.sources.evaluation / "predictions.parquet")
    chosen = (predictions["model"] == "electron_cloud") & (predictions["scheme"] == "random")
    expected = predictions[chosen & (predictions["key"] == table.loc["caffeine", "key"])]["prediction"].iloc[0]
    assert table.loc["caffeine", "p:electron_cloud"] == pytest.approx(expected)


def test_labels_read_as_class_names_or_numbers_with_units(drawn: Drawn) -> None:
    assert label_text(drawn.study, 1.0) == "sweet"
    assert label_text(drawn.study, 0.0) == "not sweet"
    assert label_text(drawn.study, None) == ""
    label = drawn.study.molecules.labels["sweet"].model_copy(update={"kind": "regression", "unit": "mol/L"})
    molecules = drawn.study.molecules.model_copy(update={"labels": {"sweet": label}})
    assert label_text(drawn.study.model_copy(update={"molecules": molecules}), 0.25) == "0.25 mol/L"


def test_cloud_holds_the_molecule_and_its_table_measures_it(drawn: Drawn) -> None:
    cloud = cloud_figure.read_cloud(drawn.study, drawn.sources)
    assert cloud is not None
    table = cloud_figure.table(cloud, drawn.study.figures).set_index("what")
    volume = float(table.loc["enclosed_volume_angstrom3", "value"])
    voxels = float(table.loc["voxels_inside", "value"]) * cloud.spacing**3
    assert volume == pytest.approx(voxels, rel=0.03)
    assert (table.index == "atom").sum() == 24
    assert (table.index == "bond").sum() == 24
    # each nucleus is inside the surface
    index = np.round((cloud.positions - cloud.origin) / cloud.spacing).astype(int)
    assert (cloud.density[tuple(index.T)] > drawn.study.figures.isovalue).all()


def test_a_failed_example_is_drawn_as_structure_with_its_reason(drawn: Drawn) -> None:
    figures = drawn.study.figures.model_copy(update={"example": "lead"})
    study = drawn.study.model_copy(update={"figures": figures})
    sources = replace(drawn.sources, example_geometry=None, example_fields=None)
    with style():
        drawing = cloud_figure.build(study, sources)
    assert drawing.table.loc[0, "label"] == "element_without_basis"
    assert texts(drawing.figure.axes[1]) == ["no electron cloud: element without basis"]


def test_a_table_without_a_column_is_named(drawn: Drawn, tmp_path) -> None:
    pd.DataFrame({"model": ["a"]}).to_parquet(tmp_path / "metrics.parquet")
    with pytest.raises(DataFormatError, match="lacks role, scheme"):
        performance.read_metrics(replace(drawn.sources, evaluation=tmp_path))
