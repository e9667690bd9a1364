"""Box least squares on equalised light curves: the reference that a network has to beat.

Astropy's `BoxLeastSquares` [1]_ runs over the periods, box widths and resolution that a
practitioner would choose. The statistic counts red noise as noise and takes no single dip for a
period. The period of the best peak is then refined on the single cadences.

References
----------
.. [1] Kovacs, Zucker & Mazeh 2002, A&A 391, 369.
.. [2] Ofir 2014, A&A 561, A138: how dense trial periods have to be.
.. [3] Pont, Zucker & Queloz 2006, MNRAS 373, 231: depth over red noise.
.. [4] Alcock et al. 2000, ApJ 542, 257: signal detection efficiency.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from astropy.stats import mad_std
from astropy.timeseries import BoxLeastSquares as BoxLeastSquaresModel
from scipy.optimize import minimize

from exoplanets.stars import CADENCE_DAYS

MONTHS = 22.0  # days; `FEWEST_TRANSITS` of longer periods have to fit in what was measured
SEARCHES = (  # shortest and longest period (d), box widths (h)
    (0.6, 3.0, (1.5, 3.0)),
    (3.0, MONTHS, (2.5, 4.0, 7.0)),
    (MONTHS, np.inf, (4.0, 8.0, 12.0)),
)
FEWEST_TRANSITS = 3  # in the baseline, with its gaps, at the longest period
DRIFT = 1.5  # trial periods in which a transit drifts by its own duration over the baseline
BIN = 2  # cadences averaged before the search
FLARE = 4.0  # robust standard deviations; brightenings are cut there, dips are not
NEAR = 0.003  # relative: trial periods that are near one that is given
PLAIN = 400  # other trial periods, of each of `SEARCHES`, that tell the level of the noise
CANDIDATES = 12  # peaks of the periodogram whose single events are looked at
INGRESS = 0.3  # of the duration, of the trapezium with which a period is refined
MULTIPLES = (2, 3)  # of a period, where only every second or third of its dips is there
ABSENT = 0.25  # of the depth of the dips that are there, at most, for a dip that is not
STANDS_OUT = 4.0  # standard errors between the dips that are there and those that are not


class Search(NamedTuple):
    """What a box search found in each light curve; ndarrays of shape (n_stars,)."""

    # Signal detection efficiency [4]_, dimensionless: the highest signal-to-noise ratio of the
    # periodogram, in robust standard deviations above its median.
    statistic: np.ndarray
    period: np.ndarray  # days
    epoch: np.ndarray  # days from the first cadence to the middle of the first transit
    duration: np.ndarray  # days
    depth: np.ndarray  # in the unit of the light curve
    snr: np.ndarray  # dimensionless

    @classmethod
    def stack(cls, rows):
        """One of many stars, of one per star."""
        return cls(*np.reshape(rows, (-1, len(cls._fields))).astype(float).T)

    def select(self, index):
        """What was found in some of the stars (or, for an integer, in one)."""
        return Search(*(values[index] for values in self))


def search(curves):
    """Search light curves (n_stars, n_cadences), stars side by side: 50 ms of one core each.

    They are equalised, dimensionless, with a cadence every `CADENCE_DAYS`. Returns a `Search`.
    """
    # Astropy's search lets other threads work meanwhile.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return Search.stack(list(pool.map(search_star, curves)))


def search_star(curve, times=None, near=None):
    """Search one equalised light curve.

    Parameters
    ----------
    curve : ndarray of shape (n_cadences,)
    times : ndarray of shape (n_cadences,), optional
        Days since the first cadence; one every `CADENCE_DAYS` unless given.
    near : ndarray, optional
        Periods, days. Only trial periods near one of them are tried, and a few others for the level
        of the noise: all that a light curve of years asks for would take a minute.

    Returns
    -------
    Search
        Of numbers; NaN, and a statistic of minus infinity, where nothing can be searched.
    """
    times = np.arange(len(curve)) * CADENCE_DAYS if times is None else np.asarray(times)
    flux = np.minimum(np.asarray(curve, np.float64), FLARE)
    n_bins = len(flux) // BIN
    binned, time = (values[: n_bins * BIN].reshape(n_bins, BIN) for values in (flux, times))
    whole = np.ptp(time, axis=1) < 2 * BIN * CADENCE_DAYS  # not from both sides of a gap
    binned, time = binned[whole].mean(axis=1), time[whole].mean(axis=1)
    binned -= np.median(binned)
    peaks = _find_peaks(time, binned, near)
    if not len(peaks):
        return Search(-np.inf, *[np.nan] * 5)
    statistic, period, epoch, duration = _choose_peak(time, binned, peaks)
    flux -= np.median(flux)
    period, epoch, duration = _refine(times, flux, period, epoch, duration)
    period, epoch = _find_multiple(times, flux, period, epoch, duration)
    events, _ = _event_depths(times, flux, period, epoch, duration)
    snr = events.mean() / _box_scatter(flux, duration / CADENCE_DAYS) * np.sqrt(len(events))
    return Search(statistic, period, epoch, duration, events.mean(), snr)


def _find_peaks(time, binned, near):
    """Trial periods, highest signal-to-noise ratio first; a row each, see `_choose_peak`.

    The ratio is the depth over the scatter of box means of the same width, which holds the red
    noise [3]_, times the root of the number of transits that were measured.
    """
    baseline = time[-1] - time[0]
    measured = (len(time) - 1) * BIN * CADENCE_DAYS  # days: the baseline less its gaps
    model = BoxLeastSquaresModel(time, binned, dy=np.ones(len(time)))
    peaks = [np.empty((6, 0))]
    for shortest, longest, hours in SEARCHES:
        longest = min(longest, (baseline if shortest < MONTHS else measured) / FEWEST_TRANSITS)
        if longest <= shortest:
            continue
        periods = trial_periods(shortest, longest, baseline)
        plain = np.ones(len(periods), bool)
        if near is not None:
            plain = np.arange(len(periods)) % max(len(periods) // PLAIN, 1) == 0
            nearest = np.abs(periods / np.reshape(near, (-1, 1)) - 1).min(axis=0)
            periods, plain = (values[plain | (nearest < NEAR)] for values in (periods, plain))
        durations = np.array(hours) / 24
        power = model.power(periods, durations, objective="snr", oversample=3)
        scatter = np.array([_box_scatter(binned, d / (BIN * CADENCE_DAYS)) for d in durations])
        # Astropy rounds durations to a part of the shortest, and leaves them unset where none fits.
        width = np.abs(np.subtract.outer(durations, power.duration)).argmin(axis=0)
        scatter = scatter[width]
        snr = power.depth / scatter * np.sqrt(measured / periods)
        peaks.append((snr, periods, power.transit_time, power.duration, scatter, plain))
    peaks = np.nan_to_num(np.concatenate(peaks, axis=1)).T
    return peaks[np.argsort(-peaks[:, 0], kind="stable")]


def _choose_peak(time, binned, peaks):
    """Statistic, period, epoch and duration of the best of some peaks, days.

    A single deep event is no planet: the deepest is left out if that lowers the ratio.
    """
    noise = peaks[peaks[:, -1] == 1, 0]
    level, spread = np.median(noise), max(mad_std(noise), 1e-9)
    best, seen = (-np.inf, *[np.nan] * 3), []
    for snr, period, epoch, duration, scatter, _ in peaks:
        if any(abs(period / other - 1) < 0.01 for other in seen):
            continue
        seen.append(period)
        events = _event_depths(time, binned, period, epoch, duration)[0] / scatter
        without_deepest = np.sort(events)[:-1].mean() if len(events) > 1 else 0.0
        statistic = (min(snr, without_deepest * np.sqrt(len(events))) - level) / spread
        if statistic > best[0]:
            best = (statistic, period, epoch, duration)
        if len(seen) == CANDIDATES:
            break
    return best


def trial_periods(shortest, longest, baseline):
    """Trial periods, days, so dense that none slips a transit by more than a part of it [2]_.

    A transit of a Sun-like star lasts 0.075 P^(1/3) days.
    """
    step = 0.075 / 3 / baseline / DRIFT
    return np.arange(longest ** (-1 / 3), shortest ** (-1 / 3), step) ** -3.0


def _refine(times, flux, period, epoch, duration):
    """Period, epoch and duration of the trapezium that fits the single cadences best, days.

    Trial periods are dense enough to see a planet, not to tell when its next transit is. What is
    varied is the time of the first and of the last transit, which hardly depend on one another,
    and the duration, up to a factor of two.
    """
    n_periods = int((times[-1] - epoch) / period)
    if n_periods < 1:
        return period, epoch, duration

    def fit(trial):
        first, last, width = trial
        step = (last - first) / n_periods
        away = np.abs((times - first + step / 2) % step - step / 2)
        if not duration / 2 <= width <= 2 * duration or away.min() > width / 2:
            return np.inf
        dip = np.clip(((1 + INGRESS) * width / 2 - away) / (INGRESS * width), 0, 1)
        return flux @ dip / np.sqrt(dip @ dip + 1e-9)  # the lower, the more significant

    start = np.array([epoch, epoch + n_periods * period, duration])
    simplex = start + duration / 4 * np.vstack([np.zeros(3), np.eye(3)])
    options = {"initial_simplex": simplex, "xatol": 1e-4, "fatol": 1e-3, "maxfev": 200}
    first, last, duration = minimize(fit, start, method="Nelder-Mead", options=options).x
    period = (last - first) / n_periods
    return period, first % period, duration


def _find_multiple(times, flux, period, epoch, duration):
    """Period and epoch: a period two or three times as long, where the dips between are missing.

    A search that asks for many transits prefers half of a long period: the dips it counts between
    the true ones are empty. The longer period is looked at in the same way.
    """
    for multiple in MULTIPLES:
        depths, numbers = _event_depths(times, flux, period, epoch, duration)
        groups = [depths[numbers % multiple == k] for k in range(multiple)]
        if min(map(len, groups)) < 2:
            continue
        deepest = int(np.argmax([group.mean() for group in groups]))
        there = groups.pop(deepest)
        others = np.concatenate(groups)
        scatter = max(_box_scatter(flux, duration / CADENCE_DAYS), others.std(ddof=1))
        error = scatter * np.sqrt(1 / len(there) + 1 / len(others))
        difference = there.mean() - others.mean()
        if others.mean() < ABSENT * there.mean() and difference > STANDS_OUT * error:
            epoch = (epoch + period * deepest) % (period * multiple)
            return _find_multiple(times, flux, period * multiple, epoch, duration)
    return period, epoch


def _box_scatter(flux, width):
    """Robust standard deviation of the mean of `width` (rounded) neighbours; never 0."""
    width = max(1, round(width))
    total = np.cumsum(np.concatenate([[0.0], flux]))
    return max(mad_std((total[width:] - total[:-width]) / width), 1e-9)


def _event_depths(time, flux, period, epoch, duration):
    """Mean depth of every single transit that has a sample in it, and its number from the epoch."""
    number = np.round((time - epoch) / period).astype(int)
    inside = np.abs(time - epoch - number * period) <= duration / 2
    numbers, place, counts = np.unique(number[inside], return_inverse=True, return_counts=True)
    return np.bincount(place, weights=-flux[inside]) / counts, numbers
