"""The transit model fitted to a light curve, near a first guess of when the transits come.

The trend around each transit, the shape of the folded transits, and epoch and period are fitted in
turn, each with the other two as they are.

References
----------
.. [1] Winn (2010), arXiv:1001.2010: transit geometry.
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import least_squares

from exoplanets.search.ephemeris import Ephemeris
from exoplanets.search.local_trend import Windows, cut_windows, find_robust_spread, measure_dips
from exoplanets.transits import scaled_separation, transit_flux

FEWEST = 20  # samples of flux that are needed
SIDES = (1.5, 2.5, 4.0, 6.0)  # durations on either side of a transit that its trend may reach
TRIALS = 500  # places without a transit, at most, that tell which of them is best for a star
SHARE = 0.35  # of the period, the most that a transit may take on either side of its middle
ROUNDS = 3  # of trend, shape and ephemeris, each better than the one before
BINS = 160  # of the folded transit, for its shape
RATIO = 0.1  # radius ratio where the file has no level: only the impact then tells the shape
CENTRAL = 0.4  # squared impact that is as unlikely, beforehand, as one standard error
UNSMEARED = 1e-5  # days, the exposure of a model that is not averaged
TOLERANCE = 5.0  # standard deviations; the loss of samples further off grows linearly


class Shape(NamedTuple):
    """A transit's shape: what `transit_flux` needs beside the period."""

    radius_ratio: float
    impact: float
    duration: float  # days, first to last contact
    scale: float  # flux that the star would lose if all of it were hidden, in the fit's unit

    def depth(self, period):
        """Flux lost at mid-transit, not averaged over an exposure."""
        return float(self.lost(np.zeros(1), period, UNSMEARED)[0])

    def lost(self, days, period, exposure):
        """Flux lost so many days from mid-transit; ValueError if no planet has this shape."""
        # The separation follows from the duration: [1]_, equation 14, solved for it.
        half_chord = (1 + self.radius_ratio) ** 2 - self.impact**2
        separation = np.hypot(
            self.impact, np.sqrt(half_chord) / np.sin(np.pi * self.duration / period)
        )
        density = (separation / scaled_separation(period, 1.0)) ** 3
        return self.scale * (
            1
            - transit_flux(
                days,
                period=period,
                epoch=0.0,
                radius_ratio=self.radius_ratio,
                impact=self.impact,
                stellar_density=density,
                exposure_days=exposure,
            )
        )


class ScaledCurve(NamedTuple):
    """A light curve ready to be fitted: its noise is about 1."""

    times: np.ndarray
    flux: np.ndarray
    scale: float | None  # the level in units of the noise
    exposure: float  # days
    beside: float  # days on either side of a transit that its trend is drawn through


class FittedSignal(NamedTuple):
    """Shape and ephemeris of a signal, and its dips; in the unit of `ScaledCurve`."""

    ephemeris: Ephemeris  # its duration is from first to last contact
    shape: Shape
    errors: np.ndarray  # (3,), of the shape; see `_fit_shape`
    windows: Windows  # of the transits
    numbers: np.ndarray  # (n_windows,), of the transits
    line: np.ndarray  # (2, 2), inverse covariance of epoch and period, for white noise of 1
    drawn: tuple  # days and flux lost, of one transit, its deepest 1
    slope: tuple  # days, and the slope of the flux lost
    peak: float  # flux lost at the deepest, averaged over an exposure


def fit_signal(curve, guess):
    """The `FittedSignal` near an `Ephemeris`; ValueError if there is none to be fitted."""
    ephemeris = _align(curve, guess)
    for _ in range(ROUNDS):
        windows, numbers = _cut_transits(curve, ephemeris)
        shape, errors = _fit_shape(curve, windows, ephemeris)
        ephemeris = Ephemeris(ephemeris.period, ephemeris.epoch, shape.duration)
        half = shape.duration / 2 + curve.exposure
        days = np.linspace(-half, half, 801)
        lost = shape.lost(days, ephemeris.period, curve.exposure)
        peak = lost.max()
        if not peak > 0:
            raise ValueError("no depth is left")
        drawn, slope = (days, lost / peak), (days, np.gradient(lost / peak, days))
        ephemeris, line = _fit_line(ephemeris, windows, numbers, drawn, slope, peak)
        if not 0.8 < ephemeris.period / guess.period < 1.25:
            raise ValueError("no period near the first guess fits")
    windows, numbers = _cut_transits(curve, ephemeris)
    return FittedSignal(ephemeris, shape, errors, windows, numbers, line, drawn, slope, peak)


def find_hidden(curve, duration, period):
    """Half-widths in days: of what the trend does not see, and of a whole window."""
    hidden = min(0.52 * duration + curve.exposure / 2, SHARE * period)
    return hidden, hidden + curve.beside


def choose_beside(curve, guess):
    """Days on either side of a transit through which the best trend is drawn.

    A quiet star asks for many, a spotted one for few: where there is no transit, a box of the
    transit's duration is to scatter least.
    """
    duration = min(guess.duration, SHARE * guess.period)
    kept = np.abs(guess.since_transit(curve.times)) > min(duration, SHARE * guess.period)
    times, flux = curve.times[kept], curve.flux[kept]
    least = 4.5 * np.median(np.diff(curve.times))
    if len(times) < FEWEST:
        return least
    middles = times[:: max(len(times) // TRIALS, 1)]
    half = max(duration, curve.exposure) / 2
    scatter = {}
    for beside in np.maximum(np.array(SIDES) * duration, least):
        hidden = 0.52 * duration + curve.exposure / 2
        reach = hidden + beside
        windows = cut_windows(times, flux, middles, hidden, reach, np.zeros(len(times), bool))
        depths, _ = measure_dips(windows, (np.abs(windows.days) <= half).astype(float))
        scatter[beside] = find_robust_spread(depths)
    return min(scatter, key=lambda beside: np.nan_to_num(scatter[beside], nan=np.inf))


def _cut_transits(curve, ephemeris, widening=1.0):
    """`Windows` of all transits, and the number of each since the epoch."""
    hidden, reach = find_hidden(curve, widening * ephemeris.duration, ephemeris.period)
    excluded = np.abs(ephemeris.since_transit(curve.times)) <= hidden
    if not excluded.any():
        raise ValueError("no transit falls into the light curve")
    numbers = np.unique(ephemeris.count(curve.times[excluded]))
    middles = ephemeris.epoch + numbers * ephemeris.period
    windows = cut_windows(curve.times, curve.flux, middles, hidden, reach, excluded)
    # A sample belongs to the nearest transit, however far its window reaches.
    near = np.abs(windows.days) <= ephemeris.period / 2
    windows = windows._replace(**{n: getattr(windows, n)[near] for n in windows._fields[:4]})
    if not np.any(np.abs(windows.days) < hidden):
        raise ValueError("no transit has flux in it and on both sides")
    return windows, numbers


def _align(curve, guess):
    """The guess, with its first and its last transit moved to where a box is deepest."""
    duration = min(guess.duration, SHARE * guess.period)
    windows, numbers = _cut_transits(curve, Ephemeris(guess.period, guess.epoch, duration), 2.5)
    offsets = np.arange(-6, 7) * duration / 8
    late = np.linspace(0, 1, windows.n_windows)
    best = (-np.inf, 0, 0, duration)
    for width in duration * np.array([0.6, 1.0, 1.6]):
        width = max(width, curve.exposure)
        inside = [np.abs(windows.days - offset) <= width / 2 for offset in offsets]
        count = np.stack([windows.add_up(part) for part in inside])
        total = np.stack([windows.add_up(part * windows.flux) for part in inside])
        for first in range(len(offsets)):
            for last in range(len(offsets)) if windows.n_windows > 1 else (first,):
                # The box of each transit lies on the line from the first to the last.
                place = np.rint(first + late * (last - first)).astype(int), np.arange(len(late))
                n = count[place].sum()
                strength = -total[place].sum() / np.sqrt(n) if n else -np.inf
                if strength > best[0]:
                    best = strength, offsets[first], offsets[last], width
    _, first, last, width = best
    period = guess.period + (last - first) / max(numbers[-1] - numbers[0], 1)
    epoch = guess.epoch + numbers[0] * guess.period + first - numbers[0] * period
    return Ephemeris(period, epoch, min(1.2 * width, SHARE * period))


def _fit_shape(curve, windows, ephemeris):
    """`Shape` of the folded transits, and its errors for white noise of 1, ndarray of shape (3,).

    The errors are relative: of the radius ratio, of the duration and of the depth.
    """
    hidden, _ = find_hidden(curve, ephemeris.duration, ephemeris.period)
    near = np.flatnonzero(np.abs(windows.days) < hidden + ephemeris.duration / 2)
    order = near[np.argsort(windows.days[near], kind="stable")]
    edges = np.linspace(0, len(order), min(BINS, len(order)) + 1).astype(int)[:-1]
    n_each = np.diff(np.append(edges, len(order)))
    days = np.add.reduceat(windows.days[order], edges) / n_each
    flux = np.add.reduceat(windows.flux[order], edges) / n_each
    weight = np.sqrt(n_each)
    period = ephemeris.period
    middle = np.abs(days) < max(ephemeris.duration / 4, curve.exposure / 2)
    depth = -np.median(flux[middle]) if middle.any() else -flux.min()
    depth = max(depth, 1e-3)

    def build(parameters):
        size, squared, duration = parameters
        ratio = RATIO if curve.scale is None else np.exp(size)
        scale = curve.scale if curve.scale is not None else np.exp(size)
        return Shape(ratio, np.sqrt(squared) * (1 + ratio), np.exp(duration), scale)

    def miss(parameters):
        rest = (flux + build(parameters).lost(days, period, curve.exposure)) * weight
        # Where the flux cannot tell, the transit is rather central than grazing.
        return np.append(rest, parameters[1] / CENTRAL)

    if curve.scale is None:
        size, smallest, largest = np.log(depth / RATIO**2), -np.inf, np.inf
    else:
        smallest, largest = np.log(1e-4), np.log(0.99)
        size = np.clip(np.log(depth / curve.scale) / 2, smallest + 0.1, largest - 0.1)
    shortest, longest = max(0.4 * ephemeris.duration, 0.01), 0.48 * period
    if not shortest < longest:
        raise ValueError(f"a transit of {24 * shortest:.2g} h for a period of {period:.3g} d")
    start = np.clip(ephemeris.duration, 1.01 * shortest, 0.99 * longest)
    # Central and grazing transits are two valleys: the fit starts in the deeper one.
    starts = [(size, impact, np.log(start)) for impact in (0.05, 0.35, 0.8)]
    start = min(starts, key=lambda trial: np.sum(np.abs(miss(trial))))
    low = smallest, 0.0, np.log(shortest)
    high = largest, 0.998, np.log(min(3 * ephemeris.duration + curve.exposure, longest))
    fitted = least_squares(
        miss, start, bounds=(low, high), loss="soft_l1", f_scale=TOLERANCE, max_nfev=40,
        ftol=1e-4, xtol=1e-4,
    )  # fmt: skip
    shape, covariance = build(fitted.x), np.linalg.pinv(fitted.jac.T @ fitted.jac)
    depth = shape.depth(period)
    inwards = np.where(fitted.x < 0.5, 1e-3, -1e-3)
    steps = [build(fitted.x + step).depth(period) / depth - 1 for step in np.diag(inwards)]
    gradient = np.array(steps) / inwards
    variance = np.append(np.diag(covariance)[[0, 2]], gradient @ covariance @ gradient)
    return shape, np.sqrt(variance.clip(0))


def _fit_line(ephemeris, windows, numbers, drawn, slope, peak):
    """Epoch and period that fit all samples near transits, for a given shape of the transit.

    Returns the `Ephemeris`, and the inverse covariance of epoch and period for white noise of 1.
    """
    line, terms = np.zeros(2), np.stack([np.ones(len(numbers)), numbers])
    for _ in range(4):
        late = windows.days - (line @ terms)[windows.window]
        rest = windows.flux + peak * interpolate(drawn, late)
        gradient = peak * interpolate(slope, late)
        weight = (1 + (rest / TOLERANCE) ** 2) ** -0.25  # the root of that of a soft L1 loss
        gradient, rest = weight * gradient, weight * rest
        inverse = (terms * windows.add_up(gradient**2)) @ terms.T
        step = np.linalg.lstsq(inverse, terms @ windows.add_up(gradient * rest), rcond=1e-12)[0]
        # A step is at most a quarter of the transit, at either end.
        most = np.abs(step @ terms).max()
        line = line + step * min(1, 0.25 * ephemeris.duration / max(most, 1e-12))
    if np.abs(line @ terms).max() > ephemeris.duration:
        return ephemeris, inverse  # it ran away: too weak to be followed
    period = ephemeris.period + line[1]
    return Ephemeris(period, ephemeris.epoch + line[0], ephemeris.duration), inverse


def interpolate(drawn, days):
    """Values of a drawn shape so many days from mid-transit, 0 beyond its ends."""
    return np.interp(days, *drawn, left=0, right=0)


def time_transits(signal, n_rounds=4):
    """How late each transit is, days, and the error for white noise of 1: two ndarrays."""
    windows = signal.windows
    late = np.zeros(windows.n_windows)
    for _ in range(n_rounds):
        since = windows.days - late[windows.window]
        gradient = signal.peak * interpolate(signal.slope, since)
        rest = windows.flux + signal.peak * interpolate(signal.drawn, since)
        weight = windows.add_up(gradient**2)
        step = windows.add_up(gradient * rest) / np.maximum(weight, 1e-300)
        late = late + np.clip(step, *(signal.ephemeris.duration * np.array([-0.25, 0.25])))
    return late, 1 / np.sqrt(np.maximum(weight, 1e-300))
