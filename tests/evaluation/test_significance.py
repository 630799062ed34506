import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import wilcoxon

from lexy.evaluation.significance import holm, signed_rank


def test_holm_by_hand():
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, np.nan, 0.03])), [0.03, 0.06, np.nan, 0.06])
    np.testing.assert_allclose(holm(np.array([0.6, 0.9])), [1, 1])
    assert len(holm(np.array([]))) == 0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_is_between_each_p_and_bonferronis(values):
    p = np.array(values)
    found = holm(p)
    assert (found >= p).all()
    assert (found <= np.minimum(1, len(p) * p)).all()
    assert (np.diff(found[np.argsort(p, kind="stable")]) >= 0).all()


def test_signed_ranks_by_hand():
    differences = np.array([0.25, -0.125, 0.5, 0.0])  # ranks 2, 1, 3
    p, effect = signed_rank(differences)
    assert effect == pytest.approx((5 - 1) / 6)
    assert p == wilcoxon(differences).pvalue
    assert signed_rank(-differences) == (p, -effect)
    assert signed_rank(np.zeros(3)) == (1, 0)
    assert np.isnan(signed_rank(np.array([]))).all()
