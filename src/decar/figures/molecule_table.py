"""One table of all rows of the user's table: structure, label, predictions, quality figures, status, reason."""

import pandas as pd

from decar.config import Study
from decar.figures.classes import classes_of, labels_of
from decar.figures.performance import in_order, read_metrics
from decar.figures.sources import Sources, read_columns
from decar.predictions import unit_of

INDEX = [
    "row",
    "id",
    "name",
    "raw",
    "status",
    "reason",
    "message",
    "key",
    "smiles",
    "charge",
    "multiplicity",
    "inchikey",
]
QUALITY = [
    "num_conformers", "num_electrons", "energy_hartree", "gap_ev", "dipole_debye", "electron_count_error", "num_voxels",
    "wall_seconds", "content_hash",
]  # fmt: skip


def molecule_table(study: Study, sources: Sources) -> pd.DataFrame:
    """Return a row a row of the user's table: `label`, `class` (its name), QUALITY, `stage` (that failed), `p:<model>`.

    `p:<model>` is what was predicted, the probability of the positive class or the value of a regression, when the
    molecule was in the test fold (scheme of `interpret.scheme`), so that no molecule is predicted by a network that was
    trained on it. Rows are in the order of the user's table.
    """
    index = read_columns(sources.index, INDEX)[INDEX]
    table = index.merge(labels_of(study, sources), on="key", how="left")
    table["class"] = classes_of(study, sources).names(table["label"])
    quality = read_columns(sources.records / "quality.parquet", ["key", *QUALITY])[["key", *QUALITY]]
    table = table.merge(quality, on="key", how="left")
    table = table.merge(_predictions(study, sources), on="key", how="left")
    failures = read_columns(sources.dataset / "failures.csv", ["id", "stage", "reason", "message"])
    cause = failures.assign(id=failures["id"].astype(str)).drop_duplicates("id").set_index("id")
    identifier = table["id"].astype(str)
    table["stage"] = identifier.map(cause["stage"])
    for column in ("reason", "message"):
        table[column] = identifier.map(cause[column]).where(table["stage"].notna(), table[column])
    table.loc[table["stage"].notna(), "status"] = "failed"
    return table.sort_values("row", ignore_index=True)


def model_columns(table: pd.DataFrame) -> list[str]:
    """Return the names of the prediction columns, `p:<model>`."""
    return [str(name) for name in table.columns if str(name).startswith("p:")]


def _predictions(study: Study, sources: Sources) -> pd.DataFrame:
    path = sources.evaluation / "predictions.parquet"
    table = read_columns(path, ["model", "scheme", "key", "subset", "prediction"])
    tested = table[(table["subset"] == "test") & (table["scheme"] == study.interpret.scheme)]
    wide = tested.pivot_table(index="key", columns="model", values="prediction", aggfunc="mean")
    order = [name for name in in_order(read_metrics(sources)) if name in wide.columns]
    return wide[order].add_prefix("p:").reset_index()


def label_text(study: Study, value: object) -> str:
    """Return a label as a reader wants it: the name of the class, or the number with its unit; "" when missing."""
    if value is None or pd.isna(value):  # type: ignore[call-overload]
        return ""
    label = study.molecules.labels[study.training.property]
    number = float(value)  # type: ignore[arg-type]
    if label.kind == "binary":
        return study.figures.positive_name if number > 0.5 else study.figures.negative_name
    return f"{number:.10g} {unit_of(study)}".replace("-", "−", number < 0).strip()
