import numpy as np
import pandas as pd
import pytest
from scipy.stats import mannwhitneyu

from decar.interpret.statistics import COLUMNS, compare, holm, kernel_tests


def test_effect_size_counts_pairs():
    positive, negative = np.array([1.0, 2.0, 3.0]), np.array([2.0, 0.0])
    pairs = [np.sign(p - n) for p in positive for n in negative]
    effect, p_value = compare(positive, negative)
    assert effect == pytest.approx(np.mean(pairs))
    assert p_value == pytest.approx(mannwhitneyu(positive, negative).pvalue)
    assert compare(positive, positive - 10)[0] == 1
    assert compare(negative, positive)[0] == pytest.approx(-effect)
    assert np.isnan(compare(positive, np.empty(0))).all()


def test_holm_agrees_with_a_worked_example():
    # Four hypotheses: 0.005 x 4, 0.01 x 3, 0.03 x 2, 0.04 x 1 raised to the one before it.
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, 0.03, 0.005])), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm(np.array([0.5, np.nan, 0.9])), [1.0, np.nan, 1.0])


def table(shift, num_kernels=4, per_class=20):
    generator = np.random.default_rng(0)
    rows = []
    for number in range(2 * per_class):
        for kernel in range(num_kernels):
            label = float(number % 2)
            value = generator.normal(0.5 + (shift * label if kernel == 2 else 0), 0.05)
            subset = "test" if number % 5 < 2 else "train"
            rows.append({
                "form": "activation", "network": "trained", "kernel": kernel, "key": f"k{number}", "label": label,
                "subset": subset, "correlation": value,
            })  # fmt: skip
    return pd.DataFrame(rows)


def test_the_kernel_that_differs_is_found_and_only_that_one():
    found = kernel_tests(table(0.2)).set_index("kernel")
    assert tuple(kernel_tests(table(0.2)).columns) == COLUMNS
    assert list(found.index[found["p_adjusted"] < 0.05]) == [2]
    assert found.loc[2, "effect_size"] > 0.9
    assert found.loc[2, "effect_size_unseen"] > 0.9
    assert found.loc[2, "num_unseen"] == 16
    assert (found["p_adjusted"] >= found["p_value"]).all()
    assert found.loc[2, "mean_positive"] - found.loc[2, "mean_negative"] == pytest.approx(0.2, abs=0.04)


def test_each_network_and_form_is_its_own_family_of_tests():
    first = table(0.2)
    both = pd.concat([first, first.assign(network="untrained"), first.assign(form="input")])
    p_values = kernel_tests(both).groupby(["form", "network"])["p_adjusted"].apply(list)
    alone = list(kernel_tests(first)["p_adjusted"])
    assert all(values == alone for values in p_values)


def test_one_class_and_missing_correlations_are_undefined_and_no_crash():
    one = kernel_tests(table(0.2).query("label == 1"))
    assert one["p_value"].isna().all()
    assert one["p_adjusted"].isna().all()
    missing = table(0.2)
    missing.loc[missing["kernel"] == 1, "correlation"] = np.nan
    found = kernel_tests(missing).set_index("kernel")
    assert found.loc[1, "num_positive"] == 0
    assert np.isnan(found.loc[1, "effect_size"])
    assert np.isfinite(found.loc[2, "p_adjusted"])
