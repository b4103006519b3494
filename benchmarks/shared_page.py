"""Write the tables of docs/benchmark.md from what `decar benchmark` wrote, and keep what they were made from.

    python -m benchmarks.shared_page RESULTS docs/benchmark.md benchmarks/shared_benchmark
        [--multitask RESULTS] [--splits RESULTS] [--seeds RESULTS] [--heads RESULTS] [--pretrained RESULTS]

RESULTS is the folder of benchmark.csv and pairs.csv (results/<study>/benchmark/<hash>); its tables are copied to the
third folder, and the figure beside the page's pictures. Networks that learned other properties, too, come from a
benchmark of their own on the same folds, as do other splits and seeds, heads on random kernels, and pretrained ones.
"""

import argparse
import shutil
from pathlib import Path

import pandas as pd

from decar.atomic import write_text

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
    ("D-MPNN against density", "chemprop", "steerable_density"),
    ("atom counts against density", "tuned_lightgbm_atom_counts", "steerable_density"),
    ("density against shape", "head_density_ensemble", "head_promolecular_ensemble"),
    ("the potential, too", "head_density_potential_ensemble", "head_density_ensemble"),
    ("an ensemble", "head_density_ensemble", "head_density"),
    ("", "head_density_potential_ensemble", "head_density_potential"),
    ("", "head_promolecular_ensemble", "head_promolecular"),
    ("fingerprints against density", "tuned_random_forest", "head_density_ensemble"),
    ("descriptors against density", "tuned_lssvm_descriptors", "head_density_ensemble"),
    ("pretrained kernels", "head_density_pretrained", "head_density"),
    ("", "published_density_pretrained", "published_density_from_scratch"),
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


def pairs(table: pd.DataFrame) -> str:
    """Return what each part brings: difference of the mean over folds and of the pooled AUROC, with their p."""
    whole = table[table["share"] == 1].set_index(["first", "second"])
    lines = [
        "| what | difference | mean of folds | p | pooled | p (DeLong) | smallest shown |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for what, first, second in COMPARED:
        sign = 1 if (first, second) in whole.index else -1
        key = (first, second) if sign == 1 else (second, first)
        if key in whole.index:
            row = whole.loc[key]
            lines.append(
                f"| {what} | `{first}` - `{second}` | {sign * row['difference']:+.3f} | {row['p_resampled_t']:.2f} | "
                f"{sign * row['pooled_difference']:+.3f} | {row['p_delong']:.2g} | {row['smallest_shown']:.3f} |"
            )
    return "\n".join(lines) + "\n"


def growth(table: pd.DataFrame) -> str:
    """Return AUROC (mean of folds) by the share of training molecules."""
    wide = table.pivot_table(index="contender", columns="share", values="auroc")
    wide = wide[wide.notna().sum(axis=1) > 1].sort_values(1.0, ascending=False)
    head = " | ".join(f"{share:.0%}" for share in wide.columns)
    lines = [f"| contender | {head} |", "|---|" + "---:|" * len(wide.columns)]
    for name, row in wide.iterrows():
        lines.append(f"| `{name}` | " + " | ".join("" if pd.isna(value) else f"{value:.3f}" for value in row) + " |")
    return "\n".join(lines) + "\n"


def by_column(tables: dict[str, pd.DataFrame]) -> str:
    """Return AUROC (mean of folds, interval) of the contenders that two tables or more have, a column a table."""
    # A contender that lacks seeds of a table is not in it.
    found = {
        name: table[(table["share"] == 1) & (table["seeds"] == table["seeds"].max())].set_index("contender")
        for name, table in tables.items()
    }
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


def main(
    results: Path, page: Path, kept: Path, splits: Path | None, seeds: Path | None, **further: Path | None
) -> None:
    kept.mkdir(parents=True, exist_ok=True)
    for name in ("benchmark", "pairs", "folds"):
        shutil.copyfile(results / f"{name}.csv", kept / f"{name}.csv")
    shutil.copyfile(results / "benchmark_figure.png", page.parent / "images" / "benchmark.png")
    table, compared = pd.read_csv(results / "benchmark.csv"), pd.read_csv(results / "pairs.csv")
    insert(page, "contenders", contenders(table))
    insert(page, "pairs", pairs(compared))
    insert(page, "growth", growth(table))
    for name, folder in further.items():
        if folder is not None:
            shutil.copyfile(folder / "benchmark.csv", kept / f"{name}.csv")
            insert(page, name, contenders(pd.read_csv(folder / "benchmark.csv")))
            insert(page, f"{name}_pairs", pairs(pd.read_csv(folder / "pairs.csv")))
    if splits is not None:
        shutil.copyfile(splits / "benchmark.csv", kept / "splits.csv")
        other = {str(name): part for name, part in pd.read_csv(splits / "benchmark.csv").groupby("split")}
        insert(page, "splits", by_column({"scaffold": table, **other}))
    if seeds is not None:
        shutil.copyfile(seeds / "benchmark.csv", kept / "seeds.csv")
        insert(page, "seeds", by_column({"one seed": table, "three seeds": pd.read_csv(seeds / "benchmark.csv")}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for place in ("results", "page", "kept"):
        parser.add_argument(place, type=Path)
    for option in ("--multitask", "--splits", "--seeds", "--heads", "--pretrained"):
        parser.add_argument(option, type=Path)
    main(**vars(parser.parse_args()))
