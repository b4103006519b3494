"""Where a model may be believed: how near a molecule is to those that it was trained on, in two measures.

    similarity   the largest Tanimoto similarity of ECFP4 bits to a training molecule     (doi 10.1021/ci049782w)
    distance     the least Euclidean distance to a training molecule among the activities of the network's last hidden
                 layer, each divided by its standard deviation over the training molecules, divided by the root of
                 their number                                                       (doi 10.3390/molecules17054791)

The thresholds are those that 95 % of the validation molecules meet, which the weights were not fitted to: the 5 %
quantile of their similarities and the 95 % quantile of their distances. A molecule is inside where it meets both. The
activities of a molecule are the mean over its conformers, unrotated.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decar.errors import DataFormatError
from decar.molecules.fingerprint import Bits, tanimoto

SHARE = 0.95  # of the validation molecules that are inside by each measure
Activities = NDArray[np.float32]


@dataclass(frozen=True)
class Thresholds:
    """The least similarity and the largest distance inside, and how many molecules they were set by."""

    similarity: float
    distance: float
    num_training: int
    num_validation: int


@dataclass(frozen=True)
class Domain:
    """The training molecules: keys (molecule, 32 bytes), bits (molecule, 256), activities (molecule, hidden)."""

    keys: Bits
    bits: Bits
    activities: Activities
    thresholds: Thresholds

    def similarity(self, bits: Bits) -> float:
        """Return the similarity of a molecule (256,)."""
        return nearest_similarity(bits, self.bits)

    def distance(self, activities: Activities) -> float:
        """Return the distance of a molecule (hidden,)."""
        return nearest_distance(activities, self.activities)

    def to_tensors(self) -> dict[str, NDArray[Any]]:
        """Return the arrays by name."""
        return {"keys": self.keys, "ecfp4_bits": self.bits, "activities": self.activities}

    def to_json(self) -> dict[str, Any]:
        """Return the thresholds, JSON-able."""
        return asdict(self.thresholds)

    @classmethod
    def restore(cls, tensors: Mapping[str, NDArray[Any]], thresholds: Mapping[str, Any]) -> "Domain":
        """Build from `to_tensors` and `to_json`; raises DataFormatError where they do not fit."""
        try:
            found = cls(tensors["keys"], tensors["ecfp4_bits"], tensors["activities"], Thresholds(**thresholds))
        except (KeyError, TypeError) as error:
            raise DataFormatError("the applicability domain of a model is not whole", seen=str(error)) from error
        if not len(found.keys) == len(found.bits) == len(found.activities) == found.thresholds.num_training:
            raise DataFormatError("the applicability domain of a model contradicts itself", seen=dict(thresholds))
        return found


def fit_domain(
    keys: Sequence[str], bits: Bits, activities: Activities, validation_bits: Bits, validation_activities: Activities
) -> Domain:
    """Return the domain of the training molecules, with thresholds from the validation molecules."""
    similarities = [nearest_similarity(one, bits) for one in validation_bits]
    distances = [nearest_distance(one, activities) for one in validation_activities]
    thresholds = Thresholds(
        float(np.quantile(similarities, 1 - SHARE)), float(np.quantile(distances, SHARE)), len(bits), len(similarities)
    )
    packed = np.array([list(bytes.fromhex(key)) for key in keys], dtype=np.uint8)
    return Domain(packed, bits, activities, thresholds)


def nearest_similarity(bits: Bits, training: Bits) -> float:
    """Return the similarity of one molecule (256,) to the training molecules (molecule, 256)."""
    return float(tanimoto(bits, training).max())


def nearest_distance(activities: Activities, training: Activities) -> float:
    """Return the distance of one molecule (hidden,) to the training molecules (molecule, hidden)."""
    spread = training.std(axis=0, dtype=np.float64)
    # A unit that is the same for all training molecules is measured by the mean spread of the others.
    spread = np.where(spread > 0, spread, spread[spread > 0].mean() if (spread > 0).any() else 1.0)
    scaled = (training - activities.astype(np.float64)) / spread
    return float(np.sqrt(np.square(scaled).mean(axis=1)).min())
