"""The bar: the baselines of decar on all rows of ChemTastesDB v1 (doi 10.5281/zenodo.5747393), five folds.

    python benchmarks/baselines.py ChemTastesDB_v1.csv benchmarks/baselines.json

Rows stay as published (no parent extraction, repeated structures included), sweet against all the rest. Two splits:
rows of one canonical SMILES stay together, and rows of one Murcko scaffold (each acyclic molecule a group of its own).
"""

import json
import sys
from pathlib import Path

import pandas as pd
from rdkit import Chem, RDLogger
from rdkit.Chem.Scaffolds import MurckoScaffold
from sklearn.model_selection import GroupKFold

from decar.atomic import write_text
from decar.baselines.models import BASELINES, run_baseline
from decar.evaluate.metrics import METRICS, metrics
from decar.provenance import provenance

NUM_FOLDS = 5


def read_rows(path: Path) -> pd.DataFrame:
    table = pd.read_csv(path)
    parsed = [Chem.MolFromSmiles(text) for text in table["canonical SMILES"]]
    rows = pd.DataFrame(
        {
            "key": table.index.map("{:05d}".format),
            "smiles": table["canonical SMILES"],
            "value": (table["Class taste"] == "Sweetness").astype(float),
            "identical": [Chem.MolToSmiles(molecule) if molecule else None for molecule in parsed],
            "scaffold": [
                MurckoScaffold.MurckoScaffoldSmiles(mol=molecule) if molecule else None for molecule in parsed
            ],
        }
    )
    rows["scaffold"] = rows["scaffold"].mask(rows["scaffold"] == "", rows["identical"])
    return rows.dropna(subset="identical", ignore_index=True)


def make_splits(rows: pd.DataFrame, seed: int) -> pd.DataFrame:
    parts = []
    for scheme in ("identical", "scaffold"):
        folds = GroupKFold(NUM_FOLDS, shuffle=True, random_state=seed).split(rows, groups=rows[scheme])
        for fold, (_, test) in enumerate(folds):
            subset = pd.Series("train", index=rows.index)
            subset.iloc[test] = "test"
            parts.append(pd.DataFrame({"scheme": scheme, "fold": fold, "key": rows["key"], "subset": subset}))
    return pd.concat(parts, ignore_index=True)


def main(table: Path, output: Path, seed: int = 0) -> None:
    RDLogger.DisableLog("rdApp.*")
    rows = read_rows(table)
    splits = make_splits(rows, seed)
    labels = rows.assign(property="sweet")
    results = []
    for name in BASELINES:
        predictions = run_baseline(name, rows, labels, splits, "sweet", seed)
        for scheme, part in predictions[predictions["subset"] == "test"].groupby("scheme"):
            values = metrics(part["label"].to_numpy(), part["prediction"].to_numpy())
            row = {"model": name, "scheme": scheme, "n": len(part)}
            results.append({**row, **{metric: round(float(values[metric]), 4) for metric in METRICS}})
    report = {
        "rows": len(rows), "sweet": int(rows["value"].sum()), "num_folds": NUM_FOLDS, "seed": seed, "results": results,
        "provenance": provenance("lightgbm", "rdkit", "scikit-learn"),
    }  # fmt: skip
    write_text(output, json.dumps(report, indent=1) + "\n")
    print(pd.DataFrame(results).to_string())


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
