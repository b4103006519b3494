"""A small study that is real at every stage: six molecules, STO-3G, a coarse grid."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
TABLE = """\
id,name,smiles,sweet
glycol,ethylene glycol,OCCO,1
methanol,methanol,CO,0
glycolaldehyde,glycolaldehyde,OCC=O,1
formamide,formamide,NC=O,0
acetamide,acetamide,CC(N)=O,1
acetic,acetic acid,CC(O)=O,1
broken,never closed ring,C1CC,0
lead,lead acetate,CC(=O)O[Pb]OC(C)=O,1
"""
STUDY = {
    "study": "small",
    "molecules": {"table": "table.csv", "labels": {"sweet": {"column": "sweet"}}},
    "conformers": {"num_embeddings": 3, "ranking": "mmff"},
    "quantum": {"basis": "sto-3g", "quadrature_level": 1},
    "fields": {"spacing_angstrom": 0.6, "padding_angstrom": 2.5},
    "dataset": {"num_shards": 2, "splits": [{"scheme": "random", "num_folds": 2}]},
    "training": {
        "property": "sweet",
        "models": {
            "decar": {"channels": [2, 4, 4], "kernel_size": 3, "hidden": 4},
            "control": {
                "channels": [2, 4, 4],
                "kernel_size": 3,
                "hidden": 4,
                "fields": ["promolecular_density"],
                "input": "rendered",
                "augmentation": "continuous",
                "role": "control",
            },
        },
        "max_epochs": 2,
        "batch_size": 4,
    },
    "evaluate": {"num_bootstrap": 50},
    "interpret": {"model": "decar", "rotations": 6},
    "attribution": {"num_molecules": 3, "num_steps": 48, "num_rotations": 2},
    "figures": {"example": "glycol", "positive_name": "sweet", "negative_name": "not sweet"},
    "workflow": {"max_failed_share": 0.5},
}


@dataclass(frozen=True)
class Workspace:
    """A folder in which a user works."""

    folder: Path

    @property
    def table(self) -> Path:
        return self.folder / "table.csv"

    def study(self) -> dict:
        return yaml.safe_load((self.folder / "config.yaml").read_text())

    def write_study(self, study: dict) -> None:
        (self.folder / "config.yaml").write_text(yaml.safe_dump(study))

    def command(self, *arguments: str) -> list[str]:
        return [
            sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "workflow" / "Snakefile"),
            "--profile", str(ROOT / "profiles" / "local"), "--cores", "2", *arguments,
        ]  # fmt: skip

    def environment(self) -> dict[str, str]:
        return {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}

    def run(self, *arguments: str, check: bool = True) -> str:
        return self.typed(self.command(*arguments), check)

    def typed(self, command: Sequence[str], check: bool = True) -> str:
        """Run a command as somebody types it here; return what it says."""
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        logs = "".join(f"\n== {log}\n{log.read_text()[-2000:]}" for log in self.folder.glob("results/*/logs/**/*.log"))
        assert not check or done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-6000:]}{logs[-8000:]}"
        return done.stdout + done.stderr

    def planned(self, *arguments: str) -> dict[str, int]:
        """Return the number of jobs of each rule that a dry run would start."""
        return jobs_in(self.run(*arguments, "--dry-run", "--quiet", "rules"))


def jobs_in(output: str) -> dict[str, int]:
    """Return the number of jobs of each rule from what Snakemake says of them."""
    found = re.findall(r"^(\w+) +(\d+)$", output, flags=re.MULTILINE)
    return {rule: int(number) for rule, number in found if rule != "total"}


def make_workspace(folder: Path) -> Workspace:
    """Lay a folder out like the repository, for the small study."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("workflow", "local", "slurm"):
        (folder / name).symlink_to(ROOT / name)
    workspace = Workspace(folder)
    workspace.table.write_text(TABLE)
    workspace.write_study(STUDY)
    return workspace


@pytest.fixture
def fresh(tmp_path: Path) -> Workspace:
    return make_workspace(tmp_path / "fresh")


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The small study, run once to its end; tests must not change it."""
    workspace = make_workspace(tmp_path_factory.mktemp("finished"))
    workspace.write_study({**STUDY, "attribution": {**STUDY["attribution"], "num_seeds": 2}})
    workspace.run()
    return workspace


@pytest.fixture
def copied(finished: Workspace, tmp_path: Path) -> Callable[[], Workspace]:
    """Return a function that copies the finished study; the memory of Snakemake stays behind."""

    def copy() -> Workspace:
        folder = tmp_path / "copied"
        shutil.copytree(finished.folder, folder, symlinks=True, ignore=shutil.ignore_patterns(".snakemake"))
        return Workspace(folder)

    return copy
