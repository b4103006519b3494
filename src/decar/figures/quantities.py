"""How predicted values are written: with the unit of the property, and as many decimal places as their spread asks for.

Of a binary property they are probabilities, and attributions are logits; of a regression both are in its unit.
"""

import numpy as np
import pandas as pd

from decar.config import Study
from decar.figures.tables import decimals
from decar.predictions import kind_of, unit_of
from decar.record import Array

PROBABILITY_PLACES = 2


def bracketed(text: str, unit: str) -> str:
    """Return `text [unit]`; the text alone where there is no unit."""
    return f"{text} [{unit}]" if unit else text


def value_unit(study: Study) -> str:
    """Return the unit of what is predicted; "" of a probability, and of a regression that has none."""
    return "" if kind_of(study) == "binary" else unit_of(study)


def attribution_unit(study: Study) -> str:
    """Return the unit of attributions: `logit`, or that of a regression ("" where it has none)."""
    return "logit" if kind_of(study) == "binary" else unit_of(study)


def per_volume(unit: str) -> str:
    """Return a unit per cubic angstrom."""
    if not unit:
        return "1/Å³"
    return f"{unit}/Å³" if unit.isalnum() else f"({unit})/Å³"


def places_of(study: Study, labels: Array | pd.Series) -> int:
    """Return the decimal places of a predicted value: 2 of a probability, a hundredth of the labels' spread or so."""
    if kind_of(study) == "binary":
        return PROBABILITY_PLACES
    known = np.asarray(labels, dtype=np.float64)
    known = known[np.isfinite(known)]
    return decimals(float(known.std())) + 1 if len(known) > 1 else PROBABILITY_PLACES


def written(value: float, places: int) -> str:
    """Return a number with a minus sign, without the sign of a zero that was rounded to."""
    text = f"{value:.{places}f}"
    return text.replace("-", "−") if any(digit in text for digit in "123456789") else text.removeprefix("-")
