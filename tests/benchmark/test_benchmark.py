"""The benchmark: parts that are kept, splits that nest, and tables that regenerate from the stored predictions."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from rdkit.Chem import AllChem
from rdkit.DataStructs import TanimotoSimilarity
from rdkit.ML.Cluster import Butina
from scipy.stats import t as t_distribution
from sklearn.metrics import roc_auc_score
from typer.testing import CliRunner

from decar.baselines.chemprop_program import find_chemprop
from decar.benchmark.compute import choose, compute_parts
from decar.benchmark.contenders import num_trainings
from decar.benchmark.parts import BENCHMARK_VERSION, benchmark_folder, parts_of, study_of
from decar.benchmark.permuted import permuted_line, permuted_table
from decar.benchmark.split_dataset import benchmark_splits
from decar.benchmark.write import write_tables
from decar.cli import app
from decar.config import LATER_SETTINGS, BenchmarkSettings, BenchmarkSplit, Study
from decar.dataset.clusters import butina_clusters
from decar.errors import BackendUnavailableError, ConfigError
from decar.molecules.standardise import parse
from decar.receipt import read_table
from decar.stages import STAGE_VERSION, digest
from tests.dataset.synthetic_study import make_dataset, make_study

SMILES = ["C" * n for n in range(1, 9)] + ["c1ccccc1" + "C" * n for n in range(5)] + ["OC" + "O" * n for n in range(3)]
FOLDS = {"random": {"scheme": "random", "num_folds": 3}}


def with_benchmark(study: Study, **settings: object) -> Study:
    found = BenchmarkSettings.model_validate({"splits": FOLDS, "networks": ["density"], "baselines": [], **settings})
    return study.model_copy(update={"benchmark": found})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, Path, Path]:
    folder = tmp_path_factory.mktemp("benchmark")
    study = make_study(folder, max_epochs=1)
    return study, *make_dataset(folder / "data", study, 24)


def test_every_number_regenerates_from_parts_that_are_kept(made: tuple[Study, Path, Path], tmp_path: Path) -> None:
    study, dataset, shards = made
    study = with_benchmark(study, baselines=["atom_counts", "chemprop"], chemprop_command="/no/chemprop",
                           permuted=["atom_counts"], num_seeds=1)  # fmt: skip
    said: list[str] = []
    compute_parts(study, dataset, shards, parts_of(study, dataset), said.append)
    assert sum("chemprop is left out" in line for line in said) == 1
    assert sum("done in" in line for line in said) == 9  # density, atom counts, and those on permuted labels: 3 folds
    output = study.folder / "tables"
    table = write_tables(study, dataset, output).set_index("contender")
    assert table["role"].to_dict() == {"atom_counts": "baseline", "atom_counts_permuted": "control", "density": "model"}
    assert set(pd.read_csv(output / "not_run.csv")["contender"]) == {"chemprop"}
    assert "chemprop on random" in (output / "benchmark.md").read_text()

    stored = read_table(output / "predictions.parquet")
    test = stored[(stored["contender"] == "density") & (stored["subset"] == "test")]
    assert sorted(test["key"]) == sorted(read_table(dataset / "manifest.parquet")["key"])
    assert table["auroc_pooled"]["density"] == pytest.approx(roc_auc_score(test["label"], test["prediction"]))
    by_fold = test.groupby("fold")[["label", "prediction"]].apply(lambda part: roc_auc_score(*part.T.to_numpy()))
    assert table["auroc"]["density"] == pytest.approx(by_fold.mean())
    # Labels of the test molecules stay true where those of the training molecules are permuted.
    permuted = stored[(stored["contender"] == "atom_counts_permuted") & (stored["subset"] == "test")]
    assert permuted.set_index("key")["label"].to_dict() == test.set_index("key")["label"].to_dict()
    pairs = pd.read_csv(output / "pairs.csv").set_index(["first", "second"])
    gap = table["auroc_pooled"]["atom_counts"] - table["auroc_pooled"]["density"]
    assert pairs["pooled_difference"]["atom_counts", "density"] == pytest.approx(gap, abs=1e-6)

    before = {path.name: path.read_bytes() for path in output.glob("*.csv")}
    again: list[str] = []
    compute_parts(study, dataset, shards, parts_of(study, dataset), again.append)
    assert not any("done in" in line for line in again)
    write_tables(study, dataset, output)
    assert {path.name: path.read_bytes() for path in output.glob("*.csv")} == before

    study_file = tmp_path / "study.yaml"
    study_file.write_text(yaml.safe_dump(study.model_dump(mode="json")))
    result = CliRunner().invoke(
        app, ["benchmark", "--study", str(study_file), "--dataset", str(dataset), "--tables-only"]
    )
    assert result.exit_code == 0, result.output
    assert "chemprop on random" in result.output
    written = benchmark_folder(study, dataset)
    assert (written / "benchmark.csv").read_bytes() == before["benchmark.csv"]
    assert (written / "benchmark_figure.svg").stat().st_size > 10_000


def test_another_seed_or_network_leaves_the_parts_that_are_there(made: tuple[Study, Path, Path]) -> None:
    study, dataset, _ = made
    names = {part.name for part in parts_of(with_benchmark(study), dataset)}
    more = with_benchmark(study, num_seeds=2, networks=["density", "potential"], train_shares=[0.5, 1.0])
    grown = {part.name for part in parts_of(more, dataset)}
    assert names < grown
    assert len(grown) == 3 * 2 * 2 * 2
    longer = study.model_copy(update={"training": study.training.model_copy(update={"max_epochs": 2})})
    assert names.isdisjoint(part.name for part in parts_of(with_benchmark(longer), dataset))
    # Settings that came later leave names as they were, for all that is null or empty in them.
    model = study.training.models["density"]
    described = {name: value for name, value in model.model_dump(mode="json").items() if name not in LATER_SETTINGS}
    not_identity = {"models", "threads", "nodes", "gpus_per_node", "processes_per_node"}
    common = study.training.model_dump(mode="json", exclude=not_identity)
    data = [dataset.name, study.seed, BenchmarkSplit.model_validate(FOLDS["random"]).model_dump(mode="json"), 1.0]
    content = digest([BENCHMARK_VERSION, STAGE_VERSION["evaluate"], data, [STAGE_VERSION["train"], common, described]])
    assert {name.rsplit("-", 1)[1] for name in names} == {content[:12]}
    # And as they were when this was written: whoever changes it renames what users have.
    literal = {"architecture", "augmentation", "channels", "checkpointing", "chiral", "dropout", "fields", "frozen",
               "hidden", "initial", "input", "kernel_size", "max_degree", "permuted_labels", "pooling", "role",
               "standardised", "tasks"}  # fmt: skip
    assert set(described) == literal
    with pytest.raises(ConfigError, match="no part"):
        choose(parts_of(with_benchmark(study), dataset), ["another"])


def test_an_ensemble_is_the_mean_of_its_members(made: tuple[Study, Path, Path]) -> None:
    study, dataset, shards = made
    study = with_benchmark(study, networks=[], ensembles={"density": 2})
    alone = {part.name for part in parts_of(with_benchmark(study), dataset)}
    part = parts_of(study, dataset)[0]
    assert part.contender == "density_ensemble"
    assert alone.isdisjoint(one.name for one in parts_of(study, dataset))
    compute_parts(study, dataset, shards, [part], lambda _: None)
    found, first, second = (
        read_table(part.folder / name / "predictions.parquet").set_index("key")
        for name in ("", "training", "training1")
    )
    assert (first["prediction"] != second["prediction"]).all()
    mean = (first["prediction"] + second["prediction"]) / 2
    pd.testing.assert_series_equal(found["prediction"], mean)
    assert (found["subset"] == second["subset"]).all()


def test_a_setting_that_diverges_is_not_chosen(made: tuple[Study, Path, Path]) -> None:
    study, dataset, shards = made
    study = with_benchmark(study, networks=[], tuned={"density": {"learning_rate": [1e30, 3e-3]}})
    part = parts_of(study, dataset)[0]
    compute_parts(study, dataset, shards, [part], lambda _: None)
    settings = pd.read_csv(part.folder / "settings.csv")
    assert settings["is_chosen"].tolist() == [False, True]
    assert settings["validation_auroc"].isna().tolist() == [True, False]
    study = with_benchmark(study, networks=[], tuned={"density": {"learning_rate": [1e30, 1e31]}})
    part, said = parts_of(study, dataset)[0], list[str]()
    compute_parts(study, dataset, shards, [part], said.append)
    assert "left out: training diverged" in said[-1]


def test_the_time_of_a_part_is_that_of_its_trainings(made: tuple[Study, Path, Path]) -> None:
    study = with_benchmark(made[0], baselines=["atom_counts", "tuned_chemprop"], ensembles={"density": 3},
                           tuned={"density": {"hidden": [4, 8], "learning_rate": [1e-3, 1e-2]}})  # fmt: skip
    expected = {"density": 1, "density_ensemble": 3, "tuned_density": 4, "atom_counts": 0, "tuned_chemprop": 9}
    assert {name: num_trainings(study, name) for name in expected} == expected


def test_contenders_of_one_name_are_refused(made: tuple[Study, Path, Path]) -> None:
    settings = made[0].model_dump(mode="json")
    models = settings["training"]["models"]
    models |= {"lightgbm": models["density"], "density_ensemble": models["density"]}
    for asked in ({"tuned": {"lightgbm": {"hidden": [4, 8]}}}, {"ensembles": {"density": 2}}):
        with pytest.raises(ValueError, match="two contenders"):
            Study.model_validate({**settings, "benchmark": asked})


def test_a_tuned_network_is_the_best_by_validation(made: tuple[Study, Path, Path]) -> None:
    study, dataset, shards = made
    study = with_benchmark(study, networks=[], tuned={"density": {"learning_rate": [1e-6, 3e-3], "hidden": [4, 8]}})
    study = Study.model_validate(study.model_dump(mode="json"))
    part = parts_of(study, dataset)[0]
    assert part.contender == "tuned_density"
    compute_parts(study, dataset, shards, [part], lambda _: None)
    folders = [part.folder / name for name in ("training", "training1", "training2", "training3")]
    members = [read_table(folder / "predictions.parquet") for folder in folders]
    auroc = [
        roc_auc_score(one["label"][one["subset"] == "validation"], one["prediction"][one["subset"] == "validation"])
        for one in members
    ]
    best = auroc.index(max(auroc))
    found = read_table(part.folder / "predictions.parquet")
    pd.testing.assert_series_equal(found["prediction"], members[best]["prediction"])
    settings = pd.read_csv(part.folder / "settings.csv")
    assert [json.loads(text) for text in settings["settings"]] == [
        {"learning_rate": rate, "hidden": hidden} for rate in (1e-6, 3e-3) for hidden in (4, 8)
    ]
    assert settings["validation_auroc"].tolist() == pytest.approx(auroc, abs=1e-6)
    assert settings.index[settings["is_chosen"]].tolist() == [best]
    rates = [pd.read_csv(folder / "metrics.csv")["learning_rate"].max() for folder in folders]
    assert rates == pytest.approx([1e-6, 1e-6, 3e-3, 3e-3])
    other = with_benchmark(study, networks=[], tuned={"density": {"learning_rate": [1e-6, 1e-2], "hidden": [4, 8]}})
    assert part.name not in {one.name for one in parts_of(other, dataset)}


def test_what_is_tuned_is_checked_in_the_study_file(made: tuple[Study, Path, Path]) -> None:
    settings = made[0].model_dump(mode="json")
    for wrong, said in (({"nothing": {"hidden": [4]}}, "benchmark.tuned has"),
                        ({"density": {"hiden": [4]}}, r"benchmark\.tuned\.density\.hiden"),
                        ({"density": {"hidden": [4, 0]}}, r"benchmark\.tuned\.density\.hidden.*0"),
                        ({"density": {"hidden": []}}, "hidden"),
                        ({"density": {"fields": [["electrostatic_potential"]]}}, "another network"),
                        ({"density": {"augmentation": ["continuous"]}}, "cannot turn")):  # fmt: skip
        with pytest.raises(ValueError, match=said):
            Study.model_validate({**settings, "benchmark": {"tuned": wrong}})


def test_a_fold_that_cannot_be_learned_is_named_and_the_rest_goes_on(
    made: tuple[Study, Path, Path], tmp_path: Path
) -> None:
    """All positive molecules are one group: no fold can both learn from them and be tested by them."""
    study, dataset, shards = made
    study = study.model_copy(update={"results": tmp_path})
    labels = read_table(dataset / "labels.parquet")
    year = labels.loc[labels["property"] == "sweet"].assign(property="year", kind="regression")
    copy = tmp_path / "dataset"
    shutil.copytree(dataset, copy)
    few = year["value"].where(year["value"] > 0, np.arange(len(year)) + 2.0)  # each negative one by itself
    pd.concat([labels, year.assign(value=few)]).to_parquet(copy / "labels.parquet")
    study = with_benchmark(study, splits={"year": {"scheme": "column", "column": "year", "num_folds": 3}},
                           baselines=["atom_counts"])  # fmt: skip
    said: list[str] = []
    compute_parts(study, copy, shards, parts_of(study, copy), said.append)
    assert sum("lacks a class" in line for line in said) >= 1
    assert len(list(study.folder.glob("benchmark/parts/*/predictions.parquet"))) == 6
    again: list[str] = []
    compute_parts(study, copy, shards, parts_of(study, copy), again.append)
    assert again == []
    table = write_tables(study, copy, study.folder / "tables").set_index("contender")
    assert list(table.index) == ["atom_counts"]
    splits = benchmark_splits(study, copy, study.benchmark.splits["year"], study.seed, 1.0).query("subset == 'test'")
    truth = labels.loc[labels["property"] == "sweet"].set_index("key")["value"]
    with_both = splits.groupby("fold")["key"].apply(lambda keys: truth[keys].nunique() == 2).sum()
    assert with_both < 3
    assert table["folds"]["atom_counts"] == with_both
    reasons = pd.read_csv(study.folder / "tables" / "not_run.csv").query("contender == 'density'")["reason"]
    assert reasons.str.contains("lacks a class").all()


def test_shares_nest_and_leave_the_test_molecules(made: tuple[Study, Path, Path]) -> None:
    study, dataset, _ = made
    study = with_benchmark(study)
    split = study.benchmark.splits["random"]
    whole, half, third = (benchmark_splits(study, dataset, split, 1, share) for share in (1.0, 0.5, 0.25))
    for smaller, larger in ((half, whole), (third, half)):
        joined = smaller.merge(larger, on=["fold", "key"], suffixes=("", "_larger"))
        assert len(joined) == len(smaller)
        assert (joined["subset"] == joined["subset_larger"]).all()
        assert (smaller["subset"] == "test").sum() == (larger["subset"] == "test").sum()
    learned = read_table(dataset / "labels.parquet").set_index("key")["value"]

    def count(splits: pd.DataFrame) -> pd.Series:
        train = splits[splits["subset"] == "train"]
        return train.groupby(["fold", train["key"].map(learned)]).size()

    assert (count(half) == (0.5 * count(whole)).round()).all()
    assert (count(third) == (0.25 * count(whole)).round()).all()


def test_clusters_and_the_values_of_a_column_stay_on_one_side(made: tuple[Study, Path, Path], tmp_path: Path) -> None:
    study, dataset, _ = made
    study = with_benchmark(study)
    molecules = read_table(dataset / "molecules.parquet")
    labels = read_table(dataset / "labels.parquet")
    decade = pd.DataFrame({
        "key": molecules["key"], "property": "decade", "value": (molecules["num_heavy_atoms"] // 3).astype(float),
    })  # fmt: skip
    for name, table in (("molecules", molecules), ("manifest", read_table(dataset / "manifest.parquet"))):
        table.to_parquet(tmp_path / f"{name}.parquet")
    pd.concat([labels, decade]).to_parquet(tmp_path / "labels.parquet")
    column = BenchmarkSplit(scheme="column", column="decade", num_folds=3)
    cluster = BenchmarkSplit(scheme="cluster", num_folds=3, cluster_distance=0.5)
    ordered = molecules.sort_values("key")
    clusters = dict(zip(ordered["key"], butina_clusters(list(ordered["smiles"]), 0.5)))
    assert 3 < len(set(clusters.values())) < len(clusters)
    for split, group in ((column, decade.set_index("key")["value"].to_dict()), (cluster, clusters)):
        found = benchmark_splits(study, tmp_path, split, study.seed, 1.0)
        assert found.assign(group=found["key"].map(group)).groupby(["fold", "group"])["subset"].nunique().max() == 1


def test_clusters_are_those_of_rdkit() -> None:
    prints = [AllChem.GetMorganFingerprintAsBitVect(parse(text), 2, 2048) for text in SMILES]
    far = [1 - TanimotoSimilarity(prints[i], prints[j]) for i in range(len(prints)) for j in range(i)]
    expected = sorted(tuple(sorted(found)) for found in Butina.ClusterData(far, len(prints), 0.6, isDistData=True))
    cluster = butina_clusters(SMILES, 0.6)
    found = sorted(tuple(np.flatnonzero(cluster == number).tolist()) for number in set(cluster.tolist()))
    sizes = sorted(map(len, found)), sorted(map(len, expected))
    assert sizes[0] == sizes[1]  # ties are broken in another order
    assert 1 < len(found) < len(SMILES)


def test_a_part_is_one_process_on_one_gpu_where_the_study_trains_on_many(made: tuple[Study, Path, Path]) -> None:
    study, dataset, _ = made
    for gpus in (0, 4):
        many = {"nodes": 2, "gpus_per_node": gpus, "processes_per_node": 4}
        wide = study.model_copy(update={"training": study.training.model_copy(update=many)})
        own = study_of(wide, parts_of(with_benchmark(wide), dataset)[0]).training
        assert (own.nodes, own.processes_per_node, own.gpus_per_node) == (1, 1, min(1, gpus))


def test_permuted_labels_must_give_a_coin(made: tuple[Study, Path, Path]) -> None:
    values = {"a_permuted": [0.4, 0.5, 0.65], "b_permuted": [0.6, 0.61, 0.66], "c": [0.9, 0.9, 0.8],
              "d_permuted": [0.5, np.nan, np.nan]}  # fmt: skip
    folds = pd.DataFrame([
        {"contender": name, "split": "s", "share": 1.0, "seed": 0, "fold": fold, "auroc": value}
        for name, row in values.items() for fold, value in enumerate(row)
    ])  # fmt: skip
    found = permuted_table(made[0], folds).set_index("contender")
    assert found["is_a_coin"].to_dict() == {"a_permuted": True, "b_permuted": False, "d_permuted": False}
    low, high = t_distribution.interval(0.95, 2, loc=0.5167, scale=np.std(values["a_permuted"], ddof=1) / 3**0.5)
    assert found.loc["a_permuted", ["low", "high"]].tolist() == pytest.approx([low, high], abs=1e-4)
    said = [permuted_line(row) for row in found.reset_index().itertuples()]
    assert ["not shown" in line for line in said] == [False, True, False]
    assert "too few" in said[2]


def test_chemprop_that_is_not_there_says_how_to_get_it() -> None:
    with pytest.raises(BackendUnavailableError, match="pip install chemprop"):
        find_chemprop("/no/chemprop")


def test_settings_that_contradict_the_study_are_refused(made: tuple[Study, Path, Path]) -> None:
    settings = made[0].model_dump(mode="json")
    for wrong in ({"networks": ["nothing"]}, {"permuted": ["nothing"]},
                  {"splits": {"year": {"scheme": "column", "column": "year"}}}):  # fmt: skip
        with pytest.raises(ValueError, match=r"benchmark\."):
            Study.model_validate({**settings, "benchmark": wrong})
    assert math.isclose(BenchmarkSettings().splits["cluster"].cluster_distance, 0.6)
