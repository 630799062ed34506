"""Half-times of export and return from a curve of N/C over time."""

import math
from collections.abc import Iterable
from itertools import product
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import optimize, stats

Curve = NDArray[np.float64]
Pair = tuple[int, int | None]

UNFIT = ("edge", "filled", "jump")  # frames of a nucleus with one of these flags are neither fitted nor averaged
CONFIDENCE = 0.95
MIN_PHASE = 3  # values that a phase needs, for two parameters of its own
MIN_R2 = 0.7
WIDE = 4.0  # a half-time known to no better than this factor up and down is not
COARSE = 20  # frames tried at first for each change of the light
STEPS = 8  # time constants tried for each phase when the light is looked for and a fit is started


class ExchangeFit(NamedTuple):
    """The result of a fit; times in the unit of the time given, NaN where a value is not known.

    Attributes
    ----------
    light_on, light_off : float
        `light_off` is infinite where the light stays on.
    baseline : float
        N/C before the light.
    export_amplitude : float
        How far N/C would fall under lasting light; positive.
    export_half_time, export_half_time_low, export_half_time_high : float
        With its 95 % interval.
    return_amplitude, return_half_time, return_half_time_low, return_half_time_high : float
        Likewise of the way back after the light.
    r2 : float
        Share of the variance of the curve that the fit explains.
    trust : bool
    reason : str
        Why not to trust it; '' if there is no reason.
    """

    light_on: float
    light_off: float
    baseline: float = math.nan
    export_amplitude: float = math.nan
    export_half_time: float = math.nan
    export_half_time_low: float = math.nan
    export_half_time_high: float = math.nan
    return_amplitude: float = math.nan
    return_half_time: float = math.nan
    return_half_time_low: float = math.nan
    return_half_time_high: float = math.nan
    r2: float = math.nan
    trust: bool = False
    reason: str = ""


def usable(nuclei: pd.DataFrame) -> "pd.Series[bool]":
    """Select the rows of a table of nuclei that a fit may use, by their `flags`: those without one of `UNFIT`."""
    flags = nuclei["flags"].fillna("").astype(str)  # read back from a file, no flag is NaN
    return ~flags.str.split(";").map(lambda names: any(name in UNFIT for name in names)).astype(bool)


def fitted_curve(time: Curve, fit: ExchangeFit) -> Curve:
    """Evaluate the fitted curve at these times."""
    parts = [fit.baseline, fit.export_amplitude, fit.return_amplitude]
    baseline, export, back = (0.0 if math.isnan(part) else part for part in parts)
    off = math.inf if math.isnan(fit.return_half_time) else fit.light_off  # too few values after it: no return is drawn
    shapes = _shapes(time, fit.light_on, off, fit.export_half_time, fit.return_half_time)
    curve: Curve = shapes @ np.array([baseline, -export, back])[: shapes.shape[1]]
    return curve


def fit_exchange(time: Curve, ratio: Curve, light_on: float, light_off: float = math.inf) -> ExchangeFit:
    """Fit a constant before the light, an exponential fall under it, and an exponential return after it.

        N/C(t) = b                                             t < on
                 b − E (1 − 2^(−(t − on) / h))                 on ≤ t < off
                 N/C(off) + R (1 − 2^(−(t − off) / g))         off ≤ t

    The return may stop short of the baseline. Least squares; intervals by the linearised covariance of log h and log g
    with Student's t. They take the errors of frames as independent: where a mask errs for several frames in a row, they
    are too narrow.

    Parameters
    ----------
    time, ratio : ndarray of float, (T,)
        Ascending times, and N/C; NaN where it is not known.
    light_on, light_off : float
        When the light goes on and off, in the unit of `time`.

    Returns
    -------
    ExchangeFit
        Never raises on odd curves: what cannot be trusted says why.
    """
    empty = ExchangeFit(light_on, light_off)
    known = np.isfinite(ratio) & np.isfinite(time)
    share = known.mean() if len(known) else 0.0
    time, ratio = time[known].astype(float), ratio[known].astype(float)
    phases = _counts(time, light_on, light_off)
    if phases[0] < 1 or phases[1] < MIN_PHASE:
        return empty._replace(reason=f"only {phases[0]} values before and {phases[1]} under the light")
    returns = phases[2] >= MIN_PHASE
    end = light_off if returns else math.inf
    if not returns:
        time, ratio = time[time < light_off], ratio[time < light_off]
    if float(np.ptp(ratio)) == 0:
        return empty._replace(baseline=float(ratio[0]), reason="N/C does not change")
    solved = _solved(time, ratio, light_on, end)
    fit = _described(empty, solved, time, ratio, returns)
    reasons = _doubts(fit, time, share, returns)
    return fit._replace(trust=not reasons, reason="; ".join(reasons))


def find_light(time: Curve, ratio: Curve) -> tuple[float, float]:
    """Find when the light went on and off, as the pair of frames with which the curve is fitted best.

    Parameters
    ----------
    time, ratio : ndarray of float, (T,)
        Best the mean over all nuclei, which see the same light.

    Returns
    -------
    light_on, light_off : float
        Times of frames: the last before the fall, the last before the return. The second is infinite where a return
        does not explain the curve better (Bayesian information criterion), both are NaN for fewer than eight values.
    """
    known = np.isfinite(ratio) & np.isfinite(time)
    time, ratio = time[known].astype(float), ratio[known].astype(float)
    if len(time) < 2 * (MIN_PHASE + 1):
        return math.nan, math.nan
    single, double = _searched(time, ratio, returns=False), _searched(time, ratio, returns=True)
    criteria = {pair: _criterion(time, ratio, pair) for pair in (single, double) if pair is not None}
    on, off = min(criteria, key=lambda pair: criteria[pair])
    return float(time[on]), math.inf if off is None else float(time[off])


def _searched(time: Curve, ratio: Curve, *, returns: bool) -> Pair | None:
    """The frames (on, off) that fit the curve best: on a coarse grid of frames, then on finer ones near the best."""
    last = len(time) - MIN_PHASE
    step = max(1, len(time) // COARSE)
    every = range(0, last, step)
    tried = _pairs(every, every if returns else [None], last)
    while tried:
        best = min(tried, key=lambda pair: _best(time, ratio, *_times(time, pair))[0])
        if step == 1:
            return best
        fine = max(1, step // 4)
        shifts = range(-(step // fine) * fine, step + 1, fine)
        offs = [None if best[1] is None else best[1] + shift for shift in shifts]
        tried = _pairs([best[0] + shift for shift in shifts], offs if returns else [None], last)
        step = fine
    return None


def _pairs(ons: Iterable[int], offs: Iterable[int | None], last: int) -> list[Pair]:
    """Those of all pairs that leave `MIN_PHASE` values to each phase."""
    pairs = product((on for on in ons if 0 <= on < last), offs)
    return [(on, off) for on, off in pairs if off is None or on + MIN_PHASE <= off < last]


def _times(time: Curve, pair: Pair) -> tuple[float, float]:
    on, off = pair
    return float(time[on]), math.inf if off is None else float(time[off])


def _criterion(time: Curve, ratio: Curve, pair: Pair) -> float:
    """Bayesian information criterion; the frames count as parameters too."""
    solved = _solved(time, ratio, *_times(time, pair))
    count = len(time)
    rest = max(float((solved.fun**2).sum()), 1e-12 * count)
    return count * math.log(rest / count) + (len(solved.x) + 2 - pair.count(None)) * math.log(count)


def _counts(time: Curve, on: float, off: float) -> tuple[int, int, int]:
    """Values before, under and after the light."""
    return int((time <= on).sum()), int(((time > on) & (time <= off)).sum()), int((time > off).sum())


def _shapes(time: Curve, on: float, off: float, export: float | Curve, back: float | Curve) -> Curve:
    """What baseline, fall and return look like, (…, T, 2 or 3): columns that amplitudes multiply."""
    under = np.clip(np.minimum(time, off) - on, 0, None)
    fall = 1 - np.exp2(-under / export)
    columns = [np.ones_like(fall), fall]
    if math.isfinite(off):
        columns.append(1 - np.exp2(-np.clip(time - off, 0, None) / back))
    return np.stack(np.broadcast_arrays(*columns), axis=-1)


def _tried(time: Curve) -> Curve:
    """Half-times from a fraction of an interval to the whole video."""
    return np.geomspace(np.diff(time).min() / 2, np.ptp(time), STEPS)


def _best(time: Curve, ratio: Curve, on: float, off: float) -> tuple[float, float, float]:
    """Smallest sum of squares over the half-times tried, and these; amplitudes follow by linear least squares."""
    tried = _tried(time)
    export, back = (grid.ravel() for grid in np.meshgrid(tried, tried if math.isfinite(off) else tried[:1]))
    shapes = _shapes(time, on, off, export[:, None], back[:, None])  # (tries, T, 2 or 3)
    normal = shapes.mT @ shapes + 1e-9 * np.eye(shapes.shape[-1])
    amplitudes = np.linalg.solve(normal, (shapes.mT @ ratio)[..., None])
    rest = ((ratio - (shapes @ amplitudes)[..., 0]) ** 2).sum(axis=1)
    at = int(rest.argmin())
    return float(rest[at]), float(export[at]), float(back[at])


def _solved(time: Curve, ratio: Curve, on: float, off: float) -> optimize.OptimizeResult:
    """Least squares over baseline, amplitudes and logarithms of half-times."""
    _, export, back = _best(time, ratio, on, off)
    shapes = _shapes(time, on, off, export, back)
    amplitudes = np.linalg.lstsq(shapes, ratio, rcond=None)[0]
    count = len(amplitudes)
    start = np.concatenate([amplitudes, np.log([export, back])[: count - 1]])
    low, high = math.log(np.diff(time).min() / 50), math.log(50 * np.ptp(time))
    bounds = [-np.inf] * count + [low] * (count - 1), [np.inf] * count + [high] * (count - 1)

    def rest(values: Curve) -> Curve:
        halves = np.exp(values[count:])
        return _shapes(time, on, off, halves[0], halves[-1]) @ values[:count] - ratio

    return optimize.least_squares(rest, np.clip(start, *bounds), bounds=bounds, x_scale="jac")


def _described(
    empty: ExchangeFit, solved: optimize.OptimizeResult, time: Curve, ratio: Curve, returns: bool
) -> ExchangeFit:
    count = 3 if returns else 2
    rest = float((solved.fun**2).sum())
    freedom = len(time) - len(solved.x)
    errors = np.full(len(solved.x), 100.0)
    if freedom > 0:
        covariance = np.linalg.pinv(solved.jac.T @ solved.jac) * rest / freedom
        reach = stats.t.ppf((1 + CONFIDENCE) / 2, freedom)
        errors = np.clip(reach * np.sqrt(np.clip(np.diag(covariance), 0, None)), None, 100)  # e^100 is any number
    halves = [np.exp(value + np.array([0, -1, 1]) * error) for value, error in zip(solved.x, errors, strict=True)][
        count:
    ]
    fit = empty._replace(
        baseline=float(solved.x[0]),
        export_amplitude=-float(solved.x[1]),
        export_half_time=float(halves[0][0]),
        export_half_time_low=float(halves[0][1]),
        export_half_time_high=float(halves[0][2]),
        r2=1 - rest / float(((ratio - ratio.mean()) ** 2).sum()),
    )
    if returns:
        middle, low, high = map(float, halves[1])
        fit = fit._replace(
            return_amplitude=float(solved.x[2]),
            return_half_time=middle,
            return_half_time_low=low,
            return_half_time_high=high,
        )
    return fit


def _doubts(fit: ExchangeFit, time: Curve, share: float, returns: bool) -> list[str]:
    """Reasons not to trust a fit."""
    reasons = []
    if share < 0.8:
        reasons.append(f"N/C is not known in {100 * (1 - share):.0f} % of the frames")
    if fit.r2 < MIN_R2:
        reasons.append(
            f"the fit explains {100 * max(0.0, fit.r2):.0f} % of the variance, less than {100 * MIN_R2:.0f} %"
        )
    if fit.export_amplitude <= 0:
        reasons.append("N/C rises under the light")
    if returns and fit.return_amplitude <= 0:
        reasons.append("N/C falls further after the light")
    end = min(fit.light_off, time[-1])
    phases = [("export", fit.export_half_time, fit.export_half_time_low, fit.export_half_time_high, end - fit.light_on)]
    if returns:
        lasts = time[-1] - fit.light_off
        phases.append(("return", fit.return_half_time, fit.return_half_time_low, fit.return_half_time_high, lasts))
    for name, half, low, high, lasts in phases:
        if half > lasts:
            reasons.append(f"the half-time of {name} is longer than its phase was watched")
        elif not (half / WIDE <= low and high <= WIDE * half):
            reasons.append(f"the half-time of {name} is known no better than to a factor of {WIDE:g}")
    return reasons
