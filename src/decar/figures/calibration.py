"""Does a probability mean what it says: reliability diagrams of the test folds, as predicted and after Platt scaling.

Platt scaling (Platt 1999, Advances in Large Margin Classifiers, 61): p' = 1 / (1 + exp(-(a z + b))), z the logit of p.
a and b of a fold are fitted on the validation molecules of that fold alone, with the targets (n+ + 1) / (n+ + 2) and
1 / (n- + 2), so that no molecule is scaled by a line that it helped to fit.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy.optimize import minimize

from decar.config import FiguresSettings, Study
from decar.evaluate.calibration import NUM_BINS, brier, expected_calibration_error, reliability
from decar.figures.performance import in_order, read_metrics
from decar.figures.save import Drawing
from decar.figures.sources import Sources, read_columns
from decar.figures.style import BLACK, BLUE, GREY, ORANGE, PAGE, PALE, new_figure, panel_letter, readable
from decar.record import Array

COLUMNS = ["model", "scheme", "fold", "key", "subset", "label", "prediction"]
FORMS = ("as predicted", "Platt-scaled")
LOOK = {"as predicted": (BLUE, "o", "-"), "Platt-scaled": (ORANGE, "s", "--")}
LEAST, SMALLEST = 5, 1e-6  # molecules of the smaller validation class below which no line is fitted; of 0 and 1


def platt(label: Array, probability: Array) -> tuple[float, float] | None:
    """Return slope a and intercept b of highest likelihood; None where a class has fewer than 5 molecules."""
    positive = np.asarray(label) > 0.5
    counts = int(positive.sum()), int((~positive).sum())
    if min(counts) < LEAST:
        return None
    target = np.where(positive, (counts[0] + 1) / (counts[0] + 2), 1 / (counts[1] + 2))
    logit = _logit(probability)

    def loss(line: Array) -> float:
        value = line[0] * logit + line[1]
        return float(np.mean(np.logaddexp(0, value) - target * value))

    slope, intercept = minimize(loss, np.array([1.0, 0.0]), method="BFGS").x
    return float(slope), float(intercept)


def _logit(probability: Array) -> Array:
    inside = np.clip(np.asarray(probability, dtype=np.float64), SMALLEST, 1 - SMALLEST)
    return np.asarray(np.log(inside / (1 - inside)))


def scaled(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return the test rows of one model and split with `scaled` beside `probability`; NaN in a fold without a line."""
    parts = []
    for _, fold in predictions.groupby("fold"):
        seen, test = fold[fold["subset"] == "validation"], fold[fold["subset"] == "test"]
        line = platt(seen["label"].to_numpy(np.float64), seen["probability"].to_numpy(np.float64))
        value = np.full(len(test), np.nan)
        if line is not None:
            value = 1 / (1 + np.exp(-(line[0] * _logit(test["probability"].to_numpy(np.float64)) + line[1])))
        parts.append(test.assign(scaled=value))
    return pd.concat(parts, ignore_index=True)


def tabulate(sources: Sources) -> pd.DataFrame:
    """Return a row a split, model, form and bin: probability, share, n, and brier, ece, of_all (n) of the curve."""
    table = read_columns(sources.evaluation / "predictions.parquet", COLUMNS)[COLUMNS]
    table = table.rename(columns={"prediction": "probability"})
    table = table[table["label"].notna() & np.isfinite(table["probability"])]
    roles = read_metrics(sources).groupby("model")["role"].first()
    rows = []
    for (scheme, model), part in table.groupby(["scheme", "model"], sort=True):
        test = scaled(part)
        for form, column in zip(FORMS, ("probability", "scaled")):
            if test[column].isna().any():
                continue
            label, value = test["label"].to_numpy(np.float64), test[column].to_numpy(np.float64)
            rows.append(reliability(label, value).assign(
                scheme=scheme, model=model, role=roles.get(model, "baseline"), form=form, brier=brier(label, value),
                ece=expected_calibration_error(label, value), of_all=len(test),
            ))  # fmt: skip
    columns = ["scheme", "model", "role", "form", "bin", "probability", "share", "n", "brier", "ece", "of_all"]
    return pd.concat(rows, ignore_index=True)[columns]


def draw(table: pd.DataFrame, settings: FiguresSettings) -> Figure:
    """Draw a panel a split and model: the curves above, the number of molecules in each bin below."""
    panels = [(scheme, model) for scheme, part in table.groupby("scheme", sort=True) for model in in_order(part)]
    columns = min(4, len(panels))
    rows = -(-len(panels) // columns)
    figure = new_figure(PAGE, 2.25 * rows + 0.35)
    grid = figure.subplots(2 * rows, columns, squeeze=False, sharex=True, height_ratios=[3, 1] * rows)
    for place in range(rows * columns):
        above, below = (grid[2 * (place // columns) + part, place % columns] for part in (0, 1))
        if place >= len(panels):
            above.set_visible(False)
            below.set_visible(False)
            continue
        scheme, model = panels[place]
        lines = _panel(above, below, table[(table["scheme"] == scheme) & (table["model"] == model)])
        above.set_title(f"{readable(model)}\n{scheme} split", fontsize=7, pad=4 + 8 * len(lines))
        above.annotate("\n".join(lines), (0, 1), (0, 3), xycoords="axes fraction", textcoords="offset points",
                       fontsize=6, color=BLACK, va="bottom")  # fmt: skip
        panel_letter(above, chr(ord("a") + place % 26))
        if place % columns == 0:
            above.set_ylabel(f"share of “{settings.positive_name}”")
            below.set_ylabel("molecules")
        if place + columns >= len(panels):
            below.set_xlabel("predicted probability")
            below.tick_params(labelbottom=True)
    handles = [
        Line2D([], [], color=colour, marker=marker, linestyle=style, label=form)  # type: ignore[arg-type]
        for form, (colour, marker, style) in LOOK.items() if form in set(table["form"])
    ]  # fmt: skip
    handles.append(Line2D([], [], color=GREY, linewidth=0.6, linestyle=(0, (1, 2)), label="calibrated"))
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


def _panel(above: Axes, below: Axes, table: pd.DataFrame) -> list[str]:
    """Draw both parts; return a line a form with its scores."""
    above.plot([0, 1], [0, 1], color=GREY, linewidth=0.6, linestyle=(0, (1, 2)))
    forms = [form for form in FORMS if form in set(table["form"])]
    lines = []
    for number, form in enumerate(forms):
        colour, marker, style = LOOK[form]
        curve = table[table["form"] == form]
        above.plot(
            curve["probability"],
            curve["share"],
            marker=marker,
            color=colour,
            linestyle=style,
            markersize=3,
            clip_on=False,
        )
        width = 0.9 / NUM_BINS / len(forms)
        places = (curve["bin"] + 0.5) / NUM_BINS + width * (number - (len(forms) - 1) / 2)
        below.bar(places, curve["n"], width, color=colour)
        scores = f"Brier {curve['brier'].iloc[0]:.2f}, ECE {curve['ece'].iloc[0]:.2f}"
        lines.append(scores if form == FORMS[0] else f"scaled: {scores}")
    above.set(xlim=(0, 1), ylim=(-0.03, 1.03))
    above.set_xticks([0, 0.5, 1])
    above.grid(color=PALE)
    return lines


def build(study: Study, sources: Sources) -> Drawing:
    """Draw the calibration of the study's models."""
    table = tabulate(sources)
    return Drawing(draw(table, study.figures), table)
