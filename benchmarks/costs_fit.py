"""Fit the terms of decar.planning.cost_model to what costs.py and costs_steps.py measured; state the error.

    python benchmarks/costs_fit.py benchmarks/costs.json benchmarks/costs_steps.json CONSTANTS FOLDER_OF_RECORDS

Coefficients are non-negative and minimise sum_i (prediction_i / measured_i - 1)^2. The error is that of leaving out one
molecule (or one box) at a time: the median of |prediction / measured - 1|, and the factor within which nine of ten
predictions lie. Without the folder the extents of molecules stay those of CONSTANTS.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from costs import MOLECULES, record_path_of, study_of
from rdkit import Chem
from rdkit.Chem import rdMolDescriptors
from scipy.optimize import nnls

from decar.atomic import write_text
from decar.config import FieldsSettings
from decar.fields.grid import STRIDE
from decar.planning import cost_model as model
from decar.planning import cost_steps
from decar.planning.cost_sizes import MoleculeSizes, box_voxels, molecule_sizes
from decar.record import read_record

NETWORKS = Path(__file__).with_name("networks.json")
MANY_MOLECULES = Path(__file__).with_name("dataset_memory.json")
DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "estimate.md"
BEGIN = "<!-- errors: begin -->\n"
Entry = dict[str, Any]
Row = tuple[str, dict[str, float], float]  # what is left out together, terms, measured


def sizes_of(entry: Entry) -> MoleculeSizes:
    case = entry["case"]
    study = study_of(case["study"])
    quantum = study.quantum
    if case.get("level") == "sto-3g":
        quantum = quantum.model_copy(update={"basis": "sto-3g"})
    formula = rdMolDescriptors.CalcMolFormula(Chem.MolFromSmiles(MOLECULES[case["molecule"]]))
    sizes = molecule_sizes([formula], quantum, study.fields, [(2.0, 0.5)] * 3)
    if "functions" in entry and sizes.functions[0] != entry["functions"]:
        raise ValueError(f"{formula}: counted {sizes.functions[0]} functions, the record has {entry['functions']}")
    if "shape" in entry:
        object.__setattr__(sizes, "voxels", np.array([float(np.prod(entry["shape"]))]))
    return sizes


def first(terms: dict[str, Any]) -> dict[str, float]:
    return {name: float(np.asarray(value).ravel()[0]) for name, value in terms.items()}


def rows_of(entries: list[Entry], terms: Callable[[Entry, MoleculeSizes], Any], value: str) -> list[Row]:
    return [(e["case"]["molecule"], first(terms(e, sizes_of(e))), float(e[value])) for e in entries]


def fit(rows: list[Row]) -> dict[str, Any]:
    """Return coefficients and their error."""
    names = sorted(set().union(*(terms for _, terms, _ in rows)))
    matrix = np.array([[terms.get(name, 0.0) for name in names] for _, terms, _ in rows])
    measured = np.array([value for _, _, value in rows])
    groups = np.array([group for group, _, _ in rows])
    coefficients = solve(matrix, measured)
    left_out = np.empty(len(rows))
    for group in np.unique(groups):
        inside = groups == group
        left_out[inside] = matrix[inside] @ solve(matrix[~inside], measured[~inside])
    ratio = np.maximum(left_out, 1e-12) / measured
    factor = float(np.quantile(np.exp(np.abs(np.log(ratio))), 0.9))
    return {
        "coefficients": {name: float(f"{c:.4g}") for name, c in zip(names, coefficients) if c > 0},
        "num_measurements": len(rows), "num_groups": len(np.unique(groups)),
        "largest": float(measured.max()), "median_error": round(float(np.median(np.abs(ratio - 1))), 3),
        "factor_90": round(factor, 2),
    }  # fmt: skip


def solve(matrix: np.ndarray, measured: np.ndarray) -> np.ndarray:
    scale = np.where(matrix.max(axis=0) > 0, matrix.max(axis=0), 1.0)
    weighted = matrix / scale / measured[:, None]
    target = np.ones(len(measured))
    # Twice with less weight for outliers: one molecule that takes twice the cycles must not bend the rest.
    found, _ = nnls(weighted, target)
    for _ in range(3):
        residual = np.abs(weighted @ found - 1)
        weight = 1 / np.sqrt(1 + (residual / 0.3) ** 2)
        found, _ = nnls(weighted * weight[:, None], target * weight)
    return np.asarray(found / scale)


def fit_extents(entries: list[Entry], folder: Path) -> tuple[list[list[float]], dict[str, Any]]:
    """Return the power laws of the nuclear extents, and the error of the number of voxels at the default grid."""
    lengths, atoms = [], []
    for entry in entries:
        geometry = read_record(record_path_of(entry["case"], folder)).arrays["geometry_bohr"][0] * 0.529177210903
        lengths.append(np.sort(np.ptp(geometry, axis=0))[::-1])
        atoms.append(len(geometry))
    log_n, found = np.log(atoms), []
    for axis in range(3):
        length = np.maximum(np.array(lengths)[:, axis], 0.5)
        power, scale = np.polyfit(log_n, np.log(length), 1)
        found.append([round(float(np.exp(scale)), 3), round(float(power), 3)])
    return found, {"atoms": atoms, "lengths": np.round(lengths, 2).tolist()}


def voxel_error(extents: list[list[float]], shapes: dict[str, Any]) -> dict[str, Any]:
    grid = FieldsSettings()
    estimate = box_voxels(np.array(shapes["atoms"], dtype=float), grid, extents)
    edges = (np.array(shapes["lengths"]) + 2 * grid.padding_angstrom) / grid.spacing_angstrom
    true = (STRIDE * np.ceil(edges / STRIDE)).prod(axis=1)
    ratio = estimate / true
    return {"median_error": round(float(np.median(np.abs(ratio - 1))), 3), "num_measurements": len(true),
            "factor_90": round(float(np.quantile(np.exp(np.abs(np.log(ratio))), 0.9)), 2)}  # fmt: skip


def molecule_quantities(entries: list[Entry]) -> dict[str, Any]:
    def of(stage: str, **sections: Any) -> list[Entry]:
        return [e for e in entries if e["case"]["stage"] == stage
                and all(e["case"]["study"].get(k) == v for k, v in sections.items())]  # fmt: skip

    def study(entry: Entry) -> Any:
        return study_of(entry["case"]["study"])

    conformers, fields = of("conformers"), of("fields")
    single = [e for e in of("wavefunction") if e["case"].get("multiplicity", 1) == 1]
    gfn2 = of("optimise", optimise=None)
    geometry = lambda _, s: model.geometry_terms(s)  # noqa: E731
    optimise = lambda e, s: model.optimise_terms(s, has_solvent=study(e).optimise.solvent is not None)  # noqa: E731
    quantum = lambda e, s: model.wavefunction_terms(s, study(e).quantum)  # noqa: E731
    found = {
        "conformers.seconds": rows_of(
            conformers, lambda e, s: model.conformer_terms(s, study(e).conformers), "seconds"
        ),
        "conformers.memory": rows_of(conformers, geometry, "peak_mb"),
        "geometry.bytes": rows_of(gfn2, geometry, "record_bytes"),
        "optimise.memory": rows_of(gfn2, geometry, "peak_mb"),
        "optimise.gfn2-xtb.seconds": rows_of(gfn2 + of("optimise", optimise={"solvent": "water"}), optimise, "seconds"),
        "optimise.mmff.seconds": rows_of(of("optimise", optimise={"methods": ["mmff"]}), optimise, "seconds"),
        "wavefunction.seconds": rows_of(single, quantum, "seconds"),
        "wavefunction.memory": rows_of(
            single, lambda e, s: model.wavefunction_memory_terms(s, study(e).quantum), "peak_mb"
        ),
        "wavefunction.bytes": rows_of(single, lambda _, s: model.wavefunction_size_terms(s), "record_bytes"),
        "fields.seconds": rows_of(fields, lambda e, s: model.field_terms(s, study(e).fields), "seconds"),
        "fields.memory": rows_of(fields, lambda e, s: model.field_memory_terms(s, study(e).fields), "peak_mb"),
        "fields.bytes": rows_of(fields, lambda e, s: model.field_size_terms(s, study(e).fields), "record_bytes"),
    }
    fits = {name: fit(rows) for name, rows in found.items() if rows}
    fits["optimise.dft.single points"] = fit_dft(entries, fits)
    return fits


def fit_dft(entries: list[Entry], fits: dict[str, Any]) -> dict[str, Any]:
    """Return how many single points an optimisation with DFT costs, from GFN2 geometries on.

    Steps are as many as GFN2-xTB takes (measured on all molecules), each a single point and its gradient: the factor
    between the two is what optimisations with DFT took, divided by their steps and by the single point.
    """
    gfn2 = [e for e in entries if e["case"]["stage"] == "optimise" and not e["case"]["study"]]
    rows = [(e["case"]["molecule"], first(model.geometry_terms(sizes_of(e))),
             float(np.mean(e["steps"]))) for e in gfn2]  # fmt: skip
    steps = fit(rows)
    ratios = []
    for entry in entries:
        if entry["case"]["stage"] == "optimise" and "quantum" in entry["case"]["study"]:
            sizes = sizes_of(entry)
            terms = first(model.wavefunction_terms(sizes, study_of(entry["case"]["study"]).quantum))
            single = sum(c * terms[name] for name, c in fits["wavefunction.seconds"]["coefficients"].items())
            expected = sum(c * first(model.geometry_terms(sizes))[name] for name, c in steps["coefficients"].items())
            ratios.append(entry["seconds"] / single / expected)
    factor = float(np.median(ratios)) if ratios else 2.0  # a gradient costs about as much as its energy
    scaled = {name: float(f"{value * factor:.4g}") for name, value in steps["coefficients"].items()}
    return {**steps, "coefficients": scaled, "num_optimisations": len(ratios)}


def many_molecules() -> dict[str, list[Row]]:
    """Return what dataset_memory.py measured: the dataset of many molecules of two fields, in boxes of eight voxels."""
    rows: list[Row] = []
    for entry in json.loads(MANY_MOLECULES.read_text(encoding="utf-8"))["studies"]:
        terms = cost_steps.step_terms(
            "dataset", num=entry["molecules"], voxels=8, num_fields=2, num_inputs=1, channels=[1], kernel_size=1,
            batch_size=1, epochs=1, train_share=1, rotations=1,
        )  # fmt: skip
        rows.append((f"{entry['molecules']} molecules", terms["seconds"], entry["processor_seconds"]))
    return {"dataset.seconds": rows}


def step_quantities(report: dict[str, Any]) -> dict[str, Any]:
    found = many_molecules()
    for entry in report["cases"]:
        case = entry["case"]
        terms = cost_steps.step_terms(
            case["step"], num=report["num"], voxels=float(np.prod(case["box"])), num_fields=1, num_inputs=1,
            channels=case["channels"], kernel_size=case["kernel_size"], batch_size=case["batch_size"],
            epochs=report["epochs"], train_share=(1 - 1 / report["num_folds"]) * 0.8, rotations=6,
        )  # fmt: skip
        group = json.dumps([case["box"], case["channels"], case["kernel_size"]])
        for quantity, value in (("seconds", entry["seconds"]), ("memory", entry["peak_mb"])):
            found.setdefault(f"{case['step']}.{quantity}", []).append((group, terms[quantity], value))
    return {name: fit(rows) for name, rows in found.items()}


def architectures(steps: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Return how many times the published network's step another one takes: the larger of two boxes, at equal batch."""
    plain = {(step["network"], step["edge"]): step for step in steps if not step["way"]}
    edges = sorted({edge for _, edge in plain})
    return {
        name: {
            part: round(max(plain[name, edge][key] / plain["published", edge][key] for edge in edges), 2)
            for part, key in (("seconds", "seconds"), ("memory", "peak_mib"))
        }
        for name in dict.fromkeys(name for name, _ in plain)
    }  # fmt: skip


def write_document(quantities: dict[str, Any]) -> None:
    """Write the table of errors into docs/estimate.md."""
    rows = [
        f"| {name.replace('.', ', ')} | {q['num_measurements']} | {q['median_error']:.0%} | {q['factor_90']:.2f} |\n"
        for name, q in quantities.items()
    ]
    before, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition("<!-- errors: end -->\n")
    head = "| quantity | measurements | median error | factor |\n| --- | ---: | ---: | ---: |\n"
    write_text(DOCUMENT, before + BEGIN + head + "".join(rows) + end + after)


def main(molecules: Path, steps: Path, output: Path, folder: Path | None = None) -> None:
    report, whole = json.loads(molecules.read_text()), json.loads(steps.read_text())
    entries = [entry for entry in report["cases"] if "error" not in entry]
    gfn2 = [e for e in entries if e["case"]["stage"] == "optimise" and not e["case"]["study"]]
    quantities = {**molecule_quantities(entries), **step_quantities(whole)}
    kept = json.loads(output.read_text(encoding="utf-8")) if folder is None else {}
    if folder is None:
        extents, quantities["voxels"] = kept["extents_angstrom"], kept["quantities"]["voxels"]
    else:
        extents, shapes = fit_extents(gfn2, folder)
        quantities["voxels"] = {"coefficients": {}, **voxel_error(extents, shapes)}
    constants = {
        "command": "python benchmarks/costs_fit.py", "measured": report["provenance"],
        "measured_steps": whole["provenance"],
        "range": {
            "atoms": max(len(e["atomic_numbers"]) for e in gfn2),
            "functions": max(e.get("functions", 0) for e in entries),
        },
        "extents_angstrom": extents, "quantities": quantities,
        "architectures": architectures(json.loads(NETWORKS.read_text(encoding="utf-8"))["steps"]),
    }  # fmt: skip
    write_text(output, json.dumps(constants, indent=1) + "\n")
    write_document(quantities)
    columns = ("num_measurements", "largest", "median_error", "factor_90", "coefficients")
    print(pd.DataFrame({n: {c: q.get(c) for c in columns} for n, q in quantities.items()}).T.to_string())


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:5]))
