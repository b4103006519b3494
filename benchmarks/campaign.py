"""A campaign of many molecules with an engine that costs nothing: what batches, records, shards and manifest cost.

    python benchmarks/campaign.py benchmarks/campaign.json --folder FOLDER --molecules 10000 [--slurm]

Everything is decar's own but the engine (instant_engine.py). With --slurm the jobs go through `snakemake --profile
slurm` to the virtual cluster of the tests (three nodes on this machine), else through the local profile.
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
        "fields": {"names": ["electron_density"], "spacing_angstrom": 1.0, "box": [24, 16, 16]},
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


def run(folder: Path, on_cluster: bool) -> float:
    programs = f"{install(folder / 'bin')}:{Path(sys.executable).parent}"
    if not on_cluster:
        environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
        return snakemake(folder, environment, "--profile", str(ROOT / "profiles" / "local"))
    sys.path.insert(0, str(ROOT))
    from tests.slurm.cluster import Cluster  # noqa: PLC0415  only this needs the tests

    (folder / "cluster").mkdir()
    cluster = Cluster(folder / "cluster")
    try:
        cluster.start()
        environment = {**cluster.environment(), "OMP_NUM_THREADS": "1"}
        environment["PATH"] = f"{folder / 'bin'}:{environment['PATH']}"
        return snakemake(
            folder, environment, "--profile", str(ROOT / "profiles" / "slurm"),
            "--slurm-init-seconds-before-status-checks", "5",
        )  # fmt: skip
    finally:
        cluster.stop()


def measure(folder: Path, seconds: float) -> dict[str, object]:
    """Return the counts and times of a finished campaign."""
    plan = load_plan(next((folder / "results/campaign/plan").glob("plan-*.json")))
    manifest = pd.read_parquet(folder / plan.dataset / "manifest.parquet")
    stages: dict[str, dict[str, float]] = {}
    for stage in STAGES:
        names = plan.receipts[stage]
        receipts = pd.concat(pd.read_parquet(folder / plan.folder / stage / f"{name}.parquet") for name in names)
        jobs = [
            pd.read_csv(folder / plan.folder / "benchmarks" / stage / f"{name}.tsv", sep="\t") for name in names
        ]  # fmt: skip
        in_jobs = float(pd.concat(jobs)["s"].sum())
        computing = float(receipts["wall_seconds"].sum())
        stages[stage] = {
            "molecules": len(receipts), "failed": int((receipts["status"] == "failed").sum()), "jobs": len(names),
            "job_seconds": round(in_jobs, 1), "computing_seconds": round(computing, 1),
            "overhead_ms_a_molecule": round(1000 * (in_jobs - computing) / len(receipts), 1),
            "peak_mb": float(pd.to_numeric(pd.concat(jobs)["max_rss"], errors="coerce").max()),
        }  # fmt: skip
    files = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    files = [path for path in files if path.parts[0] in {"results", ".snakemake"}]
    places = Counter("/".join(path.parts[: 3 if path.parts[0] == "results" else 1]) for path in files)
    num = len(pd.read_csv(folder / "table.csv"))
    return {
        "molecules": num, "in_manifest": int(manifest["key"].nunique()), "seconds": round(seconds, 1),
        "molecules_a_second": round(num / seconds, 2), "stages": stages, "files": len(files),
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
    found = measure(folder, run(folder, arguments.slurm))
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
