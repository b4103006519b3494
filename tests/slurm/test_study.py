"""`snakemake --profile slurm` on a real cluster: the small study with each engine, to networks trained on two nodes."""

from pathlib import Path

import pandas as pd
import pytest

from decar.planning.plan import load_plan
from decar.receipt import read_receipts
from decar.store import Store
from tests.workflow.conftest import STUDY

from .cluster import Cluster
from .conftest import Campaign, Watch, make_campaign

pytestmark = [pytest.mark.slurm, pytest.mark.slow, pytest.mark.xdist_group("slurm")]
NETWORK = {name: model for name, model in STUDY["training"]["models"].items() if name == "decar"}


@pytest.fixture(scope="module")
def campaign(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    campaign = make_campaign(cluster, tmp_path_factory.mktemp("campaign") / "study")
    campaign.configure(
        dataset={"num_shards": 1},
        # Each node runs torchrun, which starts two processes there: four in all, which meet over gloo.
        training={"models": NETWORK, "max_epochs": 1, "nodes": 2, "processes_per_node": 2},
    )
    return campaign


@pytest.mark.parametrize("backend", ["pyscf", pytest.param("psi4", marks=pytest.mark.psi4)])
def test_every_molecule_gets_its_wavefunction_on_several_nodes(
    campaign: Campaign, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing but `quantum.backend` tells the engines apart; the second one finds the geometries of the first."""
    campaign.configure(quantum={"backend": backend})
    with Watch(campaign.cluster) as watch:
        campaign.finish(campaign.start("wavefunctions"))
    assert watch.most_nodes() >= 2
    monkeypatch.chdir(campaign.folder)
    plan = max(Path("results/small/plan").glob("plan-*.json"), key=lambda path: path.stat().st_mtime)
    receipts = [Path(f"results/small/wavefunction/{name}.parquet") for name in load_plan(plan).receipts["wavefunction"]]
    rows = read_receipts(receipts)
    sound = rows.loc[rows["status"] == "ok"]
    assert len(sound) == 6
    assert rows.loc[rows["status"] == "failed", "reason"].tolist() == ["element_without_basis"]
    store = Store(Path("results/store"))
    for key, recipe in zip(sound["key"], sound["recipe"]):
        assert store.load("wavefunction", key, recipe).provenance["engine"]["name"] == backend


def test_networks_are_trained_on_two_nodes(campaign: Campaign) -> None:
    """srun starts torchrun on two nodes; they find each other, and every molecule is predicted once."""
    campaign.configure(quantum={"backend": "pyscf"})
    with Watch(campaign.cluster) as watch:
        campaign.finish(campaign.start("--until", "train"))
    trained = [job for job in campaign.cluster.jobs() if job["comment"].startswith("rule_train")]
    assert len(trained) == 2
    for job in trained:
        assert job["state"] == "COMPLETED"
        shape = campaign.cluster.client("scontrol", "show", "job", job["id"]).stdout
        assert "NumNodes=2 NumCPUs=4 NumTasks=2 CPUs/Task=2" in shape
    assert watch.seen
    logs = sorted((campaign.folder / "results/small/logs/train").glob("*.log"))
    assert len(logs) == 2
    for log in logs:
        text = log.read_text()
        assert "--nnodes 2 --node-rank 0 --master-addr 127.0.0.1" in text
        assert "--nnodes 2 --node-rank 1 --master-addr 127.0.0.1" in text
    tables = [pd.read_parquet(path) for path in campaign.folder.glob("results/small/models/*/predictions.parquet")]
    assert len(tables) == 2
    for table in tables:
        assert sorted(table["key"]) == sorted(set(table["key"]))
        assert len(table) == 6
