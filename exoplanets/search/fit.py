"""One ephemeris, measured well: the transit model fitted to the flux around the transits.

The flux is as it was read, not equalised. Its trend is taken out around each transit by a parabola
that does not see the transit. Shape, period and epoch are then fitted in turn. Errors rest on the
scatter of the same measurement at other phases, where no transit is: that holds the red noise [1]_.

References
----------
.. [1] Pont, Zucker & Queloz 2006, MNRAS 373, 231: depth over red noise.
.. [2] Seager & Mallen-Ornelas 2003, ApJ 585, 1038: shape, duration and density of the star.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from astropy.stats import mad_std
from scipy.optimize import least_squares

from exoplanets.search.ephemeris import Ephemeris
from exoplanets.search.local_trend import (
    average_dips,
    cut_windows,
    find_slow_trend,
    measure_dips,
)
from exoplanets.stars import CADENCE_DAYS
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
DEEP_ENOUGH = 0.7  # of a transit's depth, of dips in between that are as deep
ABSENT = 0.25  # of the depth of the dips that are there, at most, for a dip that is not
STANDS_OUT = 4.0  # standard errors, of a dip that is there
ALIKE = 3.0  # standard errors between depths that are the same
PHASE_STEP = 0.25  # of the duration, between the phases at which a secondary is looked for
TOLERANCE = 5.0  # standard deviations; the loss of samples further off grows linearly


class TransitTimes(NamedTuple):
    """The middle of every transit that was measured; ndarrays of shape (n_transits,)."""

    number: np.ndarray  # int, 0 at the epoch
    time: np.ndarray  # days; NaN if too uncertain: by half a duration or more
    error: np.ndarray  # days


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
        # The separation follows from the duration: Winn 2010, equation 14, solved for it.
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


@dataclass(frozen=True, eq=False)
class TransitFit:
    """What was measured of one signal; NaN where it could not be.

    `ppm` means millionths of the star's level. Where the file has no level, `depth_ppm` and
    `radius_ratio` are NaN, and `depth` and the light curves are in the unit of the file.
    """

    period_days: float
    epoch_days: float  # the first mid-transit time of the light curve, as its times count
    period_error_days: float = np.nan  # NaN of a single transit
    epoch_error_days: float = np.nan
    duration_hours: float = np.nan  # first to last contact
    duration_error_hours: float = np.nan
    depth: float = np.nan  # at mid-transit, share of the level, or unit of the file without one
    depth_error: float = np.nan
    depth_ppm: float = np.nan
    depth_error_ppm: float = np.nan
    radius_ratio: float = np.nan
    radius_ratio_error: float = np.nan
    impact: float = np.nan
    n_transits: int = 0  # with flux in them and on both sides
    odd_even_sigma: float = np.nan  # difference of odd and even depths over its error
    secondary_depth: float = np.nan  # the deepest dip at another phase, in the unit of `depth`
    secondary_ppm: float = np.nan
    secondary_sigma: float = np.nan  # after the number of phases at which it was looked for
    secondary_phase: float = np.nan  # from 0 to 1
    snr: float = np.nan  # depth over its error
    half_duration: float = np.nan  # days, from half depth to half depth
    notes: str = ""
    detrended: np.ndarray | None = None  # (n_samples,), in the unit of `depth`, 0 out of transit
    transit_times: TransitTimes = field(
        default_factory=lambda: TransitTimes(np.empty(0, int), np.empty(0), np.empty(0))
    )
    shape: Shape | None = None  # in the unit of `depth`
    exposure_days: float = CADENCE_DAYS

    @property
    def ephemeris(self):
        """As an `Ephemeris`."""
        return Ephemeris(self.period_days, self.epoch_days, self.half_duration, self.depth)

    def model(self, hours):
        """Flux of the model so many hours from mid-transit, like `detrended`: ndarray."""
        hours = np.asarray(hours, dtype=float)
        if self.shape is None:
            return np.full(hours.shape, np.nan)
        return -self.shape.lost(hours / 24, self.period_days, self.exposure_days)


class _Curve(NamedTuple):
    """A light curve ready to be fitted: its noise is about 1."""

    times: np.ndarray
    flux: np.ndarray
    scale: float | None  # the level in units of the noise
    exposure: float  # days
    beside: float  # days on either side of a transit that its trend is drawn through


class _Signal(NamedTuple):
    """Shape and ephemeris of a signal, and its dips; in the unit of `_Curve`."""

    ephemeris: Ephemeris  # its duration is from first to last contact
    shape: Shape
    errors: np.ndarray  # (3,), of the shape; see `_fit_shape`
    windows: object  # `local_trend.Windows` of the transits
    numbers: np.ndarray  # (n_windows,), of the transits
    line: np.ndarray  # (2, 2), inverse covariance of epoch and period, for white noise of 1
    drawn: tuple  # days and flux lost, of one transit, its deepest 1
    slope: tuple  # days, and the slope of the flux lost
    peak: float  # flux lost at the deepest, averaged over an exposure


def measure_transits(times, flux, ephemeris, *, level=None, exposure_days=CADENCE_DAYS):
    """Measure the transits of a star, given about when they come.

    Parameters
    ----------
    times : ndarray of shape (n_samples,)
        Days, increasing; there may be gaps.
    flux : ndarray of shape (n_samples,)
        As it was read, in any linear unit; NaN where missing.
    ephemeris : Ephemeris
        A first guess: the epoch good to a cadence or two, the duration to a factor of two.
    level : float, optional
        The star's median flux, None where the file has no level (Kaggle's rows).
    exposure_days : float
        Over which each sample is an average.

    Returns
    -------
    TransitFit
        Never raises for a light curve: what cannot be measured is NaN, and `notes` says why.
    """
    times, flux = np.asarray(times, float), np.asarray(flux, float)
    unmeasured = TransitFit(ephemeris.period, ephemeris.epoch, half_duration=ephemeris.duration)
    known = np.isfinite(times) & np.isfinite(flux)
    if np.count_nonzero(known) < FEWEST:
        return _note(unmeasured, f"fewer than {FEWEST} samples of flux")
    has_level = level is not None and np.isfinite(level) and level > 0
    values, timed = flux[known], times[known]
    middle = np.median(values)
    # The greatest value goes first: numbers near the limits of a float lose nothing then.
    largest = np.abs(values - middle).max()
    if not 0 < largest < np.inf:
        return _note(unmeasured, "the flux does not vary")
    values = (values - middle) / largest
    noise = max(mad_std(np.diff(values)) / np.sqrt(2), 1e-7)
    unit = largest * noise
    scale = level / unit if has_level else None
    curve = _Curve(timed, values / noise, scale, exposure_days, 0.0)
    curve = curve._replace(beside=_choose_beside(curve, ephemeris))
    unit = unit / level if has_level else unit
    try:
        signal, dips = _settle(curve, ephemeris)
    except (ValueError, np.linalg.LinAlgError) as error:
        return _note(unmeasured, f"the transit model could not be fitted: {error}")
    return _report(curve, signal, dips, known, unit, has_level)


# ------------------------------------------------------------------------ shape and ephemeris
def _fit_signal(curve, guess):
    """The `_Signal` near an `Ephemeris`; ValueError if there is none to be fitted."""
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
    windows, numbers = _cut_transits(curve, ephemeris)
    return _Signal(ephemeris, shape, errors, windows, numbers, line, drawn, slope, peak)


def _find_hidden(curve, duration, period):
    """Half-widths in days: of what the trend does not see, and of a whole window."""
    hidden = min(0.52 * duration + curve.exposure / 2, SHARE * period)
    return hidden, hidden + curve.beside


def _choose_beside(curve, guess):
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
        scatter[beside] = _find_spread(depths)
    return min(scatter, key=lambda beside: np.nan_to_num(scatter[beside], nan=np.inf))


def _cut_transits(curve, ephemeris, widening=1.0):
    """`Windows` of all transits, and the number of each since the epoch."""
    hidden, reach = _find_hidden(curve, widening * ephemeris.duration, ephemeris.period)
    middles = ephemeris.transit_times(curve.times[0] - hidden, curve.times[-1] + hidden)
    if not len(middles):
        raise ValueError("no transit falls into the light curve")
    excluded = np.abs(ephemeris.since_transit(curve.times)) <= hidden
    windows = cut_windows(curve.times, curve.flux, middles, hidden, reach, excluded)
    # A sample belongs to the nearest transit, however far its window reaches.
    near = np.abs(windows.days) <= ephemeris.period / 2
    windows = windows._replace(**{n: getattr(windows, n)[near] for n in windows._fields[:4]})
    if not np.any(np.abs(windows.days) < hidden):
        raise ValueError("no transit has flux in it and on both sides")
    return windows, ephemeris.count(middles)


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
    order = np.argsort(windows.days, kind="stable")
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
        rest = windows.flux + peak * _interpolate(drawn, late)
        gradient = peak * _interpolate(slope, late)
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


# --------------------------------------------------------------------------- depths of dips
class _Dips(NamedTuple):
    """Depths of single dips of a signal's shape, in the unit of `_Curve`."""

    depths: np.ndarray  # (n_windows,), of the transits
    phases: np.ndarray  # (n_phases,), others, 0 to 1
    elsewhere: np.ndarray  # (n_phases, n_cycles), depths there
    spread: float  # robust standard deviation of a single depth, red noise included
    excess: float  # error of a mean of dips over what the spread of single ones lets expect
    lateness: float  # error of a time over what white noise of 1 lets expect

    def average(self, chosen):
        """Mean depth of some of the transits, and its error."""
        mean, count = average_dips(self.depths[chosen], self.spread)
        return float(mean), float(self.excess * self.spread / np.sqrt(max(count, 1)))


def _cut_elsewhere(curve, signal, middles):
    """`Windows` around other times, clear of the transits."""
    ephemeris = signal.ephemeris
    hidden, reach = _find_hidden(curve, ephemeris.duration, ephemeris.period)
    excluded = np.abs(ephemeris.since_transit(curve.times)) <= hidden
    kept = ~excluded
    none = np.zeros(np.count_nonzero(kept), bool)
    return cut_windows(curve.times[kept], curve.flux[kept], middles, hidden, reach, none)


def _measure_depths(signal, windows):
    """Depth of the signal's shape in each window: ndarray of shape (n_windows,)."""
    return measure_dips(windows, _interpolate(signal.drawn, windows.days))[0]


def _interpolate(drawn, days):
    """Values of a drawn shape so many days from mid-transit, 0 beyond its ends."""
    return np.interp(days, *drawn, left=0, right=0)


def _measure_all(curve, signal):
    """The `_Dips` of a signal, at its transits and at all phases clear of them."""
    period, duration = signal.ephemeris.period, signal.ephemeris.duration
    depths = _measure_depths(signal, signal.windows)
    clear = min(1.5 * duration / period, 0.4)
    n_phases = 2 * int((0.5 - clear) * period / (PHASE_STEP * duration)) + 1
    phases = 0.5 + (np.arange(n_phases) - n_phases // 2) * PHASE_STEP * duration / period
    first = signal.ephemeris.transit_times(curve.times[0] - period, curve.times[-1])
    middles = first + phases[:, None] * period
    windows = _cut_elsewhere(curve, signal, middles.ravel())
    elsewhere = _measure_depths(signal, windows).reshape(middles.shape)
    spread = _find_spread(elsewhere)
    if np.isfinite(depths).sum() > 2:
        spread = np.fmax(spread, _find_spread(depths - np.nanmedian(depths)))
    means, count = average_dips(elsewhere, spread)
    # Noise that repeats with the period does not average out: it shows in the means elsewhere.
    excess = _find_spread(means * np.sqrt(count) / spread)
    excess = max(1.0, excess) if np.isfinite(excess) and n_phases >= 12 else 1.0
    # A time is as uncertain as the part of the noise that looks like a transit that is late.
    slope = _interpolate(signal.slope, windows.days)
    parts, weight = measure_dips(windows, slope)
    lateness = _find_spread(parts * np.sqrt(weight))
    return _Dips(depths, phases, elsewhere, spread, excess, lateness)


def _find_spread(values):
    """Robust standard deviation of the values that are numbers; NaN of fewer than two."""
    values = values[np.isfinite(values)]
    return float(mad_std(values)) if len(values) > 1 else np.nan


def _settle(curve, guess):
    """The `_Signal` and its `_Dips`, at the period that the depths of its dips ask for.

    Two stars nearly alike, found at half their period, cannot be told from a planet by depths.
    """
    for _ in range(3):
        signal = _fit_signal(curve, guess)
        dips = _measure_all(curve, signal)
        guess = _find_other_period(curve, signal, dips)
        if guess is None:
            break
    return signal, dips


def _find_other_period(curve, signal, dips):
    """An `Ephemeris` of which every dip is there and none is left out; None if this one is it."""
    period, epoch, duration, _ = vars(signal.ephemeris).values()
    depth, error = dips.average(np.isfinite(dips.depths))
    for multiple in (2, 3):
        # A multiple of the period: only every second or third dip is there.
        groups = [dips.average(signal.numbers % multiple == k) for k in range(multiple)]
        n_deepest = np.nanargmax([group[0] for group in groups]) if np.isfinite(depth) else 0
        deepest, own_error = groups[n_deepest]
        others = [group for k, group in enumerate(groups) if k != n_deepest]
        n_there = np.isfinite(dips.depths[signal.numbers % multiple == n_deepest]).sum()
        if n_there > 1 and all(
            other < ABSENT * deepest and deepest - other > STANDS_OUT * np.hypot(own_error, e)
            for other, e in others
        ):
            return Ephemeris(multiple * period, epoch + n_deepest * period, duration)
        # A part of it: in between lie dips that are as deep.
        start, stop = curve.times[0] - period, curve.times[-1]
        between = []
        for part in range(1, multiple):
            shifted = Ephemeris(period, epoch + part * period / multiple, duration)
            middles = shifted.transit_times(start, stop)
            depths = _measure_depths(signal, _cut_elsewhere(curve, signal, middles))
            mean, count = average_dips(depths, dips.spread)
            between.append((mean, dips.excess * dips.spread / np.sqrt(max(count, 1))))
        if period > 2 * multiple * duration and all(
            mean > max(DEEP_ENOUGH * depth, STANDS_OUT * e)
            and abs(mean - depth) < max(ALIKE * np.hypot(e, error), 0.05 * depth)
            for mean, e in between
        ):
            return Ephemeris(period / multiple, epoch, duration)
    return None


# ------------------------------------------------------------------------------------ report
def _time_transits(signal, n_rounds=4):
    """How late each transit is, days, and the error for white noise of 1: two ndarrays."""
    windows = signal.windows
    late = np.zeros(windows.n_windows)
    for _ in range(n_rounds):
        since = windows.days - late[windows.window]
        gradient = signal.peak * _interpolate(signal.slope, since)
        rest = windows.flux + signal.peak * _interpolate(signal.drawn, since)
        weight = windows.add_up(gradient**2)
        step = windows.add_up(gradient * rest) / np.maximum(weight, 1e-300)
        late = late + np.clip(step, *(signal.ephemeris.duration * np.array([-0.25, 0.25])))
    return late, 1 / np.sqrt(np.maximum(weight, 1e-300))


def _report(curve, signal, dips, known, unit, has_level):
    """The `TransitFit` of a signal, in the user's units: `unit` is that of `_Curve` in them."""
    period, epoch, duration, _ = vars(signal.ephemeris).values()
    shape = signal.shape._replace(scale=signal.shape.scale * unit)
    seen = np.isfinite(dips.depths)
    mean, error = dips.average(seen)
    weight = signal.windows.add_up(_interpolate(signal.drawn, signal.windows.days) ** 2)
    # Errors for white noise of 1 grow by what the same measurement scatters elsewhere.
    single = dips.spread * np.sqrt(np.median(weight[seen])) if seen.any() else np.nan
    redness = single * dips.excess

    late, late_error = _time_transits(signal)
    late_error = late_error * dips.lateness
    timed = seen & (late_error < duration / 2) & (np.abs(late) < duration / 2)
    epochs = np.where(timed, late, np.nan) + epoch + signal.numbers * period
    scatter = _find_spread((late / late_error)[timed])
    lateness = dips.lateness * (max(1.0, scatter) if np.count_nonzero(timed) > 4 else 1.0)
    first = int(np.ceil((curve.times[0] - epoch) / period))
    line_error = np.full(2, np.nan)
    if np.unique(signal.numbers[seen]).size > 1:
        inverse = np.linalg.pinv(signal.line, rcond=1e-13, hermitian=True)
        shift = np.array([[1.0, first], [0.0, 1.0]])
        line_error = lateness * np.sqrt(np.diag(shift @ inverse @ shift.T).clip(0))
    elif signal.line[0, 0] > 0:
        line_error[0] = lateness / np.sqrt(signal.line[0, 0])

    depth = shape.depth(period)
    ratio_error, duration_error, depth_error = redness * signal.errors
    snr = mean / error if error > 0 else np.nan
    depth_error = depth * max(depth_error, 1 / abs(snr)) if snr else np.nan
    odd, even = (dips.average(signal.numbers % 2 == k) for k in (1, 0))
    million = 1e6 if has_level else np.nan
    secondary, secondary_sigma, secondary_phase = _find_secondary(dips)
    secondary *= unit * depth / (signal.peak * unit)
    lost_days, lost = signal.drawn
    within = lost_days[lost >= 0.5]
    flat = np.full(len(known), np.nan)
    flat[known] = _flatten(curve, signal) * unit
    return TransitFit(
        period_days=period,
        epoch_days=epoch + first * period,
        period_error_days=float(line_error[1]),
        epoch_error_days=float(line_error[0]),
        duration_hours=24 * duration,
        duration_error_hours=float(24 * duration * duration_error),
        depth=depth,
        depth_error=depth_error,
        depth_ppm=million * depth,
        depth_error_ppm=million * depth_error,
        radius_ratio=shape.radius_ratio if has_level else np.nan,
        radius_ratio_error=float(ratio_error * shape.radius_ratio) if has_level else np.nan,
        impact=float(shape.impact),
        n_transits=int(np.count_nonzero(seen)),
        odd_even_sigma=abs(odd[0] - even[0]) / np.hypot(odd[1], even[1]),
        secondary_depth=secondary,
        secondary_ppm=million * secondary,
        secondary_sigma=secondary_sigma,
        secondary_phase=secondary_phase,
        snr=snr,
        half_duration=float(within[-1] - within[0]),
        detrended=flat,
        transit_times=TransitTimes(
            signal.numbers[seen] - first, epochs[seen], np.where(timed, late_error, np.nan)[seen]
        ),
        shape=shape,
        exposure_days=curve.exposure,
    )


def _find_secondary(dips):
    """Depth, significance and phase of the deepest dip clear of the transit; see `TransitFit`."""
    means, count = average_dips(dips.elsewhere, dips.spread)
    sigma = means / dips.spread * np.sqrt(count) / dips.excess
    if not np.isfinite(sigma).any():
        return np.nan, np.nan, np.nan
    best = np.nanargmax(sigma)
    # So many phases were tried that do not overlap; the deepest of them is deep by chance.
    n_tried = max(np.isfinite(sigma).sum() * PHASE_STEP, 1)
    after = np.sqrt(max(sigma[best] ** 2 - 2 * np.log(n_tried), 0)) if sigma[best] > 0 else 0.0
    return float(means[best]), float(after), float(dips.phases[best])


def _flatten(curve, signal):
    """All flux less its trend: the local one near transits, a running median elsewhere."""
    hidden, _ = _find_hidden(curve, signal.ephemeris.duration, signal.ephemeris.period)
    in_transit = np.abs(signal.ephemeris.since_transit(curve.times)) <= hidden
    flat = curve.flux - find_slow_trend(curve.times, curve.flux, in_transit)
    flat[signal.windows.sample] = signal.windows.flux
    return flat


def _note(fit, text):
    """The same fit with a note."""
    return TransitFit(**{**vars(fit), "notes": text})
