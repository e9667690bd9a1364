"""Box least squares on equalised light curves: the reference a network has to beat.

Astropy's `BoxLeastSquares` [1]_, run over the periods, box widths and resolution a practitioner
would choose, with a statistic that counts red noise as noise and no single dip as a period.

References
----------
.. [1] Kovacs, Zucker & Mazeh 2002, A&A 391, 369.
.. [2] Ofir 2014, A&A 561, A138: how dense trial periods have to be.
.. [3] Pont, Zucker & Queloz 2006, MNRAS 373, 231: depth over red noise.
.. [4] Alcock et al. 2000, ApJ 542, 257: signal detection efficiency.
"""

from typing import NamedTuple

import joblib
import numpy as np
from astropy.timeseries import BoxLeastSquares

from exoplanets.stars import CADENCE_DAYS

SEARCHES = (  # shortest and longest period (d), box widths (h)
    (0.6, 3.0, (1.5, 3.0)),
    (3.0, 22.0, (2.5, 4.0, 7.0)),
)
FEWEST_TRANSITS = 3  # in the baseline, at the longest period
DRIFT = 1.5  # trial periods in which a transit drifts by its own duration over the baseline
BIN = 2  # cadences averaged before the search
FLARE = 4.0  # robust standard deviations; brightenings are cut there, dips are not
CANDIDATES = 12  # peaks of the periodogram whose single events are looked at


class Search(NamedTuple):
    """What a box search found in each light curve; ndarrays of shape (n_stars,).

    Attributes
    ----------
    statistic : dimensionless
        Signal detection efficiency [4]_: the highest signal-to-noise ratio of the periodogram, in
        robust standard deviations above its median.
    period, epoch, duration : days
        Epoch is the middle of the first transit, since the first cadence.
    depth, snr : unit of the light curve, dimensionless
    """

    statistic: np.ndarray
    period: np.ndarray
    epoch: np.ndarray
    duration: np.ndarray
    depth: np.ndarray
    snr: np.ndarray


def trial_periods(shortest, longest, baseline):
    """Trial periods, days, so dense that none slips a transit by more than a part of it [2]_.

    A transit of a Sun-like star lasts 0.075 P^(1/3) days.
    """
    step = 0.075 / 3 / baseline / DRIFT
    return np.arange(longest ** (-1 / 3), shortest ** (-1 / 3), step) ** -3.0


def search_star(curve, times=None):
    """Search one equalised light curve; returns the six numbers of `Search`.

    The signal-to-noise ratio of a period is the depth over the scatter of box means of the same
    width, which holds the red noise [3]_, times the root of the number of transits. A single deep
    event is no planet: the deepest is left out if that lowers the ratio.

    Parameters
    ----------
    curve : ndarray of shape (n_cadences,)
    times : ndarray of shape (n_cadences,), optional
        Days since the first cadence; a cadence each unless given.

    Returns
    -------
    tuple of float
    """
    n_bins = len(curve) // BIN
    flux = np.minimum(np.asarray(curve[: n_bins * BIN], np.float64), FLARE)
    flux = flux.reshape(n_bins, BIN).mean(axis=1)
    flux -= np.median(flux)
    step = BIN * CADENCE_DAYS
    if times is None:
        times = np.arange(len(curve)) * CADENCE_DAYS
    time = np.reshape(times[: n_bins * BIN], (n_bins, BIN)).mean(axis=1)
    baseline = time[-1] - time[0]
    model = BoxLeastSquares(time, flux, dy=np.ones(n_bins))
    found = []
    for shortest, longest, hours in SEARCHES:
        longest = min(longest, baseline / FEWEST_TRANSITS)
        if longest <= shortest:
            continue
        periods = trial_periods(shortest, longest, baseline)
        durations = np.array(hours) / 24
        power = model.power(periods, durations, objective="snr", oversample=3)
        scatter = np.array([_box_scatter(flux, max(1, round(d / step))) for d in durations])
        scatter = scatter[np.searchsorted(durations, power.duration - 1e-9)]
        snr = power.depth / scatter * np.sqrt(baseline / periods)
        found.append((snr, periods, power.transit_time, power.duration, power.depth, scatter))
    found = np.nan_to_num(np.concatenate(found, axis=1))
    found = found[:, np.argsort(-found[0], kind="stable")]
    level = np.median(found[0])
    spread = max(1.4826 * np.median(np.abs(found[0] - level)), 1e-9)
    best, seen = (-np.inf, *[np.nan] * 5), []
    for snr, period, epoch, duration, depth, scatter in found.T:
        if any(abs(period / other - 1) < 0.01 for other in seen):
            continue
        seen.append(period)
        events = np.sort(_event_depths(time, flux, period, epoch, duration)) / max(scatter, 1e-9)
        without_deepest = events[:-1].mean() * np.sqrt(len(events)) if len(events) > 1 else 0.0
        statistic = (min(snr, without_deepest) - level) / spread
        if statistic > best[0]:
            best = (statistic, period, epoch, duration, depth, snr)
        if len(seen) == CANDIDATES:
            break
    return best


def measure_depth(curve, times, period, epoch, duration):
    """Mean depth of the dips at some times, such as every second one or half a period later.

    Parameters
    ----------
    curve, times : ndarray of shape (n_cadences,)
        Equalised, and days.
    period, epoch, duration : float
        Days.

    Returns
    -------
    depth, error : float
        In the unit of the curve, and its standard error: over the root of the number of dips, the
        scatter of box means of the same width, which holds the red noise, or that of the dips'
        depths if it is larger: a box holds few cadences of a short dip. NaN without a dip.
    n_dips : int
        Dips that have a cadence.
    """
    number = np.round((times - epoch) / period)
    inside = np.abs(times - epoch - number * period) <= duration / 2
    if not inside.any():
        return np.nan, np.nan, 0
    flux = np.minimum(np.asarray(curve, np.float64), FLARE)
    depths = _event_depths(times, flux - np.median(flux), period, epoch, duration)
    scatter = _box_scatter(flux, max(1, round(duration / CADENCE_DAYS)))
    if len(depths) > 1:
        scatter = max(scatter, depths.std(ddof=1))
    return float(depths.mean()), float(scatter / np.sqrt(len(depths))), len(depths)


def search(curves, times=None):
    """Search every light curve, in parallel over stars: about 40 ms of one core each.

    Parameters
    ----------
    curves : ndarray of shape (n_stars, n_cadences)
        Equalised, dimensionless.
    times : ndarray of shape (n_stars, n_cadences), optional
        Days; see `search_star`. Cadences that equalisation deleted make index run slow against
        time, and a period found on index come out a few per cent short.

    Returns
    -------
    Search
    """
    times = [None] * len(curves) if times is None else times
    jobs = joblib.Parallel(n_jobs=-1, batch_size=8)
    rows = jobs(joblib.delayed(search_star)(*pair) for pair in zip(curves, times, strict=True))
    return Search(*np.array(rows, dtype=float).reshape(len(curves), len(Search._fields)).T)


def _box_scatter(flux, width):
    """Robust standard deviation of the mean of `width` neighbouring samples."""
    total = np.cumsum(np.concatenate([[0.0], flux]))
    means = (total[width:] - total[:-width]) / width
    return 1.4826 * np.median(np.abs(means - np.median(means)))


def _event_depths(time, flux, period, epoch, duration):
    """Mean depth of every single transit that has a sample in it."""
    number = np.round((time - epoch) / period).astype(int)
    inside = np.abs(time - epoch - number * period) <= duration / 2
    if not inside.any():
        return np.zeros(1)
    number = number[inside] - number[inside].min()
    counts = np.bincount(number)
    sums = np.bincount(number, weights=-flux[inside])
    return sums[counts > 0] / counts[counts > 0]
