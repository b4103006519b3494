"""The applicability domain of molecules whose similarities and distances are worked out by hand."""

import numpy as np
import pytest

from decar.models.domain import Domain, Thresholds, fit_domain
from decar.molecules.fingerprint import NUM_BITS, Bits

KEYS = ["00" * 32, "0f" * 32, "ff" * 32, "10" * 32]


def bits(*molecules: set[int]) -> Bits:
    """Return the packed bits of molecules that have these."""
    flags = np.array([[place in molecule for place in range(NUM_BITS)] for molecule in molecules])
    return np.packbits(flags, axis=1)


@pytest.fixture
def domain() -> Domain:
    """Units of standard deviation 1, 2 and none (measured by the mean of the others, 1.5); two validation molecules.

    The validation molecules: 4 of 4 bits and 2 of 5 bits of the first training molecule; at its place, and 3, 0, 3
    away from the last one, whose squares in units of the deviations are 9, 0, 4.
    """
    training = np.array([[0, 0, 7], [2, 0, 7], [0, 4, 7], [2, 4, 7]], dtype=np.float32)
    validation = np.array([[0, 0, 7], [5, 4, 10]], dtype=np.float32)
    return fit_domain(
        KEYS, bits({0, 1, 2, 3}, {10, 11}, {20}, {30}), training, bits({0, 1, 2, 3}, {2, 3, 4}), validation
    )  # fmt: skip


def test_thresholds_are_what_95_percent_of_the_validation_molecules_meet(domain: Domain) -> None:
    """Between two values x < y, the quantile q lies at x + q (y - x)."""
    similarity, distance = 0.4 + 0.05 * (1 - 0.4), 0.95 * np.sqrt((9 + 0 + 4) / 3)
    assert domain.thresholds == Thresholds(pytest.approx(similarity), pytest.approx(distance), 4, 2)
    assert [bytes(key).hex() for key in domain.keys] == KEYS


def test_a_near_molecule_is_inside_and_a_far_one_is_not(domain: Domain) -> None:
    """The near one: 3 of 5 bits, (1, 2, 0) away from all. The far one has no bit of theirs, and is 9, 18, 0 away."""
    similarities = [domain.similarity(one) for one in bits({0, 1, 2, 8}, {40, 41})]
    places = np.array([[1, 2, 7], [11, 22, 7]], dtype=np.float32)
    distances = [domain.distance(one) for one in places]
    assert similarities == pytest.approx([3 / 5, 0])
    assert distances == pytest.approx([np.sqrt((1 + 1) / 3), np.sqrt((81 + 81) / 3)])
    assert [value >= domain.thresholds.similarity for value in similarities] == [True, False]
    assert [value <= domain.thresholds.distance for value in distances] == [True, False]
