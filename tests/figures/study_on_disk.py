"""A small study on disk in the formats of the workflow, drawn from a seed: tables, records, a trained-looking log.

Geometries are embedded by RDKit; the electron density is a sum of atomic exponentials that integrates to the number of
electrons, so that its iso-surface is that of a molecule. The property is binary, or a regression in kJ/mol.
"""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from pyscf import gto, scf
from rdkit import Chem
from rdkit.Chem import AllChem

from decar.config import Study
from decar.evaluate.run import common_test, metrics_table
from decar.fields.grid import VoxelGrid
from decar.figures.records import storage_of
from decar.figures.sources import Sources
from decar.interpret.agreement import agreement
from decar.interpret.attribution import METHODS
from decar.interpret.group_table import group_table
from decar.interpret.groups import group_of_atoms, heavy_atom_of
from decar.interpret.kernel_shape import kernel_tables
from decar.interpret.voxel_map import write_map
from decar.models.package import save_package
from decar.models.published import PublishedNetwork
from decar.models.task import Task
from decar.planning.used import UsedRecipes
from decar.predictions import boundary_of, kind_of
from decar.quantum.pyscf_mole import extract_basis
from decar.quantum.wavefunction import Wavefunction, kept_orbitals
from decar.record import Place, Record, read_record, write_record
from decar.stages import digest
from decar.store import Store
from decar.units import ANGSTROM_PER_BOHR

MOLECULES = (
    ("glucose", "D-glucose", "OC[C@H]1O[C@H](O)[C@H](O)[C@@H](O)[C@@H]1O", 1),
    ("fructose", "D-fructose", "OC[C@H]1O[C@](O)(CO)[C@@H](O)[C@@H]1O", 1),
    ("glycine", "glycine", "NCC(=O)O", 1),
    ("d-ala", "D-alanine", "C[C@@H](N)C(=O)O", 1),
    ("saccharin", "saccharin", "O=C1NS(=O)(=O)c2ccccc12", 1),
    ("xylitol", "xylitol", "OC[C@H](O)[C@@H](O)[C@H](O)CO", 1),
    ("chloroform", "chloroform", "ClC(Cl)Cl", 1),
    ("caffeine", "caffeine", "Cn1cnc2c1c(=O)n(C)c(=O)n2C", 0),
    ("l-trp", "L-tryptophan", "N[C@@H](Cc1c[nH]c2ccccc12)C(=O)O", 0),
    ("acetic", "acetic acid", "CC(=O)O", 0),
    ("urea", "urea", "NC(N)=O", 0),
    ("benzoic", "benzoic acid", "O=C(O)c1ccccc1", 0),
    ("ethanol", "ethanol", "CCO", 0),
    ("nicotinamide", "nicotinamide", "NC(=O)c1cccnc1", 0),
)
MODELS = (("electron_cloud", "model", 1.1), ("promolecular_control", "control", 0.6),
          ("lightgbm_ecfp4", "baseline", 1.0), ("atom_counts", "baseline", 0.4))  # fmt: skip
SCHEMES = ("random", "scaffold")
KERNEL_EFFECTS = {3: 0.5, 7: -0.4, 0: 0.1, 1: 0.2, 2: -0.15, 4: 0.05, 5: 0.3, 6: -0.25}
STAGES = (("conformers", 0.4), ("optimise", 6.0), ("wavefunction", 40.0), ("fields", 3.0))
PROPERTY = {"binary": "sweet", "regression": "solvation_energy"}
UNIT = "kJ/mol"
VALUES = (
    -40 + 18 * np.array([row[3] for row in MOLECULES]) + np.random.default_rng(5).normal(0, 9, len(MOLECULES)).round(1)
)
METRICS = ("accuracy", "balanced_accuracy", "sensitivity", "specificity", "auroc", "mcc")


def make_study(folder: Path, kind: str = "binary") -> Study:
    """Return the settings of the study; its results lie below `folder`."""
    name = PROPERTY[kind]
    label = {"column": name, **({"kind": kind, "unit": UNIT} if kind == "regression" else {})}
    names = {"positive_name": "sweet", "negative_name": "not sweet"} if kind == "binary" else {}
    network = {"fields": ["electron_density"], "channels": [4, 8, 8]}
    return Study.model_validate({
        "study": "small", "results": str(folder), "store": str(folder / "store"),
        "molecules": {"table": "table.csv", "labels": {name: label}},
        "dataset": {"splits": [{"scheme": name} for name in SCHEMES]},
        "training": {
            "property": name,
            "models": {
                "electron_cloud": network,
                "promolecular_control": {**network, "fields": ["promolecular_density"], "role": "control"},
            },
        },
        "benchmark": {"train_shares": [0.25, 0.5, 1.0]},
        "interpret": {"model": "electron_cloud"},
        "figures": {"example": "glucose", **names, "formats": ["svg", "png", "pdf"], "dots_per_inch": 100},
    })  # fmt: skip


def labels_of(study: Study) -> np.ndarray:
    """Return the label of each molecule: its class, or its value [kJ/mol]."""
    return np.array([row[3] for row in MOLECULES], dtype=float) if kind_of(study) == "binary" else VALUES


def write_study(folder: Path, kind: str = "binary") -> tuple[Study, Sources]:
    """Write the tables and the example's records below `folder`; return the study and where they lie."""
    study, generator = make_study(folder, kind), np.random.default_rng(7)
    sources = Sources(
        index=folder / "index.parquet", records=folder / "records", dataset=folder / "dataset",
        models=tuple(folder / "models" / f"{model}-{scheme}-fold{fold}-0123456789abcdef"
                     for model, role, _ in MODELS if role != "baseline" for scheme in SCHEMES for fold in range(3)),
        evaluation=folder / "evaluation", interpretation=folder / "interpretation", attribution=folder / "attribution",
        benchmark=folder / "benchmark",
    )  # fmt: skip
    for path in (
        sources.records,
        sources.dataset,
        sources.evaluation,
        sources.interpretation,
        sources.attribution,
        sources.benchmark,
        *sources.models,
    ):
        path.mkdir(parents=True)
    index = _write_index(sources)
    _write_dataset(study, sources, index)
    _write_records(sources, Store(study.store), index, generator)
    _write_logs(sources, generator)
    if kind == "binary":
        _write_evaluation(sources, generator)
    else:
        _write_evaluated_values(study, sources, generator)
    _write_benchmark(study, sources)
    _write_interpretation(study, sources, generator)
    _write_attribution(study, sources, generator)
    geometry, wavefunction, fields = write_example(folder)
    _write_map(sources, fields)
    _store_example(study, sources, (geometry, wavefunction, fields))
    _write_package(study, sources)
    return study, replace(sources, example_geometry=geometry, example_wavefunction=wavefunction, example_fields=fields)


def _store_example(study: Study, sources: Sources, places: tuple[Place, ...]) -> None:
    """Put the example's records into the study's store under the recipes that the tables name."""
    stages = pd.read_parquet(sources.records / "stages.parquet")
    recipes = stages[stages["key"] == key_of("glucose")].set_index("stage")["recipe"]
    for stage, place in zip(("optimise", "wavefunction", "fields"), places):
        Store(study.store).save(stage, replace(read_record(place), recipe=str(recipes[stage])))
    quality = pd.read_parquet(sources.records / "quality.parquet")
    quality.loc[quality["key"] == key_of("glucose"), "content_hash"] = read_record(places[1]).content_hash
    quality.to_parquet(sources.records / "quality.parquet")


def key_of(identifier: str) -> str:
    return digest(identifier)


def _write_index(sources: Sources) -> pd.DataFrame:
    rows: list[dict[str, object]] = []
    for identifier, name, smiles, _ in MOLECULES:
        rows.append(
            {
                "id": identifier,
                "name": name,
                "raw": smiles,
                "status": "ok",
                "key": key_of(identifier),
                "smiles": smiles,
                "charge": 0,
                "multiplicity": 1,
                "inchikey": "AAAAAAAAAAAAAA-BBBBBBBBBB-N",
            }
        )
    rows.insert(
        3,
        {
            "id": "broken",
            "name": "a ring left open",
            "raw": "C1CC",
            "status": "failed",
            "reason": "invalid_smiles",
            "message": "the SMILES cannot be read\n  seen:     C1CC\n  remedy:   correct the row",
        },
    )
    rows.append(
        {
            "id": "lead",
            "name": "lead(II) acetate",
            "raw": "CC(=O)[O-].CC(=O)[O-].[Pb+2]",
            "status": "ok",
            "key": key_of("lead"),
            "smiles": "CC(=O)O[Pb]OC(C)=O",
            "charge": 0,
            "multiplicity": 1,
            "inchikey": "CCCCCCCCCCCCCC-DDDDDDDDDD-N",
        }
    )
    rows.append({"id": "ethanol-2", "name": "alcohol", "raw": "OCC", "status": "duplicate", "reason": "duplicate",
                 "message": "the same molecule as row 14 (id ethanol)", "key": key_of("ethanol"), "smiles": "CCO",
                 "charge": 0, "multiplicity": 1, "inchikey": "AAAAAAAAAAAAAA-BBBBBBBBBB-N"})  # fmt: skip
    columns = ["row", "id", "name", "raw", "status", "reason", "message", "key", "smiles", "charge", "multiplicity",
               "inchikey"]  # fmt: skip
    index = pd.DataFrame([{"row": number + 1, **row} for number, row in enumerate(rows)], columns=columns)
    index.to_parquet(sources.index)
    return index


def _write_dataset(study: Study, sources: Sources, index: pd.DataFrame) -> None:
    about = {"property": study.training.property, "kind": kind_of(study),
             "unit": study.molecules.labels[study.training.property].unit}  # fmt: skip
    labels = [{"key": key_of(row[0]), "value": label, **about} for row, label in zip(MOLECULES, labels_of(study))]
    pd.DataFrame(labels).to_parquet(sources.dataset / "labels.parquet")
    index[index["status"] == "ok"].to_parquet(sources.dataset / "molecules.parquet")
    shapes = [{"key": key_of(name), "conformer": 0, "weight": 1.0, "shard": f"{place % 3}.h5",
               "path": f"{key_of(name)}/0", "shape_x": 32, "shape_y": 24 + 8 * (place % 3), "shape_z": 24,
               "checksum": "0", "status": "ok"} for place, (name, *_) in enumerate(MOLECULES)]  # fmt: skip
    pd.DataFrame(shapes).to_parquet(sources.dataset / "manifest.parquet")
    splits = [{"scheme": scheme, "seed": 1, "fold": fold, "key": key_of(name),
               "subset": "test" if place % 3 == fold else "train"}
              for scheme in SCHEMES for fold in range(3) for place, (name, *_) in enumerate(MOLECULES)]  # fmt: skip
    pd.DataFrame(splits).to_parquet(sources.dataset / "splits.parquet")
    failures = [
        {"id": "broken", "name": "a ring left open", "raw": "C1CC", "key": None, "stage": "molecules",
         "reason": "invalid_smiles",
         "message": "the SMILES cannot be read\n  seen:     C1CC\n  remedy:   correct the row"},
        {"id": "lead", "name": "lead(II) acetate", "raw": "CC(=O)[O-].CC(=O)[O-].[Pb+2]", "key": key_of("lead"),
         "stage": "wavefunction", "reason": "element_without_basis",
         "message": "6-31g* has no functions for Pb\n  seen:     Pb\n  remedy:   set quantum.basis to def2-svp"},
    ]  # fmt: skip
    pd.DataFrame(failures).to_csv(sources.dataset / "failures.csv", index=False)
    (sources.dataset / "statistics.json").write_text(json.dumps({"random": {}}))


def _write_records(sources: Sources, store: Store, index: pd.DataFrame, generator: np.random.Generator) -> None:
    stages, quality = [], []
    for row in index[index["status"] == "ok"].to_dict("records"):
        molecule = Chem.AddHs(Chem.MolFromSmiles(row["smiles"]))
        size = molecule.GetNumAtoms() / 15
        for stage, seconds in STAGES:
            failed = row["id"] == "lead" and stage == "wavefunction"
            stages.append({"key": row["key"], "stage": stage, "status": "failed" if failed else "ok",
                           "reason": "element_without_basis" if failed else None, "recipe": digest([row["key"], stage]),
                           "wall_seconds": seconds * size**2 * generator.uniform(0.7, 1.4)})  # fmt: skip
            if failed:
                break
        if row["id"] == "lead":
            continue
        record = Record("wavefunction", digest([row["key"], "wavefunction"]), {"key": row["key"]})
        store.save("wavefunction", record)
        electrons = sum(atom.GetAtomicNum() for atom in molecule.GetAtoms())
        quality.append({
            "key": row["key"], "num_conformers": 1, "num_electrons": electrons,
            "energy_hartree": -7.1 * electrons + generator.normal(), "gap_ev": generator.uniform(4, 9),
            "dipole_debye": generator.uniform(0.5, 5), "electron_count_error": generator.normal(0, 2e-5),
            "num_basis_functions": 9 * molecule.GetNumHeavyAtoms(), "num_voxels": 32 * 24 * 24,
            "wall_seconds": 50 * size**2,
            "content_hash": record.content_hash,
            "level": json.dumps({"method": "b3lyp", "basis": "6-31g*", "is_cartesian": True,
                                 "fitting_basis": "def2-universal-jkfit", "solvent": None}),
            "versions": json.dumps({"decar": "0.1.0", "pyscf": "2.14.0", "python": "3.11.2"}),
        })  # fmt: skip
    table = pd.DataFrame(stages)
    table.to_parquet(sources.records / "stages.parquet")
    used = UsedRecipes()
    for recipe in table.loc[table["stage"] == "optimise", "recipe"].iloc[:3]:
        used.add("optimise", recipe)
    storage = [
        {"stage": stage, **storage_of(store, stage, table[table["stage"] == stage], used)} for stage, _ in STAGES
    ]
    pd.DataFrame(storage).to_parquet(sources.records / "storage.parquet")
    pd.DataFrame(quality).to_parquet(sources.records / "quality.parquet")


def _write_logs(sources: Sources, generator: np.random.Generator) -> None:
    norms = np.random.default_rng(11)
    for folder in sources.models:
        epoch = np.arange(28)
        train = 0.7 * np.exp(-epoch / generator.uniform(8, 14)) + generator.normal(0, 0.015, len(epoch))
        validation = 0.45 + 0.27 * np.exp(-epoch / 6) + 0.009 * epoch + generator.normal(0, 0.025, len(epoch))
        log = pd.DataFrame({"epoch": epoch, "train_loss": train.clip(0.01), "val_loss": validation})
        for place, part in enumerate(("layer1", "layer2", "layer3", "hidden", "output")):
            log[f"gradient_norm_{part}"] = 0.1 * 2.0**place * np.exp(norms.normal(0, 0.3, len(epoch)))
        log.to_csv(folder / "metrics.csv", index=False)


def _write_evaluation(sources: Sources, generator: np.random.Generator) -> None:
    predictions, metrics, roc, confusion = [], [], [], []
    label = np.array([row[3] for row in MOLECULES], dtype=float)
    for scheme in SCHEMES:
        for model, role, skill in MODELS:
            score = skill * (label - 0.5) * (1.6 if scheme == "random" else 0.9) + generator.normal(0, 0.8, len(label))
            probability = 1 / (1 + np.exp(-score))
            common = {"model": model, "role": role, "scheme": scheme}
            for place, row in enumerate(MOLECULES):
                predictions.append({**common, "fold": place % 3, "key": key_of(row[0]), "subset": "test",
                                    "label": label[place], "prediction": probability[place]})  # fmt: skip
                predictions.append({**predictions[-1], "fold": (place + 1) % 3, "subset": "validation"})
            order = np.argsort(-probability)
            true = np.r_[0, np.cumsum(label[order])] / label.sum()
            false = np.r_[0, np.cumsum(1 - label[order])] / (1 - label).sum()
            roc += [{**common, "threshold": 0.5, "false_positive_rate": f, "true_positive_rate": t}
                    for f, t in zip(false, true)]  # fmt: skip
            predicted = probability >= 0.5
            confusion += [{**common, "label": t, "predicted": p, "count": int(((label == t) & (predicted == p)).sum())}
                          for t in (0, 1) for p in (0, 1)]  # fmt: skip
            sensitivity, specificity = predicted[label == 1].mean(), (~predicted)[label == 0].mean()
            value = {"accuracy": (predicted == label).mean(), "sensitivity": sensitivity, "specificity": specificity,
                     "balanced_accuracy": (sensitivity + specificity) / 2, "auroc": np.trapezoid(true, false),
                     "mcc": sensitivity + specificity - 1}  # fmt: skip
            for metric in METRICS:
                wide = generator.uniform(0.15, 0.3)
                low = max(-1.0 if metric == "mcc" else 0.0, value[metric] - wide)
                metrics.append({**common, "metric": metric, "value": value[metric], "low": low,
                                "high": min(1.0, value[metric] + wide), "n": len(label), "note": ""})  # fmt: skip
    for name, rows in (("predictions", predictions), ("metrics", metrics), ("roc", roc), ("confusion", confusion)):
        pd.DataFrame(rows).to_parquet(sources.evaluation / f"{name}.parquet")


def _write_evaluated_values(study: Study, sources: Sources, generator: np.random.Generator) -> None:
    """Write predictions of values, the better the higher the skill, and the metrics that the evaluation computes."""
    tables, label = [], labels_of(study)
    place = np.arange(len(MOLECULES))
    for scheme in SCHEMES:
        for model, role, skill in MODELS:
            noise = generator.normal(0, (6 if scheme == "random" else 10) / skill, len(label))
            table = pd.DataFrame({
                "model": model, "role": role, "scheme": scheme, "key": [key_of(row[0]) for row in MOLECULES],
                "label": label, "prediction": label.mean() + 0.7 * (label - label.mean()) + noise,
            })  # fmt: skip
            tables += [table.assign(fold=(place + shift) % 3, subset=subset)
                       for shift, subset in enumerate(("test", "validation"))]  # fmt: skip
    predictions = pd.concat(tables, ignore_index=True)
    predictions.to_parquet(sources.evaluation / "predictions.parquet")
    metrics_table(study, common_test(predictions)).to_parquet(sources.evaluation / "metrics.parquet")


def _write_benchmark(study: Study, sources: Sources) -> None:
    """Three shares of all but the last model, which was trained on all molecules only."""
    spread = float(labels_of(study).std())
    rows = [
        {"split": scheme, "share": share, "contender": model, "role": role, "molecules": len(MOLECULES), "folds": 3,
         "auroc": 0.5 + 0.3 * skill * share, "low": 0.4 + 0.3 * skill * share, "high": min(1.0, 0.65 + 0.3 * share)}
        for scheme in SCHEMES for model, role, skill in MODELS for share in (0.25, 0.5, 1.0)
        if share == 1 or model != "atom_counts"
    ]  # fmt: skip
    table = pd.DataFrame(rows)
    if kind_of(study) == "regression":
        errors = {"rmse": 2 - table["auroc"], "low": 2 - table["high"], "high": 2 - table["low"]}
        table = table.drop(columns="auroc").assign(label_sd=spread, **{name: spread * (part - 0.6)
                                                                       for name, part in errors.items()})  # fmt: skip
    table.to_csv(sources.benchmark / "benchmark.csv", index=False)


def _write_interpretation(study: Study, sources: Sources, generator: np.random.Generator) -> None:
    correlations, tests = [], []
    own = labels_of(study)
    positive = own > boundary_of(study, own)
    for form in ("activation", "input"):
        for network, signal in (("trained", 0.09), ("untrained", 0.02), ("permuted", 0.03)):
            for kernel in range(16):
                shift = generator.normal(0, signal)
                values = {1.0: [], 0.0: []}
                for (name, *_), label, is_positive in zip(MOLECULES, own, positive.astype(float)):
                    value = float(np.clip(0.55 + shift * (is_positive - 0.5) * 2 + generator.normal(0, 0.06), -1, 1))
                    values[float(is_positive)].append(value)
                    correlations.append({"form": form, "network": network, "kernel": kernel, "key": key_of(name),
                                         "label": float(label), "correlation": value})  # fmt: skip
                above = np.sign(np.subtract.outer(values[1.0], values[0.0])).mean()
                p = float(np.exp(-6 * abs(above)))
                tests.append({"form": form, "network": network, "kernel": kernel, "mean_positive": np.mean(values[1.0]),
                              "mean_negative": np.mean(values[0.0]), "effect_size": above, "p_value": p,
                              "p_adjusted": min(1.0, 16 * p), "num_unseen": 5,
                              "effect_size_unseen": float(np.clip(above + generator.normal(0, 0.3), -1, 1)),
                              })  # fmt: skip
    pd.DataFrame(correlations).to_parquet(sources.interpretation / "kernel_correlation.parquet")
    pd.DataFrame(tests).to_parquet(sources.interpretation / "kernel_tests.parquet")


def _write_attribution(study: Study, sources: Sources, generator: np.random.Generator) -> None:
    """Write drawn attributions of every atom; what follows from them is computed as the stage does it."""
    atoms, checks, gallery = [], [], []
    members = [("fold 0", 0), ("fold 0", 1), ("fold 1", 0), ("seed 1", 0), ("untrained", 0), ("permuted", 0)]
    for (name, _, smiles, _), label in zip(MOLECULES[:6], labels_of(study)):
        start = 0.0 if kind_of(study) == "binary" else label  # the value that the network starts from
        heavy, groups = heavy_atom_of(smiles), group_of_atoms(smiles)
        signal = generator.normal(0, 0.3, len(heavy))
        for network, rotation in members:
            for method in METHODS:
                noise = generator.normal(0, 0.2 if network.startswith(("fold", "seed")) else 1.0, len(heavy))
                head = {"key": key_of(name), "network": network, "rotation": rotation, "method": method}
                atoms.append(pd.DataFrame({**head, "atom": range(len(heavy)), "heavy_atom": heavy, "group": groups,
                                           "attribution": signal + noise}))  # fmt: skip
                checks.append({**head, "label": float(label), "subset": "test", "logit": start + signal.sum()})
        for kernel, effect in KERNEL_EFFECTS.items():
            gallery.append(pd.DataFrame({
                "kernel": kernel, "effect_size": effect, "rank": len(gallery) // len(KERNEL_EFFECTS) % 3,
                "key": key_of(name), "label": float(label), "correlation": 0.4, "atom": range(len(heavy)),
                "heavy_atom": heavy, "contribution": 0.1 * signal,
            }))  # fmt: skip
    table = pd.concat(atoms, ignore_index=True)
    table.to_parquet(sources.attribution / "atoms.parquet")
    pd.DataFrame(checks).to_parquet(sources.attribution / "checks.parquet")
    agreement(table).to_parquet(sources.attribution / "agreement.parquet")
    group_table(table, 1).to_parquet(sources.attribution / "groups.parquet")
    best = pd.concat(gallery[: 3 * len(KERNEL_EFFECTS)], ignore_index=True)
    best.to_parquet(sources.attribution / "kernel_gallery.parquet")
    tables = [kernel_tables(generator.normal(size=(4, 1, 8, 8, 8)), ["electron_density"], 0.7, network)
              for network in ("trained", "untrained")]  # fmt: skip
    for place, name in enumerate(("kernel_profiles", "kernel_shapes")):
        pd.concat([pair[place] for pair in tables]).to_parquet(sources.attribution / f"{name}.parquet")


def _write_map(sources: Sources, fields: Place) -> None:
    """Write a voxel map of the example on the grid of its density."""
    record = read_record(fields)
    density, grid = record.arrays["0/electron_density"][0], record.metadata["conformers"][0]["grid"]
    box = VoxelGrid(tuple(grid["origin_bohr"]), grid["spacing_bohr"], density.shape)
    write_map(sources.attribution / "example.h5", key_of("glucose"), density - density[::-1], box)


def _write_package(study: Study, sources: Sources) -> None:
    """Write the package of the explained network, with the weights that it starts from."""
    network = PublishedNetwork(study.training.models["electron_cloud"], 0.4 / ANGSTROM_PER_BOHR, 1)
    network.initialise(5)
    metadata = {
        "name": "electron_cloud", "fields": ["electron_density"], "normalisation": {}, "level": {},
        "property": study.training.property,
        "spacing_bohr": 0.4 / ANGSTROM_PER_BOHR, "dataset_hash": "0", "metrics": {}, "licence": None, "lineage": [],
        "contributor": None, "chemistry": {}, "tasks": [Task(study.training.property, kind_of(study)).to_json()],
    }  # fmt: skip
    save_package(sources.models[0] / "model", network, metadata)


def minimal_wavefunction(numbers: np.ndarray, positions: np.ndarray) -> Wavefunction:
    """Return the Hartree-Fock wavefunction of a closed shell in STO-3G, converged as far as a picture needs."""
    mole = gto.M(
        atom=[(int(number), place) for number, place in zip(numbers, positions)], unit="bohr", basis="sto-3g", verbose=0
    )
    field = scf.RHF(mole)
    field.conv_tol = 1e-2
    energy = field.kernel()
    kept = kept_orbitals(field.mo_occ, field.mo_energy)
    return Wavefunction(
        numbers, numbers.astype(float), positions, extract_basis(mole), field.mo_coeff[:, kept], field.mo_occ[kept],
        field.mo_energy[kept], None, None, None, 0, 1, float(energy), field.dip_moment(unit="au", verbose=0),
        {"method": "hf", "basis": "sto-3g"}, {},
    )  # fmt: skip


def write_example(folder: Path, spacing_angstrom: float = 0.45) -> tuple[Place, Place, Place]:
    """Write the geometry, wavefunction and fields records of D-glucose; return their places."""
    molecule = Chem.AddHs(Chem.MolFromSmiles(MOLECULES[0][2]))
    AllChem.EmbedMolecule(molecule, randomSeed=3)
    AllChem.MMFFOptimizeMolecule(molecule)
    positions = molecule.GetConformer().GetPositions() / ANGSTROM_PER_BOHR
    numbers = np.array([atom.GetAtomicNum() for atom in molecule.GetAtoms()], dtype=np.int32)
    bonds = np.array([[b.GetBeginAtomIdx(), b.GetEndAtomIdx()] for b in molecule.GetBonds()], dtype=np.int32)
    spacing = spacing_angstrom / ANGSTROM_PER_BOHR
    origin = positions.min(axis=0) - 5.5
    shape = np.ceil((positions.max(axis=0) + 5.5 - origin) / spacing).astype(int)
    axes = [origin[i] + spacing * np.arange(shape[i]) for i in range(3)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    density = np.zeros(shape)
    decay = 2.1  # bohr^-1, close to that of valence shells
    for number, position in zip(numbers, positions):
        distance = np.linalg.norm(points - position, axis=-1)
        density += (1 if number == 1 else number - 2) * decay**3 / (8 * np.pi) * np.exp(-decay * distance)
    metadata = {"key": key_of("glucose"), "smiles": MOLECULES[0][2], "num_conformers": 1}
    geometry, wavefunction, fields = (folder / f"{name}.h5" for name in ("geometry", "wavefunction", "fields"))
    arrays = {
        "atomic_numbers": numbers,
        "geometry_bohr": positions[None],
        "energy_hartree": np.zeros(1),
        "bonds": bonds,
    }
    write_record(geometry, Record("geometry", "0", metadata, arrays))
    state = minimal_wavefunction(numbers, positions)
    write_record(
        wavefunction,
        Record("wavefunction", "2", {**metadata, "conformers": [state.to_metadata()]}, state.to_arrays("0/")),
    )
    grid = {"origin_bohr": origin.tolist(), "spacing_bohr": spacing, "shape": shape.tolist()}
    write_record(
        fields,
        Record("fields", "1", {**metadata, "conformers": [{"grid": grid, "quality": {}}]},
               {"0/electron_density": density[None].astype(np.float32)}),
    )  # fmt: skip
    return Place(geometry), Place(wavefunction), Place(fields)
