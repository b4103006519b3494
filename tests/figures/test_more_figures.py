"""Calibration, ablations, campaign, data flow, fields and potential: what is drawn is what was computed."""

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file

from decar.fields.exact_potential import exact_potential
from decar.fields.registry import FIELDS
from decar.figures import ablations, calibration, campaign, cloud_and_potential, data_flow, structure_and_cloud
from decar.figures.scene import isosurface
from decar.quantum.wavefunction import Wavefunction
from decar.record import read_record
from decar.units import BOHR_PER_ANGSTROM
from tests.figures.conftest import Drawn


def test_platt_finds_the_line_that_made_the_labels() -> None:
    generator = np.random.default_rng(1)
    logit = generator.normal(0, 2, 20000)
    label = (generator.uniform(size=len(logit)) < 1 / (1 + np.exp(-(0.5 * logit + 0.3)))).astype(float)
    line = calibration.platt(label, 1 / (1 + np.exp(-logit)))
    assert line == pytest.approx((0.5, 0.3), abs=0.04)
    assert calibration.platt(label[:4], logit[:4]) is None


def test_scaling_is_fitted_on_validation_molecules_alone(drawn: Drawn) -> None:
    generator = np.random.default_rng(2)
    rows = pd.DataFrame({
        "fold": 0, "subset": ["validation"] * 400 + ["test"] * 400,
        "label": generator.integers(0, 2, 800).astype(float), "probability": generator.uniform(0.01, 0.99, 800),
    })  # fmt: skip
    other = rows.assign(label=rows["label"].where(rows["subset"] == "validation", 1 - rows["label"]))
    np.testing.assert_array_equal(calibration.scaled(rows)["scaled"], calibration.scaled(other)["scaled"])
    table = calibration.tabulate(drawn.sources)
    counted = table.groupby(["scheme", "model", "form"])["n"].sum()
    assert set(counted) == {14}
    assert set(table["form"]) == {"as predicted"}  # a fold of the small study has fewer than five of a class


def test_ablations_are_differences_of_auroc(drawn: Drawn) -> None:
    table = ablations.tabulate(drawn.study, drawn.sources)
    assert len(table) == 2 * 3
    metrics = pd.read_parquet(drawn.sources.evaluation / "metrics.parquet")
    auroc = metrics[metrics["metric"] == "auroc"].set_index(["scheme", "model"])["value"]
    for row in table.to_dict("records"):
        expected = auroc[row["scheme"], row["model"]] - auroc[row["scheme"], "electron_cloud"]
        assert row["difference"] == pytest.approx(expected)
        assert row["low"] < row["difference"] < row["high"]


def test_campaign_and_data_flow_count_what_the_tables_hold(drawn: Drawn) -> None:
    molecules, failures, stages = campaign.tabulate(drawn.sources)
    assert len(molecules) == 14
    assert failures["count"].sum() == 2
    of_stage = stages.set_index("stage")
    assert of_stage["num_shared"].sum() == 3
    assert of_stage.loc["wavefunction", "num_records"] == 15
    assert of_stage.loc["wavefunction", "megabytes"] > 0
    times = pd.read_parquet(drawn.sources.records / "stages.parquet")["wall_seconds"].sum()
    assert of_stage["hours"].sum() == pytest.approx(times / 3600)
    flow = data_flow.tabulate(drawn.study, drawn.sources).set_index(["part", "what"])["count"]
    assert flow["table", "rows"] == 17
    assert flow["wavefunction", "sound"] == 14
    assert flow["train", "networks"] == 12
    texts = [text.get_text() for text in data_flow.draw(
        data_flow.tabulate(drawn.study, drawn.sources), drawn.study.figures).axes[0].texts]  # fmt: skip
    assert any(text.startswith("3 of these records") for text in texts)


def test_the_network_is_drawn_with_the_sizes_of_its_weights(drawn: Drawn) -> None:
    table = pd.read_csv(drawn.figures / "network.csv").set_index("part")
    (file,) = (drawn.sources.models[0] / "model").glob("*.safetensors")
    weights = load_file(file)
    kernels = [weights[name] for name in sorted(weights) if weights[name].ndim == 5]
    layers = table.dropna(subset="kernel_edge_angstrom")
    assert list(layers["channels"]) == [len(kernel) for kernel in kernels]
    # 0.4 angstrom a voxel, twice as much after each pooling.
    edges = [kernel.shape[-1] * 0.4 * 2**number for number, kernel in enumerate(kernels)]
    np.testing.assert_allclose(layers["kernel_edge_angstrom"], edges, rtol=1e-6)
    assert table["parameters"].sum() == sum(values.size for values in weights.values())


def test_every_field_is_in_the_gallery(drawn: Drawn) -> None:
    table = pd.read_csv(drawn.figures / "field_gallery.csv")
    assert list(table["field"]) == list(FIELDS)
    assert (table["scale_low"] == -table["scale_high"]).sum() == 3  # Laplacian, deformation density, potential
    closed = table.set_index("field").loc["spin_density"]
    assert closed["quantile_1"] == closed["quantile_0"] == 0


def test_the_potential_is_that_of_the_wavefunction_on_the_surface(drawn: Drawn) -> None:
    cloud = structure_and_cloud.read_cloud(drawn.study, drawn.sources)
    assert cloud is not None
    assert drawn.sources.example_wavefunction is not None
    record = read_record(drawn.sources.example_wavefunction)
    wavefunction = Wavefunction.from_record(record.arrays, record.metadata["conformers"][0], "0/")
    surface = isosurface(cloud.density, cloud.origin, cloud.spacing, drawn.study.figures.isovalue, "#FFFFFF")
    found = cloud_and_potential.potential_on(wavefunction, surface.vertices)
    chosen = np.random.default_rng(0).choice(len(found), 40, replace=False)
    exact = exact_potential(wavefunction, surface.vertices[chosen] * BOHR_PER_ANGSTROM)
    np.testing.assert_allclose(found[chosen], exact, atol=1.5e-3)
    volumes = pd.read_csv(drawn.figures / "cloud_and_potential.csv")
    enclosed = volumes[volumes["what"] == "enclosed_volume_angstrom3"].sort_values("isovalue_e_per_bohr3")["value"]
    assert (np.diff(enclosed) < 0).all()
