"""Run a study on the virtual SLURM cluster of the tests, and keep what was seen of it.

    python benchmarks/cluster_study.py run FOLDER --backend pyscf --output docs/slurm
    python benchmarks/cluster_study.py compare FOLDER --output docs/slurm

`run` lays FOLDER/<backend> out like the repository (links to workflow/, slurm, examples/; a copy of config.yaml with
another quantum.backend), with results and a store of its own, and types `snakemake --profile slurm` in it. It writes
run-<backend>.md (the jobs by rule and node, the moment of `squeue` with the most jobs on the most nodes, core-hours
beside what `decar estimate` said before, the end of Snakemake's log) and jobs-<backend>.csv. `compare` writes
records.csv and records.md: the wavefunction records of both engines, molecule by molecule.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.slurm.cluster import CPUS, MEMORY_MB, NUM_NODES, Cluster  # noqa: E402  the tests are no installed package

from decar.planning.plan import load_plan, read_index  # noqa: E402
from decar.quantum.record_checks import compare  # noqa: E402
from decar.quantum.wavefunction import Wavefunction  # noqa: E402
from decar.receipt import read_receipts  # noqa: E402
from decar.store import Store  # noqa: E402

LINKS = ("workflow", "slurm", "examples")
TOP = "%.6i %.9P %.30k %.8T %.6M %.3C %.7m %N"


def lay_out(folder: Path, backend: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in LINKS:
        if not (folder / name).exists():
            (folder / name).symlink_to(ROOT / name)
    study = yaml.safe_load((ROOT / "config.yaml").read_text())
    study["quantum"]["backend"] = backend
    # A SLURM job costs Snakemake five seconds of a processor, so molecules go four at a time.
    study["workflow"]["batch_size"] = 4
    (folder / "config.yaml").write_text(yaml.safe_dump(study, sort_keys=False))


def run(folder: Path, backend: str, output: Path) -> None:
    folder = folder / backend
    lay_out(folder, backend)
    expected = estimate(folder)
    with tempfile.TemporaryDirectory(prefix="decar-slurm-") as place:
        cluster = Cluster(Path(place))
        try:
            cluster.start()
            start = time.monotonic()
            log = folder / f"snakemake-{backend}.log"
            with log.open("w") as stream:
                # The node's own code, whatever is installed: the sources beside this script.
                environment = {**cluster.environment(), "PYTHONPATH": str(ROOT / "src")}
                process = subprocess.Popen(
                    ["snakemake", "--profile", "slurm", "--slurm-init-seconds-before-status-checks", "2"],
                    cwd=folder, env=environment, stdout=stream, stderr=stream,
                )  # fmt: skip
                busiest = watch(cluster, process)
            seconds = time.monotonic() - start
            jobs = finished_jobs(cluster)
        finally:
            cluster.stop()
    output.mkdir(parents=True, exist_ok=True)
    jobs.drop(columns="job").to_csv(output / f"jobs-{backend}.csv", index=False)
    text = report(backend, process.returncode, seconds, jobs, busiest, log, core_hours(folder, expected))
    (output / f"run-{backend}.md").write_text(text)


def estimate(folder: Path) -> pd.DataFrame:
    """Return what `decar estimate` says of the study, a row a stage."""
    told = subprocess.run(
        [sys.executable, "-m", "decar.cli", "estimate", "--study", "config.yaml", "--json"],
        cwd=folder, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
    )  # fmt: skip
    return pd.DataFrame(json.loads(told.stdout)["stages"]).set_index("stage")


def core_hours(folder: Path, expected: pd.DataFrame) -> str:
    """Return a table of core-hours by stage: estimated, and as Snakemake's benchmark files have them."""
    lines = ["| stage | estimated core-hours | range | measured |", "|---|---:|---:|---:|"]
    for stage, row in expected.iterrows():
        files = list(folder.glob(f"results/*/benchmarks/{stage}/*.tsv"))
        if files:
            hours = sum(float(pd.read_csv(file, sep="\t")["cpu_time"].sum()) for file in files) / 3600
            bounds = f"{row['core_hours_low']:.3f} to {row['core_hours_high']:.3f}"
            lines.append(f"| {stage} | {row['core_hours']:.3f} | {bounds} | {hours:.3f} |")
    return "\n".join(lines)


def watch(cluster: Cluster, process: subprocess.Popen[bytes]) -> str:
    """Return the output of squeue at the moment when the most nodes, and then the most jobs, were at work."""
    best, busiest = (0, 0), ""
    while process.poll() is None:
        running = cluster.running()
        now = (len({job["nodes"] for job in running}), len(running))
        if now > best:
            best, busiest = now, cluster.client("squeue", "--states=RUNNING", f"--format={TOP}").stdout
        time.sleep(1)
    return busiest


def finished_jobs(cluster: Cluster) -> pd.DataFrame:
    lines = cluster.client("squeue", "--states=all", "--noheader", "--format=%i|%T|%N|%S|%e|%k").stdout.splitlines()
    table = pd.DataFrame([line.split("|") for line in lines], columns=["id", "state", "node", "start", "end", "rule"])
    # A comment is `rule_<name>_wildcards_<values>`; an attempt more of a job has the same one.
    table["job"] = table["rule"].str.removeprefix("rule_")
    table["rule"] = table["job"].str.split("_wildcards_").str[0]
    table["seconds"] = (pd.to_datetime(table["end"]) - pd.to_datetime(table["start"])).dt.total_seconds()
    return table


def report(backend: str, code: int, seconds: float, jobs: pd.DataFrame, busiest: str, log: Path, costs: str) -> str:
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    groups = jobs.groupby("rule", sort=False)
    rows = pd.DataFrame(
        {
            "jobs": groups.size(),
            "completed": groups["state"].agg(lambda states: (states == "COMPLETED").sum()),
            "nodes": groups["node"].agg(lambda nodes: ", ".join(sorted(set(nodes)))),
            "median seconds": groups["seconds"].median().round(0).astype(int),
        }
    )
    lines = ["| rule | " + " | ".join(rows.columns) + " |", "|---" * (len(rows.columns) + 1) + "|"]
    lines += [f"| {name} | " + " | ".join(map(str, row)) + " |" for name, row in zip(rows.index, rows.to_numpy())]
    tail = "\n".join(log.read_text().strip().splitlines()[-6:]).replace(str(log.parent), ".")
    return (
        f"# The example study on a SLURM cluster: {backend}\n\n"
        f"`snakemake --profile slurm` with config.yaml and `quantum.backend: {backend}` on {NUM_NODES} virtual nodes "
        f"({CPUS} CPUs, {MEMORY_MB} MB each) of one machine with {os.cpu_count()} cores, shared with other work at the "
        f"time; commit {commit.stdout.strip()}. Exit code {code} after {seconds / 60:.1f} minutes; {len(jobs)} SLURM "
        "jobs. Written by\n"
        f"`python benchmarks/cluster_study.py run FOLDER --backend {backend} --output docs/slurm`.\n\n"
        + "\n".join(lines)
        + f"\n\nThe moment of `squeue` with the most jobs on the most nodes:\n\n```\n{busiest.rstrip()}\n```\n\n"
        "Core-hours of the stages whose jobs are measured one by one (the processor's time, of Python, its libraries "
        f"and the engine; jobs of a batch that were tried again count once):\n\n{costs}\n\n"
        f"The end of Snakemake's log:\n\n```\n{tail}\n```\n"
    )


def compare_records(folder: Path, output: Path) -> None:
    output.mkdir(parents=True, exist_ok=True)
    records = {backend: wavefunctions(folder / backend) for backend in ("pyscf", "psi4")}
    rows = []
    for (key, name), first in records["pyscf"].items():
        second = records["psi4"].get((key, name))
        if first is None or second is None:
            status = [engine for engine, record in (("pyscf", first), ("psi4", second)) if record is None]
            rows.append({"name": name, "status": f"failed: {', '.join(status)}"})
            continue
        difference = asdict(compare(first, second))
        rows.append({"name": name, "status": "ok", "atoms": len(first.atomic_numbers), **difference})
    table = pd.DataFrame(rows).sort_values("name", ignore_index=True)
    table.to_csv(output / "records.csv", index=False, float_format="%.3e")
    write_comparison(table, output / "records.md")


def wavefunctions(folder: Path) -> dict[tuple[str, str], Wavefunction | None]:
    """Return the first wavefunction of each molecule by (key, name), None for a failure."""
    os.chdir(folder)  # the paths of a plan begin at the folder from which Snakemake was started
    plan = load_plan(max(Path("results/tastants/plan").glob("plan-*.json"), key=lambda path: path.stat().st_mtime))
    names = read_index(plan).drop_duplicates("key").set_index("key")["name"]
    rows = read_receipts(
        [Path(plan.folder) / "wavefunction" / f"{name}.parquet" for name in plan.receipts["wavefunction"]]
    )
    store, found = Store(Path("results/store")), {}
    for row in rows.to_dict("records"):
        record = store.load("wavefunction", row["key"], row["recipe"]) if row["status"] == "ok" else None
        found[row["key"], str(names[row["key"]])] = (
            Wavefunction.from_record(record.arrays, record.metadata["conformers"][0], "0/") if record else None
        )
    return found


def write_comparison(table: pd.DataFrame, path: Path) -> None:
    sound = table.loc[table["status"] == "ok"]
    columns = {
        "energy_hartree": "energy [Eh]",
        "dipole_e_bohr": "dipole [e bohr]",
        "orbital_energy_hartree": "orbital energies [Eh]",
        "density_l1": "density (L1)",
    }
    lines = ["| molecule | atoms | " + " | ".join(columns.values()) + " |", "|---" * (len(columns) + 2) + "|"]
    for row in table.to_dict("records"):
        numbers = [f"{row[name]:.1e}" for name in columns] if row["status"] == "ok" else [row["status"], "", "", ""]
        atoms = int(row["atoms"]) if row["status"] == "ok" else ""
        lines.append(f"| {row['name']} | {atoms} | " + " | ".join(numbers) + " |")
    largest = [f"{sound[name].max():.1e}" for name in columns]
    lines.append("| **largest** | | " + " | ".join(largest) + " |")
    path.write_text(
        "# The wavefunction records of both engines\n\n"
        f"{len(sound)} molecules of config.yaml, B3LYP/6-31G* (Cartesian d) on the same GFN2-xTB geometries, computed "
        "on the virtual SLURM cluster by PySCF and by Psi4. Differences of what is unique in a wavefunction; the "
        "density is compared on an atom-centred quadrature: the integral of |rho_1 - rho_2| over that of rho_1.\n"
        "Written by "
        "`python benchmarks/cluster_study.py compare FOLDER --output docs/slurm`; records.csv has the same numbers.\n\n"
        + "\n".join(lines)
        + "\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=["run", "compare"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--backend", choices=["pyscf", "psi4"], default="pyscf")
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    if options.step == "run":
        run(options.folder.resolve(), options.backend, options.output.resolve())
    else:
        compare_records(options.folder.resolve(), options.output.resolve())


if __name__ == "__main__":
    main()
