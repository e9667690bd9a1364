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

from exoplanets.lightcurves.clock import find_used
from exoplanets.search.ephemeris import Ephemeris
from exoplanets.search.local_trend import (
    SHARE,
    ScaledCurve,
    Windows,
    average_dips,
    find_robust_spread,
    find_slow_trend,
    measure_dips,
)
from exoplanets.search.transit_shape import Profile, Shape, fit_shape
from exoplanets.stars import CADENCE_DAYS

FEWEST = 20  # samples of flux that are needed
ROUNDS = 3  # of trend, shape and ephemeris, each better than the one before
DEEP_ENOUGH = 0.7  # of a transit's depth, of a dip in between that is as deep
ABSENT = 0.25  # of the depth of the dips that are there, at most, for a dip that is not
STANDS_OUT = 4.0  # standard errors, of a dip that is there
ALIKE = 3.0  # standard errors between depths that are the same
LEAST_NOISE = 1e-7  # of the greatest flux less its median; without noise there are no errors
SHORTEST, LONGEST = 0.05, 10.0  # period: days, and times the length of the light curve
MOST_PLACES = 30_000  # single depths that are measured away from the transits
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
        As it was read, in any linear unit; NaN where missing. Gaps that were filled do not count
        (see `clock.find_used`).
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
    known = np.isfinite(times) & find_used(flux)
    if np.count_nonzero(known) < FEWEST:
        return replace(unmeasured, notes=f"fewer than {FEWEST} samples of flux were measured")
    period, epoch, duration, _ = vars(ephemeris).values()
    is_period = SHORTEST < period < LONGEST * np.ptp(times[known])
    if not (is_period and 0 < duration < np.inf and np.isfinite(epoch)):
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
        curve = ScaledCurve(timed, values / noise, scale if has_level else None, exposure_days)
        curve = curve.choose_beside(ephemeris)
        try:
            signal = _settle(curve, ephemeris)
            fit = _report(curve, signal, known, unit / level if has_level else unit, has_level)
        except (ValueError, np.linalg.LinAlgError) as error:
            return replace(unmeasured, notes=f"the transit model could not be fitted: {error}")
    if level is not None and not has_level:
        fit = replace(fit, notes=f"a level of {level:g} does not fit the flux, and is not used")
    return fit


# --------------------------------------------------------------------------------- one signal
class _Signal(NamedTuple):
    """What was fitted, and the depths of single dips of its shape; in the unit of `ScaledCurve`."""

    ephemeris: Ephemeris  # its duration is from first to last contact
    shape: Shape
    errors: np.ndarray  # (3,), see `fit_shape`
    profile: Profile
    windows: Windows  # of the transits
    numbers: np.ndarray  # (n_windows,), of the transits
    inverse: np.ndarray  # (2, 2), inverse covariance of epoch and period, for white noise of 1
    depths: np.ndarray  # (n_windows,), of the transits
    phases: np.ndarray = None  # (n_phases,), others, 0 to 1
    elsewhere: np.ndarray = None  # (n_phases, n_cycles), depths there
    spread: float = np.nan  # robust standard deviation of a single depth, red noise included
    excess: float = 1.0  # error of a mean of dips over what the spread of single ones tells
    lateness: float = np.nan  # error of a time over that for white noise of 1

    def average(self, depths):
        """Means of depths along their last axis, and the errors of these."""
        mean, count = average_dips(depths, self.spread)
        return mean, self.excess * self.spread / np.sqrt(np.maximum(count, 1))


def _align(curve, guess):
    """The guess, with its first and its last transit moved to where a box is deepest."""
    duration = min(guess.duration, SHARE * guess.period)
    windows, numbers = curve.cut_transits(replace(guess, duration=2.5 * duration))
    offsets = np.arange(-6, 7) * duration / 8
    # The box of each transit lies on the line from the first offset to the last.
    first, last = (grid.ravel() for grid in np.meshgrid(offsets, offsets, indexing="ij"))
    if len(numbers) == 1:
        first = last = offsets
    share = (numbers - numbers[0]) / max(np.ptp(numbers), 1)
    place = np.rint((first[:, None] + share * (last - first)[:, None]) / duration * 8).astype(int)
    best = (-np.inf, 0, duration)
    for width in np.maximum(duration * np.array([0.6, 1.0, 1.6]), curve.exposure):
        inside = [np.abs(windows.days - offset) <= width / 2 for offset in offsets]
        count = np.stack([windows.add_up(part) for part in inside])
        total = np.stack([windows.add_up(part * windows.flux) for part in inside])
        n, flux = (sums[place + 6, np.arange(len(numbers))].sum(axis=1) for sums in (count, total))
        strength = np.where(n > 0, -flux / np.sqrt(n), -np.inf)
        best = max(best, (strength.max(), int(strength.argmax()), width))
    _, k, width = best
    period = guess.period + (last[k] - first[k]) / max(np.ptp(numbers), 1)
    epoch = guess.epoch + numbers[0] * guess.period + first[k] - numbers[0] * period
    return Ephemeris(period, epoch, min(1.2 * width, SHARE * period))


def _fit_line(ephemeris, windows, numbers, profile):
    """Epoch and period that fit the transits best, and the inverse of their covariance."""
    duration, line = ephemeris.duration, np.zeros(2)
    terms = np.stack([np.ones(len(numbers)), numbers])
    for _ in range(4):
        late, weight = profile.find_lateness(windows, line @ terms)
        inverse = (terms * weight) @ terms.T
        step = np.linalg.lstsq(inverse, terms @ (weight * late), rcond=1e-12)[0]
        # A step is at most a quarter of the transit, at either end.
        most = np.abs(step @ terms).max()
        line = line + step * min(1, 0.25 * duration / max(most, 1e-12))
    if np.abs(line @ terms).max() > duration:
        return ephemeris, inverse  # it ran away: too weak to be followed
    late, longer = line
    return Ephemeris(ephemeris.period + longer, ephemeris.epoch + late, duration), inverse


def _fit_signal(curve, guess):
    """The `_Signal` near an `Ephemeris`; ValueError if there is none to be fitted."""
    ephemeris = _align(curve, guess)
    for _ in range(ROUNDS):
        windows, numbers = curve.cut_transits(ephemeris)
        half, _ = curve.find_hidden(ephemeris)
        near = np.abs(windows.days) < half + ephemeris.duration / 2
        fold = windows.days[near], windows.flux[near]
        shape, errors = fit_shape(*fold, ephemeris, curve.scale, curve.exposure)
        profile = shape.draw(ephemeris.period, curve.exposure)
        ephemeris = replace(ephemeris, duration=shape.duration)
        ephemeris, inverse = _fit_line(ephemeris, windows, numbers, profile)
        if not 0.8 < ephemeris.period / guess.period < 1.25:
            raise ValueError("no period near the first guess fits")
    windows, numbers = curve.cut_transits(ephemeris)
    depths, _ = measure_dips(windows, profile.read(windows.days))
    fitted = ephemeris, shape, errors, profile, windows, numbers, inverse, depths
    return _measure_noise(curve, _Signal(*fitted))


def _measure_elsewhere(curve, signal, phases):
    """`Windows` at some phases of every cycle, and the depths there (n_phases, n_cycles)."""
    epoch, period = signal.ephemeris.epoch, signal.ephemeris.period
    cycles = np.unique(np.floor((curve.times - epoch) / period))
    middles = epoch + (cycles + np.reshape(phases, (-1, 1))) * period
    windows = curve.cut_elsewhere(signal.ephemeris, middles.ravel())
    depths, _ = measure_dips(windows, signal.profile.read(windows.days))
    return windows, depths.reshape(middles.shape)


def _measure_noise(curve, signal):
    """The signal with its depths at all phases clear of the transits: that is its noise."""
    period, duration = signal.ephemeris.period, signal.ephemeris.duration
    clear = min(1.5 * duration / period, 0.4)
    step = max(PHASE_STEP * duration, np.ptp(curve.times) / MOST_PLACES) / period
    n_beside = int((0.5 - clear) / step)
    phases = 0.5 + np.arange(-n_beside, n_beside + 1) * step
    windows, elsewhere = _measure_elsewhere(curve, signal, phases)
    # The transits may scatter more. As every second or third may be deeper, each is held against
    # the one so many before it.
    own = np.full(np.ptp(signal.numbers) + 1, np.nan)
    own[signal.numbers - signal.numbers[0]] = signal.depths
    changes = [own[lag:] - own[:-lag] for lag in (1, 2, 3)]
    spreads = [find_robust_spread(c) for c in changes if np.isfinite(c).sum() > 3]
    own_spread = min(spreads, default=np.nan) / np.sqrt(2)
    spread = np.fmax(find_robust_spread(elsewhere), own_spread)
    means, count = average_dips(elsewhere, spread)
    # Noise that repeats with the period does not average out: it shows in the means elsewhere.
    excess = find_robust_spread(means * np.sqrt(count) / spread)
    excess = max(1.0, excess) if np.isfinite(excess) and len(phases) >= 12 else 1.0
    # A time is as uncertain as the part of the noise that looks like a transit that is late.
    parts, weight = measure_dips(windows, signal.profile.read_slope(windows.days))
    lateness = find_robust_spread(parts * np.sqrt(weight))
    return signal._replace(
        phases=phases, elsewhere=elsewhere, spread=spread, excess=excess, lateness=lateness
    )


def _settle(curve, guess):
    """The `_Signal` at the period that the depths of its dips ask for.

    Two stars nearly alike, found at half their period, cannot be told from a planet by depths.
    """
    for _ in range(4):
        signal = _fit_signal(curve, guess)
        guess = _find_other_period(curve, signal)
        if guess is None:
            break
    return signal


def _find_other_period(curve, signal):
    """An `Ephemeris` of which every dip is there and none is left out; None if this one is it."""
    period, epoch, duration, _ = vars(signal.ephemeris).values()
    depth, error = signal.average(signal.depths)
    for multiple in (2, 3):
        # A multiple of the period: only every second or third dip is there.
        kinds = [signal.depths[signal.numbers % multiple == k] for k in range(multiple)]
        means, errors = np.array([signal.average(kind) for kind in kinds]).T
        k = int(np.argmax(np.nan_to_num(means, nan=-np.inf)))
        stands_out = means[k] - means > STANDS_OUT * np.hypot(errors[k], errors)
        absent = stands_out & (means < ABSENT * means[k])
        if np.isfinite(kinds[k]).sum() > 1 and absent.sum() == multiple - 1:
            return Ephemeris(multiple * period, epoch + k * period, duration)
    for part in (2, 3, 5):
        # A part of the period: in between lie dips too. A lone one in between may be of a second
        # star, unless it is as deep; several at equal distances are of one body.
        if period > part * max(2 * duration, SHORTEST):
            between = np.arange(1, part) / part
            means, errors = signal.average(_measure_elsewhere(curve, signal, between)[1])
            there = means > np.maximum(ABSENT * depth, ALIKE * errors)
            if part == 2:
                alike = max(ALIKE * np.hypot(errors[0], error), 0.05 * depth)
                there &= means > np.maximum(DEEP_ENOUGH * depth, STANDS_OUT * errors)
                there &= np.abs(means - depth) < alike
            if there.all():
                return Ephemeris(period / part, epoch, duration)
    return None


# ------------------------------------------------------------------------------------ report
def _report(curve, signal, known, unit, has_level):
    """The `TransitFit` of a signal; `unit` is that of `ScaledCurve`, in the unit reported."""
    period, epoch, duration, _ = vars(signal.ephemeris).values()
    profile, windows = signal.profile, signal.windows
    shape = signal.shape._replace(scale=signal.shape.scale * unit)
    depth, million = shape.depth(period), 1e6 if has_level else np.nan
    seen = np.isfinite(signal.depths)
    mean, error = signal.average(signal.depths)
    snr = mean / error
    # Errors for white noise of 1 grow by what the same measurement scatters elsewhere.
    weight = windows.add_up(profile.read(windows.days) ** 2)
    single = np.sqrt(np.median(weight[seen])) if seen.any() else np.nan
    errors = signal.spread * signal.excess * single * signal.errors
    ratio_error, duration_error, depth_error = errors
    depth_error = depth * max(depth_error, 1 / abs(snr))
    odd, even = (signal.average(signal.depths[signal.numbers % 2 == k]) for k in (1, 0))
    secondary, secondary_sigma, secondary_phase = _find_secondary(signal)

    late = np.zeros(windows.n_windows)
    for _ in range(4):
        step, weight = profile.find_lateness(windows, late)
        late = late + step.clip(-duration / 4, duration / 4)
    late_error = signal.lateness / np.sqrt(weight)
    timed = seen & (late_error < duration / 2) & (np.abs(late) < duration / 2)
    # Transits that come early and late make the line through them uncertain too.
    scatter = find_robust_spread((late / late_error)[timed]) if timed.sum() > 4 else 1.0
    first = int(np.ceil((curve.times[0] - epoch) / period))
    shift = np.array([[1.0, first], [0.0, 1.0]])
    covariance = shift @ np.linalg.pinv(signal.inverse, rcond=1e-13, hermitian=True) @ shift.T
    line_error = signal.lateness * max(1.0, scatter) * np.sqrt(np.diag(covariance).clip(0))
    if np.count_nonzero(seen) < 2:
        line_error = np.array([late_error[seen].sum() if seen.any() else np.nan, np.nan])

    flat = np.full(len(known), np.nan)
    _, inside = curve.find_hidden(signal.ephemeris)
    # The trend is the local one near transits, a running median elsewhere.
    rest = curve.flux - find_slow_trend(curve.times, curve.flux, inside)
    rest[windows.sample] = windows.flux
    flat[known] = rest * unit
    numbers = {
        "period_days": period,
        "epoch_days": epoch + first * period,
        "period_error_days": line_error[1],
        "epoch_error_days": line_error[0],
        "duration_hours": 24 * duration,
        "duration_error_hours": 24 * duration * duration_error,
        "depth": depth,
        "depth_error": depth_error,
        "depth_ppm": million * depth,
        "depth_error_ppm": million * depth_error,
        "radius_ratio": shape.radius_ratio if has_level else np.nan,
        "radius_ratio_error": ratio_error * shape.radius_ratio if has_level else np.nan,
        "impact": shape.impact,
        "odd_even_sigma": abs(odd[0] - even[0]) / np.hypot(odd[1], even[1]),
        "secondary_depth": secondary * depth / profile.peak,
        "secondary_ppm": million * secondary * depth / profile.peak,
        "secondary_sigma": secondary_sigma,
        "secondary_phase": secondary_phase,
        "snr": snr,
        "half_duration": np.ptp(profile.days[profile.lost >= 0.5]),
    }
    return TransitFit(
        **{name: float(n) if np.isfinite(n) else np.nan for name, n in numbers.items()},
        n_transits=int(np.count_nonzero(seen)),
        detrended=flat,
        transit_times=TransitTimes(
            signal.numbers[seen] - first,
            np.where(timed, epoch + signal.numbers * period + late, np.nan)[seen],
            np.where(timed, late_error, np.nan)[seen],
            signal.depths[seen] * depth / profile.peak,
        ),
        shape=shape,
        exposure_days=curve.exposure,
    )


def _find_secondary(signal):
    """Depth, significance and phase of the deepest dip clear of the transit; see `TransitFit`."""
    means, errors = signal.average(signal.elsewhere)
    is_lone = np.isfinite(signal.elsewhere).sum(axis=1) < 2  # a lone dip is no secondary
    sigma = np.where(is_lone, np.nan, means / errors)
    if not np.isfinite(sigma).any():
        return np.nan, np.nan, np.nan
    best = np.nanargmax(sigma)
    # So many phases were tried that do not overlap; the deepest of them is deep by chance.
    n_tried = max(np.isfinite(sigma).sum() * PHASE_STEP, 1)
    after = np.sqrt(max(max(sigma[best], 0) ** 2 - 2 * np.log(n_tried), 0))
    return means[best], after, signal.phases[best]
