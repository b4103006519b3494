"""The dataset folder: complete tables, honest failures, statistics of the training subset, and samples from it."""

import json
import pickle
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.data import DataLoader

from decar.dataset.assemble import assemble
from decar.dataset.normalise import FieldNormalisation, Normalisation, compress, reference_value
from decar.dataset.samples import Draw, collate
from decar.dataset.shards import write_shard
from decar.dataset.statistics import load_normalisation, voxel_moments
from decar.dataset.torch_dataset import ShardDataset
from decar.errors import ConfigError, DataFormatError
from decar.fields.registry import FIELDS as REGISTRY
from tests.dataset.synthetic_study import (
    FIELDS,
    fields_record,
    key_of,
    make_dataset,
    make_study,
    make_tables,
    write_tables,
)  # fmt: skip

FIELD = ("electron_density",)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("dataset")
    return make_dataset(folder, make_study(folder), 12, num_conformers=2)


def test_tables(folders: tuple[Path, Path]) -> None:
    dataset, _ = folders
    manifest = pd.read_parquet(dataset / "manifest.parquet")
    assert len(manifest) == 24
    assert set(pd.read_parquet(dataset / "splits.parquet")["key"]) == set(manifest["key"])
    assert not any(name.startswith("label:") for name in pd.read_parquet(dataset / "molecules.parquet"))
    assert pd.read_csv(dataset / "failures.csv").empty


def test_statistics_are_of_the_training_subset(folders: tuple[Path, Path]) -> None:
    dataset, _ = folders
    splits = pd.read_parquet(dataset / "splits.parquet")
    content = json.loads((dataset / "statistics.json").read_text())
    values = {}
    for fold in range(3):
        chosen = set(splits.loc[(splits["fold"] == fold) & (splits["subset"] == "train"), "key"])
        numbers = [number for number in range(12) if key_of(number) in chosen]
        arrays = [fields_record(n, n % 2, 2).arrays[f"{c}/electron_density"] for n in numbers for c in range(2)]
        joined = np.log1p(np.concatenate([array.ravel() for array in arrays]).astype(float) / 1e-3)
        found = content["splits"]["random"][str(fold)]["electron_density"]
        assert found["root_mean_square"] == pytest.approx(np.sqrt((joined**2).mean()), rel=1e-6)
        assert found["mean"] == pytest.approx(joined.mean(), rel=1e-6)
        assert found["maximum"] == pytest.approx(joined.max(), rel=1e-6)
        values[fold] = found["root_mean_square"]
    assert len(set(values.values())) == 3


def test_normalised_training_voxels_have_unit_size_and_zero_vacuum(folders: tuple[Path, Path]) -> None:
    dataset, shards = folders
    fields = tuple(FIELDS)
    normalisation = load_normalisation(dataset, "random", 0, fields)
    samples = ShardDataset(dataset, shards, "random", 0, "train", fields, ("sweet",), normalisation=normalisation)
    voxels = [sample["voxels"].numpy().reshape(2, -1) for sample in (samples[i] for i in range(len(samples)))]
    np.testing.assert_allclose((np.concatenate(voxels, axis=1).astype(float) ** 2).mean(axis=1), 1.0, rtol=1e-5)
    vacuum = normalisation.apply({name: torch.zeros(1, 2, 2, 2) for name in fields})
    assert (vacuum == 0).all()
    assert Normalisation.from_json(normalisation.to_json()) == normalisation


def test_compress_is_odd_and_linear_near_zero_and_turns_with_a_vector() -> None:
    x = torch.tensor([-1.0, -1e-9, 0.0, 1e-9, 1.0], dtype=torch.float64).view(1, 5, 1, 1)
    t = compress(x, 1e-2).flatten()
    assert torch.equal(t, -t.flip(0))
    assert t[3].item() == pytest.approx(1e-7, rel=1e-6)
    assert t[4].item() == pytest.approx(np.log(101.0))
    vector = torch.tensor([0.3, -0.4, 0.0], dtype=torch.float64).view(3, 1, 1, 1)
    assert compress(vector, 1e-2).flatten().tolist() == pytest.approx([0.6 * np.log(51), -0.8 * np.log(51), 0.0])
    assert (compress(0 * vector, 1e-2) == 0).all()
    with pytest.raises(DataFormatError, match="reference value"):
        reference_value("furlong")
    assert all(reference_value(field.unit) > 0 for field in REGISTRY.values())
    assert FieldNormalisation("f", "1", 1.0, 2.0).scale == 2.0


def test_failures_are_counted_and_stop_the_run(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    index, receipts, labels = make_tables(10, failed=(3,))
    unreadable = {"row": 11, "id": "bad", "name": "bad", "raw": "C1CC", "status": "failed",
                  "reason": "unparsable_smiles", "message": "ring"}  # fmt: skip
    twin = {**index.iloc[3].to_dict(), "row": 12, "id": "twin", "status": "duplicate", "reason": "duplicate"}
    index = pd.concat([index, pd.DataFrame([unreadable, twin])], ignore_index=True)
    members = [(key_of(n), fields_record(n, n % 2)) for n in range(10) if n != 3]
    write_shard(tmp_path / "0-a.h5", members, {})
    tables = write_tables(tmp_path, index, receipts, labels)
    with pytest.raises(ConfigError, match=r"scf_not_converged \(wavefunction\): 2; unparsable_smiles \(molecules\): 1"):
        assemble(study, *tables, [tmp_path / "0-a.h5"], tmp_path / "out")
    failures = pd.read_csv(tmp_path / "out" / "failures.csv")
    assert failures["id"].tolist() == ["m3", "bad", "twin"]
    assert failures["stage"].tolist() == ["wavefunction", "molecules", "wavefunction"]
    assert not (tmp_path / "out" / "manifest.parquet").exists()

    tolerant = study.model_copy(update={"workflow": study.workflow.model_copy(update={"max_failed_share": 0.5})})
    assemble(tolerant, *tables, [tmp_path / "0-a.h5"], tmp_path / "out")
    assert key_of(3) not in set(pd.read_parquet(tmp_path / "out" / "splits.parquet")["key"])
    with pytest.raises(DataFormatError, match="same molecules"):
        assemble(study, *write_tables(tmp_path / "other", *make_tables(10)), [tmp_path / "0-a.h5"], tmp_path / "other")


def test_missing_labels_are_left_out(folders: tuple[Path, Path], tmp_path: Path) -> None:
    dataset, shards = folders
    for name in ("manifest", "splits"):
        (tmp_path / f"{name}.parquet").write_bytes((dataset / f"{name}.parquet").read_bytes())
    labels = pd.read_parquet(dataset / "labels.parquet")
    labels.loc[labels["key"] == key_of(4), "value"] = np.nan
    labels.to_parquet(tmp_path / "labels.parquet")
    keys = set(ShardDataset(tmp_path, shards, "random", 0, None, FIELD, ("sweet",)).rows["key"])
    assert keys == {key_of(n) for n in range(12) if n != 4}
    with pytest.raises(DataFormatError, match="no molecule"):
        ShardDataset(tmp_path, shards, "random", 0, None, FIELD, ("bitter",))


def test_a_molecule_with_one_of_two_labels_stays_and_lacks_the_other(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    dataset, shards = folders
    for name in ("manifest", "splits"):
        (tmp_path / f"{name}.parquet").write_bytes((dataset / f"{name}.parquet").read_bytes())
    labels = pd.read_parquet(dataset / "labels.parquet")
    second = labels.assign(property="bitter", value=labels["value"] + 2.5)
    labels.loc[labels["key"].isin([key_of(4), key_of(5)]), "value"] = np.nan
    second.loc[second["key"].isin([key_of(5), key_of(6)]), "value"] = np.nan
    pd.concat([labels, second]).to_parquet(tmp_path / "labels.parquet")
    make = partial(ShardDataset, tmp_path, shards, "random", 0, None, FIELD, ("bitter", "sweet"))
    samples = make()
    expected = {number: [number % 2 + 2.5, float(number % 2)] for number in range(12) if number != 5}
    expected[4][1] = expected[6][0] = np.nan
    for sample in samples:
        number = next(number for number in range(12) if key_of(number) == sample["key"])
        np.testing.assert_array_equal(sample["label"].numpy(), expected[number])
    batch = collate([samples[i] for i in range(len(samples))], stride=8)
    assert batch["label"].shape == (len(samples), 2)
    assert set(samples.rows["key"]) == {key_of(number) for number in expected}
    moved = make(permuted_labels=True).rows.fillna(-1)
    together = set(zip(moved["label:bitter"], moved["label:sweet"]))
    assert together == {(3.5, 1.0), (2.5, 0.0), (2.5, -1.0), (-1.0, 0.0)}  # the labels of a molecule move together


def test_samples_from_workers_and_copies_are_the_same(folders: tuple[Path, Path]) -> None:
    dataset, shards = folders
    samples = ShardDataset(dataset, shards, "random", 0, None, FIELD, ("sweet",), augmentation="rotations_6", seed=3)
    here = [samples[Draw(i, epoch=2)] for i in range(len(samples))]
    batches = [[Draw(i, epoch=2)] for i in range(len(samples))]
    loader = DataLoader(samples, batch_sampler=batches, collate_fn=partial(collate, stride=8), num_workers=1)
    for sample, batch in zip(here, loader):
        assert sample["key"] == batch["key"][0]
        assert sample["weight"] == batch["weight"].item() == 0.5
        np.testing.assert_array_equal(sample["voxels"].numpy(), batch["voxels"][0].numpy())
    copy = pickle.loads(pickle.dumps(samples))
    np.testing.assert_array_equal(copy[Draw(5, 2)]["voxels"].numpy(), here[5]["voxels"].numpy())
    assert any(samples[Draw(i, 0)]["voxels"].shape != samples[Draw(i, 1)]["voxels"].shape for i in range(len(samples)))


def test_collate_pads_with_vacuum_to_the_stride(folders: tuple[Path, Path]) -> None:
    dataset, shards = folders
    samples = ShardDataset(dataset, shards, "random", 0, None, FIELD, ("sweet",))
    chosen = [samples[Draw(i, is_counted=i > 0)] for i in range(6)]
    batch = collate(chosen, stride=16)
    assert all(size % 16 == 0 for size in batch["voxels"].shape[2:])
    for number, sample in enumerate(chosen):
        x, y, z = sample["voxels"].shape[1:]
        assert batch["mask"][number].sum() == x * y * z
        assert batch["voxels"][number].sum() == pytest.approx(sample["voxels"].sum().item(), rel=1e-4)
        assert (batch["mask"][number, 0, :x, :y, :z] == 1).all()
    assert batch["weight"].tolist() == [0.0] + [0.5] * 5


def test_permuted_labels_are_those_of_other_molecules_and_tests_stay_true(folders: tuple[Path, Path]) -> None:
    dataset, shards = folders
    make = partial(ShardDataset, dataset, shards, "random", subset=None, fields=FIELD, properties=("sweet",), seed=4)
    true, permuted = make(fold=0).rows, make(fold=0, permuted_labels=True)
    changed = (
        permuted.rows.set_index(["key", "conformer"])["label:sweet"]
        != true.set_index(["key", "conformer"])["label:sweet"]
    )
    subset = true.set_index(["key", "conformer"])["subset"]
    assert changed[subset == "train"].any()
    assert not changed[subset == "test"].any()
    assert permuted.rows.groupby("key")["label:sweet"].nunique().max() == 1  # conformers of a molecule stay together
    for name in ("train", "validation"):
        counts = [rows.loc[rows["subset"] == name, "label:sweet"].value_counts() for rows in (true, permuted.rows)]
        pd.testing.assert_series_equal(counts[0].sort_index(), counts[1].sort_index())
    assert [sample["label"].item() for sample in permuted] == list(permuted.rows["label:sweet"])
    pd.testing.assert_frame_equal(permuted.rows, make(fold=0, permuted_labels=True).rows)


def test_a_value_that_is_not_finite_is_named(tmp_path: Path) -> None:
    """When the statistics are made, and when a shard is read that was damaged since."""
    study = make_study(tmp_path)
    dataset, shards = make_dataset(tmp_path, study, 6)
    samples = ShardDataset(dataset, shards, "random", 0, None, FIELD, ("sweet",))
    row = samples.rows.iloc[0]
    with h5py.File(shards / row["shard"], "r+") as file:
        file[f"{row['path']}/{FIELD[0]}"][0, 1, 2, 3] = np.nan
    samples[1]
    with pytest.raises(DataFormatError, match=rf"(?s){row['path']}.*electron_density: 1 voxels"):
        samples[0]
    manifest = pd.read_parquet(dataset / "manifest.parquet")
    with pytest.raises(DataFormatError, match=rf"(?s){row['path']}/electron_density.*1 of \d+ voxels"):
        voxel_moments(manifest, {path.name: path for path in shards.iterdir()})
