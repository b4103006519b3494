import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    matthews_corrcoef,
    recall_score,
    roc_auc_score,
)

from decar.evaluate.metrics import METRICS, metrics, undefined_note

REFERENCE = {
    "accuracy": accuracy_score,
    "balanced_accuracy": balanced_accuracy_score,
    "sensitivity": recall_score,
    "specificity": lambda *args, **kwargs: recall_score(*args, pos_label=0, **kwargs),
    "mcc": matthews_corrcoef,
}


# Probabilities in tenths, so that ties, and values of exactly one half, occur.
@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 10), st.integers(0, 3)), min_size=2, max_size=40))
def test_weighted_metrics_agree_with_scikit_learn(rows):
    label, probability, weight = (np.array(column, dtype=float) for column in zip(*rows))
    probability /= 10
    if len(np.unique(label[weight > 0])) < 2:
        return
    found = metrics(label, probability, weight)
    predicted = probability >= 0.5
    for name, reference in REFERENCE.items():
        assert float(found[name]) == pytest.approx(reference(label, predicted, sample_weight=weight), abs=1e-12), name
    assert float(found["auroc"]) == pytest.approx(roc_auc_score(label, probability, sample_weight=weight), abs=1e-12)


def test_a_stack_of_weights_gives_each_resample_its_own_values():
    generator = np.random.default_rng(0)
    label, probability = generator.integers(0, 2, 30), generator.random(30)
    weight = generator.multinomial(30, np.full(30, 1 / 30), size=5).astype(float)
    together = metrics(label, probability, weight)
    for row in range(5):
        alone = metrics(label, probability, weight[row])
        assert all(float(alone[name]) == pytest.approx(float(together[name][row])) for name in METRICS)


@pytest.mark.parametrize(("label", "defined"), [(1.0, "sensitivity"), (0.0, "specificity")])
def test_one_class_leaves_the_other_metrics_undefined(label, defined):
    found = metrics(np.full(4, label), np.array([0.1, 0.6, 0.7, 0.8]))
    assert {name for name in METRICS if np.isfinite(found[name])} == {"accuracy", defined}
    assert "undefined" in undefined_note(np.full(4, label))
    assert undefined_note(np.array([0, 1])) == ""


def test_constant_predictions_have_no_correlation():
    found = metrics(np.array([0, 1, 1]), np.full(3, 0.9))
    assert float(found["mcc"]) == 0
    assert float(found["auroc"]) == 0.5
