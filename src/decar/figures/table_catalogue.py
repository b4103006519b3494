"""Every table of a study: its name, and what stands in it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from decar.config import Study
from decar.figures import ablations, calibration, campaign
from decar.figures.attribution_agreement import COLUMNS as AGREEMENT
from decar.figures.attribution_agreement import KINDS
from decar.figures.attribution_groups import COLUMNS as GROUPS
from decar.figures.attribution_groups import LOOK, positive_means
from decar.figures.attribution_tables import method_name
from decar.figures.catalogue import TABLE_NAMES, table_names
from decar.figures.molecule_table import label_text, model_columns, molecule_table
from decar.figures.performance import ERRORS, METRICS_OF, in_order, read_metrics
from decar.figures.quantities import attribution_unit, places_of, value_unit
from decar.figures.report_data import training_rows
from decar.figures.sources import Sources, read_columns
from decar.figures.style import readable
from decar.figures.tables import Column, Table, write_table
from decar.predictions import kind_of, score_of


def molecules(study: Study, sources: Sources) -> Table:
    """Return every row of the user's table with what came of it."""
    rows = molecule_table(study, sources)
    is_binary, form = kind_of(study) == "binary", f".{places_of(study, rows['label'])}f"
    rows["measured"] = [label_text(study, value) for value in rows["label"]]
    label = Column("measured", study.training.property)
    if not is_binary:
        label = Column("label", study.training.property, value_unit(study), ".10g")
    rows["outcome"] = [_outcome(row) for row in rows.astype(object).to_dict("records")]
    models = model_columns(rows)
    columns = (
        Column("id", "identifier"), Column("name", "name"), Column("smiles", "SMILES"),
        label, Column("outcome", "outcome"),
        Column("num_electrons", "electrons", form=".0f"), Column("energy_hartree", "E", "hartree", ".5f"),
        Column("gap_ev", "gap", "eV", ".2f"), Column("dipole_debye", "dipole moment", "debye", ".2f"),
        *(Column(name, f"p, {readable(name.removeprefix('p:'))}", value_unit(study), form) for name in models),
    )  # fmt: skip
    predicted = "probability" if is_binary else "value p"
    return Table(f"Molecules: quality figures, and the {predicted} predicted while in the test fold.", columns, rows)


def _outcome(row: dict[Any, Any]) -> str:
    if row["status"] != "failed":
        return str(row["status"])
    return f"{readable(str(row['reason']))} ({row['stage']})"


def performance(study: Study, sources: Sources) -> Table:
    """Return a row a split and model with all metrics."""
    table = read_metrics(sources)
    rows = []
    for scheme, part in table.groupby("scheme", sort=True):
        for model in in_order(part):
            own = part[part["model"] == model]
            row = {"scheme": scheme, "model": readable(model), "role": own["role"].iloc[0], "n": int(own["n"].max())}
            for found in own.to_dict("records"):
                row |= {f"{found['metric']}{end}": found[name]
                        for end, name in (("", "value"), (":low", "low"), (":high", "high"))}  # fmt: skip
            rows.append(row)
    columns = (
        Column("scheme", "split"), Column("model", "model"), Column("role", "role"), Column("n", "molecules", form="d"),
        *(Column(name, readable(name), value_unit(study) if name in ERRORS else "", low=f"{name}:low",
                 high=f"{name}:high") for name in METRICS_OF[kind_of(study)]),
    )  # fmt: skip
    share = f"{study.evaluate.confidence:.0%}"
    return Table(f"Performance on the test folds, with {share} bootstrap intervals.", columns, pd.DataFrame(rows))


def ablation(study: Study, sources: Sources) -> Table:
    """Return the differences of AUROC, or of RMSE, to the explained network."""
    score, unit = score_of(study), value_unit(study)
    rows = ablations.tabulate(study, sources).assign(model=lambda table: table["model"].map(readable))
    columns = (
        Column("scheme", "split"), Column("model", "model"), Column("role", "role"), Column("n", "molecules", form="d"),
        Column("difference", f"difference of {score.text}", unit, low="low", high="high"), Column("p", "p", form=".2g"),
        Column("smallest_shown", "smallest difference shown", unit, ".2f" if score.sign > 0 else ".2g"),
    )  # fmt: skip
    own = readable(study.interpret.model)
    test = "DeLong's 95 % interval" if score.sign > 0 else "the 95 % interval of the delta method; lower is better"
    return Table(f"{score.text} less that of {own}, with {test}.", columns, rows)


def calibrations(study: Study, sources: Sources) -> Table:
    """Return Brier score and calibration error of every model."""
    del study
    rows = calibration.tabulate(sources).drop_duplicates(["scheme", "model", "form"])
    columns = (
        Column("scheme", "split"), Column("name", "model"), Column("form", "probability"),
        Column("of_all", "molecules", form="d"), Column("brier", "Brier score", form=".3f"),
        Column("ece", "ECE", form=".3f"),
    )  # fmt: skip
    return Table("Calibration on the test folds.", columns, rows.assign(name=rows["model"].map(readable)))


def training(study: Study, sources: Sources) -> Table:
    """Return how the networks were trained."""
    del study
    columns = (
        Column("model", "network"), Column("scheme", "split"), Column("folds", "folds", form="d"),
        Column("epochs", "epochs", form="s"), Column("best_epoch", "epoch kept", form="s"),
        Column("training", "training loss", "nat", "s"), Column("validation", "validation loss", "nat", "s"),
        Column("gap", "gap at the end", "nat", "s"),
    )  # fmt: skip
    return Table("Training, means over the folds.", columns, pd.DataFrame(training_rows(sources)))


def groups(study: Study, sources: Sources) -> Table:
    """Return the attribution of functional groups."""
    rows = read_columns(sources.attribution / "groups.parquet", GROUPS)
    rows = rows.assign(
        method=rows["method"].map(method_name),
        network=[LOOK[name][0] if name in LOOK else name for name in rows["network"]],
    )  # fmt: skip
    columns = (
        Column("method", "method"), Column("network", "network"), Column("group", "group"),
        Column("num_molecules", "molecules", form="d"), Column("num_atoms", "heavy atoms", form="d"),
        Column("share", "share of the attribution", low="low", high="high"),
        Column("attribution", "attribution", attribution_unit(study), ".3f"),
    )  # fmt: skip
    positive = f"for {study.figures.positive_name}" if kind_of(study) == "binary" else positive_means(study)
    return Table(f"Attribution of functional groups, positive {positive}.", columns, rows)


def agreement(study: Study, sources: Sources) -> Table:
    """Return how far attributions agree: median and quartiles of the rank correlation."""
    del study
    table = read_columns(sources.attribution / "agreement.parquet", AGREEMENT)
    found = table.groupby(["method", "kind"])["spearman"].quantile(np.array([0.25, 0.5, 0.75])).unstack()
    rows = found.set_axis(["low", "median", "high"], axis=1).reset_index()
    rows["compared"] = table.groupby(["method", "kind"])["spearman"].count().to_numpy()
    rows = rows.assign(method=rows["method"].map(method_name), kind=rows["kind"].map(KINDS).fillna(rows["kind"]))
    columns = (
        Column("method", "method"), Column("kind", "compared with"), Column("compared", "comparisons", form="d"),
        Column("median", "rank correlation (median [quartiles])", low="low", high="high"),
    )  # fmt: skip
    return Table("Agreement of attributions over the heavy atoms of a molecule.", columns, rows)


def kernels(study: Study, sources: Sources) -> Table:
    """Return the tests of every kernel of the trained network and its controls."""
    names = ["form", "network", "kernel", "effect_size", "p_value", "p_adjusted"]
    rows = read_columns(sources.interpretation / "kernel_tests.parquet", names)
    columns = (
        Column("form", "form"), Column("network", "network"), Column("kernel", "kernel", form="d"),
        Column("effect_size", "Cliff's δ", form=".2f"), Column("p_value", "p (Mann-Whitney)", form=".2g"),
        Column("p_adjusted", "p (Holm)", form=".2g"),
    )  # fmt: skip
    order = ["form", "network", "kernel"]
    what = "classes" if kind_of(study) == "binary" else "molecules above the median and the rest"
    return Table(f"Kernels of the last layer: {what} compared.", columns, rows.sort_values(order))


def stages(study: Study, sources: Sources) -> Table:
    """Return cost and storage of the stages."""
    del study
    _, _, rows = campaign.tabulate(sources)
    columns = (
        Column("stage", "stage"), Column("num_records", "records", form="d"),
        Column("num_shared", "used by other studies", form="d"), Column("hours", "wall time", "h", ".3g"),
        Column("megabytes", "storage", "MB", ".3g"),
    )  # fmt: skip
    return Table("The campaign: records, time and storage of each stage.", columns, rows)


def failures(study: Study, sources: Sources) -> Table:
    """Return the reasons for which molecules were left out."""
    del study
    _, rows, _ = campaign.tabulate(sources)
    columns = (Column("stage", "stage"), Column("reason", "reason"), Column("count", "molecules", form="d"))
    return Table("Molecules that were left out.", columns, rows.assign(reason=rows["reason"].map(readable)))


_BUILDERS: tuple[Callable[[Study, Sources], Table], ...] = (
    molecules, performance, ablation, calibrations, training, groups, agreement, kernels, stages, failures,
)  # fmt: skip
TABLES = dict(zip(TABLE_NAMES, _BUILDERS, strict=True))


def write_tables(study: Study, sources: Sources, folder: Path) -> list[Path]:
    """Write every table of the study in all three forms into `folder`; return the paths."""
    return [path for name in table_names(study)
            for path in write_table(TABLES[name](study, sources), name, folder)]  # fmt: skip
