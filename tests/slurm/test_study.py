"""`snakemake --profile slurm` on a real cluster: the small study with each engine, to networks trained on two nodes."""

import re
from pathlib import Path

import pandas as pd
import pytest

from decar.config_file import load_study
from decar.planning.plan import load_plan, make_plan
from decar.receipt import read_receipts
from decar.store import Store
from tests.docs.commands import Line
from tests.workflow.conftest import ROOT, STUDY

from .cluster import Cluster
from .conftest import Campaign, Watch, make_campaign

pytestmark = [pytest.mark.slurm, pytest.mark.slow]
# What stands in the profile's block of the user's cluster, and what the test cluster has.
HERE = {"standard": "night", "avx512": "fast", "gpu": "cards", "a100": "fake", "nvlink": "linked"}
NETWORK = {name: model for name, model in STUDY["training"]["models"].items() if name == "decar"}


def use_profile(folder: Path, uncommented: str) -> None:
    """Give a study a copy of the profile in which the lines that match are uncommented and name what is here."""
    text = (ROOT / "profiles/slurm/profile.v9+.yaml").read_text()
    text, number = re.subn(rf"^( *)# (?=(?:{uncommented}))", r"\1", text, flags=re.MULTILINE)
    assert number == uncommented.count("|") + 1
    for theirs, ours in HERE.items():
        text = text.replace(f'="{theirs}"', f'="{ours}"')
    if (folder / "slurm").is_symlink():
        (folder / "slurm").unlink()
    (folder / "slurm").mkdir(exist_ok=True)
    (folder / "slurm" / "profile.v9+.yaml").write_text(text)


@pytest.fixture(scope="module")
def campaign(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    campaign = make_campaign(cluster, tmp_path_factory.mktemp("campaign") / "study")
    use_profile(campaign.folder, "- slurm_partition|- constraint")
    campaign.configure(
        dataset={"num_shards": 1},
        # Each of two nodes runs torchrun, which starts a process there; they meet over gloo.
        training={"models": NETWORK, "max_epochs": 1, "nodes": 2},
    )
    return campaign


@pytest.mark.parametrize("backend", ["pyscf", pytest.param("psi4", marks=pytest.mark.psi4)])
def test_every_molecule_gets_its_wavefunction_on_several_nodes(
    campaign: Campaign, backend: str, monkeypatch: pytest.MonkeyPatch, documented: list[Line]
) -> None:
    """Nothing but `quantum.backend` tells the engines apart; the second one finds the geometries of the first."""
    campaign.configure(quantum={"backend": backend})
    start, look = (line.filled({}) for line in documented)
    with Watch(campaign.cluster) as watch:
        process = campaign.typed(start)
        client = campaign.cluster.client
        campaign.cluster.wait_for(lambda: " rule_wavefunction_" in client(*look).stdout, 200, "squeue shows no rule")
        campaign.finish(process)
    assert watch.most_nodes() >= 2
    # The profile says where to: another partition than the cluster's own choice, nodes with a feature.
    jobs = campaign.cluster.client("scontrol", "show", "job").stdout.split("\n\n")
    ours = [job for job in jobs if f"WorkDir={campaign.folder}" in job]
    assert len(ours) >= 6
    assert all("Partition=night " in job and "Features=fast " in job for job in ours)
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


def test_network_is_trained_on_two_nodes(campaign: Campaign, monkeypatch: pytest.MonkeyPatch) -> None:
    """srun starts torchrun on two nodes; they find each other, and every molecule is predicted once."""
    campaign.configure(quantum={"backend": "pyscf"})
    monkeypatch.chdir(campaign.folder)
    study = Path("config.yaml")
    predictions = Path(load_plan(make_plan(study, load_study(study))).training[0].folder) / "predictions.parquet"
    campaign.finish(campaign.start(str(predictions)))
    (job,) = [job for job in campaign.cluster.jobs() if job["comment"].startswith("rule_train")]
    assert job["state"] == "COMPLETED"
    shape = campaign.cluster.client("scontrol", "show", "job", job["id"]).stdout
    assert "NumNodes=2 NumCPUs=2 NumTasks=2 CPUs/Task=1" in shape
    (log,) = Path("results/small/logs/train").glob("*.log")
    text = log.read_text()
    for rank in (0, 1):
        assert f"--nnodes 2 --node-rank {rank} --master-addr 127.0.0.1" in text
    table = pd.read_parquet(predictions)
    assert len(table) == table["key"].nunique() == 6


def test_training_goes_where_the_cards_are(campaign: Campaign, monkeypatch: pytest.MonkeyPatch) -> None:
    """Partition, feature and model of the card reach SLURM, which grants the card; no program uses it."""
    campaign.configure(training={"models": NETWORK, "max_epochs": 1, "nodes": 1})
    use_profile(
        campaign.folder, "- slurm_partition|- constraint|set-resources|  - train:slurm|  - train:gpu|  - train:c"
    )
    monkeypatch.chdir(campaign.folder)
    study = Path("config.yaml")
    predictions = Path(load_plan(make_plan(study, load_study(study))).training[1].folder) / "predictions.parquet"
    campaign.finish(campaign.start(str(predictions)))
    job = [job for job in campaign.cluster.jobs() if job["comment"].startswith("rule_train")][-1]
    assert (job["state"], job["nodes"]) == ("COMPLETED", campaign.cluster.nodes[-1])
    shape = campaign.cluster.client("scontrol", "show", "job", job["id"]).stdout
    assert "Partition=cards " in shape
    assert "Features=linked " in shape
    assert "TresPerJob=gres:gpu:fake:1\n" in shape
