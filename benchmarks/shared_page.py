"""Write the tables of docs/benchmark.md from predictions that are kept in the repository.

    python -m benchmarks.shared_page docs/benchmark.md

Whatever `python -m benchmarks.shared_keep` kept in benchmarks/shared_benchmark becomes tables by the code that makes
those of `decar benchmark`; sections of studies that are not there are left as they are. A test holds the page to it.
"""

import argparse
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pandas as pd
from benchmarks.shared_study import OF_A_NUMBER, settings_of

from decar.atomic import write_text
from decar.benchmark.permuted import permuted_table
from decar.benchmark.tables import calibration_table, contenders_table, folds_table, pairs_table
from decar.config import Study
from decar.figures.benchmark import draw_benchmark
from decar.figures.gradients import ROTATIONS
from decar.figures.save import save_drawing
from decar.predictions import read_predictions

KEPT = Path(__file__).parent / "shared_benchmark"

COMPARED = (
    ("density against shape", "steerable_density", "steerable_promolecular"),
    ("", "published_density", "published_promolecular"),
    ("", "residual_density", "residual_promolecular"),
    ("the potential, too", "published_density_potential", "published_density"),
    ("", "residual_density_potential", "residual_density"),
    ("", "steerable_density_potential", "steerable_density"),
    ("invariance", "steerable_density", "published_density"),
    ("no rotations against 6", "published_density_no_rotations", "published_density"),
    ("24 rotations against 6", "published_density_24_rotations", "published_density"),
    ("fingerprints against density", "tuned_random_forest", "steerable_density"),
    ("", "tuned_lightgbm", "steerable_density"),
    ("descriptors against density", "tuned_lssvm_descriptors", "steerable_density"),
    ("D-MPNN against density", "tuned_chemprop", "steerable_density"),
    ("atom counts against density", "tuned_lightgbm_atom_counts", "steerable_density"),
    ("density against shape", "head_density_ensemble", "head_promolecular_ensemble"),
    ("the potential, too", "head_density_potential_ensemble", "head_density_ensemble"),
    ("an ensemble", "head_density_ensemble", "head_density"),
    ("", "head_density_potential_ensemble", "head_density_potential"),
    ("", "head_promolecular_ensemble", "head_promolecular"),
    ("fingerprints against density", "tuned_random_forest", "head_density_ensemble"),
    ("descriptors against density", "tuned_lssvm_descriptors", "head_density_ensemble"),
    ("fingerprints against density and potential", "tuned_random_forest", "head_density_potential_ensemble"),
    ("", "tuned_lightgbm", "head_density_potential_ensemble"),
    ("descriptors against density and potential", "tuned_lssvm_descriptors", "head_density_potential_ensemble"),
    ("D-MPNN against density and potential", "tuned_chemprop", "head_density_potential_ensemble"),
    ("atom counts against density and potential", "tuned_lightgbm_atom_counts", "head_density_potential_ensemble"),
    ("density against shape", "tuned_head_density", "tuned_head_promolecular"),
    ("", "tuned_published_density", "tuned_published_promolecular"),
    ("", "tuned_steerable_density", "tuned_steerable_promolecular"),
    ("", "tuned_steerable_density_potential", "tuned_steerable_promolecular"),
    ("the potential, too", "tuned_head_density_potential", "tuned_head_density"),
    ("", "tuned_published_density_potential", "tuned_published_density"),
    ("", "tuned_steerable_density_potential", "tuned_steerable_density"),
    ("a head alone against all of it", "tuned_head_density", "tuned_steerable_density"),
    ("invariance", "tuned_head_density", "tuned_published_density"),
    ("a path around each layer", "tuned_residual_density", "tuned_published_density"),
    ("fingerprints against density and potential", "tuned_random_forest", "tuned_head_density_potential"),
    ("", "tuned_lightgbm", "tuned_head_density_potential"),
    ("descriptors against density and potential", "tuned_lssvm_descriptors", "tuned_head_density_potential"),
    ("D-MPNN against density and potential", "tuned_chemprop", "tuned_head_density_potential"),
    ("descriptors against shape", "tuned_lssvm_descriptors", "tuned_steerable_promolecular"),
    ("atom counts against density and potential", "tuned_lightgbm_atom_counts", "tuned_head_density_potential"),
    ("density against shape", "steerable_density_in_space", "steerable_promolecular_in_space"),
    ("the potential, too", "steerable_density_potential_in_space", "steerable_density_in_space"),
    ("other properties, too", "published_density_potential_multitask", "published_density_potential"),
    ("", "steerable_density_potential_multitask", "steerable_density_potential"),
    ("", "published_density_multitask", "published_density"),
    ("pretrained kernels", "head_density_pretrained", "head_density"),
    ("", "published_density_pretrained", "published_density_from_scratch"),
)

COMPARED_VALUES = (
    ("density against shape", "published_density", "published_promolecular"),
    ("", "steerable_density", "steerable_promolecular"),
    ("the potential, too", "published_density_potential", "published_density"),
    ("", "steerable_density_potential", "steerable_density"),
    ("invariance", "steerable_density", "published_density"),
    ("", "steerable_density_potential", "published_density_potential"),
    ("", "steerable_density_potential_in_space", "published_density_potential"),
    ("kernels that voxels hold", "steerable_density_potential_in_space", "steerable_density_potential"),
    ("descriptors against density and potential", "tuned_lssvm_descriptors", "published_density_potential"),
    ("fingerprints against density and potential", "tuned_random_forest", "published_density_potential"),
    ("", "tuned_random_forest", "steerable_density_potential_in_space"),
    ("D-MPNN against density and potential", "tuned_chemprop", "published_density_potential"),
)


def contenders(table: pd.DataFrame) -> str:
    """Return the table of the contenders on all training molecules, the best first."""
    whole = table[table["share"] == 1].sort_values("auroc", ascending=False)
    lines = [
        "| contender | role | AUROC, mean of folds (95 %) | AUROC, pooled (95 %) | accuracy | MCC | Brier |",
        "|---|---|---|---|---:|---:|---:|",
    ]
    for row in whole.to_dict("records"):
        lines.append(
            f"| `{row['contender']}` | {row['role']} | {row['auroc']:.3f} ({row['low']:.2f} to {row['high']:.2f}) | "
            f"{row['auroc_pooled']:.3f} ({row['pooled_low']:.2f} to {row['pooled_high']:.2f}) | "
            f"{row['accuracy']:.2f} | {row['mcc']:.2f} | {row['brier']:.3f} |"
        )
    return "\n".join(lines) + "\n"


def values(table: pd.DataFrame) -> str:
    """Return the table of the contenders that learned a number, the lowest error first."""
    lines = [
        "| contender | role | RMSE, mean of folds (95 %) | RMSE, pooled (95 %) | R² | Spearman |",
        "|---|---|---|---|---:|---:|",
    ]
    for row in table[table["share"] == 1].sort_values("rmse").to_dict("records"):
        lines.append(
            f"| `{row['contender']}` | {row['role']} | {row['rmse']:.3g} ({row['low']:.3g} to {row['high']:.3g}) | "
            f"{row['rmse_pooled']:.3g} ({row['pooled_low']:.3g} to {row['pooled_high']:.3g}) | {row['r2']:.2f} | "
            f"{row['spearman']:.2f} |"
        )
    return "\n".join(lines) + "\n"


def pairs(table: pd.DataFrame, compared: Sequence[tuple[str, str, str]] = COMPARED, test: str = "DeLong") -> str:
    """Return what each part brings: difference of the mean over folds and of the pooled score, with their p.

    Empty where no pair of `compared` is there; `test` is that of the pooled score.
    """
    whole = table[table["share"] == 1].set_index(["first", "second"]) if len(table) else table
    head = [
        f"| what | difference | mean of folds | p | pooled | p ({test}) | smallest shown |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    lines: list[str] = []
    group = named = ""  # said once, at the first of its pairs that is there
    for what, first, second in compared:
        group = what or group
        sign = 1 if (first, second) in whole.index else -1
        key = (first, second) if sign == 1 else (second, first)
        if key in whole.index:
            row, shown = whole.loc[key], "" if group == named else group
            lines.append(
                f"| {shown} | `{first}` - `{second}` | {sign * row['difference']:+.3f} | {row['p_resampled_t']:.2f} | "
                f"{sign * row['pooled_difference']:+.3f} | {row['p_pooled']:.2g} | {row['smallest_shown']:.3f} |"
            )
            named = group
    return "\n".join([*head, *lines]) + "\n" if lines else ""


def growth(table: pd.DataFrame) -> str:
    """Return AUROC (mean of folds) by the share of training molecules."""
    wide = table.pivot_table(index="contender", columns="share", values="auroc")
    wide = wide[wide.notna().sum(axis=1) > 1].sort_values(1.0, ascending=False)
    head = " | ".join(f"{share:.0%}" for share in wide.columns)
    lines = [f"| contender | {head} |", "|---|" + "---:|" * len(wide.columns)]
    for name, row in wide.iterrows():
        lines.append(f"| `{name}` | " + " | ".join("" if pd.isna(value) else f"{value:.3f}" for value in row) + " |")
    return "\n".join(lines) + "\n"


def permuted(table: pd.DataFrame) -> str:
    """Return AUROC on permuted labels over all folds and seeds, with the interval of plain t."""
    lines = ["| contender | share | folds | AUROC (95 %) | 0.5 within |", "|---|---:|---:|---|---|"]
    for row in table.itertuples():
        within = "yes" if row.is_a_coin else "**no**"
        figures = f"{row.value:.3f} ({row.low:.3f} to {row.high:.3f})"
        lines.append(f"| `{row.contender}` | {row.share:.0%} | {row.folds} | {figures} | {within} |")
    return "\n".join(lines) + "\n"


def epochs(table: pd.DataFrame) -> str:
    """Return how long networks were trained: trainings, how many stopped before the last epoch, the epoch kept."""
    lines = ["| contender | trainings | stopped early | epochs, median | kept, median |", "|---|---:|---:|---:|---:|"]
    for name, rows in table[table["share"] == 1].groupby("contender", sort=True):
        median = rows[["num_epochs", "best_epoch"]].median()
        lines.append(
            f"| `{name}` | {len(rows)} | {int(rows['stopped_early'].sum())} | {median['num_epochs']:.0f} | "
            f"{median['best_epoch']:.0f} |"
        )
    return "\n".join(lines) + "\n"


def chosen(table: pd.DataFrame) -> str:
    """Return how often each setting was chosen on the folds of a tuned contender."""
    lines = ["| contender | chosen on the folds |", "|---|---|"]
    for name, rows in table[table["is_chosen"]].groupby("contender", sort=True):
        count = rows["settings"].value_counts()
        texts = [f"{text.strip('{}')}" + (f" ({many} folds)" if many > 1 else "") for text, many in count.items()]
        lines.append(f"| `{name}` | {'; '.join(texts)} |".replace('"', ""))
    return "\n".join(lines) + "\n"


def gap_by_rotations(table: pd.DataFrame) -> str:
    """Return the gap of the last epoch by number of rotations: of all folds, and of those that each number has."""
    own = table[table["series"] == "published_density"]
    wide = own.pivot_table(index="rotations", columns="fold", values="gap", sort=False)
    common = wide.dropna(axis=1)
    lines = ["| rotations | folds | gap, mean [nat] | of the folds that all have |", "|---:|---:|---:|---:|"]
    for name in [name for name in ROTATIONS.values() if name in wide.index]:
        row = wide.loc[name].dropna()
        lines.append(f"| {name} | {len(row)} | {row.mean():.2f} | {common.loc[name].mean():.2f} |")
    return "\n".join(lines) + "\n"


def by_column(tables: dict[str, pd.DataFrame]) -> str:
    """Return AUROC (mean of folds, interval) of the contenders that two tables or more have, a column a table."""
    found = {name: table.set_index("contender") for name, table in tables.items()}
    wide = pd.DataFrame({name: table["auroc"] for name, table in found.items()})
    order = wide[wide.notna().sum(axis=1) > 1].sort_values(next(iter(found)), ascending=False).index
    lines = [f"| contender | {' | '.join(found)} |", "|---|" + "---|" * len(found)]
    for name in order:
        rows = [table.loc[name] if name in table.index else None for table in found.values()]
        cells = ["" if row is None else f"{row['auroc']:.3f} ({row['low']:.2f} to {row['high']:.2f})" for row in rows]
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def insert(page: Path, mark: str, text: str) -> None:
    """Put a text between two marks of the page."""
    before, _, after = page.read_text(encoding="utf-8").split(f"<!-- {mark} -->\n")
    write_text(page, f"{before}<!-- {mark} -->\n{text}<!-- {mark} -->\n{after}")


ALONE = ("published_density", "published_density_potential", "steerable_density_potential")
# Studies whose contenders are in the tables of another one: all of them, or some.
WITH: dict[str, dict[str, tuple[str, ...]]] = {"tuned": {"tuned_steerable": ()}, "multitask": {"study": ALONE}}


class Kept:
    """The tables of one kept study, made anew from its predictions."""

    def __init__(self, name: str) -> None:
        others = WITH.get(name, {})
        self.names = [one for one in (name, *others) if (KEPT / f"{one}.parquet").exists()]
        settings = [settings_of(one, Path(), "0") for one in self.names]
        for other in settings[1:]:
            settings[0]["benchmark"].setdefault("tuned", {}).update(other["benchmark"].get("tuned", {}))
            settings[0]["training"]["models"] |= other["training"]["models"]
        self.study = Study.model_validate(settings[0])
        tables = [read_predictions(KEPT / f"{one}.parquet") for one in self.names]
        for place, one in enumerate(self.names):
            if others.get(one):
                table = tables[place]
                tables[place] = table[table["contender"].isin(others[one]) & (table["share"] == 1)]
        self.predictions = pd.concat(tables, ignore_index=True)
        self.contenders = contenders_table(self.study, self.predictions)
        self.folds = folds_table(self.study, self.predictions)

    @property
    def pairs(self) -> pd.DataFrame:
        """Return the paired tests."""
        return pairs_table(self.study, self.predictions)

    def table(self, what: str) -> pd.DataFrame:
        """Return `trainings` or `settings`."""
        return pd.concat([pd.read_csv(KEPT / f"{one}.{what}.csv") for one in self.names], ignore_index=True)


@cache
def kept(name: str) -> Kept | None:
    """Return the tables of a study, or None where it is not kept."""
    return Kept(name) if (KEPT / f"{name}.parquet").exists() else None


def with_all_seeds(*names: str) -> pd.DataFrame:
    """Return the contenders of studies on all training molecules; one that lacks seeds is not among them."""
    tables = [
        one.contenders.query("share == 1 and seeds == @seeds", local_dict={"seeds": one.study.benchmark.num_seeds})
        for name in names if (one := kept(name))
    ]  # fmt: skip
    return pd.concat(tables, ignore_index=True).drop_duplicates(["contender", "split"])


# Sections by study: of its contenders, and of their pairs.
MARKS = {
    "study": ("contenders", "pairs"),
    **{name: (name, f"{name}_pairs") for name in ("heads", "tuned", "multitask", "in_space", "steerable_in_space")},
}


def sections() -> dict[str, str]:
    """Return the text of each marked section of the page that the kept predictions tell."""
    found: dict[str, str] = {}
    for name in OF_A_NUMBER:
        if one := kept(name):
            found[name] = values(one.contenders)
            found[f"{name}_pairs"] = pairs(one.pairs, COMPARED_VALUES, "delta method")
    for name, (mark, mark_of_pairs) in MARKS.items():
        if one := kept(name):
            found[mark] = contenders(one.contenders)
            if compared := pairs(one.pairs):
                found[mark_of_pairs] = compared
    main, heads = kept("study"), kept("heads")
    if main and heads:
        both = pd.concat([main.contenders, heads.contenders], ignore_index=True)
        found["growth"] = growth(both.drop_duplicates(["contender", "share"]))
        found["epochs"] = epochs(main.table("trainings"))
        one_seed = with_all_seeds("study", "heads")
        by_split = with_all_seeds("splits", "head_splits").groupby("split", sort=False)
        found["splits"] = by_column({"scaffold": one_seed, **{str(split): rows for split, rows in by_split}})
        found["seeds"] = by_column({"one seed": one_seed, "three seeds": with_all_seeds("seeds", "head_seeds")})
    if one := kept("tuned"):
        found["chosen"] = chosen(one.table("settings"))
    if (KEPT / "gaps.csv").exists():
        found["gaps"] = gap_by_rotations(pd.read_csv(KEPT / "gaps.csv", dtype={"rotations": str}))
    if one := kept("permuted"):
        found["permuted"] = permuted(permuted_table(one.study, one.folds))
    return found


def main(page: Path) -> None:
    for mark, text in sections().items():
        insert(page, mark, text)
    if one := kept("study"):
        calibration = calibration_table(one.study, one.predictions)
        figures = one.study.figures.model_copy(update={"formats": ("png",)})
        picture, _ = save_drawing(draw_benchmark(one.contenders, calibration), "benchmark", KEPT, figures)
        picture.replace(page.parent / "images" / picture.name)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path)
    main(parser.parse_args().page)
