"""One ephemeris, measured well: the transit model fitted to the flux around the transits.

The flux is as it was read, not equalised. Its trend is taken out around each transit by a parabola
that does not see the transit. Shape, period and epoch are then fitted in turn. Errors rest on the
scatter of the same measurement at other phases, where no transit is: that holds the red noise [1]_.

References
----------
.. [1] Pont, Zucker & Queloz 2006, MNRAS 373, 231: depth over red noise.
"""

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from astropy.stats import mad_std

from exoplanets.search.ephemeris import Ephemeris
from exoplanets.search.local_trend import (
    average_dips,
    cut_windows,
    find_robust_spread,
    find_slow_trend,
    measure_dips,
)
from exoplanets.search.transit_shape import (
    FEWEST,
    ScaledCurve,
    Shape,
    choose_beside,
    find_hidden,
    fit_signal,
    interpolate,
    time_transits,
)
from exoplanets.stars import CADENCE_DAYS

DEEP_ENOUGH = 0.7  # of a transit's depth, of dips in between that are as deep
ABSENT = 0.25  # of the depth of the dips that are there, at most, for a dip that is not
STANDS_OUT = 4.0  # standard errors, of a dip that is there
ALIKE = 3.0  # standard errors between depths that are the same
LEAST_NOISE = 1e-7  # of the greatest flux less its median; without noise there are no errors
SHORTEST, LONGEST = 0.05, 10.0  # period: days, and times the length of the light curve
MOST_PLACES = 100_000  # single depths that are measured away from the transits
PHASE_STEP = 0.25  # of the duration, between the phases at which a secondary is looked for


class TransitTimes(NamedTuple):
    """The middle of every transit that was measured; ndarrays of shape (n_transits,)."""

    number: np.ndarray  # int, 0 at the epoch
    time: np.ndarray  # days; NaN if too uncertain: by half a duration or more
    error: np.ndarray  # days
    depth: np.ndarray  # of each transit, in the unit of `TransitFit.depth`


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
        default_factory=lambda: TransitTimes(np.empty(0, int), *np.empty((3, 0)))
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
        if self.shape is None or not np.isfinite(self.depth):
            return np.full(hours.shape, np.nan)
        return -self.shape.lost(hours / 24, self.period_days, self.exposure_days)


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
        return replace(unmeasured, notes=f"fewer than {FEWEST} samples of flux")
    numbers = (ephemeris.period, ephemeris.duration, ephemeris.epoch)
    longest = LONGEST * np.ptp(times[known])
    if not (np.isfinite(numbers).all() and SHORTEST < numbers[0] < longest and numbers[1] > 0):
        return replace(unmeasured, notes=f"{ephemeris} cannot be fitted")
    values, timed = flux[known], times[known]
    middle = np.median(values)
    # A number that cannot be had becomes NaN or infinite, and is reported as NaN.
    with np.errstate(all="ignore"):
        # The greatest value goes first: numbers near the limits of a float lose nothing then.
        largest = np.abs(values - middle).max()
        if not 0 < largest < np.inf:
            return replace(unmeasured, notes="the flux does not vary")
        values = (values - middle) / largest
        noise = max(mad_std(np.diff(values)) / np.sqrt(2), LEAST_NOISE)
        unit = largest * noise
        scale = None if level is None else level / unit
        has_level = scale is not None and LEAST_NOISE < scale < 1 / LEAST_NOISE**2
        curve = ScaledCurve(timed, values / noise, scale if has_level else None, exposure_days, 0.0)
        curve = curve._replace(beside=choose_beside(curve, ephemeris))
        try:
            signal, dips = _settle(curve, ephemeris)
            fit = _report(
                curve, signal, dips, known, unit / level if has_level else unit, has_level
            )
        except (ValueError, np.linalg.LinAlgError) as error:
            return replace(unmeasured, notes=f"the transit model could not be fitted: {error}")
    if level is not None and not has_level:
        fit = replace(fit, notes=f"a level of {level:g} does not fit the flux, and is not used")
    return fit


# --------------------------------------------------------------------------- depths of dips
class _Dips(NamedTuple):
    """Depths of single dips of a signal's shape, in the unit of `ScaledCurve`."""

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
    hidden, reach = find_hidden(curve, ephemeris.duration, ephemeris.period)
    excluded = np.abs(ephemeris.since_transit(curve.times)) <= hidden
    kept = ~excluded
    none = np.zeros(np.count_nonzero(kept), bool)
    return cut_windows(curve.times[kept], curve.flux[kept], middles, hidden, reach, none)


def _find_cycles(curve, ephemeris):
    """Mid-transit times that begin the cycles of which something was measured, days: ndarray."""
    number = np.unique(np.floor((curve.times - ephemeris.epoch) / ephemeris.period))
    return ephemeris.epoch + number * ephemeris.period


def _measure_depths(signal, windows):
    """Depth of the signal's shape in each window: ndarray of shape (n_windows,)."""
    return measure_dips(windows, interpolate(signal.drawn, windows.days))[0]


def _measure_all(curve, signal):
    """The `_Dips` of a signal, at its transits and at all phases clear of them."""
    period, duration = signal.ephemeris.period, signal.ephemeris.duration
    depths = _measure_depths(signal, signal.windows)
    clear = min(1.5 * duration / period, 0.4)
    cycles = _find_cycles(curve, signal.ephemeris)
    step = max(PHASE_STEP * duration / period, len(cycles) / MOST_PLACES)
    n_phases = 2 * int((0.5 - clear) / step) + 1
    phases = 0.5 + (np.arange(n_phases) - n_phases // 2) * step
    middles = cycles + phases[:, None] * period
    windows = _cut_elsewhere(curve, signal, middles.ravel())
    elsewhere = _measure_depths(signal, windows).reshape(middles.shape)
    spread = find_robust_spread(elsewhere)
    spread = np.fmax(spread, _find_own_spread(depths, signal.numbers))
    means, count = average_dips(elsewhere, spread)
    # Noise that repeats with the period does not average out: it shows in the means elsewhere.
    excess = find_robust_spread(means * np.sqrt(count) / spread)
    excess = max(1.0, excess) if np.isfinite(excess) and n_phases >= 12 else 1.0
    # A time is as uncertain as the part of the noise that looks like a transit that is late.
    slope = interpolate(signal.slope, windows.days)
    parts, weight = measure_dips(windows, slope)
    lateness = find_robust_spread(parts * np.sqrt(weight))
    return _Dips(depths, phases, elsewhere, spread, excess, lateness)


def _find_own_spread(depths, numbers):
    """Robust standard deviation of the transits' depths; NaN of fewer than three.

    Every second or third may be deeper: each is held against its own kind. That takes as many
    degrees of freedom as there are kinds.
    """
    seen = np.isfinite(depths)
    n_seen, spreads = np.count_nonzero(seen), [np.nan]
    for multiple in (1, 2, 3):
        kinds = [seen & (numbers % multiple == k) for k in range(multiple)]
        if n_seen > 2 * multiple and all(kind.any() for kind in kinds):
            rest = np.concatenate([depths[kind] - np.median(depths[kind]) for kind in kinds])
            spreads.append(find_robust_spread(rest) * np.sqrt(n_seen / (n_seen - multiple)))
    return np.nan if len(spreads) == 1 else np.nanmin(spreads)


def _settle(curve, guess):
    """The `FittedSignal` and its `_Dips`, at the period that the depths of its dips ask for.

    Two stars nearly alike, found at half their period, cannot be told from a planet by depths.
    """
    for _ in range(3):
        signal = fit_signal(curve, guess)
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
        between = []
        for part in range(1, multiple):
            middles = _find_cycles(curve, signal.ephemeris) + part * period / multiple
            depths = _measure_depths(signal, _cut_elsewhere(curve, signal, middles))
            mean, count = average_dips(depths, dips.spread)
            between.append((mean, dips.excess * dips.spread / np.sqrt(max(count, 1))))
        if period > multiple * max(2 * duration, SHORTEST) and all(
            mean > max(DEEP_ENOUGH * depth, STANDS_OUT * e)
            and abs(mean - depth) < max(ALIKE * np.hypot(e, error), 0.05 * depth)
            for mean, e in between
        ):
            return Ephemeris(period / multiple, epoch, duration)
    return None


# ------------------------------------------------------------------------------------ report
def _report(curve, signal, dips, known, unit, has_level):
    """The `TransitFit` of a signal; `unit` is that of `ScaledCurve`, in the unit reported."""
    period, epoch, duration, _ = vars(signal.ephemeris).values()
    shape = signal.shape._replace(scale=signal.shape.scale * unit)
    seen = np.isfinite(dips.depths)
    mean, error = dips.average(seen)
    weight = signal.windows.add_up(interpolate(signal.drawn, signal.windows.days) ** 2)
    # Errors for white noise of 1 grow by what the same measurement scatters elsewhere.
    single = dips.spread * np.sqrt(np.median(weight[seen])) if seen.any() else np.nan
    redness = single * dips.excess

    late, late_error = time_transits(signal)
    late_error = late_error * dips.lateness
    timed = seen & (late_error < duration / 2) & (np.abs(late) < duration / 2)
    epochs = np.where(timed, late, np.nan) + epoch + signal.numbers * period
    scatter = find_robust_spread((late / late_error)[timed])
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
    secondary *= depth / signal.peak
    lost_days, lost = signal.drawn
    within = lost_days[lost >= 0.5]
    flat = np.full(len(known), np.nan)
    flat[known] = _remove_trends(curve, signal) * unit
    fit = TransitFit(
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
            signal.numbers[seen] - first,
            epochs[seen],
            np.where(timed, late_error, np.nan)[seen],
            dips.depths[seen] * depth / signal.peak,
        ),
        shape=shape,
        exposure_days=curve.exposure,
    )
    numbers = {name: value for name, value in vars(fit).items() if np.isscalar(value)}
    unknown = {n: np.nan for n, v in numbers.items() if isinstance(v, float) and np.isinf(v)}
    return replace(fit, **unknown)


def _find_secondary(dips):
    """Depth, significance and phase of the deepest dip clear of the transit; see `TransitFit`."""
    means, count = average_dips(dips.elsewhere, dips.spread)
    sigma = means / dips.spread * np.sqrt(count) / dips.excess
    sigma[count < 2] = np.nan  # a lone dip is no secondary
    if not np.isfinite(sigma).any():
        return np.nan, np.nan, np.nan
    best = np.nanargmax(sigma)
    # So many phases were tried that do not overlap; the deepest of them is deep by chance.
    n_tried = max(np.isfinite(sigma).sum() * PHASE_STEP, 1)
    after = np.sqrt(max(sigma[best] ** 2 - 2 * np.log(n_tried), 0)) if sigma[best] > 0 else 0.0
    return float(means[best]), float(after), float(dips.phases[best])


def _remove_trends(curve, signal):
    """All flux less its trend: the local one near transits, a running median elsewhere."""
    hidden, _ = find_hidden(curve, signal.ephemeris.duration, signal.ephemeris.period)
    in_transit = np.abs(signal.ephemeris.since_transit(curve.times)) <= hidden
    flat = curve.flux - find_slow_trend(curve.times, curve.flux, in_transit)
    flat[signal.windows.sample] = signal.windows.flux
    return flat
