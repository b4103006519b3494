"""A small study whose voxels are sums of Gaussians: unit data for shards, networks and training.

The density of a "molecule" is a sum of unit Gaussians (alpha = 1 bohr^-2, one electron each): positives are pairs 3
bohr apart, negatives are single clouds of two electrons. Keys, groups and orientations are drawn from fixed seeds.
"""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd

from decar.config import Study
from decar.dataset.assemble import assemble
from decar.dataset.shards import bucket, write_shard
from decar.receipt import write_table
from decar.record import Place, Record, write_record

SPACING = 0.6  # bohr
FIELDS = {
    "electron_density": {"symbol": "rho", "unit": "e/bohr^3", "channels": ["rho"], "parity": "even", "core": "all"},
    "electrostatic_potential": {"symbol": "V", "unit": "hartree/e", "channels": ["V"], "parity": "even", "core": "all"},
}


def key_of(number: int) -> str:
    return hashlib.sha256(f"molecule {number}".encode()).hexdigest()


def gaussians(shape: tuple[int, int, int], centres: np.ndarray, charges: np.ndarray) -> np.ndarray:
    """rho(r) = sum_c q_c (1 / pi)^(3/2) exp(-|r - R_c|^2) on a grid about the origin."""
    axes = [(np.arange(count) - (count - 1) / 2) * SPACING for count in shape]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    rho = np.zeros(shape)
    for centre, charge in zip(centres, charges):
        rho += charge * np.pi**-1.5 * np.exp(-((grid - centre) ** 2).sum(axis=-1))
    return rho


def fields_record(number: int, label: int, num_conformers: int = 1, large: bool = False) -> Record:
    rng = np.random.default_rng(number)
    arrays, conformers = {}, []
    for conformer in range(num_conformers):
        shape = tuple(int(size) for size in rng.choice([16, 24], 3)) if not large else (40, 32, 32)
        direction = np.eye(3)[rng.integers(3)]
        centres = np.array([1.5 * direction, -1.5 * direction]) if label else np.zeros((1, 3))
        rho = gaussians(shape, centres + rng.normal(0, 0.2, 3), np.full(len(centres), 2.0 / len(centres)))
        arrays[f"{conformer}/electron_density"] = rho[None].astype(np.float32)
        arrays[f"{conformer}/electrostatic_potential"] = (0.1 - rho)[None].astype(np.float32)
        grid = {"origin_bohr": [0.0, 0.0, 0.0], "spacing_bohr": SPACING, "shape": list(shape)}
        conformers.append({"grid": grid, "quality": {"electron_count": float(rho.sum() * SPACING**3)}})
    metadata = {
        "key": key_of(number), "num_conformers": num_conformers, "conformers": conformers, "fields": FIELDS,
    }  # fmt: skip
    return Record("fields", hashlib.sha256(f"recipe {number}".encode()).hexdigest(), metadata, arrays)


def make_study(folder: Path, **training: object) -> Study:
    settings: dict[str, object] = {
        "property": "sweet",
        "models": {
            "density": {"channels": [4, 6, 8], "kernel_size": 3, "hidden": 8, "dropout": 0.2},
            "potential": {"channels": [4], "kernel_size": 3, "fields": ["electrostatic_potential"]},
        },
        "max_epochs": 5, "patience": 5, "batch_size": 5, "learning_rate": 3e-3, **training,
    }  # fmt: skip
    return Study.model_validate(
        {
            "study": "synthetic",
            "results": str(folder),
            "store": str(folder / "store"),
            "molecules": {"table": "none.csv", "labels": {"sweet": {"column": "sweet"}}},
            "fields": {"names": ["electron_density", "electrostatic_potential"]},
            "dataset": {"num_shards": 4, "splits": [{"scheme": "random", "num_folds": 3}]},
            "training": settings,
            "interpret": {"model": "density"},
            "figures": {"example": "0"},
        }
    )


def make_tables(num: int, failed: tuple[int, ...] = ()) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return index, receipts and labels of `num` molecules, positives and negatives in turn."""
    rows, receipts, labels = [], [], []
    for number in range(num):
        is_failed = number in failed
        rows.append({
            "row": number + 1, "id": f"m{number}", "name": f"molecule {number}", "raw": "C", "status": "ok",
            "reason": None, "message": None, "key": key_of(number), "smiles": "C" * (number + 1), "charge": 0,
            "multiplicity": 1, "inchikey": "", "split_group": f"GROUP{number:03d}", "scaffold": "",
            "num_heavy_atoms": number + 1, "geometry": None, "label:sweet": float(number % 2),
        })  # fmt: skip
        receipts.append({
            "key": key_of(number), "status": "failed" if is_failed else "ok", "num_conformers": 1,
            "stage": "wavefunction" if is_failed else None, "reason": "scf_not_converged" if is_failed else None,
            "message": "no convergence" if is_failed else None,
        })  # fmt: skip
        labels.append({"key": key_of(number), "property": "sweet", "value": float(number % 2), "kind": "binary",
                       "unit": None})  # fmt: skip
    return pd.DataFrame(rows), pd.DataFrame(receipts), pd.DataFrame(labels)


def write_tables(
    folder: Path, index: pd.DataFrame, receipts: pd.DataFrame, labels: pd.DataFrame
) -> tuple[Path, list[Path], Path]:
    """Write what the dataset step reads beside shards; return index, receipts and the folder of the molecules step."""
    sound = index.loc[index["status"] == "ok"].sort_values("key")
    write_table(folder / "index.parquet", index)
    write_table(folder / "receipt.parquet", receipts.sort_values("key"))
    write_table(folder / "molecules" / "molecules.parquet", sound)
    write_table(folder / "molecules" / "labels.parquet", labels.sort_values(["key", "property"]))
    return folder / "index.parquet", [folder / "receipt.parquet"], folder / "molecules"


def make_dataset(
    folder: Path, study: Study, num: int, num_conformers: int = 1, unlabelled: tuple[int, ...] = (), large: bool = False
) -> tuple[Path, Path]:
    """Write records, shards and the dataset folder; return the folders of dataset and shards."""
    members: dict[str, list[tuple[str, Place | Record]]] = {}
    for number in range(num):
        record = fields_record(number, number % 2, num_conformers, large)
        path = folder / "records" / f"{number}.h5"
        write_record(path, record)
        members.setdefault(bucket(key_of(number), study.dataset.num_shards), []).append((key_of(number), Place(path)))
    shards = []
    for name, listed in members.items():
        shards.append(folder / "shards" / f"{name}-test.h5")
        write_shard(shards[-1], listed, {"study": study.study})
    index, receipts, labels = make_tables(num)
    labels = labels.loc[~labels["key"].isin([key_of(number) for number in unlabelled])]
    assemble(study, *write_tables(folder, index, receipts, labels), shards, folder / "dataset")
    return folder / "dataset", folder / "shards"
