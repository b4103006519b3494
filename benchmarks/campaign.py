"""A campaign of many molecules with an engine that costs nothing: what batches, records, shards and manifest cost.

    python benchmarks/campaign.py benchmarks/campaign.json --folder FOLDER --molecules 10000 [--slurm]

Everything is decar's own but the engine (instant_engine.py). With --slurm the jobs go through `snakemake --profile
slurm` to the virtual cluster of the tests (three nodes on this machine), else through the local profile. The seconds of
jobs are then SLURM's, of every attempt, since a job that is tried again finds the records of the first one.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections import Counter
from itertools import combinations_with_replacement, product
from pathlib import Path

import pandas as pd
import yaml
from instant_engine import install

from decar.atomic import write_text
from decar.planning.frozen import load_plan
from decar.provenance import provenance

ROOT = Path(__file__).resolve().parents[1]
SUBSTITUENTS = ("", "(F)", "(Cl)", "(O)", "(C#N)")  # two on each of three carbons, in any order
ENDS = ("N", "S", "OC", "CC")
STAGES = ("conformers", "optimise", "wavefunction", "fields")


def write_molecules(path: Path, count: int) -> None:
    """Write small substituted pentynes: 15^3 x 4 of them, all different, of 16 atoms on average."""
    pairs = [a + b for a, b in combinations_with_replacement(SUBSTITUENTS, 2)]
    lines = ["id,name,smiles,active\n"]
    for number, (end, *carbons) in zip(range(count), product(ENDS, pairs, pairs, pairs), strict=False):
        smiles = "C#C" + "".join(f"C{pair}" for pair in carbons) + end
        lines.append(f"m{number},pentyne {number},{smiles},{number % 2}\n")
    path.write_text("".join(lines), encoding="utf-8")


def study(batch_size: int) -> dict[str, object]:
    return {
        "study": "campaign",
        "molecules": {"table": "table.csv", "labels": {"active": {"column": "active"}}},
        "conformers": {"num_embeddings": 1, "ranking": "mmff", "num_ranked": 1},
        "optimise": {"methods": []},
        "quantum": {"method": "hf", "basis": "sto-3g", "fitting_basis": None},
        # The coarsest box that holds the molecules: it is the rest of the work that is measured.
        "fields": {"names": ["electron_density"], "spacing_angstrom": 2.0, "box": [16, 8, 8]},
        "dataset": {"num_shards": 16},
        "training": {"property": "active", "models": {"decar": {}}},
        "interpret": {"model": "decar"},
        "figures": {"example": "m0"},
        "workflow": {"batch_size": batch_size},
    }


def snakemake(folder: Path, environment: dict[str, str], *arguments: str) -> float:
    """Run the workflow to the manifest; return its seconds."""
    command = [
        sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "workflow" / "Snakefile"), *arguments, "dataset"
    ]  # fmt: skip
    start = time.perf_counter()
    with (folder / "snakemake.out").open("w", encoding="utf-8") as output:
        done = subprocess.run(command, cwd=folder, env=environment, stdout=output, stderr=output, check=False)
    if done.returncode:
        raise RuntimeError((folder / "snakemake.out").read_text(encoding="utf-8")[-4000:])
    return time.perf_counter() - start


def run(folder: Path, on_cluster: bool) -> tuple[float, pd.DataFrame]:
    """Return the seconds of the workflow, and its SLURM jobs: rule, job, node, state, seconds."""
    programs = f"{install(folder / 'bin')}:{Path(sys.executable).parent}"
    if not on_cluster:
        environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
        return snakemake(folder, environment, "--profile", str(ROOT / "profiles" / "local")), pd.DataFrame()
    from cluster_study import Cluster, finished_jobs  # noqa: PLC0415  only this needs the tests

    (folder / "cluster").mkdir()
    cluster = Cluster(folder / "cluster")
    try:
        cluster.start()
        environment = {**cluster.environment(), "OMP_NUM_THREADS": "1"}
        environment["PATH"] = f"{folder / 'bin'}:{environment['PATH']}"
        seconds = snakemake(
            folder, environment, "--profile", str(ROOT / "profiles" / "slurm"),
            "--slurm-init-seconds-before-status-checks", "5",
        )  # fmt: skip
        return seconds, finished_jobs(cluster)
    finally:
        cluster.stop()


def attempts(jobs: pd.DataFrame) -> dict[str, object]:
    """Return how SLURM's jobs of one rule, or of all, fared."""
    if jobs.empty:
        return {}
    tries = jobs.groupby("job").size()
    return {
        "attempts": len(jobs), "retried": int((tries > 1).sum()), "most_attempts": int(tries.max()),
        "states": jobs["state"].value_counts().to_dict(), "by_node": jobs["node"].value_counts().to_dict(),
    }  # fmt: skip


def measure(folder: Path, seconds: float, slurm_jobs: pd.DataFrame) -> dict[str, object]:
    """Return the counts and times of a finished campaign."""
    plan = load_plan(next((folder / "results/campaign/plan").glob("plan-*.json")))
    manifest = pd.read_parquet(folder / plan.dataset / "manifest.parquet")
    stages: dict[str, dict[str, object]] = {}
    for stage in STAGES:
        names = plan.receipts[stage]
        receipts = pd.concat(pd.read_parquet(folder / plan.folder / stage / f"{name}.parquet") for name in names)
        jobs = [
            pd.read_csv(folder / plan.folder / "benchmarks" / stage / f"{name}.tsv", sep="\t") for name in names
        ]  # fmt: skip
        tried = slurm_jobs.loc[slurm_jobs["rule"] == stage] if len(slurm_jobs) else slurm_jobs
        in_jobs = float(tried["seconds"].sum() if len(tried) else pd.concat(jobs)["s"].sum())
        computing = float(receipts["wall_seconds"].sum())
        stages[stage] = {
            "molecules": len(receipts), "failed": int((receipts["status"] == "failed").sum()), "jobs": len(names),
            "job_seconds": round(in_jobs, 1), "computing_seconds": round(computing, 1),
            "overhead_ms_a_molecule": round(1000 * (in_jobs - computing) / len(receipts), 1),
            "peak_mb": float(pd.to_numeric(pd.concat(jobs)["max_rss"], errors="coerce").max()), **attempts(tried),
        }  # fmt: skip
    files = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    files = [path for path in files if path.parts[0] in {"results", ".snakemake"}]
    places = Counter("/".join(path.parts[: 3 if path.parts[0] == "results" else 1]) for path in files)
    num = len(pd.read_csv(folder / "table.csv"))
    return {
        "molecules": num, "in_manifest": int(manifest["key"].nunique()), "seconds": round(seconds, 1),
        "molecules_a_second": round(num / seconds, 2), "slurm": attempts(slurm_jobs), "stages": stages,
        "files": len(files),
        "files_a_molecule": round(len(files) / num, 4), "files_by_place": dict(sorted(places.items())),
        "megabytes": round(sum((folder / path).stat().st_size for path in files) / 1e6, 1),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("--folder", type=Path, required=True, help="an empty folder for the campaign")
    parser.add_argument("--molecules", type=int, default=10_000)
    parser.add_argument("--batch-size", type=int, default=500)
    parser.add_argument("--slurm", action="store_true", help="on the virtual cluster of the tests")
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    write_molecules(folder / "table.csv", arguments.molecules)
    write_text(folder / "config.yaml", yaml.safe_dump(study(arguments.batch_size)))
    load = os.getloadavg()[1]
    found = measure(folder, *run(folder, arguments.slurm))
    report = {
        "command": f"python benchmarks/campaign.py benchmarks/campaign.json --folder FOLDER --molecules "
        f"{arguments.molecules} --batch-size {arguments.batch_size}{' --slurm' if arguments.slurm else ''}",
        **found,
        "peak_mb_of_any_process": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024),
        "load_average_before": round(load, 1), "cores": os.cpu_count(),
        "provenance": provenance("snakemake", "h5py", "pyscf", "rdkit"),
    }  # fmt: skip
    write_text(arguments.output, json.dumps(report, indent=1) + "\n")
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
