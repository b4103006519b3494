"""The profile: every setting explained, nothing in it that takes the bare name away."""

from pathlib import Path

import pytest
import yaml

from tests.workflow.conftest import ROOT

PROFILE = ROOT / "profiles" / "slurm" / "profile.v9+.yaml"


def test_bare_names_lead_to_the_profiles() -> None:
    for name in ("slurm", "local"):
        assert (ROOT / name).is_symlink()
        assert (ROOT / name).resolve() == ROOT / "profiles" / name
    # profiles/default would override --profile.
    assert not (ROOT / "profiles" / "default").exists()


@pytest.mark.parametrize("name", ["slurm", "local"])
def test_every_setting_is_explained(name: str) -> None:
    lines = (ROOT / "profiles" / name / PROFILE.name).read_text().splitlines()
    for before, line in zip(["", *lines], lines):
        if line and not line.lstrip().startswith("#"):
            assert before.lstrip().startswith("#") or before.startswith("default-resources"), line


def test_no_file_beside_the_profile_is_called_like_a_value() -> None:
    """Snakemake takes a value for the path of a file beside the profile that happens to exist."""
    values = {str(value) for value in yaml.safe_load(PROFILE.read_text()).values()}
    assert {path.name for path in Path(PROFILE).parent.iterdir()} == {PROFILE.name}
    assert PROFILE.name not in values


def test_cluster_without_accounting_is_asked_by_squeue() -> None:
    profile = yaml.safe_load(PROFILE.read_text())
    assert profile["slurm-status-command"] == "squeue"
    # squeue forgets a job after MinJobAge, 300 s by default; the plugin wants three of its first pauses to fit into it.
    assert 3 * profile["slurm-init-seconds-before-status-checks"] <= 300
    # Names of partitions and accounts belong to a cluster, so none stands in the repository.
    assert [entry.split("=")[0] for entry in profile["default-resources"]] == ["runtime", "mem_mb"]
