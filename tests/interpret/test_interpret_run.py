import numpy as np
import pandas as pd
import pytest

from decar.config import ModelSettings, Study
from decar.dataset.normalise import FieldNormalisation, Normalisation
from decar.dataset.rotations import ALL, Rotation
from decar.dataset.shards import read_manifest, write_shard
from decar.interpret.run import interpret, over_conformers, padded
from decar.models.package import save_package
from decar.models.published import PublishedNetwork
from decar.models.task import Task
from decar.receipt import read_table, write_table
from decar.record import Record

FIELD, PROPERTY, NUM_KERNELS, SPACING = "electron_density", "sweet", 3, 0.8
KEYS = [f"{number:02x}" * 16 for number in range(8)]
FIELDS = {FIELD: {"symbol": "rho", "unit": "e/bohr^3", "channels": ["rho"], "parity": "even", "core": "all"}}


def study(**interpret_settings):
    return Study.model_validate({
        "study": "blobs",
        "molecules": {"table": "table.csv", "labels": {PROPERTY: {"column": PROPERTY}}},
        "training": {"property": PROPERTY, "models": {"decar": {}}},
        "interpret": {"model": "decar", "rotations": 6, **interpret_settings},
        "figures": {"example": "1"},
    })  # fmt: skip


def density(number: int, shape=(16, 24, 16)):
    """Two s-type Gaussian densities [1, x, y, z] in e/bohr^3; the distance grows with the number."""
    axes = np.stack(np.meshgrid(*(np.arange(size) - size / 2 for size in shape), indexing="ij"), axis=-1) * SPACING
    shift = np.array([0.0, 0.4 + 0.3 * number, 0.2])
    total = sum(np.exp(-((axes - sign * shift) ** 2).sum(axis=-1)) for sign in (1, -1))
    return total[None].astype(np.float32)


def build(folder, boxes):
    """A dataset folder, its shard and a trained job's folder, from {key: boxes of its conformers}."""
    members = []
    for key, conformers in boxes.items():
        grid = {"origin_bohr": [0.0, 0.0, 0.0], "spacing_bohr": SPACING}
        metadata = {
            "key": key, "num_conformers": len(conformers), "fields": FIELDS,
            "conformers": [{"grid": {**grid, "shape": list(box.shape[1:])}} for box in conformers],
        }  # fmt: skip
        arrays = {f"{number}/{FIELD}": box for number, box in enumerate(conformers)}
        members.append((key, Record("fields", key, metadata, arrays)))
    write_shard(folder / "shards" / "0.h5", members, {"study": "blobs"})
    write_table(folder / "dataset" / "manifest.parquet", read_manifest(folder / "shards" / "0.h5"))
    keys = list(boxes)
    labels = pd.DataFrame({"key": keys, "property": PROPERTY, "value": [float(i % 2) for i in range(len(keys))]})
    write_table(folder / "dataset" / "labels.parquet", labels.assign(kind="binary", unit=None))
    subsets = [("train", "train", "validation", "test")[i % 4] for i in range(len(keys))]
    write_table(
        folder / "dataset" / "splits.parquet",
        pd.DataFrame({"scheme": "random", "seed": 1, "fold": 0, "key": keys, "subset": subsets}),
    )
    network = PublishedNetwork(ModelSettings(channels=(2, 2, NUM_KERNELS), kernel_size=3), SPACING)
    network.initialise(3)
    normalisation = Normalisation((FieldNormalisation(FIELD, "e/bohr^3", 1e-3, 2.0),))
    save_package(folder / "job" / "model", network, {
        "name": "decar", "fields": [FIELD], "normalisation": normalisation.to_json(), "spacing_bohr": SPACING,
        "level": {"method": "b3lyp"}, "property": PROPERTY, "dataset_hash": "0", "metrics": {}, "licence": None,
        "lineage": [], "contributor": None, "chemistry": {}, "tasks": [Task(PROPERTY).to_json()],
    })  # fmt: skip
    return folder / "dataset", folder / "shards", folder / "job"


def correlations_of(folder, boxes, **settings):
    interpret(study(**settings), *build(folder, boxes), None, folder / "out")
    return read_table(folder / "out" / "kernel_correlation.parquet")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("interpret")
    correlations_of(folder, {key: [density(number)] for number, key in enumerate(KEYS)})
    return folder


def test_every_molecule_kernel_form_and_network_has_its_correlation(folder):
    table = read_table(folder / "out" / "kernel_correlation.parquet")
    assert list(table.columns) == ["form", "network", "kernel", "key", "label", "subset", "correlation"]
    assert len(table) == 2 * 2 * NUM_KERNELS * len(KEYS)
    assert not table.duplicated(["form", "network", "kernel", "key"]).any()
    assert table["correlation"].between(-1, 1).all()
    assert table.groupby("key")["subset"].first().tolist() == ["train", "train", "validation", "test"] * 2
    trained, untrained = (table.loc[table["network"] == name, "correlation"] for name in ("trained", "untrained"))
    assert np.abs(trained.to_numpy() - untrained.to_numpy()).max() > 1e-3


def test_one_test_a_kernel_form_and_network(folder):
    tests = read_table(folder / "out" / "kernel_tests.parquet")
    assert len(tests) == 2 * 2 * NUM_KERNELS
    assert (tests[["num_positive", "num_negative"]] == 4).all().all()
    assert tests["p_adjusted"].between(0, 1).all()
    assert tests["effect_size"].between(-1, 1).all()


def test_a_rerun_is_the_same(folder, tmp_path):
    again = correlations_of(tmp_path, {key: [density(number)] for number, key in enumerate(KEYS)})
    pd.testing.assert_frame_equal(read_table(folder / "out" / "kernel_correlation.parquet"), again, check_exact=True)


def turned(rotation: Rotation):
    return {key: [rotation.apply(density(number))] for number, key in enumerate(KEYS[:2])}


def test_rotated_molecules_give_the_same_table(tmp_path):
    first = correlations_of(tmp_path / "a", turned(ALL[0]), rotations=24)
    second = correlations_of(tmp_path / "b", turned(ALL[13]), rotations=24)
    np.testing.assert_allclose(first["correlation"], second["correlation"], atol=1e-5)


def test_conformers_are_averaged_by_weight(tmp_path):
    boxes = [density(number) for number in range(3)]
    one_by_one = correlations_of(tmp_path / "a", {key: [box] for key, box in zip(KEYS, boxes)})
    together = correlations_of(tmp_path / "b", {KEYS[0]: boxes})
    expected = one_by_one.groupby(["form", "network", "kernel"])["correlation"].mean()
    np.testing.assert_allclose(together["correlation"], expected, atol=1e-6)


def test_the_kernel_alone_can_be_rotated(folder, tmp_path):
    boxes = {key: [density(number)] for number, key in enumerate(KEYS)}
    kernel = correlations_of(tmp_path, boxes, rotated="kernel")
    molecule = read_table(folder / "out" / "kernel_correlation.parquet")
    merged = molecule.merge(kernel, on=["form", "network", "kernel", "key"], suffixes=("", "_kernel"))
    difference = (merged["correlation"] - merged["correlation_kernel"]).abs().groupby(merged["form"]).max()
    assert difference["activation"] > 1e-3
    assert difference["input"] == 0


def test_an_empty_box_is_nan_and_not_a_crash(tmp_path):
    boxes = {key: [density(number)] for number, key in enumerate(KEYS[:4])}
    boxes[KEYS[0]] = [np.zeros_like(density(0))]
    table = correlations_of(tmp_path, boxes)
    is_input = table["form"] == "input"
    assert set(table.loc[is_input & table["correlation"].isna(), "key"]) == {KEYS[0]}
    tests = read_table(tmp_path / "out" / "kernel_tests.parquet")
    assert (tests.loc[tests["form"] == "input", "num_negative"] == 1).all()


def test_padding_adds_vacuum_at_the_high_ends():
    box = np.ones((2, 5, 8, 1))
    assert padded(box, 8).shape == (2, 8, 8, 8)
    np.testing.assert_array_equal(padded(box, 8)[:, :5, :8, :1], box)
    assert padded(box, 8).sum() == box.sum()


def test_a_conformer_without_a_patch_does_not_spoil_the_mean():
    rows = pd.DataFrame({
        "form": "input", "network": "trained", "kernel": 0, "key": ["a", "a", "b"], "label": 1.0, "subset": "test",
        "weight": [0.5, 0.5, 1.0], "correlation": [0.4, np.nan, np.nan],
    })  # fmt: skip
    found = over_conformers(rows).set_index("key")["correlation"]
    assert found["a"] == pytest.approx(0.4)
    assert np.isnan(found["b"])


def test_the_network_of_permuted_labels_is_a_third_member(folder, tmp_path):
    boxes = {key: [density(number)] for number, key in enumerate(KEYS[:2])}
    dataset, shards, job = build(tmp_path, boxes)
    interpret(study(), dataset, shards, job, job, tmp_path / "out")
    table = read_table(tmp_path / "out" / "kernel_correlation.parquet").set_index("network")["correlation"]
    assert set(table.index) == {"trained", "untrained", "permuted"}
    np.testing.assert_array_equal(table["trained"], table["permuted"])  # here it is the same network
