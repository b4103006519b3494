"""What each stage costs: core-seconds and peak memory of real molecules, one thread, a fresh process each.

    python benchmarks/costs.py benchmarks/costs.json --folder /tmp/costs     # half an hour on one core
    python benchmarks/costs_steps.py benchmarks/costs_steps.json             # ten minutes
    python benchmarks/costs_fit.py benchmarks/costs.json benchmarks/costs_steps.json \\
        src/decar/planning/cost_constants.json /tmp/costs                    # seconds

The first goes on where it was stopped: each case is written when it is done. Core-seconds are those of the process
(user and system), so that other work on the machine does not count; the memory is the largest resident set of the
process, libraries included, which is what a scheduler counts.
"""

import hashlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from decar.atomic import write_text
from decar.batch import Molecule
from decar.config import Study
from decar.provenance import provenance
from decar.record import read_record, write_record
from decar.threads import set_threads

# From 5 to 79 atoms, with second-row elements and halogens; names as in the literature of taste.
MOLECULES = {
    "formamide": "NC=O",
    "methanol": "CO",
    "chloroform": "ClC(Cl)Cl",
    "dimethyl sulfoxide": "CS(C)=O",
    "glycine": "NCC(O)=O",
    "furfural": "O=Cc1ccco1",
    "acesulfame": "CC1=CC(=O)NS(=O)(=O)O1",
    "benzaldehyde": "O=Cc1ccccc1",
    "glycerol": "OCC(O)CO",
    "bromobenzaldehyde": "O=Cc1ccc(Br)cc1",
    "saccharin": "O=C1NS(=O)(=O)c2ccccc12",
    "vanillin": "COc1cc(C=O)ccc1O",
    "leucine": "CC(C)C[C@H](N)C(O)=O",
    "glucose": "OC[C@H]1O[C@@H](O)[C@H](O)[C@@H](O)[C@@H]1O",
    "caffeine": "Cn1cnc2c1c(=O)n(C)c(=O)n2C",
    "dulcin": "CCOc1ccc(NC(N)=O)cc1",
    "dichlorophenylurea": "NC(=O)Nc1ccc(Cl)c(Cl)c1",
    "hernandulcin": "CC(C)=CCCC(C)(O)C1CCC(C)=CC1=O",
    "aspartame": "COC(=O)[C@H](Cc1ccccc1)NC(=O)[C@@H](N)CC(O)=O",
    "sucralose": "OC[C@H]1O[C@H](O[C@]2(CCl)O[C@H](CCl)[C@@H](O)[C@@H]2O)[C@H](O)[C@@H](O)[C@H]1Cl",
    "sucrose": "OC[C@H]1O[C@H](O[C@]2(CO)O[C@H](CO)[C@@H](O)[C@@H]2O)[C@H](O)[C@@H](O)[C@@H]1O",
    "quinine": "COc1ccc2nccc([C@@H](O)[C@@H]3CC4CCN3CC4C=C)c2c1",
    "naringin": "C[C@@H]1O[C@@H](O[C@@H]2[C@@H](O)[C@H](O)[C@@H](CO)O[C@H]2Oc2cc(O)c3C(=O)C[C@H](Oc3c2)c2ccc(O)cc2)"
    "[C@H](O)[C@H](O)[C@H]1O",
}
# What takes more than ten minutes is represented by a few.
AT_MINIMAL_BASIS = (
    "formamide", "methanol", "chloroform", "glycine", "acesulfame", "vanillin", "glucose", "aspartame", "sucrose",
)  # fmt: skip
AT_DEFAULT_LEVEL = (
    "formamide", "methanol", "chloroform", "dimethyl sulfoxide", "glycine", "furfural", "acesulfame", "benzaldehyde",
    "glycerol", "bromobenzaldehyde", "vanillin", "leucine", "glucose", "dulcin", "aspartame", "sucrose",
)  # fmt: skip
VARIED: dict[str, tuple[str, ...]] = {
    "formamide": ("def2-tzvp", "exact", "hf"),
    "glycine": (),  # all of them
    "acesulfame": ("def2-svp", "quadrature 4", "exact"),
    "vanillin": ("def2-svp", "hf"),
}
LEVELS: dict[str, dict[str, Any]] = {
    "sto-3g": {"basis": "sto-3g"},
    "def2-svp": {"basis": "def2-svp", "cartesian": False},
    "def2-tzvp": {"basis": "def2-tzvp", "cartesian": False},
    "exact": {"fitting_basis": None},
    "hf": {"method": "hf"},
    "pbe": {"method": "pbe"},
    "quadrature 4": {"quadrature_level": 4},
    "solvent": {"solvent_dielectric": 78.4},
}
GRIDS: dict[str, dict[str, Any]] = {
    "density": {"names": ["electron_density"]},
    "density, float16": {"names": ["electron_density"], "storage": "float16"},
    "density, fine": {"names": ["electron_density"], "spacing_angstrom": 0.2},
    "density and promolecule": {"names": ["electron_density", "promolecular_density"]},
    "gradient": {"names": ["electron_density", "density_gradient_norm"]},
    "potential": {"names": ["electrostatic_potential"]},
    "potential, fine": {"names": ["electrostatic_potential"], "spacing_angstrom": 0.2},
    "all, float16": {
        "names": ["electron_density", "density_gradient_norm", "promolecular_density", "electrostatic_potential"],
        "storage": "float16",
    },
}


def cases() -> Iterator[dict[str, Any]]:  # noqa: PLR0912
    """Yield what is measured, cheap things first: molecule, stage, sections of the study that differ, multiplicity."""
    for name in MOLECULES:
        yield {"molecule": name, "stage": "conformers", "study": {}}
        yield {"molecule": name, "stage": "optimise", "study": {}}
    for name in ("glycine", "vanillin", "aspartame"):
        yield {"molecule": name, "stage": "conformers", "study": {"conformers": {"ranking": "mmff"}}}
        yield {"molecule": name, "stage": "optimise", "study": {"optimise": {"methods": ["mmff"]}}}
        yield {"molecule": name, "stage": "optimise", "study": {"optimise": {"solvent": "water"}}}
    for name in AT_MINIMAL_BASIS:
        yield {"molecule": name, "stage": "wavefunction", "study": {"quantum": LEVELS["sto-3g"]}}
    for name in ("formamide", "acesulfame", "glucose", "aspartame"):
        for settings in GRIDS.values():
            if name != "aspartame" or "spacing_angstrom" not in settings:
                yield {"molecule": name, "stage": "fields", "level": "sto-3g", "study": {"fields": settings}}
    for name in AT_DEFAULT_LEVEL[:-2]:
        yield {"molecule": name, "stage": "wavefunction", "study": {}}
    for name in ("glycine", "glucose"):
        for settings in GRIDS.values():
            yield {"molecule": name, "stage": "fields", "level": "default", "study": {"fields": settings}}
    for name, labels in VARIED.items():
        for label, settings in LEVELS.items():
            if label not in {"sto-3g", "solvent"} and (name == "glycine" or label in labels):
                yield {"molecule": name, "stage": "wavefunction", "study": {"quantum": settings}}
    for name in ("formamide", "glycine"):
        yield {"molecule": name, "stage": "wavefunction", "study": {"quantum": LEVELS["solvent"]}}
        yield {"molecule": name, "stage": "wavefunction", "study": {}, "multiplicity": 3}
    for name in ("methanol", "formamide"):
        settings = {"optimise": {"methods": ["gfn2-xtb", "dft"]}, "quantum": LEVELS["def2-svp"]}
        yield {"molecule": name, "stage": "optimise", "study": settings}
    for name in AT_DEFAULT_LEVEL[-2:]:
        yield {"molecule": name, "stage": "wavefunction", "study": {}}


def name_of(case: dict[str, Any]) -> str:
    """Return the name of a case, unique and stable."""
    return json.dumps(case, sort_keys=True)


def study_of(changes: dict[str, Any]) -> Any:
    base: dict[str, Any] = {
        "study": "costs",
        "molecules": {"table": "none.csv", "labels": {"sweet": {"column": "sweet"}}},
        "fields": {"names": ["electron_density"]},
        "training": {"property": "sweet", "models": {"decar": {}}},
        "interpret": {"model": "decar"},
        "figures": {"example": "none"},
    }
    settings = {name: {**base.get(name, {}), **section} for name, section in changes.items()}
    if "fields" in changes:
        settings["training"] = {"property": "sweet", "models": {"decar": {"fields": changes["fields"]["names"][:1]}}}
    return Study.model_validate({**base, **settings})


def run_case(case: dict[str, Any], parent_path: str | None, output: str) -> dict[str, Any]:
    """Compute one case in this process and return its costs and what they depend on."""
    module = {
        "conformers": "decar.molecules.conformers", "optimise": "decar.quantum.optimise",
        "wavefunction": "decar.quantum.single_point", "fields": "decar.fields.compute",
    }[case["stage"]]  # fmt: skip
    compute = import_module(module).compute
    set_threads(1)
    study = study_of(case["study"])
    molecule = Molecule(case["molecule"], MOLECULES[case["molecule"]], 0, case.get("multiplicity", 1), None)
    parent = read_record(Path(parent_path)) if parent_path else None
    before, start = cpu_seconds(), time.perf_counter()
    record = compute(study, molecule, "0" * 64, parent)
    write_record(Path(output), record)
    seconds, wall = cpu_seconds() - before, time.perf_counter() - start
    sizes: dict[str, Any] = {
        "record_bytes": Path(output).stat().st_size,
        "conformers": record.metadata["num_conformers"],
    }
    arrays = record.arrays
    if case["stage"] in {"conformers", "optimise"}:
        sizes["atomic_numbers"] = arrays["atomic_numbers"].tolist()
    if case["stage"] == "conformers":
        sizes |= {name: record.metadata[name] for name in ("num_embedded", "num_distinct", "num_ranked")}
    if case["stage"] == "optimise":
        sizes["steps"] = record.metadata["num_steps"]
    if case["stage"] == "wavefunction":
        sizes |= {
            "functions": int(arrays["0/alpha/coefficients"].shape[0]),
            "cycles": record.metadata["conformers"][0]["quality"]["num_cycles"],
        }
    if case["stage"] == "fields":
        sizes["shape"] = record.metadata["conformers"][0]["grid"]["shape"]
        if parent is not None:
            sizes["functions"] = int(parent.arrays["0/alpha/coefficients"].shape[0])
    return {"seconds": round(seconds, 3), "wall_seconds": round(wall, 3), "peak_mb": peak_mb(), **sizes}


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def peak_mb() -> float:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


def parent_of(case: dict[str, Any]) -> dict[str, Any] | None:
    """Return the case from whose record a case starts."""
    name = case["molecule"]
    match case["stage"]:
        case "conformers":
            return None
        case "optimise":
            return {"molecule": name, "stage": "conformers", "study": {}}
        case "wavefunction":
            return {"molecule": name, "stage": "optimise", "study": {}}
    level = {} if case["level"] == "default" else {"quantum": LEVELS[case["level"]]}
    return {"molecule": name, "stage": "wavefunction", "study": level}


def record_of(case: dict[str, Any] | None, folder: Path) -> Path | None:
    """Return where the record of a case lies; it is computed, with those before it, where it is missing."""
    if case is None:
        return None
    path = record_path_of(case, folder)
    if not path.exists():
        run_child(case, folder)
    return path


def record_path_of(case: dict[str, Any], folder: Path) -> Path:
    return folder / f"{hashlib.sha256(name_of(case).encode()).hexdigest()[:16]}.h5"


def run_child(case: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Run one case in a fresh process and keep its record."""
    parent = record_of(parent_of(case), folder)
    start = time.perf_counter()
    command = [sys.executable, __file__, "one", json.dumps(case), str(parent or ""), str(record_path_of(case, folder))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return {"error": done.stderr[-800:]}
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {**result, "process_seconds": round(time.perf_counter() - start, 3)}


def measure(output: Path, folder: Path, only: str | None, budget: float) -> None:
    report = json.loads(output.read_text()) if output.exists() else {"cases": []}
    known = {name_of(entry["case"]) for entry in report["cases"]}
    folder.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    for case in cases():
        if name_of(case) in known or (only and case["stage"] != only):
            continue
        if time.perf_counter() - start > budget:
            print(f"stopped after {budget:.0f} s; run it again to go on")
            break
        result = run_child(case, folder)
        report["cases"].append({"case": case, **result})
        report["provenance"] = {**provenance("pyscf", "tblite", "rdkit", "torch", "numpy"), "processor": processor()}
        write_text(output, dump(report))
        shown = {name: value for name, value in result.items() if name not in {"atomic_numbers", "steps"}}
        print(case["molecule"], case["stage"], case["study"], shown, flush=True)


def dump(report: dict[str, Any]) -> str:
    """Return JSON with a line a case."""
    lines = ",\n".join("  " + json.dumps(entry) for entry in report["cases"])
    head = json.dumps({name: value for name, value in report.items() if name != "cases"}, indent=1)
    return f'{head[:-2]},\n "cases": [\n{lines}\n ]\n}}\n'


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "unknown")


def main() -> None:
    if sys.argv[1] == "one":
        print(json.dumps(run_case(json.loads(sys.argv[2]), sys.argv[3] or None, sys.argv[4])))
        return
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "decar-costs")
    parser.add_argument("--only")
    parser.add_argument("--budget", type=float, default=1e9)
    arguments = parser.parse_args()
    measure(arguments.output, arguments.folder, arguments.only, arguments.budget)


if __name__ == "__main__":
    main()
