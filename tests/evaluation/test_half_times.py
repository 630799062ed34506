import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lexy.evaluation import half_times as exchange_fit
from lexy.evaluation.half_times import ExchangeFit, find_light, fit_exchange, fitted_curve

TIME = np.arange(30) * 30.0
ON, OFF = 90.0, 390.0


def curve(baseline=2.0, export=1.2, half=50.0, back=0.9, return_half=80.0, off=OFF, time=TIME):
    known = {"baseline": baseline, "export_amplitude": export, "export_half_time": half}
    return fitted_curve(time, ExchangeFit(ON, off, **known, return_amplitude=back, return_half_time=return_half))


def test_half_of_the_way_is_gone_after_a_half_time():
    values = curve(half=60.0, return_half=30.0)
    assert values[3] == 2.0  # t = 90, the light goes on
    assert values[5] == pytest.approx(2.0 - 0.6)  # one half-time
    assert values[7] == pytest.approx(2.0 - 0.9)  # two
    assert values[14] - values[13] == pytest.approx(0.45)  # one half-time of return


@settings(max_examples=25)
@given(
    baseline=st.floats(1.2, 4),
    export=st.floats(0.3, 1.0),
    half=st.floats(15, 200),
    back=st.floats(0.2, 1.0),
    return_half=st.floats(15, 200),
)
def test_exact_curves_give_their_parameters_back(baseline, export, half, back, return_half):
    fit = fit_exchange(TIME, curve(baseline, export, half, back, return_half), ON, OFF)
    found = (fit.baseline, fit.export_amplitude, fit.export_half_time, fit.return_amplitude, fit.return_half_time)
    assert found == pytest.approx((baseline, export, half, back, return_half), rel=1e-3)
    assert fit.trust, fit.reason
    assert fit.r2 == pytest.approx(1)


def test_the_intervals_hold_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(0)
    fits = [fit_exchange(TIME, curve() + rng.normal(0, 0.05, 30), ON, OFF) for _ in range(100)]
    assert 90 <= sum(fit.export_half_time_low <= 50 <= fit.export_half_time_high for fit in fits) <= 99
    assert 90 <= sum(fit.return_half_time_low <= 80 <= fit.return_half_time_high for fit in fits) <= 99


def test_a_video_that_ends_under_the_light_has_no_return():
    fit = fit_exchange(TIME, curve(off=math.inf), ON)
    assert fit.export_half_time == pytest.approx(50, rel=1e-3)
    assert math.isnan(fit.return_half_time)
    assert fit.trust


def test_frames_without_a_value_are_left_out():
    values = curve()
    values[[4, 9, 20]] = np.nan
    assert fit_exchange(TIME, values, ON, OFF).export_half_time == pytest.approx(50, rel=1e-3)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.full(30, 1.5), "does not change"),
        (np.random.default_rng(0).normal(1, 0.1, 30), "explains"),
        (4 - curve(), "rises under the light"),
        (curve(back=-0.5), "falls further"),
        (curve(half=2000), "longer than its phase"),
        (np.where(np.arange(30) % 2, curve(), np.nan), "not known in 50 %"),
        (np.full(30, np.nan), "only 0 values before and 0 under the light"),
    ],
)
def test_what_is_not_to_be_trusted_says_why(values, reason):
    fit = fit_exchange(TIME, values, ON, OFF)
    assert not fit.trust
    assert reason in fit.reason


def test_too_short_a_video():
    fit = fit_exchange(TIME[:5], curve()[:5], ON, OFF)
    assert "only 4 values before and 1 under the light" in fit.reason


@given(seed=st.integers(0, 20))
@settings(max_examples=8)
def test_the_light_is_found_within_a_frame(seed):
    noisy = curve(half=30) + np.random.default_rng(seed).normal(0, 0.02, 30)
    on, off = find_light(TIME, noisy)
    assert abs(on - ON) <= 30
    assert abs(off - OFF) <= 30


def test_light_that_stays_on_is_not_said_to_go_off():
    assert find_light(TIME, curve(off=math.inf)) == (ON, math.inf)


def test_no_light_can_be_found_in_a_few_frames():
    assert all(math.isnan(value) for value in find_light(TIME[:6], curve()[:6]))


def test_a_fit_without_values_after_the_light_is_drawn_as_far_as_it_goes():
    time = TIME[TIME < OFF]
    fit = fit_exchange(time, curve(time=time), ON, OFF)
    assert np.isnan(fit.return_half_time)
    np.testing.assert_allclose(fitted_curve(time, fit), curve(time=time), rtol=1e-3)


def test_the_light_of_a_long_video_is_found_in_few_tries(monkeypatch):
    tried = []
    monkeypatch.setattr(exchange_fit, "_best", lambda *given, best=exchange_fit._best: tried.append(1) or best(*given))
    time = np.arange(700) * 5.0
    values = curve(off=2000.0, time=time) + np.random.default_rng(0).normal(0, 0.02, len(time))
    on, off = find_light(time, values)
    assert on == pytest.approx(ON, abs=15)
    assert off == pytest.approx(2000, abs=15)
    assert len(tried) < 700
