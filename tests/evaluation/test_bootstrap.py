import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import bootstrap

from lexy.evaluation.bootstrap import DRAWS_AT_ONCE, Interval, bootstrap_mean, bootstrap_means

FEW = 500


def scipys(values: np.ndarray, resamples: int, seed: int, confidence: float = 0.95, method: str = "BCa") -> list[float]:
    found = bootstrap(
        (values,),
        np.mean,
        confidence_level=confidence,
        n_resamples=resamples,
        batch=max(1, DRAWS_AT_ONCE // len(values)),
        method=method,
        random_state=np.random.default_rng(seed),
    ).confidence_interval
    return [values.mean(), found.low, found.high]


# Of these SciPy, too, sees that a resample has the mean of the sample; of others it sees what rounding makes of it.
exact = st.integers(0, 64).map(lambda count: count / 64)


@settings(max_examples=30)
@given(st.lists(exact, min_size=3, max_size=40).filter(lambda values: len(set(values)) > 1), st.integers(0, 99))
def test_the_digits_are_scipys(values: list[float], seed: int) -> None:
    found = bootstrap_mean(np.array(values), 0.9, FEW, seed)
    np.testing.assert_allclose(found[:3], scipys(np.array(values), FEW, seed, 0.9, found.method), rtol=2e-14)


def test_the_digits_are_scipys_by_default_and_in_several_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(1).normal(size=31)
    np.testing.assert_allclose(bootstrap_mean(values)[:3], scipys(values, 9999, 0), rtol=2e-14)
    monkeypatch.setattr("lexy.evaluation.bootstrap.DRAWS_AT_ONCE", 31 * 40)
    monkeypatch.setitem(globals(), "DRAWS_AT_ONCE", 31 * 40)
    np.testing.assert_allclose(bootstrap_mean(values, 0.95, FEW)[:3], scipys(values, FEW, 0), rtol=2e-14)


def test_many_columns_are_what_each_is_alone() -> None:
    rng = np.random.default_rng(0)
    values = pd.DataFrame(rng.gamma(2.0, size=(23, 5)), columns=list("abcde"))
    values.loc[:4, "b"], values.loc[2:, "c"], values["d"] = np.nan, np.nan, 0.25
    values["f"], values["g"] = np.nan, np.where(np.arange(23) == 3, 1.0, 0.0)
    found = bootstrap_means(values, resamples=FEW, seed=3)
    for name in values:
        known = values[name].dropna().to_numpy()
        expected = bootstrap_mean(known, 0.95, FEW, 3)
        np.testing.assert_allclose(found.loc[name, ["mean", "low", "high"]].astype(float), expected[:3], rtol=2e-14)
        assert (found.loc[name, "method"], found.loc[name, "groups"]) == (expected.method, len(known))
    np.testing.assert_allclose(bootstrap_mean(values["g"].to_numpy(), 0.95, FEW, 3)[:3], scipys(values["g"], FEW, 3))


def test_equal_values_few_groups_and_a_degenerate_bca() -> None:
    assert bootstrap_mean(np.full(5, 0.3)) == Interval(0.3, 0.3, 0.3, "constant")
    two = bootstrap_mean(np.array([0.0, 1.0]))
    assert (two.mean, two.method) == (0.5, "none")
    assert np.isnan([two.low, two.high]).all()
    assert np.isnan(bootstrap_mean(np.array([])).mean)
    values = np.array([0.0, 0.25, 1.0])
    one = bootstrap_mean(values, resamples=1)  # wholly on one side of the mean
    assert one.method == "percentile"
    np.testing.assert_allclose(one[:3], scipys(values, 1, 0, method="percentile"))
