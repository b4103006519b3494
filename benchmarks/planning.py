"""What planning costs: 10^3 to 10^6 synthetic molecules, with a cold index, with a warm one, after an edit of a row.

    python benchmarks/planning.py benchmarks/planning.json --folder /tmp/planning 1000 10000 100000 1000000

With `--stand-in N` tables of N molecules and more get an index of stand-ins (hashes in place of InChI keys), since a
million real ones take twenty minutes of a core; the plan itself does the same with either. Their formulas are counted
from the parts of each molecule; in every third one an atom is exchanged, so that a million have
sixty thousand.

Each figure is of one `snakemake -n` of the study below, as a user would type it: seconds on the clock and of the
processor, the largest resident set of the main process, and the largest sum of those of all its processes (pages that
two of them share count twice). `job`: what parsing the Snakefile costs every job of a cluster.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from rdkit import Chem
from rdkit.Chem.rdMolDescriptors import CalcMolFormula
from synthetic_table import CAPACITY, CORES, SUBSTITUENTS, parts, smiles, write

from decar.atomic import write_text
from decar.molecules.identity import KEY_VERSION
from decar.planning.cost_sizes import element_counts
from decar.planning.identify import IDENTITY, identify_row
from decar.planning.known_rows import PART, SCHEMA
from decar.provenance import provenance
from decar.stages import STAGE_VERSION, digest

ROOT = Path(__file__).resolve().parents[1]
BATCH_SIZE = 1000
# What one atom is exchanged for in every third stand-in, in turn: in, out.
EXCHANGES = (("Br", "H"), ("P", "CH"))
SAMPLE_SECONDS = 0.1  # between two looks at the memory of the processes
# What the Snakefile of a job needs beyond Snakemake itself (workflow/rules/common.smk).
JOB = """
import sys, time
start = time.perf_counter()
from pathlib import Path
from decar.config_file import load_study
from decar.figures.catalogue import figure_names
from decar.planning.frozen import load_plan
from decar.planning.lock import lock_study
from decar.training.launch import launch_command, launch_resources
plan = load_plan(Path(sys.argv[1]))
figure_names(load_study(Path(plan.study)))
print(time.perf_counter() - start)
"""


def study(num_molecules: int) -> dict[str, object]:
    return {
        "study": f"synthetic{num_molecules}",
        "molecules": {"table": "table.csv", "labels": {"active": {"column": "active"}}},
        "dataset": {"num_shards": 64},
        "training": {"property": "active", "models": {"decar": {}}},
        "interpret": {"model": "decar"},
        "figures": {"example": "m0"},
        "workflow": {"batch_size": BATCH_SIZE},
    }


def run(command: list[str], folder: Path) -> dict[str, float]:
    """Run a command; return its seconds (clock, processor) and largest resident sets: its own, all processes' [MB]."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
    start = time.perf_counter()
    with (folder / "output.txt").open("w", encoding="utf-8") as output:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT)
        tree = 0
        while not os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG):
            tree = max(tree, resident(process.pid))
            time.sleep(SAMPLE_SECONDS)
        seconds = time.perf_counter() - start
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError((folder / "output.txt").read_text(encoding="utf-8")[-4000:])
    return {
        "seconds": round(seconds, 1),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "peak_mb": round(usage.ru_maxrss / 1024),
        "tree_peak_mb": round(tree / 1024**2),
    }


def resident(pid: int) -> int:
    """Return the sum of the resident sets of a process and of those that it started [bytes]."""
    total = 0
    with suppress(psutil.NoSuchProcess):
        main = psutil.Process(pid)
        for process in (main, *main.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                total += process.memory_info().rss
    return total


def snakemake(folder: Path, *arguments: str) -> dict[str, float]:
    command = [
        sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "workflow" / "Snakefile"), "--profile",
        str(ROOT / "profiles" / "local"), "--cores", "1", "--dry-run", "--quiet", "rules", *arguments,
    ]  # fmt: skip
    found = run(command, folder)
    words = [line.split() for line in (folder / "output.txt").read_text(encoding="utf-8").splitlines()]
    found["jobs"] = next((int(pair[1]) for pair in words if len(pair) == 2 and pair[0] == "total"), 0)
    return found


def stand_in(known: Path, num_molecules: int) -> None:
    """Write known rows that nobody identified."""
    version = digest(["neutral", KEY_VERSION, STAGE_VERSION["molecules"], list(IDENTITY)])[:8]
    (known / version).mkdir(parents=True, exist_ok=True)
    for start in range(0, num_molecules, PART):
        numbers = np.arange(start, min(start + PART, num_molecules))
        rows = [_stand_in(smiles(i), formula) for i, formula in zip(numbers.tolist(), formulas(numbers), strict=True)]
        pq.write_table(pa.Table.from_pylist(rows, SCHEMA), known / version / f"{start}.parquet", compression="zstd")


def formulas(numbers: np.ndarray) -> list[str]:
    """Return the formulas of these rows of the synthetic table, an atom exchanged in every third."""
    # A hydrogen stands for what a part is bound to.
    cores = [core.format(*["[H]"] * 3) for core in CORES]
    texts = [*cores, *(f"[H]{substituent}" for substituent in SUBSTITUENTS), "BrP"]
    counts, symbols = element_counts([CalcMolFormula(Chem.MolFromSmiles(text)) for text in texts])
    hydrogen = symbols.index("H")
    core, *places = parts(numbers)
    total = counts[core] + sum(counts[len(CORES) + place] for place in places)
    total[:, hydrogen] -= 6
    for turn, (enters, leaves) in enumerate(EXCHANGES):
        change = np.zeros(len(symbols))
        change[symbols.index(enters)] += 1
        change[[symbols.index(symbol) for symbol in leaves]] -= 1
        chosen = (numbers % 3 == 2) & (numbers // 3 % len(EXCHANGES) == turn)
        is_possible = (total + change >= 0).all(axis=1)
        total[chosen & is_possible] += change
    # Hill order: carbon, hydrogen, then by the alphabet, as the symbols are.
    order = sorted(range(len(symbols)), key=lambda place: (symbols[place] != "C", symbols[place] != "H", place))
    return [
        "".join(f"{symbols[place]}{row[place] if row[place] > 1 else ''}" for place in order if row[place])
        for row in total.astype(int).tolist()
    ]


def _stand_in(text: str, formula: str) -> dict[str, object]:
    key = hashlib.sha256(text.encode()).hexdigest()
    return {
        "raw": text, "given_multiplicity": None, "status": "ok", "reason": None, "message": None, "key": key,
        "smiles": text.removesuffix(".Cl"), "charge": 0, "multiplicity": 1, "inchikey": f"{key[:14].upper()}-A-N",
        "split_group": key[:14].upper(), "scaffold": text[: len(text) * 2 // 3], "num_heavy_atoms": 28,
        "formula": formula,
    }  # fmt: skip


def identification_rate() -> dict[str, float]:
    """Return molecules a second of one core, by the clock and by the processor's time."""
    sample = [smiles(i * 1021 % CAPACITY) for i in range(2000)]
    start, spent = time.perf_counter(), time.process_time()
    for text in sample:
        identify_row("neutral", (text, None))
    return {
        "clock": round(len(sample) / (time.perf_counter() - start)),
        "processor": round(len(sample) / (time.process_time() - spent)),
    }


def measure(folder: Path, num_molecules: int, has_stand_ins: bool) -> dict[str, object]:
    plans = folder / "results" / f"synthetic{num_molecules}" / "plan"
    write(folder / "table.csv", num_molecules)
    if has_stand_ins and not plans.exists():
        stand_in(plans / "rows", num_molecules)
    write_text(folder / "config.yaml", yaml.safe_dump(study(num_molecules)))
    row: dict[str, object] = {
        "molecules": num_molecules, "has_stand_ins": has_stand_ins, "load_average": round(os.getloadavg()[0], 1)
    }  # fmt: skip
    if not plans.exists():
        cold = snakemake(folder)
        row["cold"] = cold
    for path in plans.iterdir():
        if path.name != "rows":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    row["first"] = snakemake(folder)
    row["identified_a_second"] = identification_rate()
    table = (folder / "table.csv").read_text(encoding="utf-8")
    old = f",{smiles(num_molecules // 2)},"
    if table.count(old) != 1:
        raise RuntimeError(f"{old} stands {table.count(old)} times in the table")
    write_text(folder / "table.csv", table.replace(old, ",CC(=O)Nc1ccc(OCC2CCCNC2)cc1Br,"))
    before = set(plans.glob("plan-*.json"))
    row["after_edit"] = snakemake(folder)
    plan = next(iter(set(plans.glob("plan-*.json")) - before))
    row["again"] = snakemake(folder)
    done = subprocess.run(
        [sys.executable, "-c", JOB, str(plan)], cwd=folder, capture_output=True, text=True, check=True
    )
    row["job"] = {"seconds": round(float(done.stdout), 2), "plan_kb": plan.stat().st_size // 1024}
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("sizes", type=int, nargs="+")
    parser.add_argument("--folder", type=Path, required=True, help="where tables and plans go; an index there is warm")
    parser.add_argument("--stand-in", type=int, default=CAPACITY + 1, help="smallest table with an index of stand-ins")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for size in arguments.sizes:
        rows.append(measure(arguments.folder, size, size >= arguments.stand_in))
        print(json.dumps(rows[-1]), flush=True)
        report = {
            "command": f"python benchmarks/planning.py benchmarks/planning.json --folder FOLDER --stand-in "
            f"{arguments.stand_in} {' '.join(str(size) for size in arguments.sizes)}",
            "cores": os.cpu_count(),
            "batch_size": BATCH_SIZE, "sizes": rows,
            "provenance": provenance("snakemake", "rdkit", "pandas", "pyarrow"),
        }  # fmt: skip
        write_text(arguments.output, json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
