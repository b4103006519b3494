"""The figure of gradients and of the gap by number of rotations, from the trainings of `decar benchmark`.

    python -m benchmarks.shared_gradients docs/images/gradients.png benchmarks/shared_benchmark PARTS [PARTS ...]

PARTS: results/<study>/benchmark/parts of the study of `benchmarks/shared_study.py`, and of `rotations.yaml` with
continuous ones. Gradients of NETWORKS on the density, and the gap of the published one by its rotations, on the
scaffold folds that are there. The gaps are kept as gaps.csv in the second folder, for `benchmarks.shared_page`.
"""

import sys
from pathlib import Path

from decar.figures.gradients import Job, draw, tabulate
from decar.figures.style import style

NETWORKS = ("published_density", "residual_density", "steerable_density")
ROTATIONS = {
    "published_density": "rotations_6", "published_density_no_rotations": "none",
    "published_density_24_rotations": "rotations_24", "published_density_continuous": "continuous",
}  # fmt: skip


def jobs(parts: list[Path]) -> list[Job]:
    """Return the trainings on all molecules of the first seed's scaffold folds."""
    found = []
    for folder in sorted(folder for part in parts for folder in part.glob("*-scaffold-seed0-share1-fold*")):
        name, _, _, _, fold, _ = folder.name.rsplit("-", 5)
        if name in {*NETWORKS, *ROTATIONS} and (folder / "predictions.parquet").exists():
            rotations = ROTATIONS.get(name, "rotations_6")
            series = "published_density" if name in ROTATIONS else name
            number = int(fold.removeprefix("fold"))
            found.append(Job(name, "scaffold", number, series, rotations, folder / "training"))
    return found


def main(output: Path, kept: Path, parts: list[Path]) -> None:
    """Draw, and keep the gaps."""
    norms, gaps = tabulate(jobs(parts))
    gaps.to_csv(kept / "gaps.csv", index=False, float_format="%.6g")
    with style():
        draw(norms[norms["model"].isin(NETWORKS)], gaps).savefig(output, dpi=200)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), [Path(argument) for argument in sys.argv[3:]])
